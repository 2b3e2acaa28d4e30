"""`satudata analyse`: the ministry's questions on the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from analysis.affected import Dampak, affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.inputs import (
    aggregates_of,
    facilities_of,
    geometry_of,
    hazards_of,
    region_names,
)
from analysis.nearest import Asal, FacilityIndex, origins_of_codes, origins_of_geometry
from catalog.errors import QueryError, RecordError
from cli.analyse_boundaries import boundary_index, boundary_options, reader_of
from cli.analyse_tables import ANALYSE_COMMANDS
from cli.analyse_verify import verify_command
from cli.app import App, Command, Group, json_option, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)
_SHOWN = (
    "kode", "nama", "tingkat", "kelas", "bagian", "luas_m2", "desa", "tanpa_data", "mmi", "sigma",
    "asal", "urutan", "jarak_m", "jarak", "id", "jenis", "status",
)  # fmt: skip
"""What fits on a screen; files and --json hold all."""


@click.group(cls=Group)
def analyse() -> None:
    """The ministry's questions."""


@analyse.command("affected", cls=Command)
@click.option("--area", type=_FILE)
@click.option("--quake", metavar="LON,LAT,MAGNITUDE,DEPTH_KM")
@click.option("--least-mmi", type=float, default=5.0, show_default=True)
@click.option("--people", metavar="DATASET")
@click.option("--count", "counts", multiple=True)
@click.option("--level", type=click.Choice(["desa", "kecamatan", "kabkota", "provinsi"]), default="desa")
@boundary_options
@click.option("--out", type=_FILE)
@json_option
@pass_app
def affected(
    app: App,
    /,
    area: Path | None,
    quake: str | None,
    least_mmi: float,
    people: str | None,
    counts: tuple[str, ...],
    level: str,
    out: Path | None,
    **boundaries: Any,
) -> None:
    """List the desa that an area or an earthquake hits."""
    if (area is None) == (quake is None):
        raise QueryError(app.text("cli.analyse.affected.one"), where="area")
    index = boundary_index(app, boundaries)
    known = aggregates_of(reader_of(app, people), counts=counts) if people else None
    names = region_names(app.catalog.regions, index)
    if area is not None:
        found = affected_by_area(index, hazards_of(_geojson(area)), aggregates=known, names=names)
    else:
        event = Gempa(*_numbers(quake or "", 4, "quake"))
        found = affected_by_earthquake(index, event, least_mmi=least_mmi, aggregates=known, names=names)
    for note in found.catatan:
        app.say(f"cli.analyse.note.{note}")
    _give(app, [{**row, **_flat(row)} for row in _rows(found, level)], out)


@analyse.command("nearest", cls=Command)
@click.option("--facilities", required=True, metavar="DATASET")
@click.option("--kind", "kinds", multiple=True)
@click.option("-k", "k", type=int, default=3, show_default=True)
@click.option("--point", metavar="LON,LAT")
@click.option("--area", type=_FILE)
@click.option("--desa", multiple=True)
@click.option("--boundaries", metavar="DATASET|FILE.parquet")
@click.option("--out", type=_FILE)
@json_option
@pass_app
def nearest(
    app: App,
    facilities: str,
    kinds: tuple[str, ...],
    k: int,
    point: str | None,
    area: Path | None,
    desa: tuple[str, ...],
    boundaries: str | None,
    out: Path | None,
) -> None:
    """List the k nearest facilities to a point, an area or desa."""
    origins = _origins(app, point, area, desa, boundaries)
    answers = FacilityIndex(facilities_of(reader_of(app, facilities))).nearest(origins, k=k, jenis=kinds)
    _give(app, [one.as_dict() for found in answers for one in found], out)


def _origins(
    app: App, point: str | None, area: Path | None, desa: Sequence[str], boundaries: str | None
) -> list[Asal]:
    if sum((point is not None, area is not None, bool(desa))) != 1:
        raise QueryError(app.text("cli.analyse.nearest.one"), where="point")
    if point is not None:
        lon, lat = _numbers(point, 2, "point")
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise QueryError(app.text("cli.analyse.numbers", names="LON,LAT"), where="point")
        return [Asal("asal", lon, lat)]
    if area is not None:
        return origins_of_geometry(geometry_of(_geojson(area)))
    if boundaries is None:
        raise QueryError(app.text("cli.analyse.nearest.boundaries"), where="boundaries")
    given = {"boundaries": boundaries, "boundary_code": "", "boundary_name": ""}
    index = boundary_index(app, {**given, "boundary_scheme": None, "boundary_vintage": None})
    return origins_of_codes(index, desa)


def _rows(found: Dampak, level: str) -> list[dict[str, Any]]:
    chosen = found.desa if level == "desa" else found.wilayah[level]  # type: ignore[index]
    return [one.as_dict() for one in chosen]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return counts as columns of their own: `jumlah_jiwa`, `perkiraan_jiwa`."""
    return {f"{kind}_{k}": v for kind in ("jumlah", "perkiraan") for k, v in (row.get(kind) or {}).items()}


def _give(app: App, rows: list[dict[str, Any]], out: Path | None) -> None:
    """Show rows, or write them as CSV or JSON; cells of CSV that hold objects are JSON."""
    plain = [{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows]
    columns = list(dict.fromkeys(name for row in plain for name in row))
    if out is None:
        app.show(rows, [name for name in _SHOWN if name in columns])
    elif out.suffix.lower() == ".csv":
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(plain)
    else:
        out.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    if out is not None:
        app.say("cli.analyse.written", rows=len(rows), out=out)


def _geojson(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise RecordError("not a readable GeoJSON file", where=path.name) from None
    if not isinstance(value, dict):
        raise RecordError("not GeoJSON", where=path.name)
    return value


def _numbers(text: str, count: int, where: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise QueryError(f"{text!r}: {count} numbers with commas between", where=where)
    return found


for _command in (verify_command, *ANALYSE_COMMANDS):
    analyse.add_command(_command)

COMMANDS = [analyse]
