"""Which boundaries a question is asked against: the options of its command, and their index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from analysis.inputs import BoundaryColumns, index_of_file, index_of_reader
from analysis.lookup import DesaIndex
from analysis.places import places_of_codes
from catalog.errors import NotFoundError
from cli.app import App
from layers.contract import Geometries, LayerReader


def boundary_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the boundaries."""
    return _with_boundaries(function, required=True)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same, not required: they only tell where the rows of an answer are."""
    return _with_boundaries(function, required=False)


def _with_boundaries(function: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    for option in (
        click.option("--boundary-vintage", type=int),
        click.option("--boundary-scheme", type=click.Choice(["kemendagri", "bps"])),
        click.option("--boundary-name", default=""),
        click.option("--boundary-code", default=""),
        click.option("--boundaries", required=required, metavar="DATASET|FILE.parquet"),
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


def places(app: App, given: dict[str, Any], codes: Sequence[str | None]) -> Geometries | None:
    """Return where codes are, when boundaries were named."""
    if not given["boundaries"]:
        return None
    return places_of_codes(boundary_index(app, given), codes)


def reader_of(app: App, dataset_id: str) -> LayerReader:
    """Open the current version of a dataset; NotFoundError when it has none."""
    info = app.catalog.versions.current(dataset_id)
    if info is None:
        raise NotFoundError(app.text("cli.analyse.no-version", id=dataset_id), where=dataset_id)
    return app.store.reader(info)
