"""Who did what to what, when. Rows are only ever added: triggers in the database hold that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import sqlalchemy as sa

from catalog.clock import Clock
from catalog.database import Database
from catalog.secrets import redact
from catalog.tables import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log. `subject` is a dataset, layer, source or run id."""

    number: int
    at: datetime
    action: str
    subject: str
    by: str
    details: dict[str, Any]


class AuditLog:
    """The append-only log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def append(self, action: str, subject: str, *, by: str, details: dict[str, Any] | None = None) -> None:
        """Add a line in a transaction of its own."""
        with self._db.write() as connection:
            self.write(connection, action, subject, by=by, details=details)

    def write(
        self,
        connection: sa.Connection,
        action: str,
        subject: str,
        *,
        by: str,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Add a line in the caller's transaction, so that change and record stand or fall together."""
        connection.execute(
            audit.insert().values(
                at=self._clock(), action=action, subject=subject, actor=by, details=clean(details or {})
            )
        )

    def list(self, subject: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Return the newest lines first."""
        query = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._db.read() as connection:
            return [
                AuditEntry(row.number, row.at, row.action, row.subject, row.actor, row.details)
                for row in connection.execute(query)
            ]


def clean(value: Any) -> Any:
    """Make a value fit for JSON, with secrets and NIK-like numbers taken out of its texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {str(key): clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(inner) for inner in value]
    plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
    return value if plain else redact(str(value))
