"""`satudata ckan`: keep a CKAN in step with the catalog."""

from __future__ import annotations

import click

from catalog.errors import ConfigError
from cli.app import App, Command, Group, json_option, pass_app


@click.group(cls=Group)
def ckan() -> None:
    """The CKAN that registers our datasets."""


@ckan.command("sync", cls=Command)
@json_option
@pass_app
def sync(app: App) -> None:
    """Write what changed; a second run writes nothing."""
    raise ConfigError(app.text("cli.ckan.none"))


COMMANDS = [ckan]
