"""`satudata analyse reconcile`: two tables by region code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from analysis.moves import Named, derive_moves
from analysis.reconcile import Compared, Side, reconcile
from analysis.reconcile_decide import from_json
from catalog.errors import QueryError
from catalog.region_model import QUALITIES, CrosswalkRow
from cli.analyse_out import give_table
from cli.analyse_read import SCHEMES, SOURCE, demand, read_table, table_of
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


@click.command("reconcile", cls=Command)
@click.argument("a", metavar=SOURCE)
@click.argument("b", metavar=SOURCE)
@click.option("--key-a", required=True)
@click.option("--key-b")
@click.option("--name-a")
@click.option("--name-b")
@click.option("--above-a")
@click.option("--above-b")
@click.option("--scheme-a", type=SCHEMES, default="kemendagri", show_default=True)
@click.option("--scheme-b", type=SCHEMES, default="kemendagri", show_default=True)
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
        table_of(app, source, [name for name in (*columns, *numbers) if name])
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
    give_table(app, table, [name for name in shown if name in table.column_names], out)
    for verdict, count in sorted(found.counts.items()):
        app.say("cli.analyse.reconcile.count", verdict=verdict.value, count=count)


def _compared(text: str) -> Compared:
    a, b, absolute, relative = [*text.split(":"), *[""] * 4][:4]
    try:
        return Compared(a, b or a, float(absolute or 0), float(relative or 0))
    except ValueError:
        raise QueryError("A[:B[:ABSOLUTE[:RELATIVE]]]", where="value") from None


def _crosswalk(path: Path) -> list[CrosswalkRow]:
    """Read `dari, ke, mutu` (columns `kode_dari, kode_ke, mutu`)."""
    table = read_table(path)
    demand(["kode_dari", "kode_ke", "mutu"], table.column_names, path.name)
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
