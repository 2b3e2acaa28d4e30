"""The time of a raster: one period, asked for by `datetime` or by the axis `time` of `subset`.

A raster tells of the period that its record states (`extent.temporal`). A question that touches the
period gets the raster, any other one 404 (OGC API - Maps 1.0, `datetime/subset-definition`; Coverages
1.0, "Temporal Subsetting"). A raster without a stated period fits any question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from catalog.datasets import Dataset
from ogc_server.errors import OutsideError, ParameterError
from ogc_server.times import interval

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d))?Z)?)?)?", re.ASCII)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Period(NamedTuple):
    """Inclusive instants in UTC; `latest`: the newest that there is (`time(*)`)."""

    start: datetime
    end: datetime
    latest: bool = False


def coordinate(name: str, first: str, last: str | None = None) -> Period:
    """Read the coordinates of `time(...)`: RFC 3339, partial dates (2024, 2024-05), or `*`.

    A partial date is the whole of its year, month, day, hour or minute. ParameterError for any other.
    """
    if first == "*" and last is None:
        return Period(_FIRST, _LAST, latest=True)
    begins = _FIRST if first == "*" else _moment(name, first)[0]
    ends = _LAST if last == "*" else _moment(name, first if last is None else last)[1]
    if begins > ends:
        raise ParameterError("query.datetime-reversed", name, value=f"{first}:{last}"[:80])
    return Period(begins, ends)


def _moment(name: str, said: str) -> tuple[datetime, datetime]:
    """Return the first and the last instant of a time as written, in quotes or as a bare number."""
    text = said.strip('"') if said.startswith('"') else said
    quoted = said.startswith('"')
    partial = _PARTIAL.fullmatch(text) if quoted or text.isdigit() else None
    try:
        if partial:
            return _spread(partial)
        if quoted:
            start, end = interval(name, text)
            if start and end and "/" not in text:
                return datetime.fromisoformat(start), datetime.fromisoformat(end)
    except (ValueError, OverflowError):
        pass
    raise ParameterError("query.datetime", name, value=said[:80])


def _spread(partial: re.Match[str]) -> tuple[datetime, datetime]:
    """Return the first and the last instant of a partial date; ValueError when there is no such date."""
    year, month, day, hour, minute = partial.groups()
    start = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), tzinfo=UTC)
    if month is None:
        after = start.replace(year=start.year + 1)
    elif day is None:
        after = (start + timedelta(days=31)).replace(day=1)
    else:
        after = start + timedelta(minutes=1 if minute else 60 if hour else 24 * 60)
    return start, after - timedelta(microseconds=1)


def period(dataset: Dataset) -> Period | None:
    """Return the period that the record of a raster states; None when it states none."""
    start, end = dataset.record.time_start, dataset.record.time_end
    if start is None and end is None:
        return None
    return Period(start or _FIRST, end or _LAST)


def check(dataset: Dataset, values: Mapping[str, Any]) -> None:
    """Refuse a question about another time than that of the raster's record (404), or two times (400)."""
    part = values.get("subset")
    asked = part.time if part is not None else None
    if "datetime" in values:
        if asked is not None:
            raise ParameterError("query.datetime-and-subset", "subset")
        first, last = (datetime.fromisoformat(one) if one else None for one in values["datetime"])
        asked = Period(first or _FIRST, last or _LAST)
    own = period(dataset)
    if own is None or asked is None or asked.latest:
        return
    if asked.start > own.end or asked.end < own.start:
        where = "datetime" if "datetime" in values else "subset"
        raise OutsideError("query.other-time", where, value=shown(own))


def shown(own: Period) -> str:
    """Return a period as `Content-Datetime` has it: one instant, or two with a slash."""
    ends = [
        ".." if one in (_FIRST, _LAST) else one.isoformat().replace("+00:00", "Z")
        for one in (own.start, own.end)
    ]
    return ends[0] if ends[0] == ends[1] else "/".join(ends)


def headers(dataset: Dataset) -> dict[str, str]:
    """Return Content-Datetime of a raster whose record states its period."""
    own = period(dataset)
    return {} if own is None else {"Content-Datetime": shown(own)}
