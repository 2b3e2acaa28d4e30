"""`satudata schedule`: harvest each source when its `schedule` says so."""

from __future__ import annotations

import logging

import click

from catalog.config import load_sources
from cli.app import App, Command, json_option, pass_app
from cli.build_beside import builders_beside
from cli.respond_beside import responder_beside
from cli.signals import stop_event
from harvesters.engine.engine import Engine
from harvesters.schedule.scheduler import Scheduler


@click.command(cls=Command)
@json_option
@pass_app
def schedule(app: App) -> None:
    """Run until stopped. Changed source files are taken in within seconds."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    scheduler = Scheduler(
        app.settings,
        lambda: load_sources(app.config_dir),
        lambda: Engine(app.settings, app.catalog, app.store),
    )
    with stop_event() as stop, responder_beside(app), builders_beside(app):
        scheduler.run(stop)
