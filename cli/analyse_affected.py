"""`satudata analyse affected`: the desa that an area, a raster, an earthquake or an event hits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import orjson

from analysis.affected import affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.events import hazard_of_event
from analysis.hazard_raster import Rule, affected_by_raster, thresholds_of
from analysis.impact import Dampak
from analysis.inputs import aggregates_of, hazards_of, region_names
from analysis.lookup import DesaIndex
from analysis.places import places_of_codes
from analysis.result import table_result
from analysis.shakemap import affected_by_shakemap, read_grid_xml
from catalog.errors import NotFoundError, QueryError
from cli.analyse_boundaries import boundary_index, boundary_options, reader_of
from cli.analyse_out import Origin, Taking, give, region_of, taking_options
from cli.analyse_raster import raster_of
from cli.analyse_read import SOURCE, geojson_file, numbers
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = ("kode", "nama", "tingkat", "kelas", "bagian", "luas_m2", "desa", "tanpa_data", "mmi", "sigma")
"""What fits on a screen; files and --json hold all."""


@click.command("affected", cls=Command)
@click.option("--area", type=_FILE)
@click.option("--raster", metavar=SOURCE)
@click.option("--threshold", "thresholds", multiple=True, type=float)
@click.option("--class", "classes", multiple=True)
@click.option("--class-rule", type=click.Choice(["highest", "most"]), default="highest", show_default=True)
@click.option("--band", type=int, default=1, show_default=True)
@click.option("--quake", metavar="LON,LAT,MAGNITUDE,DEPTH_KM")
@click.option("--shakemap", type=_FILE)
@click.option("--event")
@click.option("--events", metavar="DATASET", default="gempa", show_default=True)
@click.option("--least-mmi", type=float, default=5.0, show_default=True)
@click.option("--people", metavar="DATASET")
@click.option("--count", "counts", multiple=True)
@click.option("--level", type=click.Choice(["desa", "kecamatan", "kabkota", "provinsi"]), default="desa")
@boundary_options
@taking_options
@json_option
@pass_app
def affected_command(
    app: App, /, people: str | None, counts: tuple[str, ...], level: str, taking: Taking, **given: Any
) -> None:
    """List the desa that an area, a raster, an earthquake or an event hits."""
    taking.check(app)
    chosen = [name for name in _HAZARDS if given[name]]
    if len(chosen) != 1:
        raise QueryError(app.text("cli.analyse.affected.one"), where=(chosen or ["area"])[-1])
    index = boundary_index(app, given)
    known = aggregates_of(reader_of(app, people), counts=counts) if people else None
    names = region_names(app.catalog.regions, index)
    found = _HAZARDS[chosen[0]](app, index, given, {"aggregates": known, "names": names})
    for note in found.catatan:
        app.say(f"cli.analyse.note.{note}")
    if found.tanpa_data:
        app.say("cli.analyse.affected.unknown", count=len(found.tanpa_data))
    rows = _rows(found, level)
    result = table_result(rows, places_of_codes(index, [row["kode"] for row in rows]))
    used = [given["boundaries"], people, *(str(given[name] or "") for name in ("area", "raster", "shakemap"))]
    asked = ("quake", "event", "least_mmi", "thresholds", "classes", "class_rule", "band")
    origin = Origin(
        f"satudata analyse affected; {found.sumber_intensitas or found.metode_luas}",
        [name for name in used if name],
        {name: given[name] for name in asked if given[name]} | {"level": level},
        region_of(index.info.skema, index.info.vintage),
    )
    give(app, result, SHOWN, taking, origin)


def _by_area(app: App, index: DesaIndex, given: dict[str, Any], known: dict[str, Any]) -> Dampak:
    return affected_by_area(index, hazards_of(geojson_file(given["area"])), **known)


def _by_raster(app: App, index: DesaIndex, given: dict[str, Any], known: dict[str, Any]) -> Dampak:
    classes = thresholds_of(given["thresholds"], given["classes"])
    rule: Rule = "tertinggi" if given["class_rule"] == "highest" else "terbanyak"
    path = raster_of(app, given["raster"])
    return affected_by_raster(index, path, classes, band=given["band"], rule=rule, **known)


def _by_quake(app: App, index: DesaIndex, given: dict[str, Any], known: dict[str, Any]) -> Dampak:
    quake = Gempa(*numbers(given["quake"], 4, "quake"))
    return affected_by_earthquake(index, quake, least_mmi=given["least_mmi"], **known)


def _by_shakemap(app: App, index: DesaIndex, given: dict[str, Any], known: dict[str, Any]) -> Dampak:
    path: Path = given["shakemap"]
    if not path.is_file():
        raise NotFoundError(path.name, where="shakemap")
    read = read_grid_xml(path.read_bytes()) if path.suffix.lower() == ".xml" else path
    return affected_by_shakemap(index, read, least_mmi=given["least_mmi"], band=given["band"], **known)


def _by_event(app: App, index: DesaIndex, given: dict[str, Any], known: dict[str, Any]) -> Dampak:
    feature = reader_of(app, given["events"]).feature(given["event"])
    if feature is None:
        raise NotFoundError(given["event"], where="event")
    area, quake, notes = hazard_of_event(orjson.loads(feature))
    if quake is None:
        found = affected_by_area(index, hazards_of(area or {}), **known)
    else:
        found = affected_by_earthquake(index, quake, least_mmi=given["least_mmi"], **known)
    return replace(found, catatan=(*found.catatan, *notes))


_HAZARDS = {
    "area": _by_area,
    "raster": _by_raster,
    "quake": _by_quake,
    "shakemap": _by_shakemap,
    "event": _by_event,
}


def _rows(found: Dampak, level: str) -> list[dict[str, Any]]:
    chosen = found.desa if level == "desa" else found.wilayah[level]  # type: ignore[index]
    return [one.as_dict() for one in chosen]
