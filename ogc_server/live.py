"""Keeps the snapshot in step with the catalog: one cheap question a second, a swap when it moved.

When the catalog's database can not be reached the last snapshot goes on being served, and /health
says so.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import datetime

from catalog.clock import Clock
from catalog.store import Catalog
from ogc_server.snapshot import Snapshot

LOGGER = logging.getLogger(__name__)


class Live:
    """Holds the current snapshot. Reading `snapshot` is atomic; swapping waits for nobody."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.Lock()
        self.snapshot = Snapshot.build(catalog)
        self.checked: datetime = clock()
        self.trouble = ""

    def refresh(self) -> bool:
        """Look at the catalog once; True when a new snapshot was swapped in."""
        with self._lock:
            try:
                moved = self._catalog.generation() != self.snapshot.generation
                if moved:
                    self.snapshot = Snapshot.build(self._catalog, self.snapshot)
            except Exception as error:  # whatever the database driver raises: keep serving
                if not self.trouble:
                    LOGGER.exception("the catalog can not be read; the last state is still served")
                self.trouble = type(error).__name__
                return False
            self.trouble = ""
            self.checked = self._clock()
            return moved

    async def follow(self, seconds: float) -> None:
        """Refresh for ever, every `seconds`."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.refresh)
