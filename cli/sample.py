"""`satudata sample`: the generated kabupaten, for trying out and for tests. Nothing in it is real."""

from __future__ import annotations

from pathlib import Path

import click

from cli.app import App, Command, Group, json_option, pass_app
from cli.sample_make import facilities, hazard, register
from cli.sample_shakemap import shakemap


@click.group(cls=Group)
def sample() -> None:
    """Synthetic sample data."""


@sample.command("generate", cls=Command)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=2026, show_default=True)
@json_option
@pass_app
def generate(app: App, out: Path | None, seed: int) -> None:
    """Write the sample kabupaten; the same seed writes the same data."""
    from harvesters.sample.generate import generate as write

    files = write(out or app.data_dir / "sample", seed)
    if app.as_json:
        app.dump([str(path) for path in files])
        return
    app.say("cli.sample.generated", count=len(files), folder=files[0].parent)


@sample.command("serve", cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65535))
@json_option
@pass_app
def serve(app: App, host: str, port: int) -> None:
    """Serve the sample as an upstream would, over ArcGIS REST."""
    from harvesters.sample.server import serve as run_upstream

    run_upstream(app.data_dir / "sample", host, port)


for _command in (register, facilities, hazard, shakemap):
    sample.add_command(_command)
