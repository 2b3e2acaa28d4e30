"""`satudata analyse affected`: the desa that an area or an earthquake hits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.affected import Dampak, affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.inputs import aggregates_of, hazards_of, region_names
from analysis.places import places_of_codes
from analysis.result import table_result
from catalog.errors import QueryError
from cli.analyse_boundaries import boundary_index, boundary_options, reader_of
from cli.analyse_out import Origin, Taking, give, region_of, taking_options
from cli.analyse_read import geojson_file, numbers
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = ("kode", "nama", "tingkat", "kelas", "bagian", "luas_m2", "desa", "tanpa_data", "mmi", "sigma")
"""What fits on a screen; files and --json hold all."""


@click.command("affected", cls=Command)
@click.option("--area", type=_FILE)
@click.option("--quake", metavar="LON,LAT,MAGNITUDE,DEPTH_KM")
@click.option("--least-mmi", type=float, default=5.0, show_default=True)
@click.option("--people", metavar="DATASET")
@click.option("--count", "counts", multiple=True)
@click.option("--level", type=click.Choice(["desa", "kecamatan", "kabkota", "provinsi"]), default="desa")
@boundary_options
@taking_options
@json_option
@pass_app
def affected_command(
    app: App,
    /,
    area: Path | None,
    quake: str | None,
    least_mmi: float,
    people: str | None,
    counts: tuple[str, ...],
    level: str,
    taking: Taking,
    **boundaries: Any,
) -> None:
    """List the desa that an area or an earthquake hits."""
    taking.check(app)
    if (area is None) == (quake is None):
        raise QueryError(app.text("cli.analyse.affected.one"), where="area")
    index = boundary_index(app, boundaries)
    known = aggregates_of(reader_of(app, people), counts=counts) if people else None
    names = region_names(app.catalog.regions, index)
    if area is not None:
        found = affected_by_area(index, hazards_of(geojson_file(area)), aggregates=known, names=names)
    else:
        event = Gempa(*numbers(quake or "", 4, "quake"))
        found = affected_by_earthquake(index, event, least_mmi=least_mmi, aggregates=known, names=names)
    for note in found.catatan:
        app.say(f"cli.analyse.note.{note}")
    rows = _rows(found, level)
    result = table_result(rows, places_of_codes(index, [row["kode"] for row in rows]))
    origin = Origin(
        f"satudata analyse affected; {found.sumber_intensitas or found.metode_luas}",
        [name for name in (boundaries["boundaries"], people) if name] + ([str(area)] if area else []),
        {"quake": quake, "least_mmi": least_mmi if quake else None, "level": level},
        region_of(index.info.skema, index.info.vintage),
    )
    give(app, result, SHOWN, taking, origin)


def _rows(found: Dampak, level: str) -> list[dict[str, Any]]:
    chosen = found.desa if level == "desa" else found.wilayah[level]  # type: ignore[index]
    return [one.as_dict() for one in chosen]
