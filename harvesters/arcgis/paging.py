"""Which object ids to ask for next, and how many at a time.

A page's key is the range `lo-hi` of the object ids it covers. Pages of one listing never overlap,
whatever sizes they had, so an interrupted run resumes with any page size.
"""

from __future__ import annotations

import queue
import re
import threading
from collections import deque
from collections.abc import Iterator, Set

import numpy as np
import numpy.typing as npt

type Ids = npt.NDArray[np.int64]

_KEY = re.compile(r"(-?\d+)\.\.(-?\d+)")
_GROW_AFTER = 4
HEAVY = 4 * 2**20
"""Bytes of an answer above which pages are made smaller: real servers cut answers of 5 to 17 MB, and
parsed pages are what a harvest keeps in memory."""


def page_key(ids: Ids) -> str:
    """Return the key of a page that covers `ids` (sorted, not empty)."""
    return f"{ids[0]}..{ids[-1]}"


def remaining(ids: Ids, staged: Set[str]) -> deque[Ids]:
    """Return the stretches of sorted `ids` that no staged page covers, in order."""
    done = np.zeros(len(ids), dtype=bool)
    for key in staged:
        if match := _KEY.fullmatch(key):
            lo, hi = np.searchsorted(ids, int(match[1])), np.searchsorted(ids, int(match[2]), "right")
            done[lo:hi] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([True], done, [True])).astype(np.int8)))
    return deque(ids[lo:hi] for lo, hi in zip(edges[::2], edges[1::2], strict=True))


class Sizer:
    """The page size: halved when a page fails, grown back slowly, never above what the server gives."""

    def __init__(self, limit: int) -> None:
        self.limit = self.size = max(1, limit)
        self._good = 0

    def failed(self, asked: int) -> None:
        """A page of `asked` features failed."""
        self.size, self._good = max(1, min(self.size, asked) // 2), 0

    def capped(self, given: int, *, firm: bool) -> None:
        """The server gave `given` of more; `firm` when it said that this is its limit."""
        self.size = max(1, given)
        if firm:
            self.limit = self.size

    def good(self, count: int = 1, weight: int = 0) -> None:
        """A page of `count` features and `weight` bytes came whole; after some try half as much again."""
        if weight > HEAVY:
            self.size, self._good = max(1, count * HEAVY // weight), 0
            return
        self._good += 1
        if self._good >= _GROW_AFTER and self.size < self.limit and weight * 3 // 2 <= HEAVY:
            self.size, self._good = min(self.limit, self.size + max(1, self.size // 2)), 0


class _End:
    """What ended the producer."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch[T](source: Iterator[T], depth: int = 1) -> Iterator[T]:
    """Run `source` in a thread, at most `depth` items ahead of the consumer; errors pass through.

    Closing the iterator stops the thread after the item it is working on.
    """
    ahead: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                ahead.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in source:
                put(item)
                if stop.is_set():
                    return
            put(_End(None))
        except BaseException as e:
            put(_End(e))

    worker = threading.Thread(target=produce, name="prefetch", daemon=True)
    worker.start()
    try:
        while not isinstance(item := ahead.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        worker.join(timeout=5)
