"""The book of reconciliations: definitions, runs, and the queue of differences.

A difference keeps its place in the queue from run to run. One that changed is opened again, one that
vanished is closed by the run that misses it; nothing is ever deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from catalog.audit import AuditLog, clean
from catalog.clock import Clock
from catalog.database import Database, lock
from catalog.errors import NotFoundError, QueryError
from catalog.reconciliation_model import (
    Definition,
    Difference,
    ItemNote,
    ItemState,
    QueueItem,
    Reconciliation,
    ReconciliationRun,
)
from catalog.reconciliation_rows import Holding, holding_of
from catalog.tables import reconciliation_items as items
from catalog.tables import reconciliation_runs as runs
from catalog.tables import reconciliations

type Reconciliations = list[Reconciliation]  # named here because the book has a method `list`
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class ReconciliationBook:
    """Writes and reads reconciliations. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def define(self, id_: str, definition: Definition, *, by: str) -> Reconciliation:
        """Define a reconciliation, or define it anew: its queue and decisions stay."""
        if not _ID.fullmatch(id_):
            raise QueryError("an id has lower-case letters, digits and hyphens", where="id")
        now, dumped = self._clock(), definition.model_dump(mode="json", exclude_defaults=True)
        with self._db.write() as connection:
            lock(connection, f"reconcile:{id_}")
            known = connection.scalar(sa.select(reconciliations.c.id).where(reconciliations.c.id == id_))
            if known is None:
                connection.execute(
                    reconciliations.insert().values(
                        id=id_, definition=dumped, actor=by, created=now, updated=now
                    )
                )
            else:
                query = reconciliations.update().where(reconciliations.c.id == id_)
                connection.execute(query.values(definition=dumped, actor=by, updated=now))
            self._audit.write(connection, "reconcile.define", _subject(id_), by=by, details=dumped)
        return self.get(id_)

    def get(self, id_: str) -> Reconciliation:
        """Return one; NotFoundError when there is none."""
        with self._db.read() as connection:
            row = connection.execute(
                sa.select(reconciliations).where(reconciliations.c.id == id_)
            ).one_or_none()
        if row is None:
            raise NotFoundError(f"no reconciliation {id_!r}", hint="satudata reconcile list")
        return _reconciliation(row)

    def list(self) -> Reconciliations:
        """Return all, by id."""
        with self._db.read() as connection:
            rows = connection.execute(sa.select(reconciliations).order_by(reconciliations.c.id))
            return [_reconciliation(row) for row in rows]

    # -- runs -------------------------------------------------------------------------------------

    def record(
        self,
        id_: str,
        differences: Iterable[Difference],
        *,
        counts: Mapping[str, int],
        versions: Mapping[str, Mapping[str, Any]],
        by: str,
    ) -> ReconciliationRun:
        """Take a comparison in: open what is new or changed, close what vanished, keep what is decided."""
        now, found = self._clock(), [_safe(one) for one in differences]
        with self._db.write() as connection:
            lock(connection, f"reconcile:{id_}")
            number = connection.scalar(
                runs.insert()
                .values(
                    reconciliation_id=id_, at=now, actor=by, versions=versions, counts=dict(counts), queue={}
                )
                .returning(runs.c.number)
            )
            known = {
                row.key: row
                for row in connection.execute(sa.select(items).where(items.c.reconciliation_id == id_))
            }
            change = _Change(known, holding_of(connection, id_, now), found)
            stamp = {"run": number, "changed": now}
            _write(connection, id_, [row | stamp for row in change.fresh], [r | stamp for r in change.again])
            queue = change.tally | _states(connection, id_)
            connection.execute(runs.update().where(runs.c.number == number).values(queue=queue))
            self._audit.write(
                connection, "reconcile.run", _subject(id_), by=by, details={"run": number, **queue}
            )
        return self.runs(id_, limit=1)[0]

    def runs(self, id_: str, limit: int = 20) -> Sequence[ReconciliationRun]:
        """Return the newest runs first."""
        query = sa.select(runs).where(runs.c.reconciliation_id == id_).order_by(runs.c.number.desc())
        with self._db.read() as connection:
            return [
                ReconciliationRun(row.number, row.at, row.actor, row.versions, row.counts, row.queue)
                for row in connection.execute(query.limit(limit))
            ]

    # -- queue ------------------------------------------------------------------------------------

    def queue(
        self,
        id_: str,
        *,
        state: ItemState | None = "open",
        verdict: str | None = None,
        below: str = "",
        limit: int | None = None,
    ) -> Sequence[QueueItem]:
        """Return items by code; `below` is how their codes begin. NotFoundError for an unknown id."""
        self.get(id_)
        query = sa.select(items).where(items.c.reconciliation_id == id_)
        if state is not None:
            query = query.where(items.c.state == state)
        if verdict is not None:
            query = query.where(items.c.verdict == verdict)
        if below:
            query = query.where(items.c.code.startswith(below, autoescape=True))
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(items.c.code, items.c.key).limit(limit))
            return [_item(row) for row in rows]

    def item(self, id_: str, key: str) -> QueueItem:
        """Return one item; NotFoundError when there is none."""
        query = sa.select(items).where(items.c.reconciliation_id == id_, items.c.key == key)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"no difference {key!r}", where=id_, hint=f"satudata reconcile queue {id_}")
        return _item(row)

    def states(self, id_: str) -> dict[str, int]:
        """Return how many items are in each state."""
        with self._db.read() as connection:
            return _states(connection, id_)


class _Change:
    """What a run changes: `fresh` items and those written `again`, as rows."""

    def __init__(self, known: Mapping[str, sa.Row[Any]], holding: Holding, found: list[Difference]) -> None:
        self.fresh: list[dict[str, Any]] = []
        self.again: list[dict[str, Any]] = []
        self.tally = {"opened": 0, "reopened": 0, "closed": 0}
        for one in found:
            self._meet(one, known.get(one.key), holding)
        seen = {one.key for one in found}
        for row in known.values():
            if row.key not in seen and row.state != "closed":
                self.tally["closed"] += 1
                note: ItemNote = "applied" if row.key in holding.acting else "gone"
                self.again.append(_values(_difference(row), "closed", note, row.decision))

    def _meet(self, one: Difference, old: sa.Row[Any] | None, holding: Holding) -> None:
        decision = holding.of(one.key, one.fingerprint)
        state: ItemState = "open" if decision is None else "decided"
        if old is None:
            self.tally["opened"] += 1
            self.fresh.append(_values(one, state, "", decision))
            return
        same = old.fingerprint == one.fingerprint
        note: ItemNote = old.note
        if state == "decided":
            note = ""
        elif old.state == "closed":
            note = "returned"
        elif not same and old.note != "stale":
            note = "changed"
        elif same and old.state == "decided":
            note = "lapsed"
        self.tally["reopened"] += state == "open" and old.state != "open"
        if not same or old.state != state or old.facts != one.facts or old.decision != decision:
            self.again.append(_values(one, state, note, decision))


def _values(one: Difference, state: str, note: str, decision: int | None) -> dict[str, Any]:
    return {
        "key": one.key, "verdict": one.verdict, "code": one.code, "facts": one.facts,
        "fingerprint": one.fingerprint, "state": state, "note": note, "decision": decision,
    }  # fmt: skip


def _write(
    connection: sa.Connection, id_: str, fresh: list[dict[str, Any]], again: list[dict[str, Any]]
) -> None:
    if fresh:
        connection.execute(items.insert(), [{"reconciliation_id": id_, **row} for row in fresh])
    if again:
        names = [name for name in again[0] if name != "key"]
        query = items.update().where(items.c.reconciliation_id == id_, items.c.key == sa.bindparam("the_key"))
        query = query.values({name: sa.bindparam(f"new_{name}") for name in names})
        connection.execute(
            query,
            [{"the_key": row["key"], **{f"new_{name}": row[name] for name in names}} for row in again],
        )


def _states(connection: sa.Connection, id_: str) -> dict[str, int]:
    query = sa.select(items.c.state, sa.func.count()).where(items.c.reconciliation_id == id_)
    counts: dict[str, int] = dict(tuple(row) for row in connection.execute(query.group_by(items.c.state)))
    return {"open": counts.get("open", 0), "decided": counts.get("decided", 0)}


def _safe(one: Difference) -> Difference:
    """Take out of the facts what may be a person's number, and what JSON does not know."""
    return Difference(one.key, one.verdict, one.code, clean(one.facts), one.fingerprint)


def _difference(row: sa.Row[Any]) -> Difference:
    return Difference(row.key, row.verdict, row.code, row.facts, row.fingerprint)


def _item(row: sa.Row[Any]) -> QueueItem:
    return QueueItem(
        row.key, row.verdict, row.code, row.facts, row.fingerprint, row.state, row.note, row.decision,
        row.run, row.changed,
    )  # fmt: skip


def _reconciliation(row: sa.Row[Any]) -> Reconciliation:
    definition = Definition.model_validate(row.definition)
    return Reconciliation(row.id, definition, row.actor, row.created, row.updated)


def _subject(id_: str) -> str:
    return f"reconcile:{id_}"
