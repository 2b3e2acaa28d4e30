"""Map tiles that were just drawn, kept by their validator; bounded in bytes; shared by threads."""

from __future__ import annotations

import threading
from collections import OrderedDict


class TileMemory:
    """The most recently asked tiles. A tag names a version and a rule, so nothing grows stale."""

    def __init__(self, most: int = 32 * 2**20) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> bytes | None:
        """Return a tile that is kept."""
        with self._lock:
            if tag in self._kept:
                self._kept.move_to_end(tag)
            return self._kept.get(tag)

    def put(self, tag: str, body: bytes) -> None:
        """Keep a tile; the ones longest unasked go."""
        with self._lock:
            if tag not in self._kept:
                self._kept[tag] = body
                self._size += len(body)
            while self._size > self._most:
                _, old = self._kept.popitem(last=False)
                self._size -= len(old)
