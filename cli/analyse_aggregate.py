"""`satudata analyse aggregate`: counts per region, safe to publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from analysis.aggregate import Question, aggregate
from analysis.disclosure import Disclosure
from analysis.result import table_result
from catalog.codes import LEVELS
from catalog.model import Access
from cli.analyse_boundaries import boundary_index, place_options, places
from cli.analyse_out import Origin, Taking, give, region_of, taking_options
from cli.analyse_read import SCHEMES
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.command("aggregate", cls=Command)
@click.argument("register", type=_FILE)
@click.option("--code", default="kode", show_default=True)
@click.option("--lon")
@click.option("--lat")
@click.option("--h3", "cells", multiple=True, type=int)
@click.option("--scheme", type=SCHEMES, default="kemendagri", show_default=True)
@click.option("--by", multiple=True)
@click.option("--slice", "part")
@click.option("--weight")
@click.option("--level", "levels", multiple=True, type=click.Choice(LEVELS))
@click.option("--access", type=click.Choice(get_args(Access)), default="publik", show_default=True)
@click.option("--threshold", type=int, default=5, show_default=True)
@click.option("--rounding", type=int, default=1, show_default=True)
@click.option("--unprotected", is_flag=True)
@place_options
@taking_options
@json_option
@pass_app
def aggregate_command(app: App, /, register: Path, taking: Taking, **given: Any) -> None:
    """Count a register per region; small cells stay hidden."""
    taking.check(app)
    by_place = bool(given["lon"] or given["lat"] or given["cells"])
    question = Question(
        "" if by_place else given["code"], given["by"], given["part"], given["weight"], given["scheme"],
        given["levels"] or LEVELS, given["lon"], given["lat"], given["cells"],
    )  # fmt: skip
    found = aggregate(
        register,
        question,
        access=given["access"],
        disclosure=Disclosure(given["threshold"], rounding=given["rounding"]),
        unprotected=given["unprotected"],
        index=boundary_index(app, given) if by_place and given["boundaries"] else None,
    )
    kept = (
        "by",
        "part",
        "weight",
        "scheme",
        "levels",
        "access",
        "threshold",
        "rounding",
        "unprotected",
        "cells",
    )
    origin = Origin(
        "satudata analyse aggregate",
        [str(register), *([given["boundaries"]] if given["boundaries"] else [])],
        {name: given[name] for name in kept},
        region_of(given["scheme"], given["boundary_vintage"]),
        given["access"],
        "agregasi" if found.closed else "",
    )
    codes = found.table["kode"].to_pylist()
    where = found.geometries() if found.cells else places(app, given, codes)
    give(app, table_result(found.table, where), found.table.column_names, taking, origin)
    app.say("cli.analyse.aggregate.done", rows=found.rows, hidden=found.suppressed, lost=found.without_region)
