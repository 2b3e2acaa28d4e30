"""`satudata analyse allocate|reconcile|aggregate|zonal`: the questions that are answered by tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import fiona
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import shapely
import shapely.geometry

from analysis.aggregate import Question, aggregate
from analysis.allocate import allocate
from analysis.allocate_tables import costs_of, needs_of, plan_table, stocks_of
from analysis.disclosure import Disclosure
from analysis.moves import Named, derive_moves
from analysis.reconcile import Compared, Side, reconcile
from analysis.reconcile_decide import from_json
from analysis.zonal import Zone, zonal, zonal_table
from catalog.codes import LEVELS
from catalog.errors import NotFoundError, QueryError, RecordError
from catalog.model import Access
from catalog.region_model import QUALITIES, CrosswalkRow
from cli.app import App, Command, json_option, pass_app
from layers.raster import open_raster

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_SCHEMES = click.Choice(["kemendagri", "bps"])
_SOURCE = "DATASET|FILE"


@click.command("allocate", cls=Command)
@click.option("--stock", required=True, type=_FILE)
@click.option("--need", required=True, type=_FILE)
@click.option("--cost", type=_FILE)
@click.option("--max-cost", type=float)
@click.option("--fair/--no-fair", default=True, show_default=True)
@click.option("--out", type=_OUT)
@json_option
@pass_app
def allocate_command(
    app: App, stock: Path, need: Path, cost: Path | None, max_cost: float | None, fair: bool, out: Path | None
) -> None:
    """Plan who sends how much of which item to which desa."""
    costs = costs_of(_read(cost).to_pylist()) if cost else None
    stocks, needs = stocks_of(_read(stock).to_pylist()), needs_of(_read(need).to_pylist())
    plan = allocate(stocks, needs, costs=costs, max_cost=max_cost, fair=fair)
    _give(app, plan_table(plan), ("item", "kode", "gudang", "jumlah", "biaya", "alasan"), out)
    for item in plan.items:
        app.say(
            "cli.analyse.allocate.item", item=item.item, served=item.served, needed=item.needed,
            released=item.released, stock=item.stock, share=f"{item.least_share:.1%}",
        )  # fmt: skip


@click.command("reconcile", cls=Command)
@click.argument("a", metavar=_SOURCE)
@click.argument("b", metavar=_SOURCE)
@click.option("--key-a", required=True)
@click.option("--key-b")
@click.option("--name-a")
@click.option("--name-b")
@click.option("--above-a")
@click.option("--above-b")
@click.option("--scheme-a", type=_SCHEMES, default="kemendagri", show_default=True)
@click.option("--scheme-b", type=_SCHEMES, default="kemendagri", show_default=True)
@click.option("--vintage-a", type=int)
@click.option("--vintage-b", type=int)
@click.option("--value", "values", multiple=True, metavar="A[:B[:ABSOLUTE[:RELATIVE]]]")
@click.option("--crosswalk", type=_FILE)
@click.option("--decisions", type=_FILE)
@click.option("--all", "everything", is_flag=True)
@click.option("--out", type=_OUT)
@json_option
@pass_app
def reconcile_command(app: App, /, a: str, b: str, out: Path | None, everything: bool, **given: Any) -> None:
    """Compare two tables by region code; every row comes out classified."""
    compared = [_compared(text) for text in given["values"]]
    names = [(given["key_a"], given["name_a"], given["above_a"]),
             (given["key_b"] or given["key_a"], given["name_b"], given["above_b"])]  # fmt: skip
    tables = [
        _table(app, source, [name for name in (*columns, *numbers) if name])
        for source, columns, numbers in zip(
            (a, b), names, ([p.a for p in compared], [p.b for p in compared]), strict=True
        )
    ]
    left = Side(tables[0], names[0][0], given["scheme_a"], name=given["name_a"])
    right = Side(tables[1], names[1][0], given["scheme_b"], name=given["name_b"])
    moves = _crosswalk(given["crosswalk"]) if given["crosswalk"] else _known_moves(app, given)
    if given["name_a"] and given["name_b"] and given["scheme_a"] == given["scheme_b"]:
        moves += derive_moves(_named(tables[0], names[0]), _named(tables[1], names[1]))
    found = reconcile(left, right, compared, moves=moves)
    table = found.table()
    if given["decisions"]:
        decided = from_json(given["decisions"].read_bytes()).apply(found)
        for name, cells in (
            ("putusan", [d.decision.action.value if d.decision else None for d in decided]),
            ("alasan", [d.decision.reason if d.decision else None for d in decided]),
            ("terbuka", ["ya" if d.open else "tidak" for d in decided]),
        ):
            table = table.append_column(name, pa.array(cells, pa.string()))
    if not everything:
        table = table.filter(pa.array([row.verdict != "cocok" for row in found.rows]))
    shown = ("kelas", "kode_a", "kode_b", "nama_a", "nama_b", "perpindahan", "kolom_berbeda", "putusan")
    _give(app, table, [name for name in shown if name in table.column_names], out)
    for verdict, count in sorted(found.counts.items()):
        app.say("cli.analyse.reconcile.count", verdict=verdict.value, count=count)


@click.command("aggregate", cls=Command)
@click.argument("register", type=_FILE)
@click.option("--code", default="kode", show_default=True)
@click.option("--scheme", type=_SCHEMES, default="kemendagri", show_default=True)
@click.option("--by", multiple=True)
@click.option("--slice", "part")
@click.option("--weight")
@click.option("--level", "levels", multiple=True, type=click.Choice(LEVELS))
@click.option("--access", type=click.Choice(get_args(Access)), default="publik", show_default=True)
@click.option("--threshold", type=int, default=5, show_default=True)
@click.option("--rounding", type=int, default=1, show_default=True)
@click.option("--unprotected", is_flag=True)
@click.option("--out", type=_OUT)
@json_option
@pass_app
def aggregate_command(app: App, /, register: Path, out: Path | None, **given: Any) -> None:
    """Count a register per region; small cells stay hidden."""
    question = Question(
        given["code"], given["by"], given["part"], given["weight"], given["scheme"],
        given["levels"] or LEVELS,
    )  # fmt: skip
    found = aggregate(
        register,
        question,
        access=given["access"],
        disclosure=Disclosure(given["threshold"], rounding=given["rounding"]),
        unprotected=given["unprotected"],
    )
    _give(app, found.table, found.table.column_names, out)
    app.say("cli.analyse.aggregate.done", rows=found.rows, hidden=found.suppressed, lost=found.without_region)


@click.command("zonal", cls=Command)
@click.option("--raster", required=True, metavar=_SOURCE)
@click.option("--zones", required=True, metavar=_SOURCE)
@click.option("--layer")
@click.option("--code", default="kode", show_default=True)
@click.option("--band", type=int, default=1, show_default=True)
@click.option("--break", "breaks", multiple=True, type=float)
@click.option("--out", type=_OUT)
@json_option
@pass_app
def zonal_command(
    app: App,
    raster: str,
    zones: str,
    layer: str | None,
    code: str,
    band: int,
    breaks: tuple[float, ...],
    out: Path | None,
) -> None:
    """Sum a raster up per polygon."""
    path: Path | str = raster
    if not Path(raster).is_file():
        info = app.catalog.versions.current(raster)
        if info is None or info.kind != "raster":
            raise NotFoundError(raster, where="raster")
        path = open_raster(info, app.settings.data_dir / "layers")
    found, crs = _zones(app, zones, code, layer)
    table = zonal_table(zonal(found, path, band=band, crs=crs, breaks=breaks), breaks)
    _give(app, table, table.column_names, out)


def _zones(app: App, source: str, code: str, name: str | None) -> tuple[Iterator[Zone], str]:
    path = Path(source)
    if not path.is_file():
        reader = _reader(app, source)
        schema = reader.info.schema
        crs = schema.crs if schema else "EPSG:4326"
        batches = reader.batches([code], size=256)
        pairs = (
            (row[code], geometry)
            for batch in batches
            for row, geometry in zip(
                batch.rows, [] if batch.geometries is None else batch.geometries, strict=True
            )
        )
        return (Zone(str(kode), geometry) for kode, geometry in pairs if geometry is not None), crs
    if path.suffix.lower() == ".parquet":
        return _parquet_zones(path, code), "EPSG:4326"
    with fiona.open(path, layer=name) as layer:
        crs = layer.crs.to_wkt() or "EPSG:4326"
        if code not in layer.schema["properties"]:
            raise QueryError(f"there is no column {code!r}", where=path.name)
    return _file_zones(path, code, name), crs


def _file_zones(path: Path, code: str, name: str | None) -> Iterator[Zone]:
    with fiona.open(path, layer=name) as layer:
        for feature in layer:
            if feature.geometry is not None:
                yield Zone(str(feature.properties[code]), shapely.geometry.shape(feature.geometry))


def _parquet_zones(path: Path, code: str) -> Iterator[Zone]:
    with pq.ParquetFile(path) as file:
        _demand([code, "geometry"], file.schema_arrow.names, path.name)
        for batch in file.iter_batches(256, columns=[code, "geometry"]):
            shapes = shapely.from_wkb(batch["geometry"].to_pylist())
            for kode, geometry in zip(batch[code].to_pylist(), shapes, strict=True):
                if geometry is not None:
                    yield Zone(str(kode), geometry)


def _reader(app: App, dataset_id: str) -> Any:
    info = app.catalog.versions.current(dataset_id)
    if info is None:
        raise NotFoundError(app.text("cli.analyse.no-version", id=dataset_id), where=dataset_id)
    return app.store.reader(info)


def _table(app: App, source: str, columns: list[str]) -> pa.Table:
    """Read a file or the current version of a dataset, the named columns alone."""
    wanted = list(dict.fromkeys(columns))
    if Path(source).is_file():
        table = _read(Path(source))
        _demand(wanted, table.column_names, source)
        return table.select(wanted)
    reader = _reader(app, source)
    _demand(wanted, reader.info.schema.names(), source)
    rows = [row for batch in reader.batches(wanted, geometry=False) for row in batch.rows]
    return pa.table({name: [row.get(name) for row in rows] for name in wanted})


def _demand(columns: list[str], there: Any, where: str) -> None:
    for name in columns:
        if name not in there:
            raise QueryError(f"there is no column {name!r}", where=where)


def _read(path: Path) -> pa.Table:
    """Read CSV (also .csv.gz) or Parquet. Columns that begin like codes stay texts."""
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(1 << 16).decode("utf-8-sig", "replace").splitlines()[0]
        delimiter = max(",;\t|", key=head.count)
        names = [name.strip('"') for name in head.split(delimiter)]
        texts = {name: pa.string() for name in names if name.lower().startswith(("kode", "kd", "gudang"))}
        with pa.input_stream(path, compression="detect") as stream:
            return pacsv.read_csv(
                stream,
                parse_options=pacsv.ParseOptions(delimiter=delimiter),
                convert_options=pacsv.ConvertOptions(column_types=texts, strings_can_be_null=True),
            )
    except (pa.ArrowInvalid, IndexError):
        raise RecordError("not a readable CSV or Parquet file", where=path.name) from None


def _compared(text: str) -> Compared:
    a, b, absolute, relative = [*text.split(":"), *[""] * 4][:4]
    try:
        return Compared(a, b or a, float(absolute or 0), float(relative or 0))
    except ValueError:
        raise QueryError("A[:B[:ABSOLUTE[:RELATIVE]]]", where="value") from None


def _crosswalk(path: Path) -> list[CrosswalkRow]:
    """Read `dari, ke, mutu` (columns `kode_dari, kode_ke, mutu`)."""
    table = _read(path)
    _demand(["kode_dari", "kode_ke", "mutu"], table.column_names, path.name)
    rows = table.to_pylist()
    wrong = {row["mutu"] for row in rows} - set(QUALITIES)
    if wrong:
        raise QueryError(f"mutu is one of {', '.join(QUALITIES)}", where=path.name)
    return [CrosswalkRow(row["kode_dari"], row["kode_ke"], None, row["mutu"]) for row in rows]


def _known_moves(app: App, given: dict[str, Any]) -> list[CrosswalkRow]:
    """Return the catalog's crosswalk between the two vintages, if both are told; empty when it has none."""
    if given["vintage_a"] is None or given["vintage_b"] is None:
        return []
    here, there = (given["scheme_a"], given["vintage_a"]), (given["scheme_b"], given["vintage_b"])
    return list(app.catalog.regions.pairs(from_=here, to=there))


def _named(table: pa.Table, names: tuple[str, str, str | None]) -> list[Named]:
    code, name, above = names
    above_cells = table[above].to_pylist() if above else [""] * len(table)
    rows = zip(table[code].to_pylist(), table[name].to_pylist(), above_cells, strict=True)
    return [Named(str(c), n or "", u or "") for c, n, u in rows if c is not None]


def _give(app: App, table: pa.Table, columns: Any, out: Path | None) -> None:
    """Show a table, or write it as CSV, Parquet or (any other name) JSON."""
    if out is None:
        app.show(table.to_pylist(), columns)
        return
    if out.suffix.lower() == ".parquet":
        pq.write_table(table, out)
    elif out.suffix.lower() == ".csv":
        pacsv.write_csv(table, out)
    else:
        import orjson

        out.write_bytes(orjson.dumps(table.to_pylist(), option=orjson.OPT_INDENT_2))
    app.say("cli.analyse.written", rows=len(table), out=out)


ANALYSE_COMMANDS = [allocate_command, reconcile_command, aggregate_command, zonal_command]
