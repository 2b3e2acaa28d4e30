"""Reads a PMTiles archive through mapped memory; directories are decoded once and kept.

Format: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md, decoded by the `pmtiles`
package. Its own reader decodes header and directories again for every tile.
"""

from __future__ import annotations

import gzip
import json
import mmap
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pmtiles.tile import (
    Compression,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    deserialize_directory,
    deserialize_header,
    zxy_to_tileid,
)

from catalog.errors import PublishError
from catalog.model import BBox

_HEADER = 127
_tile_id = lru_cache(maxsize=1 << 15)(zxy_to_tileid)  # a walk along a curve, level by level
_UNREADABLE = (OSError, ValueError, IndexError, EOFError, MagicNumberNotFound, SpecVersionUnsupported)


@dataclass(frozen=True, slots=True)
class _Directory:
    """Parallel lists of a directory's entries; a run of 0 means: look in the leaf there."""

    ids: list[int]
    offsets: list[int]
    lengths: list[int]
    runs: list[int]


class Archive:
    """One archive. Safe for threads; stays readable when the file is deleted meanwhile."""

    def __init__(self, path: Path) -> None:
        """Map the file; PublishError when it is no PMTiles archive of gzipped vector tiles."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)
            self.header: Mapping[str, Any] = deserialize_header(self._map[:_HEADER])
        except _UNREADABLE as error:
            raise PublishError(f"the tile archive can not be read: {error}", where=path.name) from error
        if self.header["tile_compression"] != Compression.GZIP:
            raise PublishError("the tile archive's tiles are not gzipped", where=path.name)
        found = path.stat()
        self.tag = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        """A strong validator of the file's bytes: it is never changed, only replaced."""
        self._root = self._directory(self.header["root_offset"], self.header["root_length"])
        self._leaves: dict[int, _Directory] = {}

    @property
    def zooms(self) -> tuple[int, int]:
        """First and last zoom, in the archive's own count."""
        return self.header["min_zoom"], self.header["max_zoom"]

    @property
    def tiles(self) -> int:
        """How many addresses have a tile."""
        return int(self.header["addressed_tiles_count"])

    @property
    def bounds(self) -> BBox:
        """The extent that the archive declares, in degrees."""
        west, south, east, north = (
            self.header[name] / 1e7 for name in ("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7")
        )
        return west, south, east, north

    def get(self, zoom: int, x: int, y: int) -> bytes | None:
        """Return a tile's gzipped bytes, None when it is empty. The place must be in the grid."""
        wanted = _tile_id(zoom, x, y)
        directory = self._root
        for _ in range(4):  # the format allows no deeper trees
            at = bisect_right(directory.ids, wanted) - 1
            if at < 0:
                return None
            run, offset = directory.runs[at], directory.offsets[at]
            if run:
                if wanted - directory.ids[at] >= run:
                    return None
                start = self.header["tile_data_offset"] + offset
                return self._map[start : start + directory.lengths[at]]
            directory = self._leaf(offset, directory.lengths[at])
        return None

    def metadata(self) -> dict[str, Any]:
        """Return what tippecanoe and we wrote about the tileset."""
        start, length = self.header["metadata_offset"], self.header["metadata_length"]
        raw = self._map[start : start + length]
        if self.header["internal_compression"] == Compression.GZIP:
            raw = gzip.decompress(raw)
        found: dict[str, Any] = json.loads(raw)
        return found

    def _leaf(self, offset: int, length: int) -> _Directory:
        found = self._leaves.get(offset)
        if found is None:  # made twice at once does no harm
            found = self._directory(self.header["leaf_directory_offset"] + offset, length)
            self._leaves[offset] = found
        return found

    def _directory(self, start: int, length: int) -> _Directory:
        entries = deserialize_directory(self._map[start : start + length])
        return _Directory(
            [e.tile_id for e in entries], [e.offset for e in entries],
            [e.length for e in entries], [e.run_length for e in entries],
        )  # fmt: skip
