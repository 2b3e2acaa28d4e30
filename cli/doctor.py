"""`satudata doctor`: is this installation sound? Each check says what is wrong and what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from catalog.errors import SatuDataError
from cli.app import App, Command, json_option, pass_app
from harvesters.registry import check

_LOW_DISK_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One result: `state` is ok, warning or error."""

    check: str
    state: str
    detail: str


@click.command(cls=Command)
@click.option("--verify", "deep", is_flag=True)
@json_option
@pass_app
def doctor(app: App, deep: bool) -> None:
    """Check Python, settings, sources, database, stored versions, leases, disk."""
    checks: list[Callable[[App], Iterator[Finding]]] = [_python, _settings, _sources, _runs, _disk, _stages]
    findings = [finding for one in checks for finding in _guarded(app, one)]
    findings += list(_guarded(app, _verified if deep else _versions))
    app.show([vars(finding) for finding in findings], ("check", "state", "detail"))
    raise SystemExit(1 if any(finding.state == "error" for finding in findings) else 0)


def _guarded(app: App, one: Callable[[App], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(one(app))
    except SatuDataError as error:
        return [
            Finding(one.__name__.strip("_"), "error", f"{error.message(app.lang)} → {error.hint(app.lang)}")
        ]


def _python(app: App) -> Iterator[Finding]:
    good = sys.version_info >= (3, 13)
    yield Finding("python", "ok" if good else "error", sys.version.split()[0])


def _settings(app: App) -> Iterator[Finding]:
    yield Finding("settings", "ok", str(app.settings.config_dir))
    yield Finding("database", "ok", f"generation {app.catalog.generation()}")


def _sources(app: App) -> Iterator[Finding]:
    for source in app.sources.values():
        problems = check(source)
        for problem in problems:
            yield Finding(f"source {source.id}", "error", problem.message(app.lang))
    yield Finding("sources", "ok", str(len(app.sources)))


def _runs(app: App) -> Iterator[Finding]:
    reaped = app.catalog.runs.reap()
    for run in reaped:
        yield Finding(f"run {run.id}", "warning", app.text("cli.doctor.reaped", source=run.source_id))
    for source_id in app.sources:
        last = app.catalog.runs.last(source_id)
        if last is not None and last.state.value in ("failed", "incomplete", "held"):
            yield Finding(f"source {source_id}", "warning", f"{last.state.value}: {last.reason}")
    yield Finding("runs", "ok", "")


def _disk(app: App) -> Iterator[Finding]:
    app.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(app.data_dir).free
    state = "ok" if free > _LOW_DISK_BYTES else "warning"
    yield Finding("disk", state, app.text("cli.doctor.disk", gib=f"{free / 2**30:.1f}"))


def _stages(app: App) -> Iterator[Finding]:
    stages = app.store.stages()
    detail = app.text("cli.doctor.stages", count=len(stages))
    yield Finding("staging", "warning" if stages else "ok", detail)


def _versions(app: App) -> Iterator[Finding]:
    for dataset_id in app.catalog.datasets.ids():
        info = app.catalog.versions.current(dataset_id)
        if info and info.kind in ("feature", "table") and info.version not in app.store.versions(dataset_id):
            yield Finding(f"dataset {dataset_id}", "error", app.text("cli.doctor.lost", version=info.version))
    yield Finding("versions", "ok", "")


def _verified(app: App) -> Iterator[Finding]:
    for dataset_id in app.catalog.datasets.ids():
        info = app.catalog.versions.current(dataset_id)
        if info and info.kind in ("feature", "table"):
            try:
                app.store.verify(info)
            except SatuDataError as error:
                yield Finding(f"dataset {dataset_id}", "error", error.message(app.lang))
    yield Finding("versions", "ok", "")
