"""`satudata respond`: answer an event now, or all that waits; see what became of them."""

from __future__ import annotations

from typing import Any

import click

from catalog.errors import QueryError
from cli.app import App, Command, json_option, pass_app
from cli.signals import stop_event


@click.command(cls=Command)
@click.argument("event_id", required=False)
@click.option("--latest", is_flag=True)
@click.option("--pending", is_flag=True)
@click.option("--list", "list_", is_flag=True)
@click.option("--dry-run", is_flag=True)
@click.option("--exercise", is_flag=True)
@json_option
@pass_app
def respond(
    app: App, event_id: str | None, latest: bool, pending: bool, list_: bool, dry_run: bool, exercise: bool
) -> None:
    """Answer one event whatever the rules say of it, or with --pending all that the rules want."""
    if sum((event_id is not None, latest, pending, list_)) != 1:
        raise QueryError(app.text("cli.respond.one"), where="EVENT_ID")
    if list_:
        _list(app)
        return
    from ogc_server.response.responder import Responder, exercised  # heavy; not for --help

    settings = exercised(app.settings) if exercise else app.settings
    responder = Responder(settings, app.catalog, app.store)
    with stop_event() as stop:
        if pending:
            done = responder.run(stop.is_set)
        else:
            done = [responder.respond(event_id or responder.latest(), dry_run=dry_run)]
    rows = [_row(one) for one in done]
    app.show(rows, ("event", "state", "dataset", "version", "villages", "reason"), empty="cli.respond.none")
    if any(row["state"] == "failed" for row in rows):
        raise SystemExit(1)


def _row(one: Any) -> dict[str, Any]:
    said = one.summary or {}
    return {
        "event": one.event, "state": one.state, "dataset": one.dataset_id, "version": one.version,
        "villages": said.get("desa"), "reason": one.reason, "summary": said,
    }  # fmt: skip


def _list(app: App) -> None:
    rows = [
        {
            "event": one.id, "state": one.state.value, "at": one.at.isoformat(timespec="seconds"),
            "revision": one.revision, "dataset": one.dataset_id, "reason": one.reason,
            "attempts": one.attempts, "reports": list(one.members),
        }
        for one in app.catalog.responses.list()
    ]  # fmt: skip
    app.show(rows, ("event", "state", "at", "revision", "dataset", "reason"))
