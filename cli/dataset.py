"""`satudata dataset`: list, show and search what the catalog holds; curate it."""

from __future__ import annotations

from typing import Any

import click
import yaml

from catalog.datasets import Dataset
from catalog.errors import QueryError
from catalog.search import SearchQuery
from cli.app import App, Command, Group, json_option, pass_app
from harvesters.privacy.texts import redact, without_numbers

_COLUMNS = ("id", "title", "kind", "produsen_data", "version", "count", "updated_at")


@click.group(cls=Group)
def dataset() -> None:
    """Datasets."""


def _row(app: App, item: Dataset) -> dict[str, Any]:
    return {
        "id": item.id,
        "uuid": str(item.uuid),
        "title": item.record.title.get(app.lang),
        "kind": item.kind,
        "source": item.source_id,
        "produsen_data": item.record.produsen_data,
        "access": item.record.access,
        "version": item.version.version if item.version else None,
        "count": item.version.count if item.version else None,
        "updated_at": item.updated.isoformat(timespec="seconds"),
        "missing_since": item.missing_since,
    }


@dataset.command("list", cls=Command)
@json_option
@pass_app
def list_(app: App) -> None:
    """Show all datasets."""
    app.show([_row(app, item) for item in app.catalog.datasets.all()], _COLUMNS)


@dataset.command("search", cls=Command)
@click.argument("words", nargs=-1)
@click.option("--bbox", metavar="W,S,E,N")
@click.option("--producer")
@click.option("--kind", type=click.Choice(["feature", "table", "raster", "service", "record"]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@json_option
@pass_app
def search(
    app: App, words: tuple[str, ...], bbox: str | None, producer: str | None, kind: str | None, limit: int
) -> None:
    """Search by words, place, producer and kind."""
    filters = {name: value for name, value in (("produsen_data", producer), ("kind", kind)) if value}
    found = app.catalog.datasets.search(
        SearchQuery(q=" ".join(words), bbox=_bbox(bbox), filters=filters, limit=limit)
    )
    if app.as_json:
        app.dump({"total": found.total, "items": [_row(app, i) for i in found.items], "facets": found.facets})
        return
    app.show([_row(app, item) for item in found.items], _COLUMNS)
    app.say("cli.dataset.found", total=found.total)


def _bbox(value: str | None) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter("W,S,E,N", param_hint="--bbox") from error
    return west, south, east, north


@dataset.command("show", cls=Command)
@click.argument("dataset_id")
@json_option
@pass_app
def show(app: App, dataset_id: str) -> None:
    """Show one dataset: record, provenance, versions, audit."""
    item = app.catalog.datasets.get(dataset_id)
    versions = [_version(entry) for entry in app.catalog.versions.list(dataset_id)]
    shown = _row(app, item) | {
        "record": item.record.model_dump(mode="json", exclude_defaults=True),
        "overlay": item.overlay,
        "provenance": item.provenance,
        "notices": item.notices,
        "also_at": item.also_at,
        "versions": versions,
    }
    if app.as_json:
        app.dump(shown)
        return
    app.console.print(yaml.safe_dump(_plain(shown), allow_unicode=True, sort_keys=False), markup=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _version(entry: Any) -> dict[str, Any]:
    return {
        "version": entry.info.version,
        "state": entry.state,
        "count": entry.info.count,
        "checksum": entry.info.checksum,
        "size_bytes": entry.info.size_bytes,
        "created": entry.info.created.isoformat(timespec="seconds"),
        "reason": entry.reason,
    }


@dataset.command("edit", cls=Command)
@click.argument("dataset_id")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--note", default="")
@json_option
@pass_app
def edit(app: App, dataset_id: str, changes: tuple[str, ...], note: str) -> None:
    """Set fields in the steward's overlay; an empty value gives the field back to the source."""
    pairs = dict(change.partition("=")[::2] for change in changes)
    if any("=" not in change for change in changes):
        raise click.UsageError("FIELD=VALUE")
    _refuse_persons(app, {**pairs, "note": note})
    kept = {name: yaml.safe_load(value) for name, value in pairs.items() if value}
    cleared = [name for name, value in pairs.items() if not value]
    if kept:
        app.catalog.datasets.overlay(dataset_id, kept, by=app.by, note=note)
    if cleared:
        app.catalog.datasets.clear_overlay(dataset_id, cleared, by=app.by)
    app.say("cli.dataset.edited", id=dataset_id, fields=", ".join(pairs))


def _refuse_persons(app: App, said: dict[str, str]) -> None:
    """A steward's words are published as well; the contact of an office may have a phone."""
    for name, words in said.items():
        mask = without_numbers if name.startswith("contact") else redact
        if mask(words) != words or redact(name) != name:
            raise QueryError(app.text("cli.dataset.personal"), where=redact(name))
