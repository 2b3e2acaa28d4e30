"""What the pages of pusat kendali share in one server process: a memory of what versions hold.

Versions never change, so what was read from one is kept under its number. Of one thing two versions are
kept, the newer ones (events come in hundreds of versions a day); of all things, those last used.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from ogc_server.service import Service

_KEPT = 64
_VERSIONS = 2

type Key = tuple[str, str, *tuple[Hashable, ...]]
"""What it is, of which layer, and the versions that it was read from."""


class Room:
    """Keeps what was made of versions, and the last good state per language. Safe for threads."""

    def __init__(self, keep: int = _KEPT) -> None:
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self._keep = keep
        self._lock = threading.Lock()
        self.states: dict[str, dict[str, Any]] = {}

    def get[T](self, key: Key, make: Callable[[], T]) -> T:
        """Return what is kept under `key`; made now when it is not (twice, when two ask at once)."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                known: T = self._kept[key]
                return known
        made = make()
        with self._lock:
            self._kept[key] = made
            same = [one for one in self._kept if one[:2] == key[:2]]
            for one in same[:-_VERSIONS]:
                del self._kept[one]
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return made


def room_of(service: Service) -> Room:
    """Return the room of this server process."""
    if service.control_room is None:  # two made at once do no harm, one is dropped
        service.control_room = Room()
    room: Room = service.control_room
    return room
