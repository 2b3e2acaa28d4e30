"""What the pages of pusat kendali share in one server process: a memory of what versions hold.

Versions never change, so what was read from one is kept under its number. Of one thing two versions are
kept, the newer ones (events come in hundreds of versions a day); of all things, those last used, and no
more of them than fit: an earthquake under Java has ten thousand rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from ogc_server.service import Service

_KEPT = 64
_VERSIONS = 2
_MOST_ROWS = 30_000
"""Rows kept in all, some kB each; the one used last is kept whatever its size."""

type Key = tuple[str, str, *tuple[Hashable, ...]]
"""What it is, of which layer, and the versions that it was read from."""


class Room:
    """Keeps what was made of versions, and the last good state per language. Safe for threads."""

    def __init__(self, keep: int = _KEPT, most_rows: int = _MOST_ROWS) -> None:
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self._rows: dict[Key, int] = {}
        self._keep, self._most_rows = keep, most_rows
        self._lock = threading.Lock()
        self.states: dict[str, dict[str, Any]] = {}

    def get[T](self, key: Key, make: Callable[[], T], rows: Callable[[T], int] = lambda made: 0) -> T:
        """Return what is kept under `key`; made now when it is not (twice, when two ask at once).

        `rows` tells how large it is.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                known: T = self._kept[key]
                return known
        made = make()
        with self._lock:
            self._kept[key], self._rows[key] = made, rows(made)
            same = [one for one in self._kept if one[:2] == key[:2]]
            for one in same[:-_VERSIONS]:
                self._drop(one)
            while len(self._kept) > self._keep or (
                len(self._kept) > 1 and sum(self._rows.values()) > self._most_rows
            ):
                self._drop(next(iter(self._kept)))
        return made

    def _drop(self, key: Key) -> None:
        del self._kept[key], self._rows[key]


def room_of(service: Service) -> Room:
    """Return the room of this server process."""
    if service.control_room is None:  # two made at once do no harm, one is dropped
        service.control_room = Room()
    room: Room = service.control_room
    return room
