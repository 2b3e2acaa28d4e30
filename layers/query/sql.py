"""Pieces of SQL with their parameters, and the few words in which SQLite and PostGIS differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import shapely

from catalog.model import FieldType


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition or expression; every value is a parameter, marked `?`."""

    text: str
    params: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text)


TRUE = Sql("(1 = 1)")
FALSE = Sql("(1 = 0)")


def join(parts: Iterable[Sql], word: str) -> Sql:
    """Combine conditions with AND / OR; one alone stays itself, none is empty."""
    given = [p for p in parts if p]
    if len(given) < 2:
        return given[0] if given else Sql("")
    return Sql("(" + f" {word} ".join(p.text for p in given) + ")", tuple(v for p in given for v in p.params))


class Dialect(Protocol):
    """What a store must say in its own words."""

    def column(self, name: str) -> str:
        """Return the SQL of an attribute's column, text in codepoint order."""
        ...

    def value(self, value: Any, kind: FieldType) -> Sql:
        """Return a parameter of this type."""
        ...

    def spatial(self, predicate: str, geometry: shapely.Geometry) -> Sql:
        """Return the condition `feature <predicate> geometry` (shapely's name), both in the stored CRS."""
        ...

    def like(self, text: Sql, pattern: str) -> Sql:
        """Return a LIKE with `%`, `_` and backslash, case-sensitive."""
        ...

    def real(self, number: Sql) -> Sql:
        """Return a number as floating point, so that arithmetic is the same everywhere."""
        ...

    def day(self, date: Sql, *, last: bool) -> Sql:
        """Return the first or last millisecond (UTC) of a date, comparable with a DATETIME."""
        ...

    def fold(self, text: Sql) -> Sql:
        """Return a text case-folded."""
        ...

    def unaccent(self, text: Sql) -> Sql:
        """Return a text without accents."""
        ...
