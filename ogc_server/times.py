"""The `datetime` parameter: RFC 3339 instants, full dates and intervals (Features Part 1, 7.15.4).

An end of an interval may also be an ISO 8601 duration (`2024-01-01/P2D`): OGC's test suite asks so.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from ogc_server.errors import ParameterError

type Interval = tuple[str | None, str | None]
"""Inclusive UTC instants as `2024-01-31T23:59:59.999999Z`; None is an open end."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?",
    re.ASCII,
)
_DATETIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def interval(name: str, value: str) -> Interval:
    """Read an instant or interval as a pair of inclusive UTC instants.

    A full date covers its whole (UTC) day. Raises ParameterError for anything else: month 13, day
    32, a date-time without zone, three parts, a reversed or empty interval.
    """
    parts = _spelled_out(name, value.split("/"))
    if len(parts) > 2 or not value.strip() or value == "..":
        raise ParameterError("query.datetime", name, value=value[:80])
    starts = [_end(name, part, last=False) for part in parts]
    ends = [_end(name, part, last=True) for part in parts]
    if len(parts) == 1:
        return _text(starts[0]), _text(ends[0])
    start, end = starts[0], ends[1]
    if start and end and start > end:
        raise ParameterError("query.datetime-reversed", name, value=value[:80])
    return _text(start), _text(end)


def _end(name: str, part: str, *, last: bool) -> datetime | None:
    if part in ("", ".."):
        return None
    try:
        if _DATE.fullmatch(part):
            day = date.fromisoformat(part)
            return datetime.combine(day, time.max if last else time.min, UTC)
        return _instant(part)
    except (ValueError, OverflowError):
        raise ParameterError("query.datetime", name, value=part[:80]) from None


def _spelled_out(name: str, parts: list[str]) -> list[str]:
    """Return the parts with a duration at one end written as the instant that it leads to."""
    if len(parts) != 2:
        return parts
    start, end = parts
    try:
        if start.startswith("P") and (moment := _end(name, end, last=True)):
            return [_text(_shift(moment, start, -1)) or "", end]
        if end.startswith("P") and (moment := _end(name, start, last=False)):
            return [start, _text(_shift(moment, end, 1)) or ""]
    except (ValueError, OverflowError):
        raise ParameterError("query.datetime", name, value="/".join(parts)[:80]) from None
    return parts


def _shift(moment: datetime, duration: str, sign: int) -> datetime:
    match = _DURATION.fullmatch(duration)
    if not match:
        raise ValueError(duration)
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    month = moment.year * 12 + moment.month - 1 + sign * (years * 12 + months)
    first = moment.replace(year=month // 12, month=month % 12 + 1, day=1)
    day = min(moment.day, ((first + timedelta(days=32)).replace(day=1) - timedelta(days=1)).day)
    rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return first.replace(day=day) + sign * rest


def _instant(part: str) -> datetime:
    match = _DATETIME.fullmatch(part)
    if not match:
        raise ValueError(part)
    day, minutes, seconds, fraction, zone = match.groups()
    leap = seconds == "60"
    zone = "+00:00" if zone in "Zz" else zone
    moment = datetime.fromisoformat(f"{day}T{minutes}:{'59' if leap else seconds}{zone}")
    micro = 999_999 if leap else int((fraction or "0")[:6].ljust(6, "0"))
    return (moment + timedelta(microseconds=micro)).astimezone(UTC)


def _text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{stamp}.{moment.microsecond:06d}Z" if moment.microsecond else f"{stamp}Z"
