"""What the processes work on, opened once per server process and renewed when a layer has a new version.

Only layers that anybody may see are ever opened: the answers are public.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa

from analysis.affected import Aggregates
from analysis.inputs import BoundaryColumns, aggregates_of, facilities_of, index_of_reader, reference_for
from analysis.lookup import DesaIndex
from analysis.nearest import FacilityIndex
from analysis.verify import Rujukan
from catalog.errors import GoneError, NotFoundError, QueryError
from catalog.model import RegionCode, Scheme, VersionInfo
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import LayerReader
from layers.raster import open_raster
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot

type Use = Literal["point", "area"]
_RULES = 16
MAX_ROWS = 1_000_000


@dataclass(slots=True)
class _Held:
    lock: threading.Lock
    key: object = None
    value: Any = None


class Desk:
    """Indexes and tables that requests share. Safe for threads."""

    def __init__(self, settings: Settings, catalog: Catalog, readers: Readers) -> None:
        self.settings = settings
        self.catalog = catalog
        self._readers = readers
        # one point is answered in microseconds and must not wait for a national overlay
        self._held = {name: _Held(threading.Lock()) for name in ("point", "area", "facilities", "people")}
        self._rules: dict[tuple[object, ...], Rujukan] = {}
        self._vintages: dict[tuple[int, Scheme], frozenset[int]] = {}

    def layer(self, snapshot: Snapshot, key: str) -> VersionInfo:
        """Return the current version of the layer that the setting `processes.<key>` names."""
        name = str(getattr(self.settings.processes, key))
        try:
            return snapshot.layer(name, None)[1]
        except (NotFoundError, GoneError) as error:
            raise NotConfiguredError(f"no layer {name!r}", where=key, setting=f"processes.{key}") from error

    @contextmanager
    def desa(self, snapshot: Snapshot, use: Use) -> Iterator[DesaIndex]:
        """Yield the index of the boundaries; nobody else uses it meanwhile."""
        info = self.layer(snapshot, "boundaries")
        with self._held[use].lock:
            yield self._renewed(use, info, self._open_index)

    def facilities(self, snapshot: Snapshot) -> FacilityIndex:
        """Return the facilities in their tree."""
        info = self.layer(snapshot, "facilities")
        with self._held["facilities"].lock:
            found: FacilityIndex = self._renewed(
                "facilities", info, lambda reader: FacilityIndex(facilities_of(reader))
            )
            return found

    def people(self, snapshot: Snapshot) -> Aggregates | None:
        """Return published counts per desa; None when no such layer is configured."""
        if not self.settings.processes.people:
            return None
        try:
            info = self.layer(snapshot, "people")
        except NotConfiguredError:
            return None  # then they are unknown, and the answer says so
        with self._held["people"].lock:
            found: Aggregates = self._renewed("people", info, aggregates_of)
            return found

    def rules(
        self, snapshot: Snapshot, index: DesaIndex, skema: Scheme | None, vintage: int | None
    ) -> Rujukan:
        """Return what the catalog knows of codes of a scheme and vintage."""
        if vintage is not None and vintage not in self._years(snapshot, skema or index.info.skema):
            vintage = 0  # nothing is known of it; all such years share one answer
        key = (snapshot.generation, index.info.version, skema, vintage)
        found = self._rules.get(key)
        if found is None:
            if len(self._rules) >= _RULES:
                self._rules.clear()
            found = reference_for(self.catalog.regions, index, skema=skema, vintage=vintage)
            self._rules[key] = found
        return found

    def _years(self, snapshot: Snapshot, skema: Scheme) -> frozenset[int]:
        key = (snapshot.generation, skema)
        found = self._vintages.get(key)
        if found is None:
            found = frozenset(self.catalog.regions.vintages(skema))
            kept = {known: years for known, years in self._vintages.items() if known[0] == key[0]}
            self._vintages = {**kept, key: found}
        return found

    def table(
        self, snapshot: Snapshot, name: str, columns: Sequence[str], where: str
    ) -> tuple[pa.Table, RegionCode | None]:
        """Return columns of a public collection, and its declared region code."""
        _, info = snapshot.layer(name, None)
        if info.schema is None:
            raise QueryError("the collection has no columns", where=where)
        for column in columns:
            if column not in info.schema.names():
                raise QueryError(f"there is no column {column!r}", where=where)
        rows: list[dict[str, Any]] = []
        with self._readers.lease(info) as reader:
            for batch in reader.batches(list(columns), geometry=False):
                rows += batch.rows
                if len(rows) > MAX_ROWS:
                    raise QueryError(f"more than {MAX_ROWS} rows", where=where)
        return pa.table({c: [row.get(c) for row in rows] for c in columns}), info.schema.region_code

    def declared(self, snapshot: Snapshot, name: str) -> RegionCode | None:
        """Return the region code that a public collection declares."""
        schema = snapshot.layer(name, None)[1].schema
        return schema.region_code if schema else None

    def event(self, snapshot: Snapshot, event_id: str) -> dict[str, Any]:
        """Return the GeoJSON feature of an event; NotFoundError names the input."""
        with self._readers.lease(self.layer(snapshot, "events")) as reader:
            found = reader.feature(event_id)
        if found is None:
            raise NotFoundError("no such event", where="kejadian")
        feature: dict[str, Any] = orjson.loads(found)
        return feature

    def raster(self, snapshot: Snapshot, name: str) -> Path:
        """Return the file of a public raster."""
        _, info = snapshot.layer(name, None, kinds=("raster",))
        return open_raster(info, self.settings.data_dir / "layers")

    def _renewed(self, name: str, info: VersionInfo, make: Callable[[LayerReader], Any]) -> Any:
        held = self._held[name]
        key = (info.layer_id, info.version)
        if held.key != key:
            with self._readers.lease(info) as reader:
                held.value = make(reader)
            held.key = key
        return held.value

    def _open_index(self, reader: LayerReader) -> DesaIndex:
        chosen = self.settings.processes
        root = self.settings.data_dir / "analysis"
        root.mkdir(parents=True, exist_ok=True)
        folder = root / f"{reader.info.layer_id}-v{reader.info.version}"  # a running process keeps its own
        with (root / f"{reader.info.layer_id}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of a server build it once
            columns = BoundaryColumns(chosen.boundary_code, chosen.boundary_name)
            made = index_of_reader(reader, folder, columns, cells=False)
            _drop_old(root, reader.info)
            return made


def _drop_old(root: Path, info: VersionInfo) -> None:
    """Delete the indexes of older versions but the last, which other workers may still ask."""
    for folder in root.glob(f"{info.layer_id}-v*"):
        number = folder.name.removeprefix(f"{info.layer_id}-v")
        if number.isdecimal() and int(number) < info.version - 1:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """One answer in the making: the desk, the state of the catalog it is made from, and who is told."""

    desk: Desk
    snapshot: Snapshot
    report: Callable[[int, int], None] = lambda done, total: None
