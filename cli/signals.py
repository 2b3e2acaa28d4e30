"""Ctrl-C and `kill` ask for a clean end: a run is cancelled and says so, nothing is left half-written."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

PARENT = "SATUDATA_PARENT"
"""Names the process without which a child has no reason to go on."""


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set (and a parent's end); the handlers before are put back."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    if PARENT in os.environ:
        threading.Thread(target=_watch, args=(int(os.environ[PARENT]), stop), daemon=True).start()
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _watch(parent: int, stop: threading.Event) -> None:
    """Set the event when the parent is gone, also by `kill -9`: its orphans belong to somebody else."""
    while not stop.wait(1):
        if os.getppid() != parent:
            stop.set()


@contextmanager
def ended_by_kill() -> Iterator[None]:
    """Make `kill` end the program as an exception does, so that children are stopped on the way out.

    uvicorn stops at the signal and raises it once more afterwards; its default would end us at once.
    """

    def leave(*_: object) -> NoReturn:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
