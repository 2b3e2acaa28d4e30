"""`satudata analyse reconcile`: two tables by region code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from analysis.reconcile import Compared, Side, reconcile, with_moves_by_name
from analysis.result import table_result
from catalog.errors import QueryError
from catalog.region_model import QUALITIES, CrosswalkRow
from cli.analyse_out import Origin, Taking, give, taking_options
from cli.analyse_read import SCHEMES, SOURCE, demand, read_table, table_of
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_SHOWN = ("kelas", "kode_a", "kode_b", "nama_a", "nama_b", "perpindahan", "kolom_berbeda")


def sides(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options that say what is compared."""
    for option in reversed(
        (
            click.argument("a", metavar=SOURCE),
            click.argument("b", metavar=SOURCE),
            click.option("--key-a", required=True),
            click.option("--key-b"),
            click.option("--name-a"),
            click.option("--name-b"),
            click.option("--above-a"),
            click.option("--above-b"),
            click.option("--scheme-a", type=SCHEMES),
            click.option("--scheme-b", type=SCHEMES),
            click.option("--vintage-a", type=int),
            click.option("--vintage-b", type=int),
            click.option("--value", "values", multiple=True, metavar="A[:B[:ABSOLUTE[:RELATIVE]]]"),
        )
    ):
        function = option(function)
    return function


@click.command("reconcile", cls=Command)
@sides
@click.option("--crosswalk", type=_FILE)
@click.option("--all", "everything", is_flag=True)
@taking_options
@json_option
@pass_app
def reconcile_command(app: App, /, a: str, b: str, taking: Taking, everything: bool, **given: Any) -> None:
    """Compare two tables by region code; every row comes out classified."""
    taking.check(app)
    compared = [compared_of(text) for text in given["values"]]
    given["key_b"] = given["key_b"] or given["key_a"]
    left = _side(app, a, given, "a", [pair.a for pair in compared])
    right = _side(app, b, given, "b", [pair.b for pair in compared])
    known = _crosswalk(given["crosswalk"]) if given["crosswalk"] else _known_moves(app, given)
    found = reconcile(left, right, compared, moves=with_moves_by_name(left, right, known))
    table = found.table()
    if not everything:
        table = table.filter(pa.array([row.verdict != "cocok" for row in found.rows], pa.bool_()))
    give(app, table_result(table), _SHOWN, taking, Origin("satudata analyse reconcile", [a, b], given))
    for verdict, count in sorted(found.counts.items()):
        app.say("cli.analyse.reconcile.count", verdict=verdict.value, count=count)


def _side(app: App, source: str, given: dict[str, Any], letter: str, values: list[str]) -> Side:
    key, name, above = (given[f"{what}_{letter}"] for what in ("key", "name", "above"))
    table = table_of(app, source, [column for column in (key, name, above, *values) if column])
    return Side(table, key, _scheme(given, letter), given[f"vintage_{letter}"] or 0, name, above)


def _scheme(given: dict[str, Any], letter: str) -> Any:
    return given[f"scheme_{letter}"] or "kemendagri"


def compared_of(text: str) -> Compared:
    """Read `A[:B[:ABSOLUTE[:RELATIVE]]]`."""
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
    here = (_scheme(given, "a"), given["vintage_a"])
    return list(app.catalog.regions.pairs(from_=here, to=(_scheme(given, "b"), given["vintage_b"])))
