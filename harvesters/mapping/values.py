"""Forcing a column to a type: what people write, turned into what a layer stores, or a clear no."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from catalog.model import FieldType

_TRUE = {"true", "t", "yes", "y", "ya", "1", "benar"}
_FALSE = {"false", "f", "no", "n", "tidak", "0", "salah"}
_EMPTY = {"", "-", "null", "none", "n/a", "na", "nan"}
_WHOLE = re.compile(r"\s*[+-]?\d{1,30}\s*")
_INDONESIAN = re.compile(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+|[+-]?\d{1,3}(\.\d{3}){2,}")
_DAY_FIRST = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")


class BadValueError(ValueError):
    """A value does not fit the type; the message does not repeat it (it may be personal)."""


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY)


def to_text(value: Any) -> str | None:
    """Return text; whole floats without `.0` (a code that a spreadsheet made a number)."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def to_real(value: Any) -> float | None:
    """Return a float. `1,5`, `1.234,5` and `1.234.567` are read the Indonesian way; `1.234` is 1.234."""
    if _empty(value):
        return None
    if isinstance(value, str):
        text = value.strip().replace("\u2212", "-").replace(" ", "")
        value = text.replace(".", "").replace(",", ".") if _INDONESIAN.fullmatch(text) else text
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadValueError("not a number") from None
    if not math.isfinite(number):
        raise BadValueError("not a finite number")
    return number


def to_integer(value: Any) -> int | None:
    """Return a whole number; long ones keep every digit."""
    if _empty(value):
        return None
    if isinstance(value, int) or (isinstance(value, str) and _WHOLE.fullmatch(value)):
        whole = int(value)
    else:
        number = to_real(value)
        if number is None or not number.is_integer():
            raise BadValueError("not a whole number")
        whole = int(number)
    if not -(2**63) <= whole < 2**63:
        raise BadValueError("more than 64 bits")
    return whole


def to_boolean(value: Any) -> bool | None:
    """Return a truth value of true/false, ya/tidak, 1/0."""
    if _empty(value):
        return None
    word = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise BadValueError("not true or false")


def to_datetime(value: Any) -> datetime | None:
    """Return an aware instant of ISO text, epoch milliseconds or a day-first date; UTC when unsaid."""
    if _empty(value):
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, date):
            found = datetime(value.year, value.month, value.day, tzinfo=UTC)
        elif match := _DAY_FIRST.fullmatch(str(value).strip()):
            found = datetime(int(match[3]), int(match[2]), int(match[1]), tzinfo=UTC)
        else:
            found = datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        raise BadValueError("not a date and time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def to_date(value: Any) -> date | None:
    """Return the day of whatever `to_datetime` reads."""
    found = to_datetime(value)
    return found.date() if found else None


CONVERT: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.TEXT: to_text,
    FieldType.INTEGER: to_integer,
    FieldType.REAL: to_real,
    FieldType.BOOLEAN: to_boolean,
    FieldType.DATE: to_date,
    FieldType.DATETIME: to_datetime,
}
