"""`satudata analyse`: the ministry's questions on the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from analysis.affected import Dampak, affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.inputs import (
    BoundaryColumns,
    aggregates_of,
    facilities_of,
    geometry_of,
    hazards_of,
    index_of_file,
    index_of_reader,
    reference_for,
    region_names,
)
from analysis.lookup import DesaIndex
from analysis.nearest import Asal, FacilityIndex, origins_of_codes, origins_of_geometry
from analysis.verify_batch import Kolom
from analysis.verify_register import Tugas, verify_register
from catalog.errors import NotFoundError, QueryError, RecordError
from catalog.model import Scheme
from cli.analyse_tables import ANALYSE_COMMANDS
from cli.app import App, Command, Group, json_option, pass_app
from cli.signals import stop_event
from layers.contract import LayerReader

_FILE = click.Path(dir_okay=False, path_type=Path)
_SHOWN = (
    "kode", "nama", "tingkat", "kelas", "bagian", "luas_m2", "desa", "tanpa_data", "mmi", "sigma",
    "asal", "urutan", "jarak_m", "jarak", "id", "jenis", "status",
)  # fmt: skip
"""What fits on a screen; files and --json hold all."""


@click.group(cls=Group)
def analyse() -> None:
    """The ministry's questions."""


def boundary_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the boundaries."""
    for option in (
        click.option("--boundary-vintage", type=int),
        click.option("--boundary-scheme", type=click.Choice(["kemendagri", "bps"])),
        click.option("--boundary-name", default=""),
        click.option("--boundary-code", default=""),
        click.option("--boundaries", required=True, metavar="DATASET|FILE.parquet"),
    ):
        function = option(function)
    return function


def boundary_index(app: App, given: dict[str, Any], *, cells: bool = False) -> DesaIndex:
    """Open the index of the boundaries that the options name; built on first use, kept in the data folder."""
    name = given["boundaries"]
    columns = BoundaryColumns(
        given["boundary_code"], given["boundary_name"], given["boundary_scheme"], given["boundary_vintage"]
    )
    folder = app.data_dir / "analysis" / Path(name).stem
    if name.endswith(".parquet"):
        return index_of_file(Path(name), folder, columns, cells=cells)
    return index_of_reader(reader_of(app, name), folder, columns, cells=cells)


def reader_of(app: App, dataset_id: str) -> LayerReader:
    """Open the current version of a dataset; NotFoundError when it has none."""
    info = app.catalog.versions.current(dataset_id)
    if info is None:
        raise NotFoundError(app.text("cli.analyse.no-version", id=dataset_id), where=dataset_id)
    return app.store.reader(info)


@analyse.command("verify", cls=Command)
@click.argument("register", type=_FILE)
@click.option("--lon", default="lon", show_default=True)
@click.option("--lat", default="lat", show_default=True)
@click.option("--code", default="kode", show_default=True)
@click.option("--keep", multiple=True)
@click.option("--scheme", type=click.Choice(["kemendagri", "bps"]))
@click.option("--vintage", type=int)
@click.option("--tolerance", type=float, default=100.0, show_default=True)
@boundary_options
@click.option("--out", type=_FILE, required=True)
@click.option("--engine", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--workers", type=click.IntRange(0), default=0)
@json_option
@pass_app
def verify(
    app: App,
    /,
    register: Path,
    lon: str,
    lat: str,
    code: str,
    keep: tuple[str, ...],
    scheme: Scheme | None,
    vintage: int | None,
    tolerance: float,
    out: Path,
    engine: str,
    workers: int,
    **boundaries: Any,
) -> None:
    """Verify a register file; run again after a stop to go on. `engine` is `local`, the only one so far."""
    for path in (register, out):
        if path.suffix.lower() not in {".csv", ".parquet"}:
            raise QueryError(app.text("cli.analyse.verify.format", name=path.name), where=path.name)
    index = boundary_index(app, boundaries, cells=True)
    rules = reference_for(app.catalog.regions, index, skema=scheme, vintage=vintage)
    columns = Kolom(lon, lat, code, keep)
    job = Tugas(register, out, index.folder, columns, scheme, vintage, tolerance, rules, workers)
    with stop_event() as stop:
        summary = verify_register(
            job, progress=lambda rows: app.say("cli.analyse.verify.progress", rows=rows), stop=stop.is_set
        )
    if summary is None:
        app.say("cli.analyse.verify.stopped")
        raise SystemExit(3)
    counts = [{"verdict": name, "rows": count} for name, count in summary.per_verdict().items() if count]
    app.show(counts, ("verdict", "rows"))
    if summary.unreadable:
        app.say("cli.analyse.verify.unreadable", count=summary.unreadable)
    app.say("cli.analyse.verify.done", rows=summary.rows, out=out, summary=job.summary)


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


for _command in ANALYSE_COMMANDS:
    analyse.add_command(_command)

COMMANDS = [analyse]
