"""`satudata ckan`: keep a CKAN in step with the catalog."""

from __future__ import annotations

from dataclasses import asdict

import click

from catalog.ckan.sync import SyncReport
from catalog.ckan.sync import sync as bring_into_step
from catalog.errors import SourceError
from cli.app import App, Command, Group, json_option, pass_app
from cli.progress import HarvestProgress

_COUNTS = ("created", "updated", "unchanged", "deleted", "withheld", "organisations")


@click.group(cls=Group)
def ckan() -> None:
    """The CKAN that registers our datasets."""


@ckan.command("sync", cls=Command)
@json_option
@pass_app
def sync(app: App) -> None:
    """Write what changed; a second run writes nothing."""
    with HarvestProgress(app, "ckan") as progress:
        report = bring_into_step(app.settings, app.catalog, progress=progress)
    _show(app, report)
    raise SystemExit(SourceError.exit_code if report.errors or report.stopped else 0)


def _show(app: App, report: SyncReport) -> None:
    if app.as_json:
        app.dump(asdict(report))
        return
    app.show([asdict(report)], _COUNTS)
    if report.errors:
        app.show([asdict(error) for error in report.errors], ("remote_id", "code", "message"))
    if report.stopped:
        app.say("cli.ckan.stopped", reason=report.stopped)
