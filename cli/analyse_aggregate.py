"""`satudata analyse aggregate`: counts per region, safe to publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from analysis.aggregate import Question, aggregate
from analysis.disclosure import Disclosure
from catalog.codes import LEVELS
from catalog.model import Access
from cli.analyse_out import give_table
from cli.analyse_read import SCHEMES
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


@click.command("aggregate", cls=Command)
@click.argument("register", type=_FILE)
@click.option("--code", default="kode", show_default=True)
@click.option("--scheme", type=SCHEMES, default="kemendagri", show_default=True)
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
    give_table(app, found.table, found.table.column_names, out)
    app.say("cli.analyse.aggregate.done", rows=found.rows, hidden=found.suppressed, lost=found.without_region)
