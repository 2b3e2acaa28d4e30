"""The ready GeoJSON texts of one version: one flat file and an index, read through mmap.

`<version>.json` holds every Feature's text in fid order; `<version>.idx` one fixed record per
feature: where its parts start and its content hash. A page is then slices of mapped memory.
Without the index's magic, length and count the files are refused.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import orjson

from catalog.errors import PublishError

MAGIC = b"SDGTXT01"
HEADER = 16
"""Bytes before the records: magic, CRC-32 of the text file, four bytes of nothing."""
RECORD = np.dtype(
    [("start", "<u8"), ("geometry", "<u8"), ("properties", "<u8"), ("end", "<u8"), ("hash", "V16")]
)
_MIDDLE = b',"properties":'


def head(feature_id: str, integer_ids: bool) -> bytes:
    """Return the text before the geometry."""
    shown = feature_id.encode() if integer_ids else orjson.dumps(feature_id)
    return b'{"type":"Feature","id":' + shown + b',"geometry":'


def feature_text(start: bytes, geometry: bytes, properties: bytes) -> bytes:
    """Put a Feature together."""
    return b"".join((start, geometry, _MIDDLE, properties, b"}"))


def checksum(hashes: Iterable[bytes]) -> str:
    """Return the version's checksum over its features' content hashes in id order."""
    digest = sha256()
    for one in hashes:
        digest.update(one)
    return digest.hexdigest()


class TextsWriter:
    """Writes both files in fid order, flat in memory."""

    def __init__(self, texts: Path, index: Path) -> None:
        self._texts = texts.open("wb", buffering=1 << 20)
        self._index = index.open("wb", buffering=1 << 18)
        self._index.write(bytes(HEADER))
        self._at = self._crc = 0
        self._sum = sha256()

    def add(self, feature_id: bytes, geometry: bytes, properties: bytes, digest: bytes) -> None:
        """Append one feature; `feature_id` is what `head` returned."""
        text = feature_text(feature_id, geometry, properties)
        first = self._at + len(feature_id)
        second = first + len(geometry) + len(_MIDDLE)
        end = self._at + len(text)
        self._texts.write(text)
        self._crc = crc32(text, self._crc)
        numbers = b"".join(n.to_bytes(8, "little") for n in (self._at, first, second, end))
        self._index.write(numbers + digest)
        self._sum.update(digest)
        self._at = end

    def close(self) -> str:
        """Flush both files to the disk and return the checksum."""
        self._index.seek(0)
        self._index.write(MAGIC + self._crc.to_bytes(4, "little"))
        for file in (self._texts, self._index):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        return self._sum.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._texts, self._index):
            with suppress(OSError):
                file.close()


def _mapped(path: Path) -> mmap.mmap:
    """Map a file without keeping it open: thousands of layers must not use up the open files."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)


class Texts:
    """Reads them. Safe for threads: nothing is changed after opening."""

    def __init__(self, texts: Path, index: Path, count: int) -> None:
        self._path = texts
        with index.open("rb") as file:
            raw = file.read(HEADER)
        expected = HEADER + count * RECORD.itemsize
        self._crc = int.from_bytes(raw[len(MAGIC) : len(MAGIC) + 4], "little")
        if not raw.startswith(MAGIC) or index.stat().st_size != expected:
            raise PublishError(f"the text index does not hold {count} features", where=index.name)
        self._records: npt.NDArray[Any] = np.zeros(0, dtype=RECORD)
        self._map: mmap.mmap | bytes = b""
        if count:
            self._records = np.frombuffer(_mapped(index), dtype=RECORD, offset=HEADER, count=count)
            self._map = _mapped(texts) if texts.stat().st_size else b""
        if len(self._map) != (int(self._records["end"][-1]) if count else 0):
            raise PublishError("the text file is shorter or longer than its index says", where=texts.name)

    def features(self, fids: Iterable[int]) -> list[bytes]:
        """Return whole Features of the fids (1..N)."""
        at = np.fromiter(fids, dtype=np.int64) - 1
        view, chosen = self._map, self._records[at]
        return [view[a:b] for a, b in zip(chosen["start"].tolist(), chosen["end"].tolist(), strict=True)]

    def run(self, first: int, count: int) -> list[bytes]:
        """Return `count` whole Features from fid `first` on."""
        view, chosen = self._map, self._records[first - 1 : first - 1 + count]
        return [view[a:b] for a, b in zip(chosen["start"].tolist(), chosen["end"].tolist(), strict=True)]

    def parts(self, fids: Iterable[int]) -> list[tuple[bytes, bytes, bytes]]:
        """Return (head, geometry, properties) texts of the fids."""
        at = np.fromiter(fids, dtype=np.int64) - 1
        view, found = self._map, []
        for a, b, c, d, _ in self._records[at].tolist():
            found.append((view[a:b], view[b : c - len(_MIDDLE)], view[c : d - 1]))
        return found

    def hashes(self, first: int = 1, count: int | None = None) -> list[bytes]:
        """Return content hashes from fid `first` on."""
        stop = None if count is None else first - 1 + count
        return [bytes(h) for h in self._records["hash"][first - 1 : stop]]

    def hashes_of(self, fids: Iterable[int]) -> list[bytes]:
        """Return content hashes of the fids."""
        at = np.fromiter(fids, dtype=np.int64) - 1
        return [bytes(h) for h in self._records["hash"][at]]

    def checksum(self, *, step: int = 50_000) -> str:
        """Read every hash and return the checksum over them."""
        return checksum(h for at in range(0, len(self._records), step) for h in self.hashes(at + 1, step))

    def whole(self, *, step: int = 1 << 22) -> bool:
        """Tell whether the text file is, byte for byte, what was written (read, not mapped)."""
        crc = 0
        with self._path.open("rb") as file:
            while part := file.read(step):
                crc = crc32(part, crc)
        return crc == self._crc

    def __len__(self) -> int:
        return len(self._records)

    def close(self) -> None:
        """Unmap the files once no slice is in use."""
        self._records = np.zeros(0, dtype=RECORD)
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._map = b""
