"""`satudata analyse`: the ministry's questions on the command line, one module per command."""

from __future__ import annotations

import click

from cli.analyse_affected import affected_command
from cli.analyse_aggregate import aggregate_command
from cli.analyse_allocate import allocate_command
from cli.analyse_nearest import nearest_command
from cli.analyse_reconcile import reconcile_command
from cli.analyse_verify import verify_command
from cli.analyse_zonal import zonal_command
from cli.app import Group


@click.group(cls=Group)
def analyse() -> None:
    """The ministry's questions."""


for _command in (
    verify_command,
    affected_command,
    nearest_command,
    allocate_command,
    reconcile_command,
    aggregate_command,
    zonal_command,
):
    analyse.add_command(_command)

COMMANDS = [analyse]
