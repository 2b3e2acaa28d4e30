"""The book of layer versions: which exist, in which state, and which one is current.

A version is immutable. One transaction moves the pointer (the one row in state `current`), writes
the audit line and raises the generation, so readers see the old version or the new one, never less.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa
from pydantic import TypeAdapter

from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.closed import refuse_closed
from catalog.database import Database, bump, lock
from catalog.errors import CancelledRunError, NotFoundError, PublishError
from catalog.model import RunState, VersionInfo
from catalog.tables import datasets, runs, versions

VersionState = Literal["staged", "held", "current", "old", "rejected", "removed"]
STATES: tuple[VersionState, ...] = get_args(VersionState)

type Entries = list[VersionEntry]  # named here because VersionBook has a method `list`
type Numbers = list[int]

_INFO = TypeAdapter(VersionInfo)


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version with its state. `published` is when it last became current (aware UTC)."""

    info: VersionInfo
    state: VersionState
    reason: str
    published: datetime | None


class VersionBook:
    """Registers versions and moves the pointer. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def register(
        self, info: VersionInfo, *, state: Literal["staged", "held"] = "staged", reason: str = ""
    ) -> None:
        """Record a version that the store has written.

        PublishError when its number is taken, ClosedError when it is closed and its dataset public.
        """
        row = {
            "layer_id": info.layer_id, "version": info.version, "state": state, "reason": reason,
            "run_id": info.run_id, "info": dump_info(info),
        }  # fmt: skip
        try:
            with self._db.write() as connection:
                refuse_closed(connection, info)
                connection.execute(versions.insert().values(row))
                self._log(connection, state, info.layer_id, info.version, info.run_id, reason)
        except sa.exc.IntegrityError as error:
            raise PublishError(f"{info.layer_id} version {info.version} is registered already") from error

    def make_current(self, layer_id: str, version: int, *, run_id: str = "", by: str) -> VersionInfo:
        """Publish a version.

        With `run_id`, only while that run is running: a worker that lost its lease publishes nothing
        (CancelledRunError).
        """
        with self._db.write() as connection:
            _fence(connection, run_id)
            return self._move(
                connection, layer_id, version, ("staged", "held", "old", "current"), "publish", by, "",
                run_id,
            )  # fmt: skip

    def rollback(self, layer_id: str, *, to: int | None = None, by: str, reason: str = "") -> VersionInfo:
        """Make an older version current again; by default the next older one."""
        with self._db.write() as connection:
            version = self._previous(connection, layer_id) if to is None else to
            return self._move(connection, layer_id, version, ("old", "current"), "rollback", by, reason)

    def accept(self, layer_id: str, version: int, *, by: str) -> VersionInfo:
        """Publish a version that a guard held."""
        with self._db.write() as connection:
            return self._move(connection, layer_id, version, ("held",), "accept", by, "")

    def reject(self, layer_id: str, version: int, *, by: str, reason: str) -> None:
        """Refuse a held (or staged) version for good."""
        with self._db.write() as connection:
            self._expect(connection, layer_id, version, ("held", "staged"))
            self._set(connection, layer_id, version, state="rejected", reason=reason)
            self._log(connection, "reject", layer_id, version, by, reason)
            bump(connection)

    def current(self, layer_id: str) -> VersionInfo | None:
        """Return the version that is served, or None."""
        query = sa.select(versions.c.info).where(
            versions.c.layer_id == layer_id, versions.c.state == "current"
        )
        with self._db.read() as connection:
            info = connection.scalar(query)
        return load_info(info) if info is not None else None

    def get(self, layer_id: str, version: int) -> VersionEntry:
        """Return one version; NotFoundError when there is none."""
        with self._db.read() as connection:
            return _entry(self._row(connection, layer_id, version))

    def list(self, layer_id: str) -> Entries:
        """Return every version ever registered, newest first."""
        query = sa.select(versions).where(versions.c.layer_id == layer_id).order_by(versions.c.version.desc())
        with self._db.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def held(self) -> Entries:
        """Return the versions of all layers that wait for a steward."""
        query = sa.select(versions).where(versions.c.state == "held")
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(versions.c.layer_id, versions.c.version))
            return [_entry(row) for row in rows]

    def prunable(self, layer_id: str, keep: int) -> Numbers:
        """Return the versions that may be deleted, oldest first.

        The current one and the `keep` - 1 newest old ones stay for roll-back; held and staged ones
        stay until decided; rejected ones may go at once.
        """
        old: Numbers = []
        rejected: Numbers = []
        for entry in self.list(layer_id):
            if entry.state == "old":
                old.append(entry.info.version)
            elif entry.state == "rejected":
                rejected.append(entry.info.version)
        return sorted(old[max(keep - 1, 0) :] + rejected)

    def mark_removed(self, layer_id: str, version: int, *, by: str) -> None:
        """Record that the store no longer has a version; the current one is refused (PublishError)."""
        with self._db.write() as connection:
            self._expect(connection, layer_id, version, ("old", "rejected", "staged", "held"))
            self._set(connection, layer_id, version, state="removed")
            self._log(connection, "remove", layer_id, version, by, "")
            bump(connection)

    def retire(self, layer_id: str, *, by: str) -> Numbers:
        """Record that the store no longer has any version of a dataset that was withdrawn; return them.

        PublishError while the dataset is served, or while somebody has to decide on a version.
        """
        with self._db.write() as connection:
            lock(connection, f"versions:{layer_id}")
            withdrawn = sa.select(datasets.c.withdrawn_at).where(datasets.c.id == layer_id)
            if connection.scalar(withdrawn) is None:
                raise PublishError("the dataset is served", where=layer_id)
            there = sa.select(versions.c.version).where(
                versions.c.layer_id == layer_id, versions.c.state != "removed"
            )
            numbers = list(connection.scalars(there.order_by(versions.c.version)))
            for version in numbers:
                self._expect(connection, layer_id, version, ("current", "old", "rejected"))
                self._set(connection, layer_id, version, state="removed")
                self._log(connection, "remove", layer_id, version, by, "")
            bump(connection)
        return numbers

    def _move(
        self,
        connection: sa.Connection,
        layer_id: str,
        version: int,
        allowed: tuple[VersionState, ...],
        action: str,
        by: str,
        reason: str,
        run_id: str = "",
    ) -> VersionInfo:
        lock(connection, f"versions:{layer_id}")
        row = self._expect(connection, layer_id, version, allowed)
        was = connection.scalar(
            sa.select(versions.c.version).where(
                versions.c.layer_id == layer_id, versions.c.state == "current"
            )
        )
        connection.execute(
            versions.update()
            .where(versions.c.layer_id == layer_id, versions.c.state == "current")
            .values(state="old")
        )
        self._set(connection, layer_id, version, state="current", reason=reason, published=self._clock())
        self._audit.write(
            connection, f"version.{action}", layer_id, by=by,
            details={"version": version, "was": was, "reason": reason, "run": run_id},
        )  # fmt: skip
        bump(connection)
        return load_info(row.info)

    def _expect(
        self, connection: sa.Connection, layer_id: str, version: int, allowed: tuple[VersionState, ...]
    ) -> sa.Row[Any]:
        row = self._row(connection, layer_id, version)
        if row.state not in allowed:
            raise PublishError(f"{layer_id} version {version} is {row.state}, not {' or '.join(allowed)}")
        return row

    def _row(self, connection: sa.Connection, layer_id: str, version: int) -> sa.Row[Any]:
        query = sa.select(versions).where(versions.c.layer_id == layer_id, versions.c.version == version)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"{layer_id} has no version {version}")
        return row

    def _previous(self, connection: sa.Connection, layer_id: str) -> int:
        current = sa.select(versions.c.version).where(
            versions.c.layer_id == layer_id, versions.c.state == "current"
        )
        query = sa.select(sa.func.max(versions.c.version)).where(
            versions.c.layer_id == layer_id,
            versions.c.state == "old",
            versions.c.version < current.scalar_subquery(),
        )
        version = connection.scalar(query)
        if version is None:
            raise NotFoundError(f"{layer_id} has no older version to go back to")
        return int(version)

    def _set(self, connection: sa.Connection, layer_id: str, version: int, **values: Any) -> None:
        connection.execute(
            versions.update()
            .where(versions.c.layer_id == layer_id, versions.c.version == version)
            .values(**values)
        )

    def _log(
        self, connection: sa.Connection, action: str, layer_id: str, version: int, by: str, reason: str
    ) -> None:
        details = {"version": version, "reason": reason}
        self._audit.write(connection, f"version.{action}", layer_id, by=by, details=details)


def dump_info(info: VersionInfo) -> dict[str, Any]:
    """Return a version's facts as plain JSON values."""
    dumped: dict[str, Any] = _INFO.dump_python(info, mode="json")
    return dumped


def load_info(value: dict[str, Any]) -> VersionInfo:
    """Return what `dump_info` wrote."""
    return _INFO.validate_python(value)


def _entry(row: sa.Row[Any]) -> VersionEntry:
    return VersionEntry(load_info(row.info), row.state, row.reason, row.published)


def _fence(connection: sa.Connection, run_id: str) -> None:
    if not run_id:
        return
    state = connection.scalar(sa.select(runs.c.state).where(runs.c.id == run_id).with_for_update())
    if state is not None and state != RunState.RUNNING:
        raise CancelledRunError(f"run {run_id} has ended ({state}); nothing was published")
