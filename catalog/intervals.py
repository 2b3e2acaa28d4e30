"""Schedules of feeds that must be looked at more often than cron can: `@every 30s`."""

from __future__ import annotations

import re
from datetime import timedelta

from catalog.errors import ConfigError

LEAST = timedelta(seconds=10)
"""No feed is asked more often; BMKG allows 60 requests a minute for all that one asks."""

_EVERY = re.compile(r"@every ([1-9][0-9]{0,4})(s|m|h)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def interval(schedule: str) -> timedelta | None:
    """Return the interval of `@every N(s|m|h)`, None for a cron expression; ConfigError for a wrong one."""
    if not schedule.startswith("@"):
        return None
    found = _EVERY.fullmatch(schedule.strip())
    if found is None:
        raise ConfigError(f"{schedule!r} is not written as `@every 30s`", where="schedule")
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if length < LEAST:
        raise ConfigError(f"{schedule!r} is more often than every {LEAST.seconds} seconds", where="schedule")
    return length
