"""Reads a PMTiles archive through mapped memory; directories are decoded once and kept.

Vector tiles are gzipped in it, map tiles (PNG) as they are.
Format: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md. The `pmtiles` package decodes the
header; its reader would decode header and directories again for every tile, number by number.
"""

from __future__ import annotations

import gzip
import json
import mmap
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pmtiles.tile import (
    Compression,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    TileType,
    deserialize_header,
    zxy_to_tileid,
)

from catalog.errors import PublishError
from catalog.model import BBox

_HEADER = 127
_tile_id = lru_cache(maxsize=1 << 15)(zxy_to_tileid)  # a walk along a curve, level by level
_KINDS = {(TileType.MVT, Compression.GZIP), (TileType.PNG, Compression.NONE)}
_UNREADABLE = (
    OSError, ValueError, IndexError, EOFError, zlib.error, MagicNumberNotFound, SpecVersionUnsupported,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory's entries, number by number (8 bytes each); a run of 0 means: look in the leaf there."""

    ids: Sequence[int]
    offsets: Sequence[int]
    lengths: Sequence[int]
    runs: Sequence[int]


class Archive:
    """One archive. Safe for threads; stays readable when the file is deleted meanwhile."""

    def __init__(self, path: Path) -> None:
        """Map the file; PublishError when it is no PMTiles archive of a kind that we make."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)
            self.header: Mapping[str, Any] = deserialize_header(self._map[:_HEADER])
            self._root = self._directory(self.header["root_offset"], self.header["root_length"])
        except _UNREADABLE as error:
            raise PublishError(f"the tile archive can not be read: {error}", where=path.name) from error
        if (self.header["tile_type"], self.header["tile_compression"]) not in _KINDS:
            raise PublishError("the archive holds neither gzipped vector tiles nor PNG", where=path.name)
        found = path.stat()
        self.tag = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        """A strong validator of the file's bytes: it is never changed, only replaced."""
        self._leaves: dict[int, _Directory] = {}
        self.drawn = str(self.metadata().get("drawing", "")) if self._picture else ""
        """The tag of the drawing that map tiles were made by (`layers.raster_tile`)."""

    @property
    def _picture(self) -> bool:
        return bool(self.header["tile_type"] == TileType.PNG)

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
        """Return a tile's bytes as they lie there, None when it is empty. The place must be in the grid."""
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
        """Return what who made the tileset wrote about it."""
        start, length = self.header["metadata_offset"], self.header["metadata_length"]
        raw = self._map[start : start + length]
        if self.header["internal_compression"] == Compression.GZIP:
            raw = gzip.decompress(raw)
        found: dict[str, Any] = json.loads(raw)
        return found

    def decode(self) -> None:
        """Decode all directories now, so that no request does."""
        waiting = [self._root]
        while waiting:
            at = waiting.pop()
            places = zip(at.offsets, at.lengths, at.runs, strict=True)
            waiting += [self._leaf(offset, length) for offset, length, run in places if not run]

    def _leaf(self, offset: int, length: int) -> _Directory:
        found = self._leaves.get(offset)
        if found is None:  # made twice at once does no harm
            found = self._directory(self.header["leaf_directory_offset"] + offset, length)
            self._leaves[offset] = found
        return found

    def _directory(self, start: int, length: int) -> _Directory:
        return _directory(gzip.decompress(self._map[start : start + length]))


def _directory(data: bytes) -> _Directory:
    """Decode a directory (section 4.2): steps of ids, runs, lengths, offsets; 0: where the last one ends."""
    numbers = _numbers(data)
    count = int(numbers[0])
    steps, runs, lengths, said = numbers[1 : 4 * count + 1].reshape(4, count)
    ends = np.concatenate([[0], np.cumsum(lengths)])[:count]
    last = np.maximum.accumulate(np.where(said > 0, np.arange(count), 0))
    offsets = said[last] - 1 + ends - ends[last]
    return _Directory(*(array("q", one.tobytes()) for one in (np.cumsum(steps), offsets, lengths, runs)))


def _numbers(data: bytes) -> npt.NDArray[np.int64]:
    """Decode numbers of variable length: seven bits a byte, the least first, the last below 128."""
    raw = np.frombuffer(data, np.uint8)
    lasts = np.flatnonzero(raw < 128)
    firsts = np.concatenate([[0], lasts[:-1] + 1])
    places = np.arange(lasts[-1] + 1) - np.repeat(firsts, lasts - firsts + 1)
    bits = (raw[: lasts[-1] + 1] & 127).astype(np.int64) << (7 * places)
    found: npt.NDArray[np.int64] = np.add.reduceat(bits, firsts)
    return found
