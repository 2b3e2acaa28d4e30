"""Building blocks shared by the two CQL2 encodings: pygeofilter's nodes by CQL2's names.

pygeofilter 0.4 is kept for its syntax tree, which others understand; its CQL2 parsers are not
used, because they give AND and OR one precedence, take `.` for LIKE's `_`, read T_INTERSECTS as
T_OVERLAPS, know temporal predicates only as infix, and recurse or fail on `''`, one-letter names,
line breaks and the final standard's `between` and `like`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pygeofilter import ast, values

from catalog.errors import QueryError

MAX_LENGTH = 500_000
"""Characters of a filter: a geometry literal may be long, nothing else is."""
MAX_DEPTH = 48
"""How deep a filter may nest."""
MAX_PREDICATES = 400
"""How many operators, functions and literals in lists a filter may hold."""

SPATIAL: dict[str, type[Any]] = {
    "s_intersects": ast.GeometryIntersects, "s_disjoint": ast.GeometryDisjoint,
    "s_contains": ast.GeometryContains, "s_within": ast.GeometryWithin,
    "s_touches": ast.GeometryTouches, "s_crosses": ast.GeometryCrosses,
    "s_overlaps": ast.GeometryOverlaps, "s_equals": ast.GeometryEquals,
}  # fmt: skip
TEMPORAL: dict[str, Callable[[Any, Any], Any]] = {
    "t_after": ast.TimeAfter, "t_before": ast.TimeBefore, "t_contains": ast.TimeContains,
    "t_disjoint": ast.TimeDisjoint, "t_during": ast.TimeDuring, "t_equals": ast.TimeEquals,
    "t_finishedby": ast.TimeEndedBy, "t_finishes": ast.TimeEnds,
    "t_intersects": lambda a, b: ast.Not(ast.TimeDisjoint(a, b)),
    "t_meets": ast.TimeMeets, "t_metby": ast.TimeMetBy, "t_overlappedby": ast.TimeOverlappedBy,
    "t_overlaps": ast.TimeOverlaps, "t_startedby": ast.TimeBegunBy, "t_starts": ast.TimeBegins,
}  # fmt: skip
COMPARISON: dict[str, type[Any]] = {
    "=": ast.Equal, "<>": ast.NotEqual, "!=": ast.NotEqual, "<": ast.LessThan, "<=": ast.LessEqual,
    ">": ast.GreaterThan, ">=": ast.GreaterEqual,
}  # fmt: skip
ARITHMETIC: dict[str, type[Any]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mul, "/": ast.Div}
TEXT_FUNCTIONS = frozenset({"casei", "accenti"})


def balanced(kind: type[Any], items: list[Any]) -> Any:
    """Combine many conditions with AND / OR as a flat tree, so that no walk recurses deeply."""
    while len(items) > 1:
        pairs = [items[i : i + 2] for i in range(0, len(items), 2)]
        items = [kind(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return items[0]


def like(left: Any, pattern: Any, negated: bool) -> Any:
    """Return a LIKE with CQL2's wildcards."""
    return ast.Like(left, pattern, False, "%", "_", "\\", negated)


def call(name: str, arguments: list[Any]) -> Any:
    """Return the node of a function or predicate by its CQL2 name in any case."""
    lower = name.lower()
    predicate = SPATIAL.get(lower) or TEMPORAL.get(lower)
    if predicate is not None:
        _arity(name, arguments, 2)
        return predicate(*arguments)
    if lower in TEXT_FUNCTIONS:
        _arity(name, arguments, 1)
        return ast.Function(lower, arguments)
    if lower == "bbox":
        return envelope(arguments)
    known = ", ".join(sorted(n.upper() for n in {*SPATIAL, *TEMPORAL, *TEXT_FUNCTIONS, "bbox"}))
    raise QueryError(f"no function {name!r} in filters; there are: {known}")


def _arity(name: str, arguments: list[Any], wanted: int) -> None:
    if len(arguments) != wanted:
        raise QueryError(f"{name} takes {wanted} arguments, not {len(arguments)}")


def envelope(numbers: list[Any]) -> values.Geometry:
    """Return a BBOX literal of 4 or 6 numbers; minx above maxx goes over the antimeridian."""
    plain = [n for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool)]
    if len(plain) != len(numbers) or len(plain) not in (4, 6):
        raise QueryError("a bbox has 4 or 6 numbers")
    half = len(plain) // 2
    west, south, east, north = plain[0], plain[1], plain[half], plain[half + 1]
    if south > north:
        raise QueryError("a bbox is minx,miny,maxx,maxy")
    if west <= east:
        return values.Geometry({"type": "Polygon", "coordinates": [_ring(west, south, east, north)]})
    halves = [[_ring(west, south, 180, north)], [_ring(-180, south, east, north)]]
    return values.Geometry({"type": "MultiPolygon", "coordinates": halves})


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def parse_date(text: Any) -> date:
    """Return the date of `YYYY-MM-DD`."""
    try:
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise QueryError(f"{text!r} is not a date (YYYY-MM-DD)")


def parse_timestamp(text: Any) -> datetime:
    """Return the instant of an RFC 3339 text, in UTC."""
    try:
        if isinstance(text, str) and len(text) > 10:
            found = datetime.fromisoformat(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise QueryError(f"{text!r} is not a time (YYYY-MM-DDTHH:MM:SSZ)")


def interval_end(value: Any) -> Any:
    """Return one end of an interval: None for `..`, a date, an instant, or a property."""
    if not isinstance(value, str):
        return value
    if value == "..":
        return None
    return parse_date(value) if len(value) == 10 else parse_timestamp(value)


def nesting(text: str) -> int:
    """Return how deep brackets nest outside quotes; cheap, so that it can run before any parser."""
    depth = deepest = 0
    for mark in re.findall(r"'[^']*'?|\"[^\"]*\"?|[(){}\[\]]", text):
        if mark in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in ")]}":
            depth -= 1
    return deepest
