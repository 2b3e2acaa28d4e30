"""PostGIS's words for what the query planner needs."""

from __future__ import annotations

import re
from typing import Any

import shapely

from catalog.model import FieldType
from layers.columns import GEOM, quote
from layers.query.sql import Sql

_FUNCTIONS = {
    "intersects": "ST_Intersects", "within": "ST_Within", "contains": "ST_Contains", "touches": "ST_Touches",
    "crosses": "ST_Crosses", "overlaps": "ST_Overlaps", "equals": "ST_Equals",
}  # fmt: skip
_CASTS = {FieldType.DATE: "?::date", FieldType.DATETIME: "?::timestamptz"}
_MARKS = re.compile(r'"(?:[^"]|"")*"|[?%]')


def psycopg_text(text: str) -> str:
    """Return SQL with psycopg's marks; a quoted name may hold `?` and `%` itself."""

    def change(found: re.Match[str]) -> str:
        part = found.group()
        return "%s" if part == "?" else part.replace("%", "%%")

    return _MARKS.sub(change, text)


class PostgisDialect:
    """See `layers.query.sql.Dialect`. Text columns are of collation "C", so order is by codepoint."""

    def __init__(self, columns: dict[str, str], srid: int) -> None:
        self._columns = columns
        self._srid = srid

    def column(self, name: str) -> str:
        """Return the quoted column."""
        return quote(self._columns[name])

    def value(self, value: Any, kind: FieldType) -> Sql:
        """Return a parameter, cast where PostgreSQL would not see the type."""
        return Sql(_CASTS.get(kind, "?"), (value,))

    def spatial(self, predicate: str, geometry: shapely.Geometry) -> Sql:
        """Return the PostGIS predicate, which uses the GiST index by itself."""
        wkb = shapely.to_wkb(geometry, byte_order=1)
        shape = f"ST_GeomFromWKB(?, {self._srid})"
        return Sql(f"{_FUNCTIONS[predicate]}({quote(GEOM)}, {shape})", (wkb,))

    def real(self, number: Sql) -> Sql:
        """Return a number as double precision."""
        return Sql(f"({number.text})::float8", number.params)

    def day(self, date: Sql, *, last: bool) -> Sql:
        """Return the first or last millisecond of a date."""
        start = f"(({date.text})::timestamp AT TIME ZONE 'UTC')"
        return Sql(f"({start} + interval '1 day' - interval '1 millisecond')" if last else start, date.params)

    def like(self, text: Sql, pattern: str) -> Sql:
        """Return a case-sensitive LIKE with backslash as escape."""
        return Sql(f"{text.text} LIKE ?", (*text.params, pattern))

    def fold(self, text: Sql) -> Sql:
        """Return a text in small letters of all scripts."""
        return Sql(f'(lower({text.text} COLLATE "und-x-icu") COLLATE "C")', text.params)

    def unaccent(self, text: Sql) -> Sql:
        """Return a text without combining marks."""
        bare = f"regexp_replace(normalize({text.text}, NFD), '[\u0300-\u036f]', '', 'g')"
        return Sql(f'(normalize({bare}, NFC) COLLATE "C")', text.params)
