"""Keeping the lease: a thread that beats while the engine works, and hears "cancel"."""

from __future__ import annotations

import logging
import threading
import time

from catalog.errors import CancelledRunError, NotFoundError
from harvesters.engine.book import Book

log = logging.getLogger(__name__)
LONGEST = 1.0
"""Seconds between beats at most: a person who cancels does not wait longer for us to know."""


class Heartbeat:
    """Beats until the context ends. Sets `cancel` on request, and when the lease is lost."""

    def __init__(self, book: Book, lease_seconds: float, cancel: threading.Event) -> None:
        self._book, self._lease, self._cancel = book, lease_seconds, cancel
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.lost = False

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(min(LONGEST, self._lease / 4)):
            try:
                if self._book.beat():
                    self._cancel.set()
                last = time.monotonic()
            except (CancelledRunError, NotFoundError):
                log.warning("run %s has ended under us (lease lost or reaped): stopping", self._book.run_id)
                self._lose()
                return
            except Exception as exc:  # the database may be busy for a moment; the lease decides
                log.warning("heartbeat of run %s failed: %s", self._book.run_id, exc)
                if time.monotonic() - last > self._lease:
                    self._lose()
                    return

    def _lose(self) -> None:
        self.lost = True
        self._cancel.set()
