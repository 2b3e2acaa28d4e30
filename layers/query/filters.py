"""From a CQL2 syntax tree (pygeofilter's nodes) to SQL for either store.

Types are checked before anything runs; every value is a parameter. NOT is pushed inwards, so that
a feature without geometry or value is never selected by a negation, in both stores alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import shapely
from pygeofilter import ast, values
from shapely.errors import GEOSException

from catalog.errors import QueryError
from catalog.model import FieldDef, FieldType, LayerSchema
from layers.columns import GEOM, quote
from layers.fold import folded, text_of, unaccented
from layers.lookup import field_of, literal
from layers.query.sql import FALSE, TRUE, Dialect, Sql, join
from layers.query.time import temporal
from layers.valid import valid

MAX_PATTERN, MAX_WILDCARDS = 1000, 12
GEOMETRY_NAMES = frozenset({"geometry", "geom"})
_SPATIAL = {
    ast.GeometryIntersects: "intersects", ast.GeometryDisjoint: "disjoint", ast.GeometryContains: "contains",
    ast.GeometryWithin: "within", ast.GeometryTouches: "touches", ast.GeometryCrosses: "crosses",
    ast.GeometryOverlaps: "overlaps", ast.GeometryEquals: "equals",
}  # fmt: skip
_FLIPPED = {"contains": "within", "within": "contains"}
_OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NUMBERS = (FieldType.INTEGER, FieldType.REAL)
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mul: "*", ast.Div: "/"}


@dataclass(frozen=True, slots=True)
class Operand:
    """A value in SQL: its type, and the field when it is a bare property."""

    sql: Sql
    kind: FieldType
    field: FieldDef | None = None


def translate(node: Any, schema: LayerSchema, dialect: Dialect) -> Sql:
    """Return the condition; QueryError names what does not fit the schema."""
    return _Translator(schema, dialect).condition(node)


def _negated(condition: Sql) -> Sql:
    return Sql(f"(NOT {condition.text})", condition.params)


class _Translator:
    def __init__(self, schema: LayerSchema, dialect: Dialect) -> None:
        self.schema = schema
        self.dialect = dialect

    # -- conditions

    def condition(self, node: Any, no: bool = False) -> Sql:
        """Return the SQL of a condition, or of its negation."""
        if isinstance(node, ast.Not):
            return self.condition(node.sub_node, not no)
        if isinstance(node, (ast.And, ast.Or)):
            both = [self.condition(node.lhs, no), self.condition(node.rhs, no)]
            return join(both, "AND" if isinstance(node, ast.And) != no else "OR")
        if isinstance(node, bool):
            return TRUE if node != no else FALSE
        if isinstance(node, ast.Include):
            return TRUE if bool(node.not_) == no else FALSE
        for kind, rule in self._rules().items():
            if isinstance(node, kind):
                return rule(node, no)
        raise QueryError(f"the filter has {_shown(node)} where a condition should stand")

    def _rules(self) -> dict[type[Any], Callable[[Any, bool], Sql]]:
        return {
            ast.Comparison: self.comparison,
            ast.Between: self.between,
            ast.Like: self.like,
            ast.In: self.membership,
            ast.IsNull: self.absence,
            ast.SpatialComparisonPredicate: self.spatial,
            ast.BBox: self.box,
            ast.TemporalPredicate: self.time,
            ast.Attribute: self.flag,
        }

    def flag(self, node: ast.Attribute, no: bool) -> Sql:
        return self.comparison(ast.Equal(node, True), no)

    def time(self, node: ast.TemporalPredicate, no: bool) -> Sql:
        found = temporal(node, self.schema, self.dialect)
        return _negated(found) if no else found

    def comparison(self, node: ast.Comparison, no: bool) -> Sql:
        sign = str(node.op.value)
        left, right = node.lhs, node.rhs
        if not isinstance(left, ast.Node) and isinstance(right, ast.Node):
            left, right, sign = right, left, _MIRRORED.get(sign, sign)
        return self.compare(self.operand(left), _OPPOSITE[sign] if no else sign, right)

    def compare(self, left: Operand, sign: str, right: Any) -> Sql:
        """Compare with a literal of the left side's type, or with another expression."""
        if isinstance(right, ast.Node):
            return self.compare_both(left, sign, self.operand(right))
        if _is_day(right) and left.kind is FieldType.DATETIME:
            return self.compare_day(left, sign, right)
        value = self.constant(left, right)
        return Sql(f"{left.sql.text} {sign} {value.text}", (*left.sql.params, *value.params))

    def compare_both(self, left: Operand, sign: str, right: Operand) -> Sql:
        same = left.kind is right.kind or {left.kind, right.kind} <= set(_NUMBERS)
        if not same or (left.kind is FieldType.BOOLEAN and sign not in ("=", "<>")):
            raise QueryError(f"a {left.kind} can not be compared with a {right.kind}")
        return Sql(f"{left.sql.text} {sign} {right.sql.text}", (*left.sql.params, *right.sql.params))

    def compare_day(self, left: Operand, sign: str, day: date) -> Sql:
        """Compare an instant with a whole day in UTC."""
        first = self.dialect.value(f"{day:%Y-%m-%d}".zfill(10) + "T00:00:00.000Z", FieldType.DATETIME)
        last = self.dialect.value(f"{day:%Y-%m-%d}".zfill(10) + "T23:59:59.999Z", FieldType.DATETIME)
        name = left.sql.text
        if sign in ("=", "<>"):
            word = "BETWEEN" if sign == "=" else "NOT BETWEEN"
            return Sql(f"({name} {word} {first.text} AND {last.text})", (*first.params, *last.params))
        end = first if sign in ("<", ">=") else last
        return Sql(f"{name} {sign} {end.text}", end.params)

    def between(self, node: ast.Between, no: bool) -> Sql:
        left = self.operand(node.lhs)
        if left.kind in (FieldType.BOOLEAN,):
            raise QueryError("BETWEEN needs numbers, texts or times")
        low, high = self.compare(left, ">=", node.low), self.compare(left, "<=", node.high)
        both = join([low, high], "AND")
        return _negated(both) if bool(node.not_) != no else both

    def membership(self, node: ast.In, no: bool) -> Sql:
        left = self.operand(node.lhs)
        options = [self.compare(left, "=", option) for option in node.sub_nodes]
        if not options:
            return FALSE
        found = (
            join(options, "OR")
            if any(_is_day(o) or isinstance(o, ast.Node) for o in node.sub_nodes)
            else None
        )
        if found is None:
            plain = [self.constant(left, option) for option in node.sub_nodes]
            params = tuple(v for p in plain for v in p.params)
            found = Sql(
                f"{left.sql.text} IN ({', '.join(p.text for p in plain)})", (*left.sql.params, *params)
            )
        return _negated(found) if bool(node.not_) != no else found

    def like(self, node: ast.Like, no: bool) -> Sql:
        left = self.operand(node.lhs)
        if left.kind is not FieldType.TEXT:
            raise QueryError(f"LIKE needs a text, not a {left.kind}")
        pattern = _closed(self.pattern(node.pattern))
        found = self.dialect.like(left.sql, pattern)
        return _negated(found) if bool(node.not_) != no else found

    def pattern(self, node: Any) -> str:
        """Return LIKE's pattern, folded here when it stands in CASEI or ACCENTI."""
        if isinstance(node, ast.Function):
            inner = self.pattern(node.arguments[0])
            return folded(inner) if node.name in ("casei", "lower") else unaccented(inner)
        if not isinstance(node, str):
            raise QueryError(f"LIKE needs a text as pattern, not {_shown(node)}")
        return text_of(node)

    def absence(self, node: ast.IsNull, no: bool) -> Sql:
        word = "IS NOT NULL" if bool(node.not_) != no else "IS NULL"
        if self.is_geometry(node.lhs):
            return (
                Sql(f"{quote(GEOM)} {word}")
                if self.schema.geometry_type
                else (TRUE if word == "IS NULL" else FALSE)
            )
        left = self.operand(node.lhs)
        return Sql(f"{left.sql.text} {word}", left.sql.params)

    # -- space

    def is_geometry(self, node: Any) -> bool:
        """Tell whether a node names the feature's geometry."""
        named = isinstance(node, ast.Attribute) and node.name in GEOMETRY_NAMES
        return named and node.name not in self.schema.names()

    def spatial(self, node: ast.SpatialComparisonPredicate, no: bool) -> Sql:
        predicate = next(name for kind, name in _SPATIAL.items() if isinstance(node, kind))
        left, right = node.lhs, node.rhs
        if not self.is_geometry(left) and self.is_geometry(right):
            left, right, predicate = right, left, _FLIPPED.get(predicate, predicate)
        if not self.is_geometry(left):
            if isinstance(left, ast.Attribute):
                field_of(self.schema, left.name)
                raise QueryError(f"property {left.name!r} is not a geometry; it is called 'geometry'")
            raise QueryError("a spatial predicate needs the property 'geometry' and a geometry")
        if not isinstance(right, (values.Geometry, values.Envelope)):
            raise QueryError(f"a spatial predicate needs a geometry, not {_shown(right)}")
        return self.relate(predicate, shape_of(right), no)

    def box(self, node: ast.BBox, no: bool) -> Sql:
        corners = (node.minx, node.miny, node.maxx, node.maxy)
        if not self.is_geometry(node.lhs) or not all(isinstance(v, (int, float)) for v in corners):
            raise QueryError("BBOX needs the property 'geometry' and four numbers")
        return self.relate("intersects", shapely.box(*corners), no)

    def relate(self, predicate: str, shape: shapely.Geometry, no: bool) -> Sql:
        """Return the condition; features without geometry fit neither it nor its negation."""
        if self.schema.geometry_type is None:
            return FALSE
        if predicate == "disjoint":
            predicate, no = "intersects", not no
        found = self.dialect.spatial(predicate, shape)
        return join([Sql(f"{quote(GEOM)} IS NOT NULL"), _negated(found)], "AND") if no else found

    # -- values

    def operand(self, node: Any) -> Operand:
        """Return the SQL and the type of an expression."""
        if isinstance(node, ast.Attribute):
            if self.is_geometry(node):
                raise QueryError("the geometry can only stand in spatial predicates and IS NULL")
            column = field_of(self.schema, node.name)
            return Operand(Sql(self.dialect.column(column.name)), column.type, column)
        if isinstance(node, ast.Function):
            return self.function(node)
        if isinstance(node, ast.Arithmetic):
            return self.arithmetic(node)
        return self.bare(node)

    def bare(self, node: Any) -> Operand:
        """Return a literal that stands without a property beside it."""
        kind = (
            FieldType.BOOLEAN if isinstance(node, bool)
            else FieldType.TEXT if isinstance(node, str)
            else FieldType.REAL if isinstance(node, (int, float))
            else FieldType.DATETIME if isinstance(node, datetime)
            else FieldType.DATE if isinstance(node, date)
            else None
        )  # fmt: skip
        if kind is None:
            raise QueryError(f"the filter has {_shown(node)} where a value should stand")
        return Operand(literal(FieldDef("value", kind), node, self.dialect), kind)

    def function(self, node: ast.Function) -> Operand:
        name = {"lower": "casei"}.get(node.name, node.name)
        if name not in ("casei", "accenti") or len(node.arguments) != 1:
            raise QueryError(f"no function {node.name!r} in filters")
        inner = self.operand(node.arguments[0])
        if inner.kind is not FieldType.TEXT:
            raise QueryError(f"{name.upper()} needs a text, not a {inner.kind}")
        change = self.dialect.fold if name == "casei" else self.dialect.unaccent
        return Operand(change(inner.sql), FieldType.TEXT)

    def arithmetic(self, node: ast.Arithmetic) -> Operand:
        left, right = self.operand(node.lhs), self.operand(node.rhs)
        if left.kind not in _NUMBERS or right.kind not in _NUMBERS:
            raise QueryError("arithmetic needs numbers")
        sign = _ARITHMETIC[type(node)]
        a, b = self.dialect.real(left.sql), self.dialect.real(right.sql)
        divisor = f"NULLIF({b.text}, 0)" if sign == "/" else b.text
        return Operand(Sql(f"({a.text} {sign} {divisor})", (*a.params, *b.params)), FieldType.REAL)

    def constant(self, left: Operand, value: Any) -> Sql:
        """Return a literal as parameter of the left side's type; QueryError when it does not fit."""
        if left.kind in _NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise QueryError("a number in the filter is not finite")
            return self.dialect.value(float(value) if abs(value) >= 2**63 else value, _kind_of(value))
        if left.kind in (*_NUMBERS, FieldType.BOOLEAN) and isinstance(value, str):
            named = f"property {left.field.name!r} is" if left.field else "this is"
            raise QueryError(f"{named} a {left.kind}, not a text as {value[:40]!r}")
        if isinstance(value, str):
            value = text_of(value)
        if left.kind is FieldType.DATE and isinstance(value, datetime):
            raise QueryError("a date can not be compared with a time; write DATE('YYYY-MM-DD')")
        return literal(left.field or FieldDef("value", left.kind), value, self.dialect)


def _kind_of(value: float) -> FieldType:
    return FieldType.INTEGER if isinstance(value, int) and abs(value) < 2**63 else FieldType.REAL


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _closed(pattern: str) -> str:
    """Return a pattern that every database takes: runs of % as one, no backslash at the end.

    QueryError for one that could keep a database busy for long.
    """
    pattern = re.sub(r"((?:[^\\%]|\\.)?)%+", r"\1%", pattern, flags=re.DOTALL)
    if len(pattern) > MAX_PATTERN or pattern.count("%") > MAX_WILDCARDS:
        raise QueryError(f"a LIKE pattern has at most {MAX_PATTERN} characters and {MAX_WILDCARDS} %")
    tail = re.search(r"\\*$", pattern)
    return pattern + "\\" if tail and len(tail.group()) % 2 else pattern


def shape_of(value: values.Geometry | values.Envelope) -> shapely.Geometry:
    """Return a literal's shapely geometry, valid; QueryError when it is empty or not finite."""
    try:
        shape = shapely.force_2d(shapely.geometry.shape(value.geometry))
    except (GEOSException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise QueryError("a geometry of the filter can not be read") from error
    coordinates = shapely.get_coordinates(shape)
    if not len(coordinates) or not all(map(math.isfinite, coordinates.ravel())):
        raise QueryError("a geometry of the filter is empty or not finite")
    return shape if shapely.is_valid(shape) else valid(shape)


def _shown(node: Any) -> str:
    if isinstance(node, ast.Attribute):
        return f"property {node.name!r}"
    return type(node).__name__ if isinstance(node, (ast.Node, values.Geometry)) else repr(node)[:60]
