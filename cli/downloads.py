"""`satudata downloads build`: make the files to take away ready."""

from __future__ import annotations

import click

from cli.app import App, Command, Group, json_option, pass_app
from layers.downloads.build import Builder, Made
from layers.downloads.shelf import Shelf


@click.group(cls=Group)
def downloads() -> None:
    """Files to take away."""


@downloads.command("build", cls=Command)
@click.argument("dataset_id", nargs=-1)
@json_option
@pass_app
def build(app: App, dataset_id: tuple[str, ...]) -> None:
    """Make the files of some datasets, or of all; what is ready is left as it is."""
    shelf = Shelf(app.data_dir / "downloads")
    builder = Builder(app.catalog, app.store, shelf, app.settings.downloads)

    def tell(one: Made) -> None:
        if one.download is not None:
            app.say("cli.downloads.made", name=one.download.name, megabytes=f"{one.download.size / 1e6:.1f}")
        else:
            app.say("cli.downloads.failed", dataset=one.dataset, format=one.format, reason=one.reason)

    made = builder.build(dataset_id or None, tell=tell)
    if app.as_json:
        app.dump(
            [
                {
                    "dataset": one.dataset, "format": one.format, "reason": one.reason,
                    "name": one.download.name if one.download else None,
                    "size": one.download.size if one.download else None,
                    "sha256": one.download.sha256 if one.download else None,
                }
                for one in made
            ]
        )  # fmt: skip
    if any(one.download is None for one in made):
        raise SystemExit(1)
