"""`satudata analyse verify`: a register file against the boundaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.inputs import reference_for
from analysis.verify_batch import Kolom
from analysis.verify_register import Ringkasan, Tugas, verify_register
from analysis.verify_spark import verify_spark
from catalog.errors import QueryError
from catalog.model import Scheme
from cli.analyse_boundaries import boundary_index, boundary_options
from cli.app import App, Command, json_option, pass_app
from cli.signals import stop_event

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("verify", cls=Command)
@click.argument("register", type=_FILE)
@click.option("--lon", default="lon", show_default=True)
@click.option("--lat", default="lat", show_default=True)
@click.option("--code", default="kode", show_default=True)
@click.option("--keep", multiple=True)
@click.option("--scheme", type=click.Choice(["kemendagri", "bps"]))
@click.option("--vintage", type=int)
@click.option("--tolerance", type=float, default=100.0, show_default=True)
@boundary_options
@click.option("--out", type=_FILE, required=True)
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True)
@click.option("--master", metavar="URL")
@click.option("--workers", type=click.IntRange(0), default=0)
@json_option
@pass_app
def verify_command(
    app: App,
    /,
    register: Path,
    lon: str,
    lat: str,
    code: str,
    keep: tuple[str, ...],
    scheme: Scheme | None,
    vintage: int | None,
    tolerance: float,
    out: Path,
    engine: str,
    master: str | None,
    workers: int,
    **boundaries: Any,
) -> None:
    """Verify a register file; run again after a stop to go on (`local`) or to start anew (`spark`)."""
    for path in (register, out):
        if path.suffix.lower() not in {".csv", ".parquet"}:
            raise QueryError(app.text("cli.analyse.verify.format", name=path.name), where=path.name)
    index = boundary_index(app, boundaries, cells=True)
    rules = reference_for(app.catalog.regions, index, skema=scheme, vintage=vintage)
    columns = Kolom(lon, lat, code, keep)
    job = Tugas(register, out, index.folder, columns, scheme, vintage, tolerance, rules, workers)
    summary = _on_spark(app, job, master) if engine == "spark" else _here(app, job)
    counts = [{"verdict": name, "rows": count} for name, count in summary.per_verdict().items() if count]
    app.show(counts, ("verdict", "rows"))
    if summary.unreadable:
        app.say("cli.analyse.verify.unreadable", count=summary.unreadable)
    app.say("cli.analyse.verify.done", rows=summary.rows, out=out, summary=job.summary)


def _here(app: App, job: Tugas) -> Ringkasan:
    with stop_event() as stop:
        summary = verify_register(
            job, progress=lambda rows: app.say("cli.analyse.verify.progress", rows=rows), stop=stop.is_set
        )
    if summary is None:
        app.say("cli.analyse.verify.stopped")
        raise SystemExit(3)
    return summary


def _on_spark(app: App, job: Tugas, master: str | None) -> Ringkasan:
    if master is None:
        raise QueryError(app.text("cli.analyse.verify.master"), where="master")
    return verify_spark(job, master)
