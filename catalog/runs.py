"""The book of runs: leases, heartbeats, phases, counts, item errors, terminal states.

A run can not stay "running" for ever: its lease ends, and `reap` (called by every `start` of the
same source, and by the scheduler) ends it. Two runs of one source can not be: a partial unique
index in the database refuses the second.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from catalog.audit import AuditLog, clean
from catalog.clock import Clock
from catalog.database import Database, upsert
from catalog.errors import BusySourceError, CancelledRunError, NotFoundError
from catalog.model import Counts, ItemError, RunState
from catalog.secrets import redact
from catalog.tables import run_errors, run_layers, runs, versions

Phase = Literal["lease", "probe", "list", "stage", "verify", "diff", "guard", "swap", "publish", "notify"]
type Ids = list[str]
type Runs = list[Run]  # named here because RunBook has a method `list`
# Written out, not bound: so the databases use the small index of running runs.
_IS_RUNNING = runs.c.state == sa.literal_column("'running'")
GOOD = (RunState.OK, RunState.UNCHANGED)


@dataclass(slots=True)
class Run:
    """One run of one source, as the database knows it. Times are aware UTC."""

    id: str
    source_id: str
    state: RunState
    phase: str
    started: datetime
    finished: datetime | None
    heartbeat: datetime
    lease_until: datetime
    counts: Counts
    layers: dict[str, Counts]
    reason: str
    code: str
    trigger: str
    worker: str
    details: dict[str, Any] = field(default_factory=dict)
    cancel_requested: bool = False

    def seconds(self) -> float | None:
        """Return how long the run took, in seconds; None while it is running."""
        return (self.finished - self.started).total_seconds() if self.finished else None


class RunBook:
    """Writes and reads runs. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def start(
        self, source_id: str, *, lease_seconds: float, trigger: str = "manual", worker: str = ""
    ) -> Run:
        """Take the source's lease; raise BusySourceError when another run holds it."""
        now = self._clock()
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        try:
            with self._db.write() as connection:
                self._reap(connection, now, source_id)
                connection.execute(
                    runs.insert().values(
                        id=run_id, source_id=source_id, state=RunState.RUNNING, phase="lease",
                        trigger=trigger, worker=worker, started=now, heartbeat=now,
                        lease_until=now + timedelta(seconds=lease_seconds), lease_seconds=lease_seconds,
                        cancel_requested=False, reason="", code="", details={},
                    )
                )  # fmt: skip
                self._audit.write(
                    connection, "run.start", source_id, by=trigger, details={"run": run_id, "worker": worker}
                )
        except IntegrityError as error:
            raise self._busy(source_id) from error
        return self.get(run_id)

    def heartbeat(self, run_id: str) -> bool:
        """Extend the lease; return True when a person asked to cancel.

        Raises CancelledRunError when the run has ended meanwhile (reaped, cancelled): stop working.
        """
        now = self._clock()
        with self._db.write() as connection:
            row = connection.execute(_running(run_id)).one_or_none()
            if row is None:
                raise self._not_running(connection, run_id)
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id)
                .values(heartbeat=now, lease_until=now + timedelta(seconds=row.lease_seconds))
            )
            return bool(row.cancel_requested)

    def phase(self, run_id: str, phase: Phase) -> None:
        """Record how far the run is."""
        with self._db.write() as connection:
            self._update(connection, run_id, phase=phase)

    def counts(self, run_id: str, layer_id: str, counts: Counts) -> None:
        """Set (not add) one layer's counts; the run's totals are the sum over its layers."""
        row = {"run_id": run_id, "layer_id": layer_id, **asdict(counts)}
        with self._db.write() as connection:
            self._require_running(connection, run_id)
            connection.execute(upsert(run_layers, [row], self._db.dialect))

    def errors_add(self, run_id: str, errors: Iterable[ItemError], layer_id: str = "") -> None:
        """Keep item errors, with secrets and NIK-like numbers taken out."""
        for batch in batched(errors, 500, strict=False):
            rows = [
                {
                    "run_id": run_id, "layer_id": layer_id, "code": e.code, "message": redact(e.message),
                    "remote_id": redact(e.remote_id), "url": redact(e.url), "severity": e.severity,
                }
                for e in batch
            ]  # fmt: skip
            with self._db.write() as connection:
                self._require_running(connection, run_id)
                connection.execute(run_errors.insert(), rows)

    def errors(self, run_id: str, limit: int = 100, offset: int = 0) -> list[ItemError]:
        """Return item errors in the order they came."""
        query = (
            sa.select(run_errors)
            .where(run_errors.c.run_id == run_id)
            .order_by(run_errors.c.number)
            .limit(limit)
            .offset(offset)
        )
        with self._db.read() as connection:
            return [
                ItemError(row.code, row.message, row.remote_id, row.url, row.severity)
                for row in connection.execute(query)
            ]

    def errors_count(self, run_id: str) -> int:
        """Return how many item errors a run has."""
        query = sa.select(sa.func.count()).where(run_errors.c.run_id == run_id)
        with self._db.read() as connection:
            return int(connection.scalar(query) or 0)

    def finish(
        self,
        run_id: str,
        state: RunState,
        *,
        reason: str = "",
        code: str = "",
        details: dict[str, Any] | None = None,
    ) -> Run:
        """Write the terminal state; only a running run can be finished (CancelledRunError)."""
        if state is RunState.RUNNING:
            raise ValueError("a run can not finish as running")
        with self._db.write() as connection:
            self._end(connection, run_id, state, reason, code, details or {})
        return self.get(run_id)

    def request_cancel(self, run_id: str, by: str) -> Run:
        """Ask the worker to stop; it learns at its next heartbeat. A run that has ended stays as it is."""
        with self._db.write() as connection:
            done = connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.state == RunState.RUNNING)
                .values(cancel_requested=True)
            )
            if done.rowcount:
                self._audit.write(connection, "run.cancel", run_id, by=by)
        return self.get(run_id)

    def reap(self) -> Runs:
        """End the runs whose lease is over: `failed`, code `lease-expired`."""
        with self._db.write() as connection:
            ended = self._reap(connection, self._clock(), None)
        return [self.get(run_id) for run_id in ended]

    def prune(self, before: datetime, *, by: str) -> int:
        """Delete the runs that ended before an instant; return how many.

        Kept are each source's last ended and last good run, and the runs whose versions are still there.
        """
        ended = runs.c.finished.is_not(None)
        newest = sa.select(sa.func.max(runs.c.number)).where(ended).group_by(runs.c.source_id)
        made = sa.select(versions.c.run_id).where(versions.c.state != "removed")
        old = runs.delete().where(
            runs.c.finished < before,
            runs.c.number.not_in(newest),
            runs.c.number.not_in(newest.where(runs.c.state.in_(GOOD))),
            runs.c.id.not_in(made),
        )
        with self._db.write() as connection:
            count = connection.execute(old).rowcount
            if count:
                details = {"before": before.isoformat(), "count": count}
                self._audit.write(connection, "run.prune", "*", by=by, details=details)
        return count

    def get(self, run_id: str) -> Run:
        """Return a run; NotFoundError when there is none."""
        with self._db.read() as connection:
            found = self._load(connection, sa.select(runs).where(runs.c.id == run_id))
        if not found:
            raise NotFoundError(f"no run {run_id!r}")
        return found[0]

    def list(self, source_id: str | None = None, state: RunState | None = None, limit: int = 50) -> Runs:
        """Return runs, newest first."""
        query = sa.select(runs).order_by(runs.c.number.desc()).limit(limit)
        if source_id is not None:
            query = query.where(runs.c.source_id == source_id)
        if state is not None:
            query = query.where(_IS_RUNNING if state is RunState.RUNNING else runs.c.state == state)
        with self._db.read() as connection:
            return self._load(connection, query)

    def last(self, source_id: str, good: bool = False) -> Run | None:
        """Return the newest run of a source; with `good`, the newest that ended ok or unchanged."""
        query = sa.select(runs).where(runs.c.source_id == source_id)
        if good:
            query = query.where(runs.c.state.in_(GOOD))
        with self._db.read() as connection:
            found = self._load(connection, query.order_by(runs.c.number.desc()).limit(1))
        return found[0] if found else None

    def _load(self, connection: sa.Connection, query: sa.Select[Any]) -> Runs:
        rows = connection.execute(query).all()
        layers: dict[str, dict[str, Counts]] = {row.id: {} for row in rows}
        chosen = sa.select(run_layers).where(run_layers.c.run_id.in_(list(layers)))
        for row in connection.execute(chosen.order_by(run_layers.c.layer_id)):
            values = {name: getattr(row, name) for name in Counts.__dataclass_fields__}
            layers[row.run_id][row.layer_id] = Counts(**values)
        return [_run(row, layers[row.id]) for row in rows]

    def _update(self, connection: sa.Connection, run_id: str, **values: Any) -> None:
        query = runs.update().where(runs.c.id == run_id, runs.c.state == RunState.RUNNING)
        if not connection.execute(query.values(**values)).rowcount:
            raise self._not_running(connection, run_id)

    def _end(
        self,
        connection: sa.Connection,
        run_id: str,
        state: RunState,
        reason: str,
        code: str,
        details: dict[str, Any],
    ) -> None:
        self._update(
            connection, run_id, state=state, finished=self._clock(), reason=redact(reason), code=code,
            details=clean(details),
        )  # fmt: skip
        row = connection.execute(sa.select(runs.c.source_id, runs.c.trigger).where(runs.c.id == run_id)).one()
        self._audit.write(
            connection, "run.finish", row.source_id, by=row.trigger,
            details={"run": run_id, "state": state.value, "code": code, "reason": reason},
        )  # fmt: skip

    def _reap(self, connection: sa.Connection, now: datetime, source_id: str | None) -> Ids:
        query = sa.select(runs.c.id).where(_IS_RUNNING, runs.c.lease_until < now)
        if source_id is not None:
            query = query.where(runs.c.source_id == source_id)
        expired = list(connection.scalars(query.with_for_update(skip_locked=True)))
        for run_id in expired:
            self._end(
                connection, run_id, RunState.FAILED, "the worker stopped answering", "lease-expired", {}
            )
        return expired

    def _require_running(self, connection: sa.Connection, run_id: str) -> None:
        if connection.execute(_running(run_id)).one_or_none() is None:
            raise self._not_running(connection, run_id)

    def _not_running(self, connection: sa.Connection, run_id: str) -> NotFoundError | CancelledRunError:
        row = connection.execute(
            sa.select(runs.c.state, runs.c.code).where(runs.c.id == run_id)
        ).one_or_none()
        if row is None:
            return NotFoundError(f"no run {run_id!r}")
        return CancelledRunError(f"run {run_id} has ended: {row.state} {row.code}".strip())

    def _busy(self, source_id: str) -> BusySourceError:
        holders = self.list(source_id, RunState.RUNNING, limit=1)
        detail = "a run has just ended; try again"
        if holders:
            detail = f"run {holders[0].id}, phase {holders[0].phase}, worker {holders[0].worker or '-'}"
        return BusySourceError(detail, where=source_id)


def _running(run_id: str) -> sa.Select[Any]:
    """Select a running run and hold its row, so that it can not end between check and change."""
    return (
        sa.select(runs.c.lease_seconds, runs.c.cancel_requested)
        .where(runs.c.id == run_id, runs.c.state == RunState.RUNNING)
        .with_for_update()
    )


def _run(row: sa.Row[Any], layers: dict[str, Counts]) -> Run:
    total = Counts()
    for counts in layers.values():
        total.add(counts)
    return Run(
        id=row.id, source_id=row.source_id, state=RunState(row.state), phase=row.phase,
        started=row.started, finished=row.finished, heartbeat=row.heartbeat, lease_until=row.lease_until,
        counts=total, layers=layers, reason=row.reason, code=row.code, trigger=row.trigger,
        worker=row.worker, details=row.details, cancel_requested=row.cancel_requested,
    )  # fmt: skip
