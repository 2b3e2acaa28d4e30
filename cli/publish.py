"""`satudata publish`, `rollback` and `prune`: which version of a dataset is served."""

from __future__ import annotations

from datetime import timedelta

import click

from catalog.clock import utc_now
from catalog.errors import NotFoundError
from catalog.versions import VersionEntry
from cli.app import App, Command, json_option, pass_app
from harvesters.engine.explain import explain


@click.command(cls=Command)
@click.argument("dataset_id", required=False)
@click.option("--version", "version", type=int)
@click.option("--reject", metavar="REASON")
@json_option
@pass_app
def publish(app: App, dataset_id: str | None, version: int | None, reject: str | None) -> None:
    """Accept a held version (or reject it); without a dataset, list what is held."""
    if dataset_id is None:
        held = [
            e for i in app.catalog.datasets.ids() for e in app.catalog.versions.list(i) if e.state == "held"
        ]
        app.show(
            [
                {
                    "id": entry.info.layer_id,
                    "version": entry.info.version,
                    "count": entry.info.count,
                    "reason": _why(app, entry),
                }
                for entry in held
            ],
            ("id", "version", "count", "reason"),
            empty="cli.publish.nothing",
        )
        return
    entry = _pick(app, dataset_id, version)
    chosen = entry.info.version
    if reject is not None:
        app.catalog.versions.reject(dataset_id, chosen, by=app.by, reason=reject)
        app.say("cli.publish.rejected", id=dataset_id, version=chosen)
        return
    app.store.verify(entry.info)
    if entry.state == "held":
        app.catalog.versions.accept(dataset_id, chosen, by=app.by)
    else:
        app.catalog.versions.make_current(dataset_id, chosen, by=app.by)
    app.say("cli.publish.done", id=dataset_id, version=chosen)


def _why(app: App, entry: VersionEntry) -> str:
    """Say in the person's language why the run held this version."""
    try:
        said = explain(app.catalog.runs.get(entry.info.run_id), app.lang)
    except NotFoundError:  # the run was pruned; its reason stays with the version
        said = []
    name = f"{entry.info.layer_id}: "
    return "; ".join(line.removeprefix(name) for line in said if line.startswith(name)) or entry.reason


def _pick(app: App, dataset_id: str, version: int | None) -> VersionEntry:
    if version is not None:
        return app.catalog.versions.get(dataset_id, version)
    waiting = [e for e in app.catalog.versions.list(dataset_id) if e.state in ("held", "staged")]
    if not waiting:
        raise NotFoundError(app.text("cli.publish.none-held", id=dataset_id), where=dataset_id)
    return max(waiting, key=lambda entry: entry.info.version)


@click.command(cls=Command)
@click.argument("dataset_id")
@click.option("--to", type=int)
@click.option("--reason", default="")
@json_option
@pass_app
def rollback(app: App, dataset_id: str, to: int | None, reason: str) -> None:
    """Serve an older version again, at once."""
    target = to if to is not None else _previous(app, dataset_id)
    app.store.verify(app.catalog.versions.get(dataset_id, target).info)
    info = app.catalog.versions.rollback(dataset_id, to=target, by=app.by, reason=reason)
    app.say("cli.rollback.done", id=dataset_id, version=info.version)


def _previous(app: App, dataset_id: str) -> int:
    current = app.catalog.versions.current(dataset_id)
    older = [
        entry.info.version
        for entry in app.catalog.versions.list(dataset_id)
        if entry.state == "old" and (current is None or entry.info.version < current.version)
    ]
    if not older:
        raise NotFoundError(app.text("cli.rollback.none", id=dataset_id), where=dataset_id)
    return max(older)


@click.command(cls=Command)
@click.option("--keep", type=click.IntRange(1))
@click.option("--runs-days", type=click.IntRange(1))
@click.option("--dry-run", is_flag=True)
@json_option
@pass_app
def prune(app: App, keep: int | None, runs_days: int | None, dry_run: bool) -> None:
    """Remove old versions beyond the number kept, old answers to events, and old runs."""
    if runs_days and not dry_run:
        app.catalog.runs.prune(utc_now() - timedelta(days=runs_days), by=app.by)
    rows = []
    for dataset_id in app.catalog.datasets.ids():
        for version in app.catalog.versions.prunable(dataset_id, keep or app.settings.harvest.keep_versions):
            if not dry_run:
                app.catalog.versions.mark_removed(dataset_id, version, by=app.by)
                app.store.remove(dataset_id, version)
            rows.append({"id": dataset_id, "version": version})
    rows += _old_answers(app, dry_run)
    app.show(rows, ("id", "version"), empty="cli.prune.nothing")


def _old_answers(app: App, dry_run: bool) -> list[dict[str, object]]:
    """Take away the collections of answers that are older than `response.keep_days`; return what went."""
    from ogc_server.response.retention import expire, expired  # heavy; not for --help

    if dry_run:
        found = list(expired(app.settings, app.catalog, utc_now()))
        versions = [(name, one.info.version) for name in found for one in app.catalog.versions.list(name)
                    if one.state != "removed"]  # fmt: skip
    else:
        versions = expire(app.settings, app.catalog, app.store, utc_now(), by=app.by)
    return [{"id": name, "version": version} for name, version in versions]
