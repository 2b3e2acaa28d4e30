"""Makes ready what requests need before they ask: at start, and when a layer has a new version.

Building the index of the boundaries takes the country half a minute of computing, so it is done in a
process of its own (`python -m ogc_server.processes.warm`) that gives way to requests; one of a server's
workers does it under a lock on a file, the others open what it made.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from catalog.errors import SatuDataError
from catalog.settings import Settings
from catalog.store import Catalog
from layers.open import open_store
from ogc_server.live import Live
from ogc_server.processes.desk import Desk
from ogc_server.processes.handing import handed, taken_over
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot

LOGGER = logging.getLogger(__name__)
_PAUSE = 0.1
_NICE = 10


class Warmer:
    """Follows the snapshot of a server from a thread."""

    def __init__(
        self,
        settings: Settings,
        live: Live,
        desk: Desk,
        first: Callable[[Snapshot], object],
        last: Callable[[Snapshot], object],
    ) -> None:
        """What others want to do: `first` with each snapshot before all else, `last` when all is ready."""
        self._settings, self._live, self._desk = settings, live, desk
        self._first, self._last = first, last
        self._done: Snapshot | None = None
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="warm", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; an index that is half made is thrown away by who makes it again."""
        self._stopping.set()
        if (child := self._child) is not None:
            child.kill()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            snapshot = self._live.snapshot
            if snapshot is not self._done:
                try:
                    self._first(snapshot)
                    self._warm(snapshot)
                except Exception as error:
                    LOGGER.error("what requests need could not be made ready: %s", type(error).__name__)
                self._done = snapshot
            self._stopping.wait(_PAUSE)

    def _warm(self, snapshot: Snapshot) -> None:
        if self._desk.needs_index(snapshot):
            self._build()
        if not self._stopping.is_set() and self._desk.warm(snapshot) - {"facilities"}:
            self._last(snapshot)  # not after each change of stock
            set_aside()

    def _build(self) -> None:
        command = [sys.executable, "-m", "ogc_server.processes.warm"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:  # noqa: S603 - our own command
            self._child = child
            child.communicate(json.dumps(handed(self._settings)).encode())
        self._child = None


def set_aside() -> None:
    """Take what was made, and stays, out of the garbage collector's sight.

    It looked through all of it again and again, a tenth of a second each time, in the middle of answers.
    What was set aside before is looked at once more, so nothing is kept that is dropped.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def main() -> None:
    """Build the index of the boundaries as the settings on standard input say."""
    os.nice(_NICE)
    settings = taken_over(json.load(sys.stdin))
    with Catalog.open(settings.database_url()) as catalog:
        readers = Readers(open_store(settings))
        try:
            with Desk(settings, catalog, readers).desa(Snapshot.build(catalog), "point"):
                return
        except SatuDataError as error:  # the server will meet the same error and tell who asks
            LOGGER.warning("no index of the boundaries: %s", error.code)
        finally:
            readers.close()


if __name__ == "__main__":
    main()
