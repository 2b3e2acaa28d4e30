"""One thing made of a layer version and kept: the old one serves while the next one is made beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ogc_server.processes.errors import IndexNotReadyError

type Key = tuple[str, int]
"""Layer and version."""


class Held:
    """A value and the version that it was made of. Who uses it alone holds `lock` meanwhile.

    With `wait_seconds` somebody else calls `renew`, and who needs the very first value waits no longer
    than that; without, what is missing is made where it is asked for (in the process of a job).
    """

    def __init__(self, wait_seconds: float | None) -> None:
        self.lock = threading.Lock()
        self._wait = wait_seconds
        self._making = threading.Lock()
        self._changed = threading.Condition()
        self._made: tuple[Key, Any] | None = None
        self._broken: tuple[Key, Exception] | None = None

    def get(self, key: Key, make: Callable[[], Any]) -> Any:
        """Return the value of this version, or of the one before it while this one is being made.

        Raises what making it raised, and IndexNotReadyError when there is none yet.
        """
        if self._wait is None:
            self.renew(key, make)
        elif self._of(key) is None and not self._failed(key):
            with self._changed:
                self._changed.wait_for(lambda: self._of(key) is not None or self._failed(key), self._wait)
        made = self._of(key)
        if self._broken is not None and self._failed(key):
            raise self._broken[1]
        if made is None:
            raise IndexNotReadyError(f"{key[0]} version {key[1]} is being indexed")
        return made[1]

    def renew(self, key: Key, make: Callable[[], Any]) -> bool:
        """Make the value of a version unless it is at hand; an error is kept for who asks.

        Return whether a value was made.
        """
        with self._making:
            if self._made is not None and self._made[0] == key:
                return False
            try:
                made = make()
            except Exception as error:
                with self._changed:
                    self._broken = (key, error)
                    self._changed.notify_all()
                return False
            with self._changed:
                self._made, self._broken = (key, made), None
                self._changed.notify_all()
            return True

    def _of(self, key: Key) -> tuple[Key, Any] | None:
        """Return what is made of this layer; of another layer it is no answer."""
        made = self._made
        return made if made is not None and made[0][0] == key[0] else None

    def _failed(self, key: Key) -> bool:
        return self._broken is not None and self._broken[0] == key
