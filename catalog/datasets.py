"""The book of datasets: what a source says and what a steward says, apart, merged when read.

The harvested record is replaced by each harvest; the overlay holds only the fields that a steward
set and survives every harvest. For each overlaid field we keep what the source said at the time of
the edit: when the source now says something else, the reader gets a notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from catalog import curation, dataset_index, search
from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.closed import ClosedError, refuse_public
from catalog.curation import SourceChange
from catalog.database import Database, bump
from catalog.errors import GoneError, NotFoundError, PublishError
from catalog.model import DatasetRecord, Kind, VersionInfo, identity
from catalog.search import SearchQuery
from catalog.tables import datasets, versions
from catalog.versions import load_info

Change = Literal["added", "updated", "unchanged"]
Origin = Literal["harvested", "overlay"]
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Why and when a dataset was withdrawn (aware UTC)."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset as readers see it.

    `record` is the merged one; `provenance` says for each field that is set who set it; `notices`
    are sentences in Indonesian, `changes` the same as data (for other languages); `also_at` are the
    ids of the same dataset from other sources, best rank first.
    """

    id: str
    uuid: UUID
    source_id: str
    remote_id: str
    kind: Kind
    record: DatasetRecord
    harvested: DatasetRecord
    overlay: dict[str, Any]
    provenance: dict[str, Origin]
    notices: list[str]
    version: VersionInfo | None
    missing_since: datetime | None
    created: datetime
    updated: datetime
    rank: int
    also_at: list[str]
    changes: list[SourceChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of datasets, how many match in all, and per facet how many have each value."""

    total: int
    items: list[Dataset]
    facets: dict[str, dict[str, int]]


class DatasetBook:
    """Writes and reads datasets. Every writing method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def put(
        self,
        dataset_id: str,
        *,
        source_id: str,
        remote_id: str,
        kind: Kind,
        record: DatasetRecord,
        run_id: str,
        rank: int = 100,
    ) -> Change:
        """Store what the source says now; the overlay stays. Revives a tombstone.

        Raises PublishError when a living dataset of another source has this id, ClosedError when it is
        to be public and may not.
        """
        said = {
            "source_id": source_id, "remote_id": remote_id, "kind": kind, "rank": rank,
            "uuid": str(identity(source_id, remote_id)), "harvested": curation.dump(record),
        }  # fmt: skip
        try:
            return self._put(dataset_id, said, run_id)
        except IntegrityError:  # another process added it between our look and our insert
            return self._put(dataset_id, said, run_id)

    def mark_missing(self, source_id: str, seen: Set[str], run_id: str, at: datetime) -> list[Dataset]:
        """After a complete listing: note what the source no longer has, clear what it has again.

        `seen` are remote ids. Returns every dataset that is missing now, also from earlier runs.
        """
        with self._db.write() as connection:
            rows = connection.execute(
                sa.select(datasets.c.id, datasets.c.remote_id, datasets.c.missing_since).where(
                    datasets.c.source_id == source_id, datasets.c.withdrawn_at.is_(None)
                )
            ).all()
            gone = [row for row in rows if row.remote_id not in seen]
            fresh = [row.id for row in gone if row.missing_since is None]
            back = [row.id for row in rows if row.remote_id in seen and row.missing_since is not None]
            for ids, since, action in ((fresh, at, "dataset.missing"), (back, None, "dataset.back")):
                for dataset_id in ids:
                    connection.execute(
                        datasets.update().where(datasets.c.id == dataset_id).values(missing_since=since)
                    )
                    self._audit.write(connection, action, dataset_id, by=source_id, details={"run": run_id})
            if fresh or back:
                bump(connection)
        return self.many([row.id for row in gone])

    def tombstone(self, dataset_id: str, *, reason: str, by: str) -> None:
        """Withdraw a dataset; from now on `get` raises GoneError with the reason."""
        with self._db.write() as connection:
            row = _row(connection, dataset_id, lock=True)
            if row is None:
                raise NotFoundError(f"no dataset {dataset_id!r}")
            connection.execute(
                datasets.update()
                .where(datasets.c.id == dataset_id)
                .values(withdrawn_at=self._clock(), withdrawn_reason=reason)
            )
            dataset_index.clear(connection, dataset_id)
            self._audit.write(connection, "dataset.withdraw", dataset_id, by=by, details={"reason": reason})
            bump(connection)

    def tombstones(self) -> dict[str, Tombstone]:
        """Return the withdrawn datasets by id."""
        query = sa.select(datasets.c.id, datasets.c.withdrawn_reason, datasets.c.withdrawn_at)
        with self._db.read() as connection:
            rows = connection.execute(query.where(datasets.c.withdrawn_at.is_not(None)))
            return {row.id: Tombstone(row.withdrawn_reason, row.withdrawn_at) for row in rows}

    def get(self, dataset_id: str) -> Dataset:
        """Return a dataset; NotFoundError when there never was one, GoneError when withdrawn."""
        found = self.find(dataset_id)
        if found is not None:
            return found
        with self._db.read() as connection:
            row = _row(connection, dataset_id)
        if row is not None:
            raise GoneError(row.withdrawn_reason, where=dataset_id)
        raise NotFoundError(f"no dataset {dataset_id!r}")

    def find(self, dataset_id: str) -> Dataset | None:
        """Return a dataset, or None when there is none (or it is withdrawn)."""
        found = self.many([dataset_id])
        return found[0] if found else None

    def many(self, dataset_ids: Iterable[str]) -> list[Dataset]:
        """Return the living ones of some datasets, in the order asked."""
        found: list[Dataset] = []
        with self._db.read() as connection:
            for chunk in batched(dataset_ids, _CHUNK, strict=False):
                found.extend(_load(connection, list(chunk)))
        return found

    def by_remote(self, source_id: str, remote_id: str) -> list[Dataset]:
        """Return what we hold of one thing at the source, whatever its title was then or is now."""
        query = sa.select(datasets.c.id).where(
            datasets.c.source_id == source_id, datasets.c.remote_id == remote_id
        )
        with self._db.read() as connection:
            ids = list(connection.scalars(query.order_by(datasets.c.id)))
        return self.many(ids)

    def ids(
        self, kind: Kind | None = None, access: str | None = None, source_id: str | None = None
    ) -> list[str]:
        """Return the ids of the living datasets, sorted."""
        query = sa.select(datasets.c.id).where(datasets.c.withdrawn_at.is_(None))
        if kind is not None:
            query = query.where(datasets.c.kind == kind)
        if access is not None:
            query = query.where(datasets.c.access == access)
        if source_id is not None:
            query = query.where(datasets.c.source_id == source_id)
        with self._db.read() as connection:
            return list(connection.scalars(query.order_by(datasets.c.id)))

    def all(self) -> Iterator[Dataset]:
        """Yield every living dataset in id order."""
        for chunk in batched(self.ids(), _CHUNK, strict=False):
            yield from self.many(chunk)

    def overlay(self, dataset_id: str, changes: dict[str, Any], *, by: str, note: str = "") -> None:
        """Set fields by hand; of a text in two languages only those given are set.

        Raises RecordError for an unknown field or a value that does not fit, ClosedError (noted in the
        audit) when the dataset would be public and may not.
        """
        clean = curation.checked(changes)
        with self._noted(dataset_id, by), self._db.write() as connection:
            row = self._living(connection, dataset_id)
            before = {name: row.overlay.get(name) for name in clean}
            base = row.overlay_base | {name: row.harvested.get(name) for name in clean}
            clean = curation.joined(row.overlay, clean)  # an edit of one language keeps the other
            self._set_overlay(connection, row, row.overlay | clean, base)
            self._audit.write(
                connection, "dataset.edit", dataset_id, by=by,
                details={"before": before, "after": clean, "note": note},
            )  # fmt: skip
            bump(connection)

    def clear_overlay(self, dataset_id: str, fields: Iterable[str], *, by: str) -> None:
        """Give fields back to the source."""
        names = curation.known(fields)
        with self._noted(dataset_id, by), self._db.write() as connection:
            row = self._living(connection, dataset_id)
            before = {name: row.overlay[name] for name in names if name in row.overlay}
            kept = {name: value for name, value in row.overlay.items() if name not in names}
            base = {name: value for name, value in row.overlay_base.items() if name not in names}
            self._set_overlay(connection, row, kept, base)
            self._audit.write(connection, "dataset.clear", dataset_id, by=by, details={"before": before})
            bump(connection)

    def search(self, query: SearchQuery) -> SearchResult:
        """Answer a question; QueryError when it is malformed. Any text in `q` is fine."""
        with self._db.read() as connection:
            hits = search.run(connection, query)
            return SearchResult(hits.total, _load(connection, hits.ids), hits.facets)

    def _put(self, dataset_id: str, said: dict[str, Any], run_id: str) -> Change:
        with self._db.write() as connection:
            row = _row(connection, dataset_id, lock=True)
            if row is None:
                return self._add(connection, dataset_id, said, run_id)
            return self._renew(connection, row, said, run_id)

    def _add(self, connection: sa.Connection, dataset_id: str, said: dict[str, Any], run_id: str) -> Change:
        now = self._clock()
        merged = curation.merge(said["harvested"], {})
        refuse_public(connection, dataset_id, merged.access)
        connection.execute(
            datasets.insert().values(
                id=dataset_id, overlay={}, overlay_base={}, run_id=run_id, created=now, updated=now,
                withdrawn_reason="", **said, **dataset_index.columns(merged, dataset_id),
            )
        )  # fmt: skip
        dataset_index.write(connection, dataset_id, merged)
        self._audit.write(
            connection, "dataset.add", dataset_id, by=said["source_id"], details={"run": run_id}
        )
        bump(connection)
        return "added"

    def _renew(
        self, connection: sa.Connection, row: sa.Row[Any], said: dict[str, Any], run_id: str
    ) -> Change:
        revived = row.withdrawn_at is not None
        if row.source_id != said["source_id"] and not revived:
            raise PublishError(
                f"the id {row.id!r} belongs to source {row.source_id!r}",
                where=said["source_id"],
                hint="Give the layer another `id`, or withdraw the old dataset first.",
            )
        changed = {name for name, value in said.items() if getattr(row, name) != value}
        if not changed and not revived and row.missing_since is None:
            return "unchanged"
        merged = curation.merge(said["harvested"], row.overlay)
        refuse_public(connection, row.id, merged.access)
        fresh = {"updated": self._clock(), "run_id": run_id} if changed or revived else {}
        connection.execute(
            datasets.update()
            .where(datasets.c.id == row.id)
            .values(
                missing_since=None, withdrawn_at=None, withdrawn_reason="", **said, **fresh,
                **dataset_index.columns(merged, row.id),
            )
        )  # fmt: skip
        dataset_index.clear(connection, row.id)
        dataset_index.write(connection, row.id, merged)
        self._log_renewal(connection, row, said, run_id, changed, revived)
        bump(connection)
        return "added" if revived else "updated" if changed else "unchanged"

    def _log_renewal(
        self,
        connection: sa.Connection,
        row: sa.Row[Any],
        said: dict[str, Any],
        run_id: str,
        changed: set[str],
        revived: bool,
    ) -> None:
        was, now = row.harvested, said["harvested"]
        fields = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
        under_edit = [name for name in fields if name in row.overlay]
        action = "dataset.revive" if revived else "dataset.update" if changed else "dataset.back"
        details = {"run": run_id, "fields": fields, "under_edit": under_edit}
        self._audit.write(connection, action, row.id, by=said["source_id"], details=details)

    def _living(self, connection: sa.Connection, dataset_id: str) -> sa.Row[Any]:
        row = _row(connection, dataset_id, lock=True)
        if row is None:
            raise NotFoundError(f"no dataset {dataset_id!r}")
        if row.withdrawn_at is not None:
            raise GoneError(row.withdrawn_reason, where=dataset_id)
        return row

    @contextmanager
    def _noted(self, dataset_id: str, by: str) -> Iterator[None]:
        """Keep in the audit who tried to open what is closed; the change itself is undone."""
        try:
            yield
        except ClosedError as error:
            details = {"code": error.code, **error.params}
            self._audit.append("dataset.refuse", dataset_id, by=by, details=details)
            raise

    def _set_overlay(
        self, connection: sa.Connection, row: sa.Row[Any], overlay: dict[str, Any], base: dict[str, Any]
    ) -> None:
        merged = curation.merge(row.harvested, overlay)
        refuse_public(connection, row.id, merged.access)
        connection.execute(
            datasets.update()
            .where(datasets.c.id == row.id)
            .values(
                overlay=overlay, overlay_base=base, updated=self._clock(),
                **dataset_index.columns(merged, row.id),
            )
        )  # fmt: skip
        dataset_index.clear(connection, row.id)
        dataset_index.write(connection, row.id, merged)


def _row(connection: sa.Connection, dataset_id: str, *, lock: bool = False) -> sa.Row[Any] | None:
    query = sa.select(datasets).where(datasets.c.id == dataset_id)
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


_LIVING = (
    sa.select(datasets, versions.c.info)
    .outerjoin(versions, sa.and_(versions.c.layer_id == datasets.c.id, versions.c.state == "current"))
    .where(datasets.c.id.in_(sa.bindparam("ids", expanding=True)), datasets.c.withdrawn_at.is_(None))
)


def _load(connection: sa.Connection, ids: list[str]) -> list[Dataset]:
    if not ids:
        return []
    rows = {row.id: row for row in connection.execute(_LIVING, {"ids": ids})}
    also = dataset_index.also_at(connection, ids)
    return [_dataset(rows[i], also.get(i, [])) for i in ids if i in rows]


def _dataset(row: sa.Row[Any], also_at: list[str]) -> Dataset:
    harvested = DatasetRecord.model_validate(row.harvested)
    changes = curation.source_changes(row.harvested, row.overlay, row.overlay_base)
    return Dataset(
        id=row.id, uuid=UUID(row.uuid), source_id=row.source_id, remote_id=row.remote_id, kind=row.kind,
        record=curation.merge(row.harvested, row.overlay) if row.overlay else harvested.model_copy(),
        harvested=harvested,
        overlay=row.overlay,
        provenance=dict.fromkeys(row.harvested, "harvested") | dict.fromkeys(row.overlay, "overlay"),
        notices=[change.text() for change in changes], changes=changes,
        version=load_info(row.info) if row.info is not None else None,
        missing_since=row.missing_since, created=row.created, updated=row.updated, rank=row.rank,
        also_at=also_at,
    )  # fmt: skip
