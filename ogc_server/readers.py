"""Open layer readers, shared by all requests of this process and closed when nobody needs them.

A reader in use is never closed: requests under way finish on the version they began with, also
while a new version is swapped in or an old one is pruned.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog.model import VersionInfo
from layers.contract import LayerReader, LayerStore

type Key = tuple[str, int]
_VERSIONS = 3
_IDLE_SECONDS = 300.0


@dataclass(slots=True)
class _Open:
    reader: LayerReader
    users: int = 0
    used: float = 0.0


class Readers:
    """At most `keep` idle readers stay open, the most recently used ones; of one layer, `_VERSIONS`.

    What nobody asked for in `_IDLE_SECONDS` is closed when others are asked for: layers that change every
    minute, and answers that come with every event, would else fill the memory (some 0.9 MB each).
    """

    def __init__(
        self, store: LayerStore, keep: int = 64, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._keep = keep
        self._clock = clock
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
            entry.used = self._clock()
            self._close_idle(list(self._open), self._keep)
            self._close_forgotten(entry.used - _IDLE_SECONDS)

    def _close_idle(self, keys: list[Key], keep: int) -> None:
        """Close the longest unused of some readers until so many are left; none that is in use."""
        surplus = len(keys) - keep
        if surplus > 0:
            for key in [key for key in keys if self._open[key].users == 0][:surplus]:
                self._open.pop(key).reader.close()

    def _close_forgotten(self, since: float) -> None:
        """Close what was last used before; a long download of one does not keep the others open."""
        for key in [key for key, one in self._open.items() if not one.users and one.used < since]:
            self._open.pop(key).reader.close()

    def close(self) -> None:
        """Close all; only when the server stops."""
        with self._lock:
            entries = list(self._open.values())
            self._open.clear()
        for entry in entries:
            entry.reader.close()
