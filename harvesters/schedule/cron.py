"""When a source is due: five cron fields read as cron reads them, intervals, and quiet hours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from catalog.errors import ConfigError
from catalog.intervals import interval

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_QUIET = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


def weekdays(text: str) -> str:
    """Write cron's weekday field (0 and 7 are Sunday) as the names that APScheduler understands.

    APScheduler counts from Monday, so a `0` handed on as it is would run a day late.
    """
    days: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ConfigError(f"weekday {text!r} is not a cron field", where="schedule")
        first = 0 if match[1] else _day(match[2])
        last = 6 if match[1] or (match[4] and not match[3]) else _day(match[3] or match[2])
        if last < first:
            last += 7
        days.update(day % 7 for day in range(first, last + 1, int(match[4] or 1)))
    return ",".join(_DAYS[day] for day in sorted(days))


def _day(text: str) -> int:
    if text[:3] in _DAYS:
        return _DAYS.index(text[:3])
    if text.isdigit() and int(text) <= 7:
        return int(text)
    raise ConfigError(f"{text!r} is no weekday", where="schedule")


type Rule = BaseTrigger | timedelta
"""A cron trigger, or how long after the last start the next one is."""


def trigger(expression: str, zone: ZoneInfo) -> Rule:
    """Build the rule of five cron fields, or of `@every 30s`.

    Day and weekday both given: either fits, as in cron.
    """
    if (length := interval(expression)) is not None:
        return length
    fields = expression.split()
    if len(fields) != 5:
        raise ConfigError(f"{expression!r} does not have five fields", where="schedule")
    minute, hour, day, month, weekday = fields
    try:
        if weekday == "*" or day == "*":
            week = "*" if weekday == "*" else weekdays(weekday)
            return _cron(zone, minute, hour, day, month, week)
        by_day = _cron(zone, minute, hour, day, month, "*")
        return OrTrigger([by_day, _cron(zone, minute, hour, "*", month, weekdays(weekday))])
    except ValueError as exc:
        if isinstance(exc, ConfigError):
            raise
        raise ConfigError(f"{expression!r}: {exc}", where="schedule") from exc


def _cron(zone: ZoneInfo, minute: str, hour: str, day: str, month: str, week: str) -> CronTrigger:
    return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=week, timezone=zone)


def next_time(rule: Rule, after: datetime) -> datetime | None:
    """Return the first time strictly after `after`."""
    if isinstance(rule, timedelta):
        return after + rule
    found: datetime | None = rule.get_next_fire_time(None, after + timedelta(microseconds=1))
    return found


class QuietHours:
    """Times of the day without starts: `["06:00-09:00", "22:00-02:00"]` in `zone`."""

    def __init__(self, spans: Iterable[str], zone: ZoneInfo) -> None:
        self._zone = zone
        self._spans = [self._span(text) for text in spans]

    def _span(self, text: str) -> tuple[time, time]:
        match = _QUIET.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"{text!r} is not HH:MM-HH:MM", where="scheduler.quiet_hours")
        a, b, c, d = map(int, match.groups())
        return time(a, b), time(c, d)

    def end(self, now: datetime) -> datetime | None:
        """Return when the quiet time that holds `now` ends; None when it is not quiet."""
        here = now.astimezone(self._zone)
        ends = [self._until(here, start, stop) for start, stop in self._spans]
        return max((end for end in ends if end is not None), default=None)

    def _until(self, here: datetime, start: time, stop: time) -> datetime | None:
        at = here.time()
        over_midnight = stop <= start
        if not (start <= at < stop if not over_midnight else at >= start or at < stop):
            return None
        day = here.date() + timedelta(days=1 if over_midnight and at >= start else 0)
        return datetime.combine(day, stop, self._zone)
