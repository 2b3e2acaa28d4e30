"""`satudata serve`: the OGC server, with the scheduler beside it unless told otherwise."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click

from cli.app import App, Command, json_option, pass_app
from cli.beside import command, end
from cli.signals import PARENT, ended_by_kill


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--schedule/--no-schedule", "with_scheduler", default=True, show_default=True)
@json_option
@pass_app
def serve(app: App, host: str, port: int, workers: int, with_scheduler: bool) -> None:
    """Serve until stopped."""
    from ogc_server.serve import serve as run_server  # heavy; only this command needs it

    app.catalog.close()  # migrated here once, before the workers open it
    with ended_by_kill(), scheduler_beside(app) if with_scheduler else nullcontext():
        run_server(app.settings, host=host, port=port, workers=workers)


@contextmanager
def scheduler_beside(app: App) -> Iterator[None]:
    """Run `satudata schedule` as a child, so that no harvest can disturb the server."""
    environment = {**os.environ, PARENT: str(os.getpid())}
    child = subprocess.Popen(command(app, "schedule"), env=environment)  # noqa: S603 - our own command
    try:
        yield
    finally:
        end(child)
