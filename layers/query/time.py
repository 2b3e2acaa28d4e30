"""CQL2's temporal predicates (Allen's relations) over instants, days and intervals.

Every operand has a start and an end: an instant both the same, a day in UTC its first and last
millisecond beside instants, `..` the ends of time. T_EQUALS and its kin between a property of
instants and a DATE mean that the instant lies on that day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pygeofilter import ast, values

from catalog.errors import QueryError
from catalog.model import FieldDef, FieldType, LayerSchema
from layers.lookup import field_of, literal
from layers.query.sql import Dialect, Sql, join

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
_RULES: dict[type[Any], tuple[str, ...]] = {
    ast.TimeAfter: ("as > be",),
    ast.TimeBefore: ("ae < bs",),
    ast.TimeContains: ("as < bs", "ae > be"),
    ast.TimeDuring: ("as > bs", "ae < be"),
    ast.TimeEquals: ("as = bs", "ae = be"),
    ast.TimeEndedBy: ("as < bs", "ae = be"),
    ast.TimeEnds: ("as > bs", "ae = be"),
    ast.TimeMeets: ("ae = bs",),
    ast.TimeMetBy: ("as = be",),
    ast.TimeOverlaps: ("as < bs", "ae > bs", "ae < be"),
    ast.TimeOverlappedBy: ("as > bs", "as < be", "ae > be"),
    ast.TimeBegunBy: ("as = bs", "ae > be"),
    ast.TimeBegins: ("as = bs", "ae < be"),
}


@dataclass(frozen=True, slots=True)
class _Span:
    start: Any
    end: Any


def temporal(node: ast.TemporalPredicate, schema: LayerSchema, dialect: Dialect) -> Sql:
    """Return the condition of a temporal predicate; QueryError when an operand has no time."""
    return _Temporal(schema, dialect).condition(node)


class _Temporal:
    def __init__(self, schema: LayerSchema, dialect: Dialect) -> None:
        self.schema = schema
        self.dialect = dialect

    def condition(self, node: ast.TemporalPredicate) -> Sql:
        left, right = self.span(node.lhs), self.span(node.rhs)
        kind = type(node)
        if kind is ast.TimeDisjoint:
            return join([self.rule(r, left, right) for r in ("as > be", "ae < bs")], "OR")
        if kind is ast.TimeEquals and (_is_day(node.lhs) or _is_day(node.rhs)):
            return join([self.rule(r, left, right) for r in ("as <= be", "ae >= bs")], "AND")
        if kind not in _RULES:
            raise QueryError(f"the temporal predicate {kind.__name__} is not supported")
        return join([self.rule(r, left, right) for r in _RULES[kind]], "AND")

    def span(self, node: Any) -> _Span:
        """Return the start and end of an operand: properties, days or instants."""
        if isinstance(node, values.Interval):
            first = _FIRST if node.start is None else self.end(node.start)
            return _Span(first, _LAST if node.end is None else self.end(node.end))
        return _Span(self.end(node), self.end(node))

    def end(self, node: Any) -> Any:
        if isinstance(node, ast.Attribute):
            column = field_of(self.schema, node.name)
            if column.type not in (FieldType.DATE, FieldType.DATETIME):
                raise QueryError(f"property {node.name!r} is a {column.type}, not a time")
            return column
        if isinstance(node, (date, datetime)):
            return node
        raise QueryError(f"a temporal predicate can not use {str(node)[:60]!r}")

    def rule(self, rule: str, left: _Span, right: _Span) -> Sql:
        """Return one inequality, `as > be`: start of the left after the end of the right."""
        first, sign, second = rule.split(" ")
        a = left.start if first == "as" else left.end
        b = right.start if second == "bs" else right.end
        if not isinstance(a, FieldDef) and not isinstance(b, FieldDef):
            same = _instant(a, last=first == "ae"), _instant(b, last=second == "be")
            holds = {">": same[0] > same[1], "<": same[0] < same[1], "=": same[0] == same[1],
                     "<=": same[0] <= same[1], ">=": same[0] >= same[1]}  # fmt: skip
            return Sql("(1 = 1)" if holds[sign] else "(1 = 0)")
        instants = FieldType.DATETIME in (_type(a), _type(b))
        one = self.side(a, instants, last=first == "ae")
        two = self.side(b, instants, last=second == "be")
        return Sql(f"{one.text} {sign} {two.text}", (*one.params, *two.params))

    def side(self, value: Any, instants: bool, *, last: bool) -> Sql:
        if isinstance(value, FieldDef):
            column = self.dialect.column(value.name)
            widen = instants and value.type is FieldType.DATE
            return self.dialect.day(Sql(column), last=last) if widen else Sql(column)
        kind = FieldType.DATETIME if instants else FieldType.DATE
        if instants:
            return literal(FieldDef("time", kind), _instant(value, last=last), self.dialect)
        return literal(FieldDef("time", kind), _day(value), self.dialect)


def _type(value: Any) -> FieldType | None:
    """Return what an end needs: an instant that is not a whole day makes the comparison one of instants."""
    if isinstance(value, FieldDef):
        return value.type
    return (
        FieldType.DATETIME if isinstance(value, datetime) and value not in (_FIRST, _LAST) else FieldType.DATE
    )


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _instant(value: Any, *, last: bool) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if last:
        return datetime(value.year, value.month, value.day, 23, 59, 59, 999000, tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)
