"""The book of events that may be answered: what was seen, what was answered at which revision.

The row of an event is the queue: it waits, is claimed with a lease, and ends as answered, ignored or
failed. Nothing is lost when a process dies: a lease that runs out lets another one try again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa

from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.database import Database, bump, lock, upsert
from catalog.errors import CancelledRunError, NotFoundError
from catalog.secrets import redact
from catalog.tables import counters, responses

EventKind = Literal["gempa", "peringatan"]
type Entries = list[Entry]


class ResponseState(StrEnum):
    """Where an event stands."""

    WAITING = "waiting"
    WORKING = "working"
    ANSWERED = "answered"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event as a scan found it: `feature_id` is its newest report, `members` are all of them.

    `id` is the first report's feature id and stays for all revisions; `fingerprint` changes when what
    matters was revised. `wanted` is empty when the event is to be answered, else why not.
    """

    id: str
    layer_id: str
    kind: EventKind
    feature_id: str
    members: tuple[str, ...]
    at: datetime
    lon: float
    lat: float
    fingerprint: str
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, as the database knows it. `answered` is the fingerprint that the answer is of."""

    id: str
    layer_id: str
    kind: EventKind
    feature_id: str
    members: tuple[str, ...]
    at: datetime
    lon: float
    lat: float
    fingerprint: str
    answered: str
    state: ResponseState
    reason: str
    attempts: int
    next_try: datetime | None
    lease_until: datetime | None
    revision: int
    dataset_id: str
    first_seen: datetime
    updated: datetime


type Decide = Callable[[Entries], Sequence[Sighting]]


class ResponseBook:
    """Writes and reads events. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db, self._clock, self._audit = database, clock, audit

    def cursor(self, layer_id: str) -> int | None:
        """Return the version of an event layer that was scanned last."""
        query = sa.select(counters.c.value).where(counters.c.name == _cursor(layer_id))
        with self._db.read() as connection:
            return connection.scalar(query)

    def scan(self, layer_id: str, version: int, decide: Decide, *, since: datetime) -> Entries:
        """Note what a version of an event layer holds; return the events that are new or revised.

        `decide` gets the known events of the layer at or after `since` and returns those that it found
        there. Two processes that scan at once do so one after the other.
        """
        changed: Entries = []
        with self._db.write() as connection:
            lock(connection, "responses")
            known = _select(connection, responses.c.layer_id == layer_id, responses.c.at >= since)
            by_id = {entry.id: entry for entry in known}
            for one in decide(known):
                changed += self._note(connection, one, by_id.get(one.id))
            row = {"name": _cursor(layer_id), "value": version}
            connection.execute(upsert(counters, [row], self._db.dialect))
        return changed

    def _note(self, connection: sa.Connection, one: Sighting, was: Entry | None) -> Entries:
        now = self._clock()
        said = {k: v for k, v in asdict(one).items() if k not in {"id", "wanted"}}
        said |= {"members": list(one.members), "updated": now}
        if was is None:
            connection.execute(
                responses.insert().values(
                    id=one.id, **said, **_queue(one.wanted), answered="", revision=0, dataset_id="",
                    first_seen=now,
                )
            )  # fmt: skip
        elif was.fingerprint == one.fingerprint and set(was.members) == set(one.members):
            return []
        else:
            queue = {} if was.fingerprint == one.fingerprint else _queue(one.wanted)
            connection.execute(responses.update().where(responses.c.id == one.id).values(**said, **queue))
            if not queue:
                return []
        return [_get(connection, one.id)]

    def ask(self, one: Sighting) -> Entry:
        """Let an event wait by a person's word, whatever the rules say; it is answered once more."""
        with self._db.write() as connection:
            lock(connection, "responses")
            if not _select(connection, responses.c.id == one.id):
                self._note(connection, one, None)
            values = {"feature_id": one.feature_id, "fingerprint": one.fingerprint, "lon": one.lon}
            values |= {"lat": one.lat, "at": one.at, "updated": self._clock(), **_queue("")}
            connection.execute(responses.update().where(responses.c.id == one.id).values(**values))
            return _get(connection, one.id)

    def claim(self, *, lease_seconds: float, event_id: str = "") -> Entry | None:
        """Take the next event that is due, newest first, or the one named; None when none is."""
        now = self._clock()
        free = sa.or_(
            sa.and_(responses.c.state == ResponseState.WAITING, responses.c.next_try <= now),
            sa.and_(responses.c.state == ResponseState.WORKING, responses.c.lease_until < now),
        )
        with self._db.write() as connection:
            lock(connection, "responses")
            named = [responses.c.id == event_id] if event_id else []
            query = sa.select(responses.c.id).where(free, *named).order_by(responses.c.at.desc()).limit(1)
            found = connection.scalar(query)
            if found is None:
                return None
            connection.execute(
                responses.update()
                .where(responses.c.id == found)
                .values(
                    state=ResponseState.WORKING, lease_until=now + timedelta(seconds=lease_seconds),
                    attempts=responses.c.attempts + 1, updated=now,
                )
            )  # fmt: skip
            return _get(connection, found)

    def answered(
        self,
        entry: Entry,
        *,
        dataset_id: str,
        by: str,
        details: dict[str, Any],
        also: Callable[[sa.Connection], None] = lambda connection: None,
    ) -> None:
        """End a claimed event as answered; `also` writes in the same transaction (the notices)."""
        state = ResponseState.ANSWERED
        with self._db.write() as connection:
            self._end(
                connection, entry, state, answered=entry.fingerprint, dataset_id=dataset_id,
                revision=entry.revision + 1, reason="",
            )  # fmt: skip
            also(connection)
            self._audit.write(connection, "response.answered", entry.id, by=by, details=details)
            bump(connection)

    def ignore(self, entry: Entry, reason: str) -> None:
        """End a claimed event without an answer."""
        with self._db.write() as connection:
            self._end(connection, entry, ResponseState.IGNORED, reason=reason)

    def postpone(self, entry: Entry, *, reason: str, seconds: float | None, by: str) -> None:
        """Let a claimed event wait again after a failure, or end it as failed (`seconds` is None)."""
        state = ResponseState.FAILED if seconds is None else ResponseState.WAITING
        due = None if seconds is None else self._clock() + timedelta(seconds=seconds)
        with self._db.write() as connection:
            self._end(connection, entry, state, reason=redact(reason), next_try=due)
            if seconds is None or entry.reason != redact(reason):  # once, not at every try
                details = {"reason": reason, "attempt": entry.attempts}
                self._audit.write(connection, "response.failed", entry.id, by=by, details=details)

    def _end(self, connection: sa.Connection, entry: Entry, state: ResponseState, **values: Any) -> None:
        """End a claim. An event that was revised meanwhile goes on waiting; what was done is kept."""
        lock(connection, "responses")
        now = _get(connection, entry.id)
        revised = now.fingerprint != entry.fingerprint
        if not revised and (now.state, now.attempts) != (ResponseState.WORKING, entry.attempts):
            raise CancelledRunError("another process has taken this event over", where=entry.id)
        if revised:
            values = {k: v for k, v in values.items() if k in {"answered", "dataset_id", "revision"}}
        else:
            values |= {"state": state, "lease_until": None}
        if values:
            changed = responses.update().where(responses.c.id == entry.id)
            connection.execute(changed.values(**values, updated=self._clock()))

    def due(self) -> bool:
        """Tell whether an event can be claimed now: a read, so that those who look hold up nobody."""
        now = self._clock()
        query = sa.select(responses.c.id).where(
            sa.or_(
                sa.and_(responses.c.state == ResponseState.WAITING, responses.c.next_try <= now),
                sa.and_(responses.c.state == ResponseState.WORKING, responses.c.lease_until < now),
            )
        )
        with self._db.read() as connection:
            return connection.scalar(query.limit(1)) is not None

    def get(self, event_id: str, *, prefix: str = "") -> Entry:
        """Return an event by its id (`prefix` before it) or that of any of its reports.

        NotFoundError when there is none.
        """
        with self._db.read() as connection:
            for entry in _select(connection):
                mine = entry.layer_id.startswith(prefix) and (":" in entry.layer_id) == bool(prefix)
                if mine and (
                    event_id in (entry.id, entry.id.removeprefix(prefix)) or event_id in entry.members
                ):
                    return entry
        raise NotFoundError("no such event was seen", where=event_id)

    def list(self, limit: int = 100) -> Entries:
        """Return events, newest first."""
        with self._db.read() as connection:
            return _select(connection, limit=limit)

    def trouble(self, since: datetime) -> int:
        """Count the events that wait after a failure, and those that failed for good since an instant."""
        failed = sa.and_(responses.c.state == ResponseState.FAILED, responses.c.updated >= since)
        again = sa.and_(responses.c.state == ResponseState.WAITING, responses.c.attempts > 0)
        with self._db.read() as connection:
            query = sa.select(sa.func.count()).select_from(responses).where(sa.or_(failed, again))
            return int(connection.scalar(query) or 0)

    def counts(self) -> dict[str, int]:
        """Return how many events are in each state."""
        query = sa.select(responses.c.state, sa.func.count()).group_by(responses.c.state)
        with self._db.read() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}


def _cursor(layer_id: str) -> str:
    return f"responses:{layer_id}"


def _queue(reason: str) -> dict[str, Any]:
    """Return the columns of an event that waits from now on, or is ignored for a reason."""
    state = ResponseState.IGNORED if reason else ResponseState.WAITING
    return {"state": state, "reason": reason, "attempts": 0, "next_try": _EPOCH, "lease_until": None}


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _select(connection: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None) -> Entries:
    query = sa.select(responses).where(*where).order_by(responses.c.at.desc(), responses.c.id).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def _get(connection: sa.Connection, event_id: str) -> Entry:
    return _entry(connection.execute(sa.select(responses).where(responses.c.id == event_id)).one())


def _entry(row: sa.Row[Any]) -> Entry:
    values = {name: row._mapping[name] for name in Entry.__dataclass_fields__}
    return Entry(**{**values, "members": tuple(row.members), "state": ResponseState(row.state)})
