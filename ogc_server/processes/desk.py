"""What the processes work on, opened once per server process and renewed when a layer has a new version.

A server renews it beside the requests (`warm`): they are answered from the old version meanwhile, and a
request that comes before there is any waits a little, then is asked to come again.
Only layers that anybody may see are ever opened: the answers are public.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pyarrow as pa

from analysis.claims import Claims, claims_of
from analysis.counts import Counts
from analysis.inputs import (
    BoundaryColumns,
    aggregates_of,
    facilities_of,
    index_of_reader,
    reference_for,
    region_names,
)
from analysis.lookup import DesaIndex
from analysis.nearest import Asal, FacilityIndex, Finder
from analysis.verify import Rujukan
from catalog.errors import GoneError, NotFoundError, QueryError, SatuDataError
from catalog.model import RegionCode, Scheme, VersionInfo
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import LayerReader
from layers.raster import open_raster
from ogc_server.errors import ParameterError
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.processes.held import Held
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot

if TYPE_CHECKING:
    from analysis.nearest_road import RoadFinder
    from analysis.roads import RoadNetwork

type Use = Literal["point", "area"]
_SETTING = {"point": "boundaries", "area": "boundaries"}
_RULES = 16
_LONG = 5000
"""Desa whose index is made in less time than a process takes to start."""
MAX_ROWS = 1_000_000


class Desk:
    """Indexes and tables that requests share. Safe for threads; `wait_seconds` as `Held` has it."""

    def __init__(
        self, settings: Settings, catalog: Catalog, readers: Readers, *, wait_seconds: float | None = None
    ) -> None:
        self.settings = settings
        self.catalog = catalog
        self._readers = readers
        # one point is answered in microseconds and must not wait for a national overlay
        uses = ("point", "area", "facilities", "people", "roads")
        self._held = {name: Held(wait_seconds) for name in uses}
        self._finder: tuple[threading.Lock, list[RoadFinder]] = (threading.Lock(), [])
        self._rules: dict[tuple[object, ...], Rujukan] = {}
        self._names: tuple[object, Mapping[str, str]] = (None, {})
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
        index = self._get(snapshot, use)
        with self._held[use].lock:
            yield index

    def facilities(self, snapshot: Snapshot) -> FacilityIndex:
        """Return the facilities in their tree."""
        found: FacilityIndex = self._get(snapshot, "facilities")
        return found

    def people(self, snapshot: Snapshot) -> Counts | None:
        """Return published counts per desa; None when no such layer is configured."""
        if not self.settings.processes.people:
            return None
        try:
            found: Counts = self._get(snapshot, "people")
        except NotConfiguredError:
            return None  # then they are unknown, and the answer says so
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

    def names(self, snapshot: Snapshot, index: DesaIndex) -> Mapping[str, str]:
        """Return the names of kecamatan, kabupaten/kota and provinsi by code, read once per state."""
        key = (snapshot.generation, index.info.version)
        if self._names[0] != key:
            self._names = key, region_names(self.catalog.regions, index)
        return self._names[1]

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
        info = self._named(snapshot, name, where)
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

    def claims(self, snapshot: Snapshot, name: str, column: str) -> Claims:
        """Return the points of a public collection with the code that each claims."""
        info = self._named(snapshot, name, "koleksi")
        if info.count > MAX_ROWS:
            raise QueryError(f"more than {MAX_ROWS} points", where="koleksi")
        with self._readers.lease(info) as reader:
            return claims_of(reader, column)

    def _named(self, snapshot: Snapshot, name: str, where: str) -> VersionInfo:
        """Return the current version of a public collection that an input names."""
        try:
            return snapshot.layer(name, None)[1]
        except (NotFoundError, GoneError):
            raise ParameterError("process.input.no-collection", f"inputs.{where}") from None

    def declared(self, snapshot: Snapshot, name: str) -> RegionCode | None:
        """Return the region code that a public collection declares."""
        schema = snapshot.layer(name, None)[1].schema
        return schema.region_code if schema else None

    def finder(self, snapshot: Snapshot) -> Finder:
        """Return what finds the nearest facilities: over roads where there is a network.

        Aid is found without one, too: the answer says which distance it is.
        """
        facilities = self.facilities(snapshot)
        chosen = self.settings.processes
        if not chosen.roads or not self._is_there(snapshot, chosen.roads):
            return facilities
        from analysis.nearest_road import RoadFinder  # scipy's graphs, where there are roads

        network: RoadNetwork = self._get(snapshot, "roads")
        lock, kept = self._finder
        with lock:
            if not kept or kept[0].facilities is not facilities or kept[0].network is not network:
                kept[:] = [RoadFinder(facilities, network, most_access_m=chosen.roads_reach_m)]
            return kept[0]

    def event(
        self, snapshot: Snapshot, event_id: str, collection: str | None = None, version: int | None = None
    ) -> dict[str, Any]:
        """Return the GeoJSON feature of an event, of the first configured collection that has it.

        NotFoundError names the input: `kejadian`, `koleksi` or `versi`.
        """
        named = self.settings.processes.events
        known = [named] if isinstance(named, str) else list(named)
        if collection is not None and collection not in known:
            raise NotFoundError("no such collection of events", where="koleksi")
        there = [one for one in known if self._is_there(snapshot, one)]
        if not there:
            raise NotConfiguredError("no layer of events", where="events", setting="processes.events")
        for name in [collection] if collection else there:
            if feature := self._event_in(snapshot, name, event_id, version):
                return feature
        raise NotFoundError("no such event", where="kejadian" if version is None else "versi")

    def _event_in(
        self, snapshot: Snapshot, name: str, event_id: str, version: int | None
    ) -> dict[str, Any] | None:
        try:
            info = snapshot.layer(name, version)[1]
            with self._readers.lease(info) as reader:
                found = reader.feature(event_id)
        except (NotFoundError, GoneError):
            return None  # this collection never had this version
        return None if found is None else orjson.loads(found)

    def _is_there(self, snapshot: Snapshot, name: str) -> bool:
        try:
            snapshot.layer(name, None)
        except (NotFoundError, GoneError):
            return False
        return True

    def feature(self, snapshot: Snapshot, name: str, feature_id: str) -> dict[str, Any] | None:
        """Return a GeoJSON feature of a public collection; None without the feature or the collection."""
        return self._event_in(snapshot, name, feature_id, None)

    def raster(self, snapshot: Snapshot, name: str, where: str = "raster") -> Path:
        """Return the file of a public raster; ParameterError when there is none of this name."""
        try:
            _, info = snapshot.layer(name, None, kinds=("raster",))
        except (NotFoundError, GoneError):
            raise ParameterError("process.input.no-raster", f"inputs.{where}") from None
        return open_raster(info, self.settings.data_dir / "layers")

    def warm(self, snapshot: Snapshot) -> set[str]:
        """Make ready what the newest versions need; what can not be made is told to who asks for it.

        Return what was made anew: `point`, `area`, `facilities`, `people`, `roads`.
        """
        renewed = set()
        for use, held in self._held.items():
            if use == "roads" and not self.settings.processes.roads:
                continue
            with suppress(NotConfiguredError):
                info = self.layer(snapshot, _SETTING.get(use, use))
                if held.renew((info.layer_id, info.version), self._maker(use, info)):
                    renewed.add(use)
        with suppress(SatuDataError):  # facilities stand on their roads before anybody asks
            if renewed:
                finder = self.finder(snapshot)
                import_module("analysis.allocate_solve")  # the first who needs a plan does not wait for it
                finder.nearest([Asal("", 0.0, 0.0)])
        return renewed

    def needs_index(self, snapshot: Snapshot) -> bool:
        """Tell whether the newest boundaries have no index on the disk yet, and making it takes long."""
        try:
            info = self.layer(snapshot, "boundaries")
        except NotConfiguredError:
            return False
        return info.count > _LONG and not (self._index_folder(info) / "index.json").is_file()

    def _get(self, snapshot: Snapshot, use: str) -> Any:
        info = self.layer(snapshot, _SETTING.get(use, use))
        return self._held[use].get((info.layer_id, info.version), self._maker(use, info))

    def _maker(self, use: str, info: VersionInfo) -> Callable[[], Any]:
        def make() -> Any:
            with self._readers.lease(info) as reader:
                return self._made(use, reader)

        return make

    def _made(self, use: str, reader: LayerReader) -> Any:
        chosen = self.settings.processes
        match use:
            case "facilities":
                return FacilityIndex(facilities_of(reader))
            case "people":
                return aggregates_of(reader)
            case "roads":
                return _roads(reader, chosen.roads_speed, chosen.roads_oneway)
        return self._open_index(reader)

    def _index_folder(self, info: VersionInfo) -> Path:
        return self.settings.data_dir / "analysis" / f"{info.layer_id}-v{info.version}"

    def _open_index(self, reader: LayerReader) -> DesaIndex:
        chosen = self.settings.processes
        root = self.settings.data_dir / "analysis"
        root.mkdir(parents=True, exist_ok=True)
        folder = self._index_folder(reader.info)  # a running process keeps its own
        with (root / f"{reader.info.layer_id}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of a server build it once
            columns = BoundaryColumns(chosen.boundary_code, chosen.boundary_name)
            made = index_of_reader(reader, folder, columns, cells=False)
            _drop_old(root, reader.info)
            return made


def _roads(reader: LayerReader, speed: str, oneway: str) -> RoadNetwork:
    """Read the network; what is wrong with it is not the question's fault but a setting's."""
    from analysis.roads_read import roads_of

    try:
        return roads_of(reader, speed, oneway)
    except QueryError as error:
        raise NotConfiguredError(
            error.detail, where=error.where, setting=f"processes.{error.where}"
        ) from error


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
    job: str = ""
    """The id of the job that asks; empty for an answer at once."""
