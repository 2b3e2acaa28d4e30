"""`satudata analyse`: the ministry's questions on the command line, one module per command."""

from __future__ import annotations

import click

from cli.app import LazyGroup

NAMES = ("verify", "affected", "nearest", "allocate", "reconcile", "aggregate", "zonal")


@click.group(cls=LazyGroup, lazy={name: f"cli.analyse_{name}:{name}_command" for name in NAMES})
def analyse() -> None:
    """The ministry's questions."""
