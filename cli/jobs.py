"""`satudata jobs`: the questions that wait, run or have ended; dismiss one."""

from __future__ import annotations

import click

from catalog.jobs import JobQuery, JobState
from cli.app import App, Command, json_option, pass_app

_COLUMNS = ("job", "process", "state", "progress", "created", "reason")


@click.command(cls=Command)
@click.option("--state", "states", multiple=True, type=click.Choice([one.value for one in JobState]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--dismiss", metavar="JOB")
@json_option
@pass_app
def jobs(app: App, states: tuple[str, ...], limit: int, dismiss: str | None) -> None:
    """List the jobs of the processes, newest first, or dismiss one."""
    if dismiss is not None:
        job = app.catalog.jobs.dismiss(dismiss)
        app.say("cli.jobs.dismissed", job=job.id)
        return
    found = app.catalog.jobs.list(JobQuery(states=states, limit=limit))
    rows = [
        {"job": one.id, "process": one.process_id, "state": one.state.value, "progress": one.progress,
         "created": one.created.isoformat(timespec="seconds"), "reason": one.reason}
        for one in found
    ]  # fmt: skip
    app.show(rows, _COLUMNS, empty="cli.jobs.none")
