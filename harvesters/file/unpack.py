"""Unpacks zip and gzip from strangers: bounded in files, bytes and ratio, and never outside its folder."""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from catalog.errors import ProtocolError

_BLOCK = 1 << 20
_ALWAYS_FINE = 64 * _BLOCK
"""Below this no ratio is suspicious: a small file of blanks packs very well."""


@dataclass(slots=True)
class Budget:
    """What one source may unpack; shared over nested archives."""

    files: int = 2000
    bytes: int = 16 << 30
    ratio: int = 200
    spent_files: int = field(default=0, init=False)
    spent_bytes: int = field(default=0, init=False)

    def take_file(self, where: str) -> None:
        """Count one file; ProtocolError past the limit."""
        self.spent_files += 1
        if self.spent_files > self.files:
            raise ProtocolError(f"more than {self.files} files in the archive", where=where)

    def take_bytes(self, count: int, unpacked: int, packed: int, where: str) -> None:
        """Count unpacked bytes; ProtocolError for what looks like a zip bomb."""
        self.spent_bytes += count
        if self.spent_bytes > self.bytes:
            raise ProtocolError(
                f"unpacks to more than {self.bytes:,} bytes (a zip bomb?)",
                where=where,
                hint="raise options.max_unpacked_bytes if the source is known and really that large",
            )
        if unpacked > _ALWAYS_FINE and unpacked > max(packed, 1) * self.ratio:
            raise ProtocolError(f"unpacks to over {self.ratio} times its size (a zip bomb)", where=where)


def unpack_zip(path: Path, folder: Path, budget: Budget) -> list[Path]:
    """Unpack into `folder`; return the files. Paths that leave the folder, links and passwords are errors."""
    found: list[Path] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir() or _noise(info.filename):
                    continue
                budget.take_file(path.name)
                target = _target(info, folder, path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source:
                    _copy(source, target, max(info.compress_size, 1), budget, f"{path.name}/{info.filename}")
                found.append(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError(f"the zip is cut or broken: {error}", where=path.name) from error
    return found


def _noise(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1] in {".DS_Store", "Thumbs.db"})


def _target(info: zipfile.ZipInfo, folder: Path, where: str) -> Path:
    name = info.filename.replace("\\", "/")
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or ":" in name or not parts.parts:
        raise ProtocolError(f"the zip wants to write outside its folder: {info.filename!r}", where=where)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ProtocolError(f"the zip holds a link: {info.filename!r}", where=where)
    if info.flag_bits & 0x1:
        raise ProtocolError("the zip has a password", where=where)
    target = folder / parts
    if target.exists():
        raise ProtocolError(f"the zip holds {info.filename!r} twice", where=where)
    return target


def _copy(source: IO[bytes], target: Path, packed: int, budget: Budget, where: str) -> None:
    unpacked = 0
    with target.open("wb") as sink:
        while block := source.read(_BLOCK):
            unpacked += len(block)
            budget.take_bytes(len(block), unpacked, packed, where)
            sink.write(block)


def unpack_gzip(path: Path, folder: Path, budget: Budget) -> Path:
    """Unpack one gzip file into `folder`; its name loses `.gz`."""
    target = folder / (path.name.removesuffix(".gz") or "isi")
    budget.take_file(path.name)
    try:
        with gzip.open(path) as source:
            _copy(source, target, path.stat().st_size, budget, path.name)  # type: ignore[arg-type]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ProtocolError(f"the gzip is cut or broken: {error}", where=path.name) from error
    return target


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder by name, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
