"""Walks through all records of a catalogue by position, and isolates those that break their page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from catalog.errors import ProtocolError, SourceError, TransientSourceError
from catalog.metadata.xmlsafe import Element
from harvesters.csw.service import Records

log = logging.getLogger(__name__)
MAX_BAD_IN_A_ROW = 20
MAX_EMPTY_IN_A_ROW = 3

type Ask = Callable[[int, int, int | None], Records]
"""(start from 1, count, retries) -> records."""


@dataclass(frozen=True, slots=True)
class BadPosition:
    """The record at this position (from 1) can not be had."""

    position: int
    error: SourceError


def walk(ask: Ask, matched: int | None, page_size: int) -> Iterator[tuple[int, list[Element]] | BadPosition]:
    """Yield (position, records) of each page from position 1 to `matched` (None: until nothing new comes).

    Only our own position counts: `nextRecord` is not read. A page that raises is asked for in halves until
    the bad record is alone. An empty page before the end is asked again from the next position, a few
    times. Raises the last error when too many records in a row are bad: then it is the server.
    """
    position, size, bad, empty = 1, page_size, 0, 0
    while matched is None or position <= matched:
        count = size if matched is None else min(size, matched - position + 1)
        try:
            # the whole page has had its retries: its parts are tried once each
            elements = ask(position, count, None if count == page_size else 0).elements[:count]
        except (ProtocolError, TransientSourceError) as exc:
            if count > 1:
                size = count // 2
                continue
            bad += 1
            if bad > MAX_BAD_IN_A_ROW:
                raise
            yield BadPosition(position, exc)
            position += 1
            continue
        if elements:
            bad = empty = 0
            yield position, elements
            position += len(elements)
            size = min(page_size, size * 2)
        elif matched is None:
            return
        else:
            empty += 1
            if empty > MAX_EMPTY_IN_A_ROW:
                log.warning("nothing came from position %s of %s on", position, matched)
                return
            position += 1 if empty > 1 else 0  # the same once more, then one step on
