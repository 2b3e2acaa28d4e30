"""The `satudata` command. Each command is a small module of its own."""

from __future__ import annotations

from pathlib import Path

import click

from cli.app import App, LazyGroup, json_option, lang_option

COMMANDS = {
    "analyse": "cli.analyse:analyse",
    "ckan": "cli.ckan:ckan",
    "dataset": "cli.dataset:dataset",
    "demo": "cli.demo:demo",
    "doctor": "cli.doctor:doctor",
    "downloads": "cli.downloads:downloads",
    "harvest": "cli.harvest:harvest",
    "jobs": "cli.jobs:jobs",
    "notify": "cli.notify:notify",
    "prune": "cli.publish:prune",
    "publish": "cli.publish:publish",
    "reconcile": "cli.reconcile:reconcile",
    "respond": "cli.respond:respond",
    "rollback": "cli.publish:rollback",
    "runs": "cli.runs:runs",
    "sample": "cli.sample:sample",
    "schedule": "cli.schedule:schedule",
    "schema": "cli.schema:schema",
    "serve": "cli.serve:serve",
    "source": "cli.source:source",
    "tiles": "cli.tiles:tiles",
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
)
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


if __name__ == "__main__":
    main(prog_name="satudata")
