"""Open layer readers, shared by all requests of this process and closed when nobody needs them.

A reader in use is never closed: requests under way finish on the version they began with, also
while a new version is swapped in or an old one is pruned.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog.model import VersionInfo
from layers.contract import LayerReader, LayerStore

type Key = tuple[str, int]
_VERSIONS = 3


@dataclass(slots=True)
class _Open:
    reader: LayerReader
    users: int = 0


class Readers:
    """At most `keep` idle readers stay open, the most recently used ones; of one layer, `_VERSIONS`.

    A layer that changes every minute would else fill the memory with versions that nobody asks for again.
    """

    def __init__(self, store: LayerStore, keep: int = 64) -> None:
        self._store = store
        self._keep = keep
        self._open: OrderedDict[Key, _Open] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, info: VersionInfo) -> Iterator[LayerReader]:
        """Yield the reader of a version; opening errors reach the caller."""
        entry = self._take(info)
        try:
            yield entry.reader
        finally:
            self._give_back(entry)

    def _take(self, info: VersionInfo) -> _Open:
        key = (info.layer_id, info.version)
        with self._lock:  # opening and closing are under one lock: nobody gets a reader that closes
            entry = self._open.get(key)
            if entry is not None:
                entry.users += 1
                self._open.move_to_end(key)
                return entry
            entry = self._open[key] = _Open(self._store.reader(info), users=1)
            self._close_idle([one for one in self._open if one[0] == info.layer_id], _VERSIONS)
            return entry

    def _give_back(self, entry: _Open) -> None:
        with self._lock:
            entry.users -= 1
            self._close_idle(list(self._open), self._keep)

    def _close_idle(self, keys: list[Key], keep: int) -> None:
        """Close the longest unused of some readers until so many are left; none that is in use."""
        surplus = len(keys) - keep
        if surplus > 0:
            for key in [key for key in keys if self._open[key].users == 0][:surplus]:
                self._open.pop(key).reader.close()

    def close(self) -> None:
        """Close all; only when the server stops."""
        with self._lock:
            entries = list(self._open.values())
            self._open.clear()
        for entry in entries:
            entry.reader.close()
