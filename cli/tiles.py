"""`satudata tiles`: build the tile archives of layers now, and see how far they are."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from catalog.clock import utc_now
from catalog.datasets import Dataset
from catalog.errors import NotFoundError, SatuDataError
from cli.app import App, Command, Group, json_option, pass_app
from cli.signals import stop_event
from layers.raster_archive import MapOrder, build_map, map_needed, planned_map
from layers.raster_tile import Drawing
from layers.tiles.build import Build, build, needed
from layers.tiles.options import LayerOptions, planned
from layers.tiles.state import TileFiles, TileState, drop_tiles, stored_tiles, tiled_layers


@click.group(cls=Group)
def tiles() -> None:
    """Tiles."""


@tiles.command("build", cls=Command)
@click.argument("datasets", nargs=-1)
@click.option("--all", "all_", is_flag=True)
@click.option("--again", is_flag=True)
@json_option
@pass_app
def build_tiles(app: App, datasets: tuple[str, ...], all_: bool, again: bool) -> None:
    """Build what is missing; `--again` also what is there or has failed."""
    if not datasets and not all_:
        raise click.UsageError(app.text("cli.tiles.build.which"))
    options = LayerOptions(app.config_dir)
    rows = []
    failed: SatuDataError | None = None
    with stop_event() as stop:
        for layer_id in datasets or _smallest_first(app):
            try:
                rows += _build(app, options, layer_id, again=again, named=bool(datasets), stop=stop)
            except SatuDataError as error:
                failed = error
                rows.append({"id": layer_id, "state": "failed", "reason": error.message(app.lang)})
            if stop.is_set():
                break
    if all_:
        _sweep(app)
    app.show(rows, ("id", "version", "state", "grids", "bytes", "largest", "seconds", "reason"))
    if failed is not None:
        sys.exit(failed.exit_code)


def _sweep(app: App) -> None:
    """Drop tiles of versions that were pruned while they were being built."""
    root = app.settings.data_dir / "layers"
    for layer_id in tiled_layers(root):  # also of those that were withdrawn meanwhile
        kept = set(app.store.versions(layer_id))
        for version in stored_tiles(root, layer_id):
            if version not in kept:
                drop_tiles(root, layer_id, version)


def _smallest_first(app: App) -> list[str]:
    """Return all datasets; small layers do not wait for large ones."""
    found = app.catalog.datasets.many(list(app.catalog.datasets.ids()))
    return [one.id for one in sorted(found, key=_size)]


def _size(dataset: Dataset) -> int:
    """Return how many features a dataset has; of a raster, how many thousand cells."""
    info = dataset.version
    if info is None or info.kind != "raster":
        return 0 if info is None else info.count
    return int(info.extra.get("width", 0) * info.extra.get("height", 0) / 1000)


def _build(
    app: App, options: LayerOptions, layer_id: str, *, again: bool, named: bool, stop: threading.Event
) -> list[dict[str, object]]:
    plan = planned(app.catalog, options, layer_id, postgis=app.settings.layers is not None)
    most = MapOrder.of(app.settings.tiles)
    drawing = planned_map(app.catalog, options, layer_id, most) if plan is None else None
    if drawing is not None:
        return [_build_map(app, drawing, most, again=again, stop=stop)]
    if plan is None:
        if named:
            raise NotFoundError(app.text("cli.tiles.no-geometry", id=layer_id), where=layer_id)
        return []
    info, wanted = plan
    grids, root = tuple(app.settings.tiles.grids), app.settings.data_dir / "layers"
    files = TileFiles.of(root, layer_id, info.version)
    if not again and not needed(root, wanted, info.version, grids):
        return [_row(layer_id, info.version, files.read())]
    reader = app.store.reader(info)
    with _bar(app, layer_id) as advance:
        order = Build(root, grids, utc_now, app.settings.tiles.threads, stop)
        return [_row(layer_id, info.version, build(reader, wanted, order, advance))]


def _build_map(
    app: App, drawing: Drawing, most: MapOrder, *, again: bool, stop: threading.Event
) -> dict[str, object]:
    info, root = drawing.info, app.settings.data_dir / "layers"
    if not again and not map_needed(root, drawing, most):
        return _row(info.layer_id, info.version, TileFiles.of(root, info.layer_id, info.version).read())
    with _bar(app, info.layer_id) as advance:
        order = Build(root, most.grids, utc_now, app.settings.tiles.threads, stop)
        return _row(info.layer_id, info.version, build_map(drawing, most, order, advance))


@contextmanager
def _bar(app: App, layer_id: str) -> Iterator[Callable[[float], None]]:
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=28), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), console=app.console, transient=True,
        disable=app.as_json or not app.console.is_terminal,
    )  # fmt: skip
    with bars:
        task = bars.add_task(layer_id, total=100)
        yield lambda percent: bars.update(task, completed=percent)


def _row(layer_id: str, version: int, state: TileState) -> dict[str, object]:
    grids = state.grids
    return {
        "id": layer_id, "version": version, "state": state.state, "progress": round(state.progress),
        "grids": ", ".join(grids), "bytes": sum(one.bytes for one in grids.values()),
        "largest": max((one.largest_tile for one in grids.values()), default=0),
        "seconds": round(sum(one.seconds for one in grids.values()), 1), "reason": state.reason,
    }  # fmt: skip


@tiles.command("status", cls=Command)
@json_option
@pass_app
def status(app: App) -> None:
    """Show how far the tiles of every current version are."""
    options = LayerOptions(app.config_dir)
    root, most = app.settings.data_dir / "layers", MapOrder.of(app.settings.tiles)
    rows = []
    for layer_id in app.catalog.datasets.ids():
        plan = planned(app.catalog, options, layer_id, postgis=app.settings.layers is not None)
        drawing = planned_map(app.catalog, options, layer_id, most) if plan is None else None
        info = plan[0] if plan is not None else drawing.info if drawing is not None else None
        if info is not None:
            rows.append(_row(layer_id, info.version, TileFiles.of(root, layer_id, info.version).read()))
    app.show(rows, ("id", "version", "state", "progress", "grids", "bytes", "largest", "seconds", "reason"))
