"""`satudata analyse allocate`: who sends how much of what to which desa."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.allocate import allocate
from analysis.allocate_tables import costs_of, needs_of, placed_plan, plan_places, plan_table, stocks_of
from analysis.result import table_result
from cli.analyse_out import Origin, Taking, give, taking_options
from cli.analyse_read import read_table
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
SHOWN = ("item", "kode", "gudang", "jumlah", "biaya", "alasan")


@click.command("allocate", cls=Command)
@click.option("--stock", required=True, type=_FILE)
@click.option("--need", required=True, type=_FILE)
@click.option("--cost", type=_FILE)
@click.option("--max-cost", type=float)
@click.option("--fair/--no-fair", default=True, show_default=True)
@taking_options
@json_option
@pass_app
def allocate_command(
    app: App, stock: Path, need: Path, cost: Path | None, max_cost: float | None, fair: bool, taking: Taking
) -> None:
    """Plan who sends how much of which item to which desa."""
    taking.check(app)
    costs = costs_of(read_table(cost).to_pylist()) if cost else None
    stocks, needs = stocks_of(read_table(stock).to_pylist()), needs_of(read_table(need).to_pylist())
    plan = allocate(stocks, needs, costs=costs, max_cost=max_cost, fair=fair)
    rows = placed_plan(plan_table(plan).to_pylist(), stocks, needs)
    origin = Origin(
        "satudata analyse allocate",
        [str(path) for path in (stock, need, cost) if path],
        {"max_cost": max_cost, "fair": fair},
    )
    give(app, table_result(rows, plan_places(rows)), SHOWN, taking, origin)
    for item in plan.items:
        app.say(
            "cli.analyse.allocate.item", item=item.item, served=item.served, needed=item.needed,
            released=item.released, stock=item.stock, share=f"{item.least_share:.1%}",
        )  # fmt: skip
