"""`satudata schema`: the JSON Schemas of the configuration, for editors."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from catalog.config import json_schema
from cli.app import App, Command, json_option, pass_app


@click.command(cls=Command)
@click.option("--write", "folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
@pass_app
def schema(app: App, folder: Path | None) -> None:
    """Print the schemas, or write one file each into a folder."""
    schemas = json_schema()
    if folder is None:
        app.dump(schemas)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in schemas.items():
        (folder / name).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    app.say("cli.schema.written", count=len(schemas), folder=folder)
