"""`satudata source`: add, list, check and preview the upstreams."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import click

from catalog.config import load_source
from catalog.errors import ConfigError, SatuDataError
from catalog.model import ItemError
from catalog.sources import SourceConfig
from cli.app import App, Command, Group, json_option, pass_app
from harvesters.contract import FeatureContent, Harvester, RemoteDataset
from harvesters.file.place import in_data
from harvesters.http.client import HttpClient
from harvesters.registry import check, harvester_class


@click.group(cls=Group)
def source() -> None:
    """Upstreams."""


@source.command("add", cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True)
@json_option
@pass_app
def add(app: App, file: Path, replace: bool) -> None:
    """Check a YAML file and put it into `config/sources/`."""
    config = load_source(file)
    _check_all(config)
    target = app.config_dir / "sources" / f"{config.id}.yml"
    if target.exists() and not replace and target.resolve() != file.resolve():
        raise ConfigError(app.text("cli.source.exists", id=config.id), where=str(target), hint="--replace")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.resolve() != file.resolve():
        shutil.copyfile(file, target)
    app.say("cli.source.added", id=config.id)
    if app.as_json:
        app.dump({"id": config.id, "enabled": config.enabled})


@source.command("list", cls=Command)
@json_option
@pass_app
def list_(app: App) -> None:
    """Show all sources with their last run."""
    app.show(
        [_row(app, config) for config in app.sources.values()],
        ("id", "type", "enabled", "layers", "schedule", "last_state", "last_run"),
    )


def _row(app: App, config: SourceConfig) -> dict[str, Any]:
    last = app.catalog.runs.last(config.id)
    return {
        "id": config.id,
        "type": config.type,
        "url": config.url,
        "enabled": config.enabled,
        "layers": len(config.layers),
        "schedule": config.schedule,
        "produsen_data": config.produsen_data,
        "last_state": last.state.value if last else None,
        "last_run": last.started.isoformat(timespec="seconds") if last else None,
    }


@source.command("check", cls=Command)
@click.argument("ids", nargs=-1)
@click.option("--offline", is_flag=True)
@json_option
@pass_app
def check_(app: App, ids: tuple[str, ...], offline: bool) -> None:
    """Check the configuration and reach each source; leave with the worst exit code."""
    chosen = [app.source(i) for i in ids] or [s for s in app.sources.values() if s.enabled]
    rows, worst = [], 0
    for config in chosen:
        try:
            _check_all(config)
            rows.append({"id": config.id, "state": "ok", "detail": "" if offline else _probe(app, config)})
        except SatuDataError as error:
            worst = max(worst, error.exit_code)
            rows.append({"id": config.id, "state": error.code, "detail": error.message(app.lang)})
    app.show(rows, ("id", "state", "detail"))
    raise SystemExit(worst)


def _check_all(config: SourceConfig) -> None:
    for problem in check(config):
        raise problem


def _harvester(app: App, config: SourceConfig) -> Harvester:
    _check_all(config)
    placed = in_data(config, app.data_dir)
    return harvester_class(config.type)(placed, HttpClient(app.settings.harvest, placed))


def _probe(app: App, config: SourceConfig) -> str:
    harvester = _harvester(app, config)
    try:
        found = harvester.probe()
    finally:
        harvester.close()
    return " ".join(part for part in (found.title, found.version) if part)


@source.command("preview", cls=Command)
@click.argument("source_id")
@click.option("--rows", default=5, show_default=True, type=click.IntRange(0, 1000))
@click.option("--layer", "only")
@json_option
@pass_app
def preview(app: App, source_id: str, rows: int, only: str | None) -> None:
    """Show what a harvest would bring: datasets, fields, first rows. Stores nothing."""
    harvester = _harvester(app, app.source(source_id))
    try:
        found = [
            _preview(item, rows)
            for item in harvester.datasets()
            if isinstance(item, ItemError) or only in (None, item.collection_id, item.remote_id)
        ]
    finally:
        harvester.close()
    if app.as_json:
        app.dump(found)
        return
    for dataset in found:
        _print(app, dataset)


def _preview(item: RemoteDataset | ItemError, rows: int) -> dict[str, Any]:
    if isinstance(item, ItemError):
        return {"remote_id": item.remote_id, "error": item.message}
    shown: dict[str, Any] = {
        "id": item.collection_id,
        "remote_id": item.remote_id,
        "kind": item.kind,
        "title": item.record.title.id,
    }
    if item.content is not None and item.kind in ("feature", "table"):
        shown |= _content(item.content, rows)  # type: ignore[arg-type]
    return shown


def _content(content: FeatureContent, rows: int) -> dict[str, Any]:
    schema, listing = content.schema(), content.listing()
    first: list[dict[str, Any]] = []
    for page in content.pages(listing, frozenset()):
        first.extend(islice(page.batch.rows, rows - len(first)))
        if len(first) >= rows:
            break
    return {
        "geometry": schema.geometry_type,
        "crs": schema.crs,
        "count": listing.count if listing.ids is None else len(listing.ids),
        "fields": {field.name: field.type.value for field in schema.fields},
        "rows": first,
    }


def _print(app: App, dataset: dict[str, Any]) -> None:
    if "error" in dataset:
        app.say("cli.preview.error", **dataset)
        return
    app.say("cli.preview.dataset", **{"geometry": None, "crs": None, "count": None} | dataset)
    rows = dataset.get("rows") or []
    for field, kind in dataset.get("fields", {}).items():
        app.say(
            "cli.preview.field", name=field, type=kind, values=", ".join(str(r.get(field)) for r in rows[:3])
        )
