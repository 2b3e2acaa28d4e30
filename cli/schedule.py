"""`satudata schedule`: harvest each source when its `schedule` says so."""

from __future__ import annotations

import click

from cli.app import App, Command, json_option, pass_app


@click.command(cls=Command)
@json_option
@pass_app
def schedule(app: App) -> None:
    """Run until stopped."""
    raise NotImplementedError


COMMANDS = [schedule]
