"""The version writer of the PostGIS store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from catalog.errors import PublishError
from catalog.model import LayerSchema, VersionInfo
from layers.contract import Diff, FeatureBatch, WriteReport
from layers.diff import compare
from layers.files import check_layer_id
from layers.geopackage.build import indexed_fields
from layers.geopackage.format import SCHEMA
from layers.postgis.tables import (
    FIRST,
    LAST,
    build,
    columns_of,
    create_stage,
    fill_texts,
    order_of,
    stage_table,
    version_table,
)
from layers.prepare import Preparer, Row, refuse_twin
from layers.staging import SEED, fingerprint
from layers.texts import checksum
from layers.values import stored_form

if TYPE_CHECKING:
    from layers.postgis.store import PostgisStore


class PostgisWriter:
    """Stages pages in a table by COPY and makes one version of them in one transaction."""

    def __init__(self, store: PostgisStore, layer_id: str, schema: LayerSchema, stage: str) -> None:
        self.layer_id = check_layer_id(layer_id)
        self.schema = schema
        self._store = store
        self._stage = stage
        self._columns = columns_of(schema)
        self._preparer = Preparer(schema)
        self._name = stage_table(layer_id, stage)
        names = [*FIRST, *(f"c{i}" for i in range(len(schema.fields))), *LAST]
        self._copy = f"COPY layers_stage.{self._name} ({', '.join(names)}) FROM STDIN"
        self._table = f"layers_stage.{self._name}"
        with store.transaction() as db:
            self._ensure(db)

    def _ensure(self, db: psycopg.Connection[Any]) -> None:
        """Create the staging table unless an interrupted run left one for this very schema."""
        row = db.execute(
            "SELECT fingerprint FROM layers_stage.stage WHERE layer_id = %s AND stage = %s FOR UPDATE",
            (self.layer_id, self._stage),
        ).fetchone()
        if row is not None and row[0] == fingerprint(self.schema):
            return
        self._drop(db)
        db.execute(create_stage(self._name, self.schema))
        db.execute(
            "INSERT INTO layers_stage.stage (layer_id, stage, name, fingerprint) VALUES (%s, %s, %s, %s)",
            (self.layer_id, self._stage, self._name, fingerprint(self.schema)),
        )

    def _drop(self, db: psycopg.Connection[Any]) -> None:
        db.execute(f"DROP TABLE IF EXISTS {self._table}")
        db.execute("DELETE FROM layers_stage.page WHERE name = %s", (self._name,))
        db.execute("DELETE FROM layers_stage.stage WHERE name = %s", (self._name,))

    def _all(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self._store.transaction() as db:
            return db.execute(sql, params).fetchall()

    def staged_pages(self) -> set[str]:
        """Return keys of the pages already written by an interrupted run."""
        found = self._all("SELECT key FROM layers_stage.page WHERE name = %s", self._name)
        return {key for (key,) in found} - {_SEED}

    def write(self, page: str, batch: FeatureBatch) -> WriteReport:
        """Store one page in one transaction."""
        rows, report = self._preparer.page(batch)
        with self._store.transaction() as db:
            self._append(db, page, rows, report)
            self._mark(db, page, len(rows))
        return report

    def _mark(self, db: psycopg.Connection[Any], page: str, number: int) -> None:
        db.execute(
            "INSERT INTO layers_stage.page VALUES (%s, %s, %s) ON CONFLICT (name, key)"
            " DO UPDATE SET number = excluded.number",
            (self._name, page, number),
        )

    def _append(self, db: psycopg.Connection[Any], page: str, rows: list[Row], report: WriteReport) -> None:
        known = "SELECT 1 FROM layers_stage.page WHERE name = %s AND key = %s"
        if db.execute(known, (self._name, page)).fetchone():
            db.execute(f"DELETE FROM {self._table} WHERE page = %s", (page,))
        fresh = self._settle(db, rows, report)
        with db.cursor().copy(self._copy) as copy:
            for row in fresh:
                box = row.lonlat or (None,) * 4
                values = (row.id, page, row.digest, *box, *row.values, row.properties, row.wkb, row.geojson)
                copy.write_row(values)

    def _settle(self, db: psycopg.Connection[Any], rows: list[Row], report: WriteReport) -> list[Row]:
        """Drop staged twins that may be replaced and return the rows that may go in."""
        ids = [row.id for row in rows]
        sql = f"SELECT id, page, hash FROM {self._table} WHERE id = ANY(%s)"
        there = {i: (p, bytes(h)) for i, p, h in db.execute(sql, (ids,)).fetchall()}
        if not there:
            return rows
        fresh, replaced = [], []
        for row in rows:
            page, digest = there.get(row.id, ("", b""))
            if page and page != _SEED and digest != row.digest:
                refuse_twin(report, row.id, page)
                continue
            if page:
                replaced.append(row.id)
                report.written -= page != _SEED
            fresh.append(row)
        db.execute(f"DELETE FROM {self._table} WHERE id = ANY(%s)", (replaced,))
        return fresh

    def count(self) -> int:
        """Return the number of features staged."""
        return int(self._all(f"SELECT count(*) FROM {self._table}")[0][0])

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of `ids` that are not staged, in their order."""
        sql = (
            "SELECT i FROM unnest(%s::text[]) WITH ORDINALITY AS u(i, n) WHERE NOT EXISTS"
            f" (SELECT 1 FROM {self._table} t WHERE t.id = u.i) ORDER BY n"
        )
        return [i for (i,) in self._all(sql, list(ids))]

    def unexpected(self, ids: Sequence[str]) -> list[str]:
        """Return the staged ids that are not in `ids`."""
        sql = f"SELECT id FROM {self._table} WHERE id <> ALL(%s::text[]) ORDER BY id"
        known = set(ids)
        return [i for i, _ in self._hashes() if i not in known] if len(ids) > 1000 else [
            i for (i,) in self._all(sql, list(ids))
        ]  # fmt: skip

    def _hashes(self) -> Iterator[tuple[str, bytes]]:
        order = order_of(self.schema)
        yield from self._store.stream(f"SELECT id, hash FROM {self._table} ORDER BY {order}")

    def seed(self, version: int) -> None:
        """Take over an older version's rows; pages then replace them by id. Once per stage."""
        known = "SELECT 1 FROM layers_stage.page WHERE name = %s AND key = %s"
        if self._all(known, self._name, _SEED):
            return
        names = set(self.schema.names())
        reader = self._store.open_version(self.layer_id, version)
        report, total = WriteReport(), 0
        with self._store.transaction() as db:
            for batch in reader.batches(size=2000):
                kept = [{k: v for k, v in row.items() if k in names} for row in batch.rows]
                rows, more = self._preparer.page(FeatureBatch(batch.ids, kept, batch.geometries))
                self._append(db, _SEED, rows, report)
                total += len(rows)
                report.errors += [e for e in more.errors if e.severity == "error"]
            if report.errors:
                first = report.errors[0]
                raise PublishError(f"version {version} does not fit the new schema: {first.message}")
            self._mark(db, _SEED, total)

    def diff(self, version: int | None) -> Diff:
        """Compare what is staged with an older version (None: all is new)."""
        if version is None:
            return Diff(added=self.count(), updated=0, unchanged=0, removed=0)
        old = self._store.open_version(self.layer_id, version)
        return compare(self._hashes(), old.hashes(self.schema.integer_ids), self.schema.integer_ids)

    def finish(self, version: int, run_id: str) -> VersionInfo:
        """Make the version's tables, register them and drop staging, all in one transaction."""
        if version in self._store.versions(self.layer_id):
            raise PublishError(f"version {version} is there already", where=self.layer_id)
        name, count = version_table(self.layer_id, version), self.count()
        total = checksum(digest for _, digest in self._hashes())
        with self._store.transaction() as db:
            for statement in build(name, self._name, self.schema, indexed_fields(self.schema, count)):
                db.execute(statement)
            db.execute(fill_texts(name, self._name, self.schema))
            info = self._measure(db, name, version, run_id, count, total)
            schema = SCHEMA.dump_json(self.schema).decode()
            db.execute(
                "INSERT INTO layers.version (layer_id, version, name, schema, count) VALUES (%s,%s,%s,%s,%s)",
                (self.layer_id, version, name, schema, count),
            )
            self._drop(db)
        with self._store.transaction() as db:
            db.execute(f'ANALYZE layers."{name}"')
        self._check(info)
        return info

    def _measure(
        self, db: psycopg.Connection[Any], name: str, version: int, run_id: str, count: int, total: str
    ) -> VersionInfo:
        time_column = "NULL::text"
        if self.schema.time_field is not None:
            time_column = f"c{self.schema.names().index(self.schema.time_field)}"
        *box, first, last, stored = _one(
            db,
            f"SELECT min(w), min(s), max(e), max(n), min({time_column}), max({time_column}), count(*)"
            f" FROM {self._table}",
        )
        if stored != count:
            raise PublishError(f"{stored} rows of {count} staged", where=self.layer_id)
        size = _one(db, "SELECT pg_total_relation_size(%s::regclass) + pg_total_relation_size(%s::regclass)",
                    f'layers."{name}"', f'layers_texts."{name}"')[0]  # fmt: skip
        renamed = {field: column for field, column in self._columns.items() if field != column}
        return VersionInfo(
            layer_id=self.layer_id, version=version, kind="feature" if self.schema.geometry_type else "table",
            count=count, checksum=total, schema=self.schema,
            bbox=None if box[0] is None else (box[0], box[1], box[2], box[3]),
            time_start=_text(first), time_end=_text(last), size_bytes=int(size),
            created=self._store.clock(), run_id=run_id, extra={"columns": renamed} if renamed else {},
        )  # fmt: skip

    def _check(self, info: VersionInfo) -> None:
        try:
            self._store.verify(info, deep=False)
        except PublishError:
            self._store.remove(self.layer_id, info.version)
            raise

    def abort(self) -> None:
        """Throw the staged pages away."""
        with self._store.transaction() as db:
            self._drop(db)

    def close(self) -> None:
        """Let go; staging stays for a later run."""


_SEED = SEED.replace("\0", "\x01")
"""PostgreSQL's text can not hold NUL."""


def _one(db: psycopg.Connection[Any], sql: str, *params: Any) -> tuple[Any, ...]:
    row = db.execute(sql, params).fetchone()
    return tuple(row) if row is not None else ()


def _text(value: Any) -> str | None:
    found = stored_form(value)
    return None if found is None else str(found)
