"""The version writer of the embedded store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import PublishError
from catalog.model import LayerSchema, VersionInfo
from layers.columns import column_names
from layers.contract import Diff, FeatureBatch, WriteReport
from layers.diff import compare
from layers.files import LayerFiles
from layers.geopackage.build import build_gpkg, build_texts, extent
from layers.geopackage.sqlite import drop_files, storage_errors, sync
from layers.prepare import Preparer
from layers.staging import SEED, Staging

if TYPE_CHECKING:
    from layers.geopackage.store import GeoPackageStore


class GeoPackageWriter:
    """Stages pages in a SQLite file and builds one immutable version from them."""

    def __init__(self, store: GeoPackageStore, layer_id: str, schema: LayerSchema, stage: str) -> None:
        self.layer_id = layer_id
        self.schema = schema
        self._store = store
        self._files = LayerFiles(store.root, layer_id)
        self._columns = column_names(schema)
        self._preparer = Preparer(schema)
        with storage_errors(layer_id):
            self._staging = Staging(self._files.stage(stage), schema)

    def staged_pages(self) -> set[str]:
        """Return keys of the pages already written by an interrupted run."""
        return self._staging.pages()

    def write(self, page: str, batch: FeatureBatch) -> WriteReport:
        """Store one page in one transaction."""
        rows, report = self._preparer.page(batch)
        with storage_errors(self.layer_id):
            self._staging.put(page, rows, report)
        return report

    def count(self) -> int:
        """Return the number of features staged."""
        return self._staging.count()

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of `ids` that are not staged."""
        return self._staging.missing(ids)

    def unexpected(self, ids: Sequence[str]) -> list[str]:
        """Return the staged ids that are not in `ids`."""
        known = set(ids)
        return [feature_id for feature_id, _ in self._staging.ids() if feature_id not in known]

    def seed(self, version: int) -> None:
        """Take over an older version's rows; pages then replace them by id. Once per stage."""
        if self._staging.seeded():
            return
        names = set(self.schema.names())
        reader = self._store.open_version(self.layer_id, version)
        report, total = WriteReport(), 0
        with storage_errors(self.layer_id):
            self._staging.db.execute("BEGIN IMMEDIATE")
            try:
                for batch in reader.batches(size=2000):
                    kept = [{k: v for k, v in row.items() if k in names} for row in batch.rows]
                    rows, more = self._preparer.page(FeatureBatch(batch.ids, kept, batch.geometries))
                    self._staging.append(SEED, rows, report)
                    total += len(rows)
                    report.errors += [e for e in more.errors if e.severity == "error"]
                if report.errors:
                    first = report.errors[0]
                    raise PublishError(f"version {version} does not fit the new schema: {first.message}")
                self._staging.mark(SEED, total)
                self._staging.db.execute("COMMIT")
            finally:
                if self._staging.db.in_transaction:
                    self._staging.db.execute("ROLLBACK")

    def diff(self, version: int | None) -> Diff:
        """Compare what is staged with an older version (None: all is new)."""
        if version is None:
            return Diff(added=self.count(), updated=0, unchanged=0, removed=0)
        old, numeric = self._store.open_version(self.layer_id, version), self.schema.integer_ids
        try:
            return compare(self._staging.ids(), old.hashes(numeric), numeric)
        finally:
            old.close()

    def finish(self, version: int, run_id: str) -> VersionInfo:
        """Build the files beside, read them back, move them into place; staging goes away."""
        if version in self._files.versions():
            raise PublishError(f"version {version} is there already", where=self.layer_id)
        parts = tuple(p.with_name(p.name + ".part") for p in self._files.all(version))
        try:
            with storage_errors(self.layer_id):
                drop_files(*parts)
                info = self._build(version, run_id, *parts)
                self._place(version, parts)
        finally:
            drop_files(*parts)
        self._check(info)
        self._staging.drop()
        return info

    def _build(self, version: int, run_id: str, texts: Path, index: Path, gpkg: Path) -> VersionInfo:
        span = extent(self._staging)
        written, checksum = build_texts(texts, index, self._staging)
        count = build_gpkg(gpkg, self.layer_id, self._columns, self._staging, span.bounds)
        if count != written or count != self.count():
            raise PublishError(
                f"{count} rows and {written} texts of {self.count()} staged", where=self.layer_id
            )
        renamed = {name: column for name, column in self._columns.items() if name != column}
        return VersionInfo(
            layer_id=self.layer_id, version=version, kind="feature" if self.schema.geometry_type else "table",
            count=count, checksum=checksum, schema=self.schema, bbox=span.lonlat, time_start=span.time[0],
            time_end=span.time[1], size_bytes=sum(p.stat().st_size for p in (texts, index, gpkg)),
            created=self._store.clock(), run_id=run_id, extra={"columns": renamed} if renamed else {},
        )  # fmt: skip

    def _check(self, info: VersionInfo) -> None:
        """Read the placed files back; a version that fails is taken away again."""
        try:
            self._store.verify(info, deep=False)
        except PublishError:
            self._store.remove(self.layer_id, info.version)
            raise

    def _place(self, version: int, parts: Sequence[Path]) -> None:
        """Make the files durable and read-only; the GeoPackage comes last and makes the version exist."""
        for part in parts:
            part.chmod(0o444)
            sync(part)
        for part, final in zip(parts, self._files.all(version), strict=True):
            part.replace(final)
        sync(self._files.folder)

    def abort(self) -> None:
        """Throw the staged pages away."""
        self._staging.drop()

    def close(self) -> None:
        """Let go of the staging file, which stays for a later run."""
        self._staging.close()
