"""Find a property of the schema and fit a value to it."""

from __future__ import annotations

import difflib
from typing import Any

from catalog.errors import QueryError
from catalog.model import FieldDef, FieldType, LayerSchema
from layers.fold import text_of
from layers.query.sql import Dialect, Sql
from layers.values import BadValueError, boolean_value, date_value, datetime_value, integer_value, real_value


def field_of(schema: LayerSchema, name: str) -> FieldDef:
    """Return the attribute's definition; QueryError names the nearest one."""
    for candidate in schema.fields:
        if candidate.name == name:
            return candidate
    near = difflib.get_close_matches(name, schema.names(), n=1, cutoff=0.5)
    near = near or [n for n in schema.names() if n.lower() == name.lower()]
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(schema.names()[:20])}"
    raise QueryError(f"no property {name[:80]!r}; {hint}")


def literal(column: FieldDef, raw: Any, dialect: Dialect) -> Sql:
    """Return a value (or its text) as a parameter of the column's type; QueryError otherwise."""
    try:
        return dialect.value(parse_value(column, raw), column.type)
    except (BadValueError, ValueError) as error:
        shown = str(raw)[:60]
        raise QueryError(f"{shown!r} does not fit property {column.name!r} of type {column.type}") from error


def parse_value(column: FieldDef, raw: Any) -> Any:
    """Return the stored form of a value given as text or as JSON."""
    kind = column.type
    if kind is FieldType.TEXT:
        if not isinstance(raw, str):
            raise BadValueError("expected text")
        return text_of(raw)
    if kind is FieldType.INTEGER:
        return integer_value(_number(raw))
    if kind is FieldType.REAL:
        return real_value(_number(raw))
    if kind is FieldType.BOOLEAN:
        words = {"true": True, "false": False}
        return words[raw.lower()] if isinstance(raw, str) and raw.lower() in words else boolean_value(raw)
    return date_value(raw) if kind is FieldType.DATE else datetime_value(raw)


def _number(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    if len(raw) > 400:
        raise BadValueError("expected a number")
    return int(raw) if raw.strip().lstrip("+-").isdecimal() else float(raw)
