"""`satudata harvest`: run sources now and leave with the worst outcome as exit code."""

from __future__ import annotations

import threading
from typing import Any

import click

from catalog.errors import ConfigError, SatuDataError
from catalog.model import RunState
from catalog.runs import Run
from catalog.sources import SourceConfig
from cli.app import App, Command, json_option, pass_app
from cli.progress import HarvestProgress
from cli.respond_beside import answer_waiting
from cli.signals import stop_event
from harvesters.engine.engine import Engine
from harvesters.engine.explain import explain

EXIT_CODES = {
    RunState.OK: 0,
    RunState.UNCHANGED: 0,
    RunState.INCOMPLETE: 3,
    RunState.FAILED: 3,
    RunState.CANCELLED: 3,
    RunState.HELD: 5,
}


@click.command(cls=Command)
@click.argument("sources", nargs=-1)
@click.option("--all", "all_", is_flag=True)
@click.option("--dry-run", is_flag=True)
@json_option
@pass_app
def harvest(app: App, sources: tuple[str, ...], all_: bool, dry_run: bool) -> None:
    """Harvest the sources named, or all that are enabled."""
    chosen = _chosen(app, sources, all_)
    rows, worst = [], 0
    with stop_event() as stop:
        for config in chosen:
            if stop.is_set():
                break
            row = _run(app, config, dry_run, stop)
            worst = max(worst, row["exit"])
            rows.append(row)
        if not dry_run and not stop.is_set():
            answer_waiting(app, stop)
    app.show(
        rows, ("source", "state", "expected", "seen", "added", "updated", "unchanged", "removed", "failed")
    )
    for row in rows:
        if row["reason"]:
            app.say("cli.harvest.reason", **row)
    raise SystemExit(worst)


def _chosen(app: App, sources: tuple[str, ...], all_: bool) -> list[SourceConfig]:
    if sources and all_:
        raise ConfigError(app.text("cli.harvest.both"), hint=app.text("cli.harvest.both.hint"))
    if sources:
        return [app.source(source_id) for source_id in sources]
    if not all_:
        known = ", ".join(sorted(app.sources)) or "-"
        raise ConfigError(app.text("cli.harvest.none"), hint=app.text("cli.hint.sources", known=known))
    return [config for config in app.sources.values() if config.enabled]


def _run(app: App, config: SourceConfig, dry_run: bool, stop: threading.Event) -> dict[str, Any]:
    try:
        with HarvestProgress(app, config.id) as progress:
            run = Engine(app.settings, app.catalog, app.store).run(
                config, trigger="manual", dry_run=dry_run, progress=progress, cancel=stop
            )
    except SatuDataError as error:
        return {
            "source": config.id,
            "state": error.code,
            "reason": f"{error.message(app.lang)} → {error.hint(app.lang)}",
            "exit": error.exit_code,
        }
    return row_of(run, app.lang) | {"exit": EXIT_CODES[run.state]}


def row_of(run: Run, lang: str) -> dict[str, Any]:
    """Return a run as a flat row for tables and JSON; `reason` says in `lang` why it ended so."""
    names = (
        "expected",
        "seen",
        "added",
        "updated",
        "unchanged",
        "removed",
        "failed",
        "repaired",
        "corrected",
    )
    return {
        "run": run.id,
        "source": run.source_id,
        "state": run.state.value,
        "phase": run.phase,
        "started": run.started.isoformat(timespec="seconds"),
        "finished": run.finished.isoformat(timespec="seconds") if run.finished else None,
        "reason": "; ".join(explain(run, lang)),
        "code": run.code,
        "trigger": run.trigger,
    } | {name: getattr(run.counts, name) for name in names}
