"""Staging of the embedded store: one SQLite file, one transaction per page, kept over kill -9."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import orjson

from catalog.model import LayerSchema
from layers.contract import WriteReport
from layers.geopackage.format import header, is_point, srs_id
from layers.geopackage.sqlite import drop_files
from layers.prepare import Row, refuse_twin

SEED = "\0seed"
"""Page key of rows taken over from an older version; any other page may replace them."""
_FIRST = ("id", "page", "hash", "minx", "miny", "maxx", "maxy", "w", "s", "e", "n")
_LAST = ("properties", "geom", "geojson")
_NOWHERE = (None,) * 8


def fingerprint(schema: LayerSchema) -> str:
    """Return a hash of all that decides how rows are stored."""
    shape = [[f.name, f.type] for f in schema.fields]
    rest = [schema.geometry_type, schema.crs, schema.integer_ids]
    return sha256(orjson.dumps([shape, rest])).hexdigest()


class Staging:
    """Rows of a version in the making, in the order they came."""

    def __init__(self, path: Path, schema: LayerSchema) -> None:
        self.path = path
        self.schema = schema
        self.columns = [f"c{i}" for i in range(len(schema.fields))]
        self._srs, self._point = srs_id(schema.crs) if schema.geometry_type else 0, is_point(schema)
        names = [*_FIRST, *self.columns, *_LAST]
        marks = ",".join("?" * len(names))
        self._insert = f"INSERT INTO item ({','.join(names)}) VALUES ({marks})"
        self.db = self._open()
        if not self._fits():
            self.db.close()
            drop_files(path)
            self.db = self._open()
            self._create()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -16000")
        db.execute("PRAGMA temp_store = FILE")
        return db

    def _fits(self) -> bool:
        """Tell whether the file was made for this schema (an interrupted run's may be older)."""
        try:
            row = self.db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        except sqlite3.Error:
            return False
        return row is not None and row[0] == fingerprint(self.schema)

    def _create(self) -> None:
        columns = "".join(f", {c}" for c in self.columns)
        self.db.execute("BEGIN")
        self.db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value)")
        self.db.execute("CREATE TABLE page (key TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        self.db.execute(
            "CREATE TABLE item (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, page TEXT NOT NULL,"
            " hash BLOB NOT NULL, minx, miny, maxx, maxy, w, s, e, n"
            f"{columns}, properties BLOB, geom BLOB, geojson BLOB)"
        )
        self.db.execute("CREATE UNIQUE INDEX item_id ON item (id)")
        if self.schema.integer_ids:
            self.db.execute(f"CREATE INDEX item_number ON item ({self.order})")
        self.db.execute("INSERT INTO meta VALUES ('schema', ?)", (fingerprint(self.schema),))
        self.db.execute("COMMIT")

    @property
    def order(self) -> str:
        """Return the ORDER BY of id order."""
        return "CAST(id AS INTEGER), id" if self.schema.integer_ids else "id"

    def pages(self) -> set[str]:
        """Return the keys of the pages that were committed, without the seed."""
        return {key for (key,) in self.db.execute("SELECT key FROM page")} - {SEED}

    def seeded(self) -> bool:
        """Tell whether the seed was committed."""
        return self.db.execute("SELECT 1 FROM page WHERE key = ?", (SEED,)).fetchone() is not None

    def put(self, page: str, rows: list[Row], report: WriteReport) -> None:
        """Store a page in one transaction; a page that is written again replaces itself."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.append(page, rows, report)
            self.mark(page, len(rows))
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def mark(self, page: str, number: int) -> None:
        """Note that a page is complete."""
        self.db.execute("INSERT OR REPLACE INTO page VALUES (?,?)", (page, number))

    def append(self, page: str, rows: list[Row], report: WriteReport) -> None:
        """Insert rows inside the caller's transaction; what is there already is settled first."""
        if self.db.execute("SELECT 1 FROM page WHERE key = ?", (page,)).fetchone():
            self.db.execute("DELETE FROM item WHERE page = ?", (page,))
        fresh = self._settle(rows, report)
        self.db.executemany(self._insert, map(self._values, [page] * len(fresh), fresh))

    def _settle(self, rows: list[Row], report: WriteReport) -> list[Row]:
        """Drop staged twins that may be replaced and return the rows that may go in."""
        there = self._staged(rows)
        if not there:
            return rows
        fresh, replaced = [], []
        for row in rows:
            page, digest = there.get(row.id, ("", b""))
            if page and page != SEED and digest != row.digest:
                refuse_twin(report, row.id, page)
                continue
            if page:
                replaced.append((row.id,))
                report.written -= page != SEED
            fresh.append(row)
        self.db.executemany("DELETE FROM item WHERE id = ?", replaced)
        return fresh

    def _staged(self, rows: list[Row]) -> dict[str, tuple[str, bytes]]:
        ids = orjson.dumps([row.id for row in rows]).decode()
        found = self.db.execute(
            "SELECT item.id, item.page, item.hash FROM json_each(?) j JOIN item ON item.id = j.value", (ids,)
        )
        return {feature_id: (page, digest) for feature_id, page, digest in found}

    def _values(self, page: str, row: Row) -> tuple[object, ...]:
        fixed = (row.id, page, row.digest)
        if row.wkb is None or row.bounds is None or row.lonlat is None:
            return (*fixed, *_NOWHERE, *row.values, row.properties, None, row.geojson)
        blob = header(self._srs, row.bounds, self._point) + row.wkb
        return (*fixed, *row.bounds, *row.lonlat, *row.values, row.properties, blob, row.geojson)

    def count(self) -> int:
        """Return the number of rows."""
        return int(self.db.execute("SELECT count(*) FROM item").fetchone()[0])

    def ids(self) -> Iterator[tuple[str, bytes]]:
        """Stream (id, hash) in id order."""
        rows: Iterator[tuple[str, bytes]] = self.db.execute(
            f"SELECT id, hash FROM item ORDER BY {self.order}"
        )
        return rows

    def missing(self, ids: Sequence[str], *, step: int = 5000) -> list[str]:
        """Return those of `ids` that are not staged, in their order."""
        found: list[str] = []
        for at in range(0, len(ids), step):
            some = orjson.dumps(list(ids[at : at + step])).decode()
            sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM item) ORDER BY key"
            found += [value for (value,) in self.db.execute(sql, (some,))]
        return found

    def close(self) -> None:
        """Close; the file stays."""
        self.db.close()

    def __del__(self) -> None:
        if hasattr(self, "db"):
            self.db.close()

    def drop(self) -> None:
        """Throw the file away."""
        self.close()
        drop_files(self.path)
