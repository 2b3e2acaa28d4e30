"""`satudata reconcile`: the stewards' queue of differences between two datasets, and its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa

from analysis.reconcile import Move, Verdict
from analysis.reconcile_decide import Rule, choice_of, would_decide
from analysis.reconcile_run import apply_rules, due
from analysis.reconcile_run import run as run_one
from analysis.result import table_result
from catalog.errors import NotFoundError, QueryError, SatuDataError
from catalog.model import FieldDef, LayerSchema
from catalog.reconciliation_model import (
    ACTIONS,
    ITEM_STATES,
    Action,
    Definition,
    Reconciliation,
    ReconciliationRun,
    SideSpec,
    ValueSpec,
)
from catalog.region_model import QUALITIES
from cli.analyse_out import Taking, give
from cli.analyse_read import demand, read_table
from cli.analyse_reconcile import compared_of, sides
from cli.app import App, Command, Group, json_option, pass_app
from cli.reconcile_rows import HISTORY, QUEUE, decision_row, item_row, rule_row
from harvesters.privacy.detect import PrivacyScan
from layers.contract import FeatureBatch

_OUT = click.Path(dir_okay=False, path_type=Path)
_ACTION = click.Choice(ACTIONS)
_CHUNK = 10_000
_CLASS = click.Choice([verdict.value for verdict in Verdict if verdict != Verdict.SAME])


@click.group("reconcile", cls=Group)
def reconcile() -> None:
    """Stored reconciliations."""


@reconcile.command("define", cls=Command)
@click.argument("id_", metavar="ID")
@sides
@json_option
@pass_app
def define(app: App, /, id_: str, a: str, b: str, **given: Any) -> None:
    """Keep what is to be compared, under an id."""
    given["key_b"] = given["key_b"] or given["key_a"]
    values = tuple(
        ValueSpec(a=one.a, b=one.b, absolute=one.absolute, relative=one.relative)
        for one in map(compared_of, given["values"])
    )
    definition = Definition(a=_side(app, a, given, "a"), b=_side(app, b, given, "b"), values=values)
    made = app.catalog.reconciliations.define(id_, definition, by=app.by)
    app.say("cli.reconcile.defined", id=made.id)
    if app.as_json:
        app.dump({"id": made.id, "definition": made.definition.model_dump(exclude_defaults=True)})


def _side(app: App, source: str, given: dict[str, Any], letter: str) -> SideSpec:
    names = ("key", "name", "above", "scheme", "vintage")
    columns = {name: given[f"{name}_{letter}"] for name in names}
    if Path(source).is_file():
        return SideSpec(file=str(Path(source).absolute()), **columns)
    if app.catalog.datasets.find(source) is None:
        raise NotFoundError(source, where=letter)
    info = app.catalog.versions.current(source)
    declared = info.schema.region_code if info and info.schema else None
    if columns["scheme"] is None and declared is not None and declared.field == columns["key"]:
        columns["scheme"] = declared.scheme
    return SideSpec(dataset=source, **columns)


@reconcile.command("list", cls=Command)
@json_option
@pass_app
def list_(app: App) -> None:
    """Show all, with what is open."""
    rows = []
    for one in app.catalog.reconciliations.list():
        last = next(iter(app.catalog.reconciliations.runs(one.id, limit=1)), None)
        rows.append(
            {
                "id": one.id, "a": _name(one.definition.a), "b": _name(one.definition.b),
                **app.catalog.reconciliations.states(one.id),
                "last_run": last.at.isoformat(timespec="seconds") if last else None,
                "due": app.text("cli.reconcile.yes") if due(app.catalog, one) else "",
            }
        )  # fmt: skip
    app.show(rows, ("id", "a", "b", "open", "decided", "last_run", "due"))


def _name(side: SideSpec) -> str:
    return side.dataset or Path(str(side.file)).name


@reconcile.command("run", cls=Command)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--due", "only_due", is_flag=True)
@json_option
@pass_app
def run(app: App, ids: tuple[str, ...], only_due: bool) -> None:
    """Compare what both sides are now; the queue follows."""
    book = app.catalog.reconciliations
    chosen = [book.get(id_) for id_ in ids] if ids else book.list()
    if not ids and not only_due:
        raise QueryError(app.text("cli.reconcile.which"), where="ID")
    waiting = [one for one in chosen if not only_due or due(app.catalog, one)]
    failed, rows = 0, []
    for one in waiting:
        try:
            rows.append(_ran(app, one))
        except SatuDataError as error:  # one that can not be compared must not stop the others
            if not only_due:
                raise
            failed = max(failed, error.exit_code)
            click.echo(f"{one.id}: {error.message(app.lang)}", err=True)
    app.show(rows, ("id", "opened", "reopened", "closed", "open", "decided"), empty="cli.reconcile.none-due")
    raise SystemExit(failed)


def _ran(app: App, entry: Reconciliation) -> dict[str, Any]:
    done: ReconciliationRun = run_one(app.catalog, app.store, entry, read_file=_columns, by=app.by)
    return {
        "id": entry.id,
        "counts": done.counts,
        **done.queue,
        **app.catalog.reconciliations.states(entry.id),
    }


def _columns(path: Path, columns: Sequence[str]) -> pa.Table:
    table = read_table(path)
    demand(list(columns), table.column_names, path.name)
    table = table.select(list(columns))
    scan = PrivacyScan(LayerSchema(tuple(FieldDef(name) for name in columns)))
    for part in table.to_batches(max_chunksize=_CHUNK):
        scan.feed(FeatureBatch([""] * len(part), part.to_pylist()))
    if found := sorted({f"{one.field} ({one.kind})" for one in scan.findings()}):
        raise QueryError(f"personal data: {', '.join(found)}", where=path.name)  # the queue is kept
    return table


@reconcile.command("queue", cls=Command)
@click.argument("id_", metavar="ID")
@click.option("--class", "verdict", type=_CLASS)
@click.option("--state", type=click.Choice([*ITEM_STATES, "all"]), default="open", show_default=True)
@click.option("--below", default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000_000))
@json_option
@pass_app
def queue(app: App, id_: str, verdict: str | None, state: Any, below: str, limit: int) -> None:
    """Show the differences that wait for a steward."""
    found = app.catalog.reconciliations.queue(
        id_, state=None if state == "all" else state, verdict=verdict, below=below, limit=limit
    )
    app.show([item_row(app, one) for one in found], QUEUE, empty="cli.reconcile.empty")


@reconcile.command("show", cls=Command)
@click.argument("id_", metavar="ID")
@click.argument("key", metavar="KEY")
@json_option
@pass_app
def show(app: App, id_: str, key: str) -> None:
    """Show one difference: what both sides say, what was decided, what that corrects."""
    item = app.catalog.reconciliations.item(id_, key)
    decided = app.catalog.decisions.list(id_, key=key)
    fixes = [fix for one in decided for fix in app.catalog.corrections.of_decision(one.number)]
    if app.as_json:
        app.dump(
            {"item": asdict(item), "decisions": [asdict(one) for one in decided],
             "corrections": [asdict(one) for one in fixes]}
        )  # fmt: skip
        return
    app.show([item_row(app, item)], QUEUE)
    for name, value in item.facts.items():
        app.console.print(f"  {name}: {value}", markup=False)
    app.show([decision_row(app, one) for one in decided], HISTORY, empty="cli.reconcile.undecided")
    rows = [asdict(fix.cell) | {"applied": fix.applied, "stale_since": fix.stale_since} for fix in fixes]
    columns = ("dataset_id", "feature_id", "field", "was", "becomes", "applied", "stale_since")
    app.show(rows, columns, empty="cli.reconcile.no-corrections")


@reconcile.command("decide", cls=Command)
@click.argument("id_", metavar="ID")
@click.argument("key", metavar="KEY")
@click.argument("action", type=_ACTION)
@click.option("--reason", required=True)
@click.option("--set", "settings", multiple=True, metavar="COLUMN=VALUE")
@click.option("--code")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]))
@json_option
@pass_app
def decide(
    app: App,
    id_: str,
    key: str,
    action: Action,
    reason: str,
    settings: tuple[str, ...],
    code: str | None,
    until: datetime | None,
) -> None:
    """Decide about one difference, and say why."""
    entry, item = app.catalog.reconciliations.get(id_), app.catalog.reconciliations.item(id_, key)
    details: dict[str, Any] = dict(map(_setting, settings)) if action == "isi" else {}
    if code:
        details["code"] = code
    choice = choice_of(entry.definition, item, action, details)
    number = app.catalog.decisions.decide(id_, [choice], by=app.by, reason=reason, until=_utc(until))[0]
    key_ = "cli.reconcile.decided" if choice.cells else "cli.reconcile.decided-only"
    app.say(key_, number=number, cells=len(choice.cells))
    if app.as_json:
        app.dump({"decision": number, "corrections": [asdict(cell) for cell in choice.cells]})


def _setting(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found:
        raise QueryError("COLUMN=VALUE", where="set")
    try:
        number = orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value
    return name, number if isinstance(number, int | float) and not isinstance(number, bool) else value


def _utc(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=UTC) if day else None


@reconcile.command("rule", cls=Command)
@click.argument("id_", metavar="ID")
@click.argument("action", type=click.Choice(["pakai_a", "pakai_b", "wilayah_sama", "abaikan"]))
@click.option("--class", "verdict", type=_CLASS, required=True)
@click.option("--below", default="")
@click.option("--column", "columns", multiple=True)
@click.option("--at-most", type=click.FloatRange(min=0))
@click.option("--alike", type=click.FloatRange(0, 1))
@click.option("--quality", "qualities", multiple=True, type=click.Choice(QUALITIES))
@click.option("--move", "moves", multiple=True, type=click.Choice([move.value for move in Move]))
@click.option("--reason", required=True)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--apply", "apply_", is_flag=True)
@json_option
@pass_app
def rule(app: App, /, id_: str, action: Action, apply_: bool, **given: Any) -> None:
    """Show what a rule would decide; with --apply, keep it and let it decide."""
    reason, until = given.pop("reason"), _utc(given.pop("until"))
    made = Rule(**{**given, "verdict": Verdict(given["verdict"])})
    entry = app.catalog.reconciliations.get(id_)
    waiting = app.catalog.reconciliations.queue(id_)
    choices, refused = would_decide(made, action, waiting, entry.definition)
    if not apply_:
        keys = {choice.key for choice in choices}
        app.show([item_row(app, one) for one in waiting if one.key in keys], QUEUE)
        app.say("cli.reconcile.would", count=len(choices), refused=len(refused))
        return
    number = app.catalog.decisions.add_rule(id_, made.dump(), action, by=app.by, reason=reason, until=until)
    count = apply_rules(app.catalog, entry).get(number, 0)
    app.say("cli.reconcile.ruled", number=number, count=count)
    if app.as_json:
        app.dump({"rule": number, "decisions": count})


@reconcile.command("undo", cls=Command)
@click.argument("id_", metavar="ID")
@click.option("--decision", type=int)
@click.option("--rule", "rule_", type=int)
@click.option("--reason", required=True)
@json_option
@pass_app
def undo(app: App, id_: str, decision: int | None, rule_: int | None, reason: str) -> None:
    """Take a decision back, or a rule with all that it decided."""
    if (decision is None) == (rule_ is None):
        raise QueryError(app.text("cli.reconcile.undo-which"), where="decision")
    count = 1
    if decision is not None:
        app.catalog.decisions.undo(id_, decision, by=app.by, reason=reason)
    elif rule_ is not None:
        count = app.catalog.decisions.undo_rule(id_, rule_, by=app.by, reason=reason)
    app.say("cli.reconcile.undone", count=count)
    if app.as_json:
        app.dump({"undone": count})


@reconcile.command("history", cls=Command)
@click.argument("id_", metavar="ID")
@json_option
@pass_app
def history(app: App, id_: str) -> None:
    """Show who decided what, when and why: rules and decisions, also those taken back."""
    app.catalog.reconciliations.get(id_)
    rows = [(one.at, rule_row(app, one)) for one in app.catalog.decisions.rules(id_)]
    rows += [(one.at, decision_row(app, one)) for one in app.catalog.decisions.list(id_)]
    app.show([row for _, row in sorted(rows, key=lambda pair: pair[0])], HISTORY)


@reconcile.command("export", cls=Command)
@click.argument("id_", metavar="ID")
@click.option("--out", type=_OUT)
@json_option
@pass_app
def export(app: App, id_: str, out: Path | None) -> None:
    """Write the whole queue with its decisions (.csv, .parquet, .json)."""
    decided = {one.number: one for one in app.catalog.decisions.list(id_)}
    rows = []
    for item in app.catalog.reconciliations.queue(id_, state=None):
        row = item_row(app, item)
        made = decided.get(item.decision) if item.decision else None
        said = (made.action, made.reason, made.by, made.at.isoformat()) if made else (None,) * 4
        rows.append(row | dict(zip(("putusan", "alasan", "oleh", "waktu"), said, strict=True)))
    taking = Taking(out)
    taking.check(app)
    give(app, table_result(rows), [*QUEUE, "putusan"], taking)
