"""SQLite as we use it: errors of the disk named as such, read-only versions, fsync of folders."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.errors import PublishError, StorageFullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn errors of disk and database into StorageFullError or PublishError."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL or "is full" in str(error):
            raise StorageFullError("the disk is full; what was staged is kept", where=where) from error
        raise PublishError(f"the layer file can not be written or read: {error}", where=where) from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError("the disk is full; what was staged is kept", where=where) from error
        raise PublishError(
            f"the layer file can not be written or read: {error.strerror}", where=where
        ) from error


def open_readonly(path: Path, *, mapped: bool = True) -> sqlite3.Connection:
    """Open an immutable version; many connections may, each used by one thread at a time."""
    uri = f"file:{_uri_path(path)}?mode=ro&immutable=1"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, cached_statements=256)
    if mapped:
        db.execute("PRAGMA mmap_size = 2147418112")
    db.execute("PRAGMA query_only = 1")
    return db


def _uri_path(path: Path) -> str:
    return path.resolve().as_uri().removeprefix("file://")


def sync(path: Path) -> None:
    """Make a file, or the entries of a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def drop_files(*paths: Path) -> None:
    """Delete files that may not be there, with SQLite's companions."""
    for path in paths:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
