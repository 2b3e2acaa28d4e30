"""The book of jobs: questions that are answered outside of the request, with leases and terminal states.

A job can not stay "running" for ever: its worker extends a lease, and `reap` ends what nobody works on.
What was asked is never kept here (it may tell of persons), only which process, when, and the answer,
until `prune` takes it away.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from catalog.clock import Clock
from catalog.database import Database
from catalog.errors import CancelledRunError, NotFoundError
from catalog.secrets import redact
from catalog.tables import jobs

type Jobs = list[Job]  # named here because JobBook has a method `list`


class JobState(StrEnum):
    """The states of OGC API - Processes."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"


OPEN = (JobState.ACCEPTED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as the database knows it. `raw` is how its answer was asked for. Times are aware UTC."""

    id: str
    process_id: str
    state: JobState
    progress: int
    raw: bool
    created: datetime
    started: datetime | None
    finished: datetime | None
    updated: datetime
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs; empty means all. Durations in seconds, of a job that runs: until now."""

    processes: Sequence[str] = ()
    states: Sequence[str] = ()
    after: datetime | None = None
    before: datetime | None = None
    least_seconds: float | None = None
    most_seconds: float | None = None
    limit: int = 100
    offset: int = 0


class JobBook:
    """Writes and reads jobs. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def add(self, process_id: str, *, raw: bool = True, job_id: str = "") -> Job:
        """Accept a job; `job_id` is one of `new_id`, for those who must know it before."""
        now = self._clock()
        job_id = job_id or new_id()
        with self._db.write() as connection:
            connection.execute(
                jobs.insert().values(
                    id=job_id, process_id=process_id, state=JobState.ACCEPTED, progress=0, raw=raw, worker="",
                    created=now, updated=now, code="", reason="",
                )
            )  # fmt: skip
        return self.get(job_id)

    def claim(self, worker: str, *, lease_seconds: float) -> Job | None:
        """Take the oldest waiting job and its lease; None when none waits."""
        now = self._clock()
        waiting = (
            sa.select(jobs.c.id)
            .where(jobs.c.state == JobState.ACCEPTED)
            .order_by(jobs.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._db.write() as connection:
            job_id = connection.scalar(waiting)
            if job_id is None:
                return None
            lease = now + timedelta(seconds=lease_seconds)
            self._change(
                connection, job_id, JobState.ACCEPTED,
                state=JobState.RUNNING, worker=worker, started=now, updated=now, lease_until=lease,
            )  # fmt: skip
        return self.get(job_id)

    def heartbeat(self, job_id: str, *, lease_seconds: float, progress: int | None = None) -> None:
        """Extend the lease and tell how far it is (percent).

        CancelledRunError when the job runs no longer (dismissed, reaped): stop working.
        """
        now = self._clock()
        values: dict[str, Any] = {"lease_until": now + timedelta(seconds=lease_seconds)}
        if progress is not None:
            values |= {"progress": max(0, min(progress, 99)), "updated": now}
        with self._db.write() as connection:
            self._change(connection, job_id, JobState.RUNNING, **values)

    def succeed(self, job_id: str, results: bytes) -> None:
        """Keep the answer of a running job and end it."""
        with self._db.write() as connection:
            self._end(connection, job_id, JobState.SUCCESSFUL, progress=100, results=results, code="")

    def fail(self, job_id: str, *, code: str, reason: str) -> None:
        """End a running job that could not be answered; the reason is kept without secrets and NIK."""
        with self._db.write() as connection:
            self._end(connection, job_id, JobState.FAILED, code=code, reason=redact(reason))

    def give_back(self, job_id: str, *, code: str = "") -> None:
        """Let a running job wait again, because its worker has to stop.

        `code` stands with the job until it ends: that it was given back for a reason, so once only.
        """
        with self._db.write() as connection:
            self._change(
                connection, job_id, JobState.RUNNING,
                state=JobState.ACCEPTED, worker="", started=None, lease_until=None, progress=0,
                updated=self._clock(), **({"code": code} if code else {}),
            )  # fmt: skip

    def dismiss(self, job_id: str) -> Job:
        """Stop a job, or throw away the answer of one that ended. NotFoundError when there is none."""
        now = self._clock()
        known = jobs.update().where(jobs.c.id == job_id, jobs.c.state != JobState.DISMISSED)
        with self._db.write() as connection:
            connection.execute(known.where(jobs.c.finished.is_(None)).values(finished=now))
            connection.execute(
                known.values(state=JobState.DISMISSED, results=None, lease_until=None, updated=now)
            )
        return self.get(job_id)

    def reap(self) -> list[str]:
        """End the jobs whose lease is over: `failed`, code `lease-expired`. Return their ids."""
        expired = sa.select(jobs.c.id).where(
            jobs.c.state == JobState.RUNNING, jobs.c.lease_until < self._clock()
        )
        with self._db.write() as connection:
            found = list(connection.scalars(expired.with_for_update(skip_locked=True)))
            for job_id in found:
                reason = "the worker stopped answering"
                self._end(connection, job_id, JobState.FAILED, code="lease-expired", reason=reason)
        return found

    def prune(self, before: datetime) -> int:
        """Delete the jobs that ended before an instant, with their answers; return how many."""
        with self._db.write() as connection:
            return connection.execute(jobs.delete().where(jobs.c.finished < before)).rowcount

    def get(self, job_id: str) -> Job:
        """Return a job; NotFoundError when there is none."""
        with self._db.read() as connection:
            row = connection.execute(sa.select(*_SHOWN).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFoundError("no such job")
        return _job(row)

    def ended(self, starts: Set[str]) -> set[str]:
        """Tell which of these beginnings of ids are those of jobs that have ended."""
        asked = sa.or_(*(jobs.c.id.startswith(start, autoescape=True) for start in starts))
        query = sa.select(jobs.c.id).where(asked, jobs.c.state.not_in(OPEN))
        with self._db.read() as connection:
            found = list(connection.scalars(query)) if starts else []
        return {start for start in starts if any(one.startswith(start) for one in found)}

    def results(self, job_id: str) -> bytes | None:
        """Return the answer as it was kept, or None."""
        with self._db.read() as connection:
            found: bytes | None = connection.scalar(sa.select(jobs.c.results).where(jobs.c.id == job_id))
        return found

    def waiting(self) -> bool:
        """Tell whether a job waits: a read, so that those who look do not hold up writers."""
        query = sa.select(jobs.c.number).where(jobs.c.state == JobState.ACCEPTED).limit(1)
        with self._db.read() as connection:
            return connection.scalar(query) is not None

    def list(self, query: JobQuery) -> Jobs:
        """Return jobs, newest first."""
        found = sa.select(*_SHOWN).order_by(jobs.c.number.desc())
        if query.processes:
            found = found.where(jobs.c.process_id.in_(list(query.processes)))
        if query.states:
            found = found.where(jobs.c.state.in_(list(query.states)))
        if query.after is not None:
            found = found.where(jobs.c.created >= query.after)
        if query.before is not None:
            found = found.where(jobs.c.created <= query.before)
        timed = query.least_seconds is not None or query.most_seconds is not None
        if not timed:
            found = found.limit(query.limit).offset(query.offset)
        with self._db.read() as connection:
            rows = [_job(row) for row in connection.execute(found)]
        if timed:  # the databases subtract times each in their own way, and jobs are few
            rows = [job for job in rows if self._lasted(job, query)]
            rows = rows[query.offset : query.offset + query.limit]
        return rows

    def _lasted(self, job: Job, query: JobQuery) -> bool:
        if job.started is None:
            return False
        seconds = ((job.finished or self._clock()) - job.started).total_seconds()
        least, most = query.least_seconds, query.most_seconds
        return (least is None or seconds >= least) and (most is None or seconds <= most)

    def _end(self, connection: sa.Connection, job_id: str, state: JobState, **values: Any) -> None:
        now = self._clock()
        self._change(
            connection, job_id, JobState.RUNNING,
            state=state, finished=now, updated=now, lease_until=None, **values,
        )  # fmt: skip

    def _change(self, connection: sa.Connection, job_id: str, was: JobState, **values: Any) -> None:
        query = jobs.update().where(jobs.c.id == job_id, jobs.c.state == was)
        if not connection.execute(query.values(**values)).rowcount:
            raise CancelledRunError("the job runs no longer")


def new_id() -> str:
    """Return an id that can not be guessed."""
    return secrets.token_hex(16)


_SHOWN = [jobs.c[name] for name in Job.__dataclass_fields__]


def _job(row: sa.Row[Any]) -> Job:
    return Job(**{**row._mapping, "state": JobState(row.state)})
