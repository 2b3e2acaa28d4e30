"""The outbox: notices are written in the transaction of what they tell, and sent until delivered.

At least once: a receiver may see one twice (we died between its answer and our note), always with the
same CloudEvent `id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.database import Database, lock
from catalog.secrets import redact
from catalog.tables import notices, storable

_FIRST, _LONGEST = 15.0, 1800.0
"""Seconds between tries: doubled from the first to the longest."""


class NoticeState(StrEnum):
    """Where a notice stands."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of ours on its way through one channel."""

    number: int
    event_id: str
    channel: str
    body: dict[str, Any]
    state: NoticeState
    attempts: int
    next_try: datetime
    reason: str
    created: datetime
    finished: datetime | None


class Outbox:
    """Writes and reads notices. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db, self._clock, self._audit = database, clock, audit

    def put(self, connection: sa.Connection, body: Mapping[str, Any], channels: Iterable[str]) -> None:
        """Add a notice per channel in the caller's transaction; one that stands there already stays."""
        now = self._clock()
        known = set(connection.scalars(sa.select(notices.c.channel).where(notices.c.event_id == body["id"])))
        for channel in channels:
            if channel not in known:
                connection.execute(
                    notices.insert().values(
                        event_id=body["id"], channel=channel, body=storable(dict(body)),
                        state=NoticeState.WAITING, attempts=0, next_try=now, reason="", created=now,
                    )
                )  # fmt: skip

    def add(self, body: Mapping[str, Any], channels: Iterable[str]) -> None:
        """Add a notice per channel."""
        with self._db.write() as connection:
            self.put(connection, body, channels)

    def claim(self, *, lease_seconds: float) -> Notice | None:
        """Take the oldest notice that is due; None when none is."""
        now = self._clock()
        with self._db.write() as connection:
            lock(connection, "notices")
            number = connection.scalar(
                sa.select(notices.c.number).where(_due(now)).order_by(notices.c.number).limit(1)
            )
            if number is None:
                return None
            connection.execute(
                notices.update()
                .where(notices.c.number == number)
                .values(
                    state=NoticeState.SENDING, attempts=notices.c.attempts + 1,
                    lease_until=now + timedelta(seconds=lease_seconds),
                )
            )  # fmt: skip
            return _notice(connection.execute(sa.select(*_SHOWN).where(notices.c.number == number)).one())

    def delivered(self, notice: Notice) -> None:
        """End a notice that its receiver took."""
        self._set(notice, state=NoticeState.DELIVERED, reason="", finished=self._clock(), lease_until=None)

    def failed(self, notice: Notice, reason: str, *, keep_hours: float, final: bool = False) -> bool:
        """Let a notice wait for its next try; give it up when it is too old or `final`. True: given up."""
        now = self._clock()
        wait = min(_FIRST * 2 ** (notice.attempts - 1), _LONGEST)
        over = final or now + timedelta(seconds=wait) > notice.created + timedelta(hours=keep_hours)
        if not over:
            due = now + timedelta(seconds=wait)
            values: dict[str, Any] = {"state": NoticeState.WAITING, "next_try": due}
        else:
            values = {"state": NoticeState.GIVEN_UP, "finished": now}
        self._set(notice, **values, reason=redact(reason)[:500], lease_until=None)
        if over:
            details = {"channel": notice.channel, "attempts": notice.attempts, "reason": reason}
            self._audit.append("notice.given-up", notice.event_id, by="respons-cepat", details=details)
        return over

    def due(self) -> bool:
        """Tell whether a notice can be sent now (a read)."""
        with self._db.read() as connection:
            found = connection.scalar(sa.select(notices.c.number).where(_due(self._clock())).limit(1))
        return found is not None

    def list(self, limit: int = 100) -> list[Notice]:
        """Return notices, newest first."""
        query = sa.select(*_SHOWN).order_by(notices.c.number.desc()).limit(limit)
        with self._db.read() as connection:
            return [_notice(row) for row in connection.execute(query)]

    def trouble(self, since: datetime) -> int:
        """Count the notices that wait after a failure, and those given up since an instant."""
        gone = sa.and_(notices.c.state == NoticeState.GIVEN_UP, notices.c.finished >= since)
        again = sa.and_(notices.c.state == NoticeState.WAITING, notices.c.attempts > 0)
        with self._db.read() as connection:
            query = sa.select(sa.func.count()).select_from(notices).where(sa.or_(gone, again))
            return int(connection.scalar(query) or 0)

    def counts(self) -> dict[str, int]:
        """Return how many notices are in each state."""
        query = sa.select(notices.c.state, sa.func.count()).group_by(notices.c.state)
        with self._db.read() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def _set(self, notice: Notice, **values: Any) -> None:
        mine = sa.and_(notices.c.number == notice.number, notices.c.attempts == notice.attempts)
        with self._db.write() as connection:
            connection.execute(notices.update().where(mine).values(**values))


_SHOWN = [notices.c[name] for name in Notice.__dataclass_fields__]


def _due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.and_(notices.c.state == NoticeState.WAITING, notices.c.next_try <= now),
        sa.and_(notices.c.state == NoticeState.SENDING, notices.c.lease_until < now),
    )


def _notice(row: sa.Row[Any]) -> Notice:
    return Notice(**{**row._mapping, "state": NoticeState(row.state)})
