"""`satudata runs`: what ran, what it counted, what failed; follow or cancel what runs now."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from catalog.model import RunState
from cli.app import App, Command, json_option, pass_app
from cli.harvest import row_of
from harvesters.engine.explain import explain

_COLUMNS = (
    "run",
    "source",
    "state",
    "phase",
    "started",
    "expected",
    "seen",
    "added",
    "updated",
    "removed",
    "failed",
)


@click.command(cls=Command)
@click.argument("run_id", required=False)
@click.option("--source", "source_id")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--follow", is_flag=True)
@click.option("--cancel", is_flag=True)
@json_option
@pass_app
def runs(app: App, run_id: str | None, source_id: str | None, limit: int, follow: bool, cancel: bool) -> None:
    """Show the last runs, or one with its errors."""
    if cancel and run_id is None:
        raise click.UsageError(app.text("cli.runs.cancel-which"))
    if run_id is None:
        _follow(app, source_id, limit) if follow else _list(app, source_id, limit)
        return
    if cancel:
        app.catalog.runs.request_cancel(run_id, app.by)
        app.say("cli.runs.cancelled", run=run_id)
        return
    _show(app, run_id, limit)


def _list(app: App, source_id: str | None, limit: int) -> None:
    app.show(
        [row_of(run, app.lang) for run in app.catalog.runs.list(source_id=source_id, limit=limit)], _COLUMNS
    )


def _show(app: App, run_id: str, limit: int) -> None:
    run = app.catalog.runs.get(run_id)
    errors = [asdict(error) for error in app.catalog.runs.errors(run_id, limit=limit)]
    if app.as_json:
        layers = {name: asdict(counts) for name, counts in run.layers.items()}
        app.dump(row_of(run, app.lang) | {"layers": layers, "details": run.details, "errors": errors})
        return
    app.show([row_of(run, app.lang)], _COLUMNS)
    for line in explain(run, app.lang):
        app.say("cli.harvest.reason", source=run.source_id, reason=line)
    app.show(
        [{"layer": name, **asdict(counts)} for name, counts in run.layers.items()],
        (
            "layer",
            "expected",
            "seen",
            "added",
            "updated",
            "unchanged",
            "removed",
            "failed",
            "repaired",
            "corrected",
        ),
    )
    app.show(errors, ("severity", "code", "remote_id", "message"), empty="cli.runs.no-errors")


def _follow(app: App, source_id: str | None, limit: int) -> None:
    """Print each change of state or count until nothing runs any more (Ctrl-C ends it)."""
    shown: dict[str, str] = {}
    while True:
        rows = app.catalog.runs.list(source_id=source_id, limit=limit)
        for run in reversed(rows):
            row = row_of(run, app.lang)
            line = app.text("cli.runs.line", **row)
            if shown.get(run.id) != line:
                shown[run.id] = line
                app.dump(row) if app.as_json else click.echo(line)
        if not any(run.state is RunState.RUNNING for run in rows):
            return
        time.sleep(1)
