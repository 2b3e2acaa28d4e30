"""Attribute values: checked against the schema, normalised, and written as JSON.

Stored forms: TEXT in NFC, INTEGER of 64 bits, REAL finite, BOOLEAN as bool, DATE `YYYY-MM-DD`,
DATETIME in UTC as `YYYY-MM-DDTHH:MM:SS.mmmZ` (fixed width, so text order is time order).
"""

from __future__ import annotations

import math
import operator
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from catalog.model import FieldDef, FieldType

type Scalar = str | int | float | bool | None
type Check = Callable[[Any], Scalar]

_INT64 = 2**63


class BadValueError(ValueError):
    """One value does not fit its field; the message says why, without the field's name."""


def _name(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"


def text_value(value: Any) -> str:
    """Return a text in NFC without NUL; lone surrogates are refused."""
    if not isinstance(value, str):
        raise BadValueError(f"expected text, got {_name(value)}")
    if value.isascii():
        return value.replace("\0", "") if "\0" in value else value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadValueError("text holds half a surrogate pair") from error
    return unicodedata.normalize("NFC", value).replace("\0", "")


def integer_value(value: Any) -> int:
    """Return an integer of 64 bits; 3.0 is 3, "3" and True are refused."""
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise BadValueError(f"expected an integer, got {_name(value)}")
    try:
        number = int(value) if isinstance(value, (float, np.floating)) else operator.index(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValueError(f"expected an integer, got {_name(value)}") from error
    if number != value or not -_INT64 <= number < _INT64:
        raise BadValueError(f"expected an integer of 64 bits, got {_name(value)}")
    return number


def real_value(value: Any) -> float:
    """Return a finite float."""
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise BadValueError(f"expected a number, got {_name(value)}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValueError(f"expected a number, got {_name(value)}") from error
    if not math.isfinite(number):
        raise BadValueError(f"expected a finite number, got {number}")
    return number + 0.0  # -0.0 is 0.0: SQLite keeps no sign of zero


def boolean_value(value: Any) -> bool:
    """Return a bool; 0, 1 and words are refused."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise BadValueError(f"expected true or false, got {_name(value)}")


def date_value(value: Any) -> str:
    """Return `YYYY-MM-DD` of a date or such a text."""
    if isinstance(value, datetime):
        raise BadValueError(f"expected a date, got {_name(value)}")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise BadValueError(f"expected a date, got {_name(value)}")


def datetime_value(value: Any) -> str:
    """Return UTC text of a datetime or ISO text; one without a zone is taken as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise BadValueError(f"expected a date and time, got {_name(value)}") from error
    if not isinstance(value, datetime):
        raise BadValueError(f"expected a date and time, got {_name(value)}")
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    try:
        instant = aware.astimezone(UTC)
    except OverflowError as error:
        raise BadValueError(f"expected a date and time, got {_name(value)}") from error
    return f"{instant:%Y-%m-%dT%H:%M:%S}".zfill(19) + f".{instant.microsecond // 1000:03d}Z"


CHECKS: dict[FieldType, Check] = {
    FieldType.TEXT: text_value,
    FieldType.INTEGER: integer_value,
    FieldType.REAL: real_value,
    FieldType.BOOLEAN: boolean_value,
    FieldType.DATE: date_value,
    FieldType.DATETIME: datetime_value,
}


def native(value: Any, kind: FieldType) -> Any:
    """Return the Python value of a stored one: date, aware datetime, bool, the rest as it is."""
    if value is None:
        return None
    if kind is FieldType.DATE:
        return date.fromisoformat(value) if isinstance(value, str) else value
    if kind is FieldType.DATETIME:
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
    return bool(value) if kind is FieldType.BOOLEAN else value


def stored_form(value: Any) -> Any:
    """Return a native value as the embedded store would hold it: times and dates as text."""
    if isinstance(value, datetime):
        return datetime_value(value)
    return value.isoformat() if isinstance(value, date) else value


def check_row(row: dict[str, Any], fields: tuple[FieldDef, ...], checks: list[Check]) -> list[Scalar]:
    """Return the row's stored values in field order; BadValueError names the field."""
    values: list[Scalar] = []
    for column, check in zip(fields, checks, strict=True):
        value = row.get(column.name)
        try:
            values.append(None if value is None else check(value))
        except BadValueError as error:
            raise BadValueError(f"field {column.name!r}: {error}") from None
    return values
