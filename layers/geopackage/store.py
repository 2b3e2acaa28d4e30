"""The embedded layer store: GeoPackage files below `<data>/layers`, complete without a server."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from catalog.clock import Clock, utc_now
from catalog.errors import PublishError
from catalog.model import Kind, LayerSchema, VersionInfo
from layers.files import LayerFiles
from layers.geopackage.reader import GeoPackageReader, stored_schema
from layers.geopackage.sqlite import drop_files, storage_errors
from layers.geopackage.writer import GeoPackageWriter
from layers.raster import verify_raster
from layers.tiles.state import drop_tiles
from layers.verify import verify_reader

READERS_KEPT = 256
"""Open readers; one that falls out closes when its last user lets go."""


class GeoPackageStore:
    """See `layers.contract.LayerStore`."""

    def __init__(self, root: Path, *, clock: Clock = utc_now) -> None:
        self.root = root
        self.clock = clock
        self._readers: OrderedDict[tuple[str, int], GeoPackageReader] = OrderedDict()
        self._lock = Lock()

    def writer(self, layer_id: str, schema: LayerSchema, stage: str) -> GeoPackageWriter:
        """Open (or resume) staging."""
        return GeoPackageWriter(self, layer_id, schema, stage)

    def reader(self, info: VersionInfo) -> GeoPackageReader:
        """Open a version for reading; the same reader for all threads of this process."""
        key = (info.layer_id, info.version)
        with self._lock:
            found = self._readers.get(key)
            if found is None or found.info.checksum != info.checksum or found.closed:
                self._drop_closed()
                found = self._readers[key] = GeoPackageReader(LayerFiles(self.root, info.layer_id), info)
            self._readers.move_to_end(key)
            while len(self._readers) > READERS_KEPT:
                self._readers.popitem(last=False)
            return found

    def _drop_closed(self) -> None:
        """Let go of readers that their user closed: each holds its version's schema, some 60 kB."""
        for key in [key for key, one in self._readers.items() if one.closed]:
            del self._readers[key]

    def open_version(self, layer_id: str, version: int) -> GeoPackageReader:
        """Open a stored version by its number, with the schema it holds itself. Not cached."""
        files = LayerFiles(self.root, layer_id)
        path = files.gpkg(version)
        if not path.is_file():
            raise PublishError(f"version {version} is not stored", where=layer_id)
        with storage_errors(layer_id):
            schema, count = stored_schema(path, layer_id)
        kind: Kind = "feature" if schema.geometry_type else "table"
        return GeoPackageReader(files, VersionInfo(layer_id, version, kind, count, "", schema), mapped=False)

    def versions(self, layer_id: str) -> list[int]:
        """Return the version numbers that are stored, oldest first."""
        return LayerFiles(self.root, layer_id).versions()

    def next_version(self, layer_id: str) -> int:
        """Return a number above every stored one, also above what an interrupted finish left."""
        files = LayerFiles(self.root, layer_id)
        return max([0, *files.versions(".gpkg", ".json", ".tif")]) + 1

    def verify(self, info: VersionInfo, *, deep: bool = True) -> None:
        """Raise PublishError when count, checksum, content or structure of the stored version is off.

        `deep` also hashes every row and the whole text file again.
        """
        if info.kind == "raster":
            verify_raster(info, self.root)
            return
        reader = GeoPackageReader(LayerFiles(self.root, info.layer_id), info, mapped=False)
        try:
            with storage_errors(info.layer_id):
                wrong = reader.integrity(deep=deep)
                if wrong:
                    raise PublishError(f"the file is damaged: {'; '.join(wrong)}", where=info.layer_id)
                verify_reader(reader, info, deep=deep)
        finally:
            reader.close()

    def remove(self, layer_id: str, version: int) -> None:
        """Delete one version; the GeoPackage goes first, so that half a version is never listed."""
        with self._lock:
            self._readers.pop((layer_id, version), None)
        with storage_errors(layer_id):
            files = LayerFiles(self.root, layer_id)
            drop_files(*reversed(files.all(version)), files.raster(version))
            drop_tiles(self.root, layer_id, version)

    def stages(self) -> list[tuple[str, str]]:
        """Return (layer, stage) of unfinished staging."""
        if not self.root.is_dir():
            return []
        layers = sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))
        return [(layer, stage) for layer in layers for stage in LayerFiles(self.root, layer).stages()]

    def discard(self, layer_id: str, stage: str) -> None:
        """Throw unfinished staging away."""
        drop_files(LayerFiles(self.root, layer_id).stage(stage))

    def leftovers(self) -> list[Path]:
        """Return files of no version, left by an interrupted finish; safe to delete when none runs."""
        if not self.root.is_dir():
            return []
        layers = sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))
        return [path for layer in layers for path in LayerFiles(self.root, layer).leftovers()]

    def sweep(self) -> list[Path]:
        """Delete `leftovers`; only when no harvest runs. Return what was deleted."""
        found = self.leftovers()
        drop_files(*found)
        return found

    def close(self) -> None:
        """Close all readers."""
        with self._lock:
            readers, self._readers = list(self._readers.values()), OrderedDict()
        for reader in readers:
            reader.close()
