"""Watching one request from outside, so that a server that hangs or drips can not hold us."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from requests import Response as Answer

from catalog.errors import CancelledRunError, TransientSourceError
from harvesters.http.wire import Lines

POLL = 0.2
MIN_SPEED = 64
"""Bytes per second; a body slower than this over a whole time-out is a drip, not an answer."""


class Watch:
    """Runs a request in a daemon thread; ends the wait on cancel, on silence and on a slow drip."""

    def __init__(self, lines: Lines, cancel: threading.Event, limit: float, where: str) -> None:
        self._lines, self._cancel, self._limit, self._where = lines, cancel, limit, where
        self._received = 0
        self._mark: tuple[float, int] | None = None

    def begin(self) -> None:
        """Start the time: waiting for a free connection before this does not count."""
        self._mark = (time.monotonic(), self._received)

    def answered(self, answer: Answer, *_: Any, **__: Any) -> None:
        """Hook of requests: the headers are here; from now on bytes must flow."""
        self.begin()

    def flows(self, count: int) -> None:
        """Count body bytes that came."""
        self._received += count

    def run[T](self, once: Callable[[Watch], T]) -> T:
        """Return what `once(self)` returns, or raise what it raises."""
        result: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                result.put((True, once(self)))
            except BaseException as exc:
                result.put((False, exc))
            finally:
                self._lines.forget()

        thread = threading.Thread(target=work, name="http", daemon=True)
        thread.start()
        while True:
            try:
                good, value = result.get(timeout=POLL)
            except queue.Empty:
                self._check(thread.ident)
                continue
            if not good:
                raise value
            return value  # type: ignore[no-any-return]

    def _check(self, thread: int | None) -> None:
        if self._cancel.is_set():
            self._lines.cut(thread)
            raise CancelledRunError("cancelled", where=self._where)
        if self._mark is None:
            return
        since, before = self._mark
        now = time.monotonic()
        if now - since < self._limit:
            return
        if self._received - before < MIN_SPEED * (now - since):
            self._lines.cut(thread)
            raise TransientSourceError("no answer in time, or only a drip", where=self._where)
        self._mark = (now, self._received)
