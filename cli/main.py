"""The `satudata` command. Each command is a small module of its own."""

from __future__ import annotations

from pathlib import Path

import click

from cli import (
    analyse,
    ckan,
    dataset,
    demo,
    doctor,
    downloads,
    harvest,
    jobs,
    notify,
    publish,
    reconcile,
    respond,
    runs,
    sample,
    schedule,
    schema,
    serve,
    source,
    tiles,
)
from cli.app import App, Group, json_option, lang_option


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None})
@click.option(
    "--config", "config_dir", type=click.Path(path_type=Path), envvar="SATUDATA_CONFIG", default="config"
)
@click.option("--data", "data_dir", type=click.Path(path_type=Path), envvar="SATUDATA_DATA", default="data")
@lang_option
@json_option
@click.version_option(package_name="satudata-geo", prog_name="satudata")
@click.pass_context
def main(ctx: click.Context, config_dir: Path, data_dir: Path) -> None:
    """Set up what all commands share."""
    app = ctx.ensure_object(App)
    ctx.call_on_close(app.close)
    app.config_dir, app.data_dir = config_dir.absolute(), data_dir.absolute()


for module in (
    analyse, ckan, dataset, demo, doctor, downloads, harvest, jobs, notify, publish, reconcile, respond, runs,
    sample, schedule, schema, serve, source, tiles,
):  # fmt: skip
    for command in module.COMMANDS:
        main.add_command(command)

if __name__ == "__main__":
    main(prog_name="satudata")
