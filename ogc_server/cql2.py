"""CQL2 JSON (OGC 21-065r2) turned into the pygeofilter tree that the layer store takes.

Geometries are brought from `filter-crs` to the storage CRS in x, y order here, so the store never
meets another CRS. Only what the store can answer exactly is let through; all else is a 400.
pygeofilter's own JSON reader is of an older draft (`between` and `like` differ), hence this one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import orjson
import shapely
from pygeofilter import ast, values

from catalog.model import LayerSchema
from ogc_server import cql2_text
from ogc_server.crs import Crs
from ogc_server.errors import ParameterError
from ogc_server.spatial import to_storage
from ogc_server.times import interval

MAX_VALUES = 20_000
_COMPARISON: dict[str, Any] = {
    "=": ast.Equal, "<>": ast.NotEqual, "<": ast.LessThan, "<=": ast.LessEqual, ">": ast.GreaterThan,
    ">=": ast.GreaterEqual,
}  # fmt: skip
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SPATIAL: dict[str, Any] = {
    "s_intersects": ast.GeometryIntersects, "s_disjoint": ast.GeometryDisjoint,
    "s_contains": ast.GeometryContains, "s_within": ast.GeometryWithin, "s_touches": ast.GeometryTouches,
    "s_crosses": ast.GeometryCrosses, "s_overlaps": ast.GeometryOverlaps, "s_equals": ast.GeometryEquals,
}  # fmt: skip
_SPATIAL_FLIPPED = {"s_contains": "s_within", "s_within": "s_contains"}
_TEMPORAL: dict[str, Any] = {
    "t_after": ast.TimeAfter, "t_before": ast.TimeBefore, "t_during": ast.TimeDuring,
    "t_equals": ast.TimeEquals,
}  # fmt: skip


def read_text(source: str, schema: LayerSchema, crs: Crs) -> Any:
    """Return the tree of a CQL2 text filter."""
    return to_tree(cql2_text.parse(source), schema, crs)


def read_json(source: str | bytes, schema: LayerSchema, crs: Crs) -> Any:
    """Return the tree of a CQL2 JSON filter."""
    try:
        node = orjson.loads(source)
    except ValueError as error:
        raise ParameterError("query.filter-json", "filter", reason=str(error)[:120]) from None
    return to_tree(node, schema, crs)


def to_tree(node: Any, schema: LayerSchema, crs: Crs) -> Any:
    """Return the pygeofilter tree of a CQL2 JSON condition."""
    return _Reader(schema, crs).condition(node, 0)


class _Reader:
    def __init__(self, schema: LayerSchema, crs: Crs) -> None:
        self._schema = schema
        self._crs = crs
        self._names = set(schema.names())
        self._left = MAX_VALUES

    def condition(self, node: Any, depth: int) -> Any:
        if depth > cql2_text.MAX_DEPTH:
            raise ParameterError("query.filter-depth", "filter", max=cql2_text.MAX_DEPTH)
        if isinstance(node, bool):
            return ast.Include(not node)
        if isinstance(node, dict) and "property" in node:
            return ast.Equal(self._attribute(node), True)
        op, args = _operation(node)
        if op in ("and", "or"):
            return self._combine(op, args, depth)
        if op == "not":
            _arity(op, args, 1)
            return ast.Not(self.condition(args[0], depth + 1))
        return self._predicate(op, args)

    def _combine(self, op: str, args: list[Any], depth: int) -> Any:
        if len(args) < 2:
            raise _bad(f"{op}: args")
        parts = [self.condition(arg, depth + 1) for arg in args]
        # A balanced tree, so that a long list of ORs is not a deep one.
        kind = ast.And if op == "and" else ast.Or
        while len(parts) > 1:
            parts = [
                kind(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)
            ]
        return parts[0]

    def _predicate(self, op: str, args: list[Any]) -> Any:
        if op in _COMPARISON:
            return self._comparison(op, args)
        if op in _SPATIAL:
            return self._spatial(op, args)
        if op in _TEMPORAL or op == "t_intersects":
            return self._temporal(op, args)
        special: dict[str, Callable[[list[Any]], Any]] = {
            "like": self._like, "between": self._between, "in": self._in, "isnull": self._is_null,
        }  # fmt: skip
        if op.lower() in special:
            return special[op.lower()](args)
        raise ParameterError("query.filter-op", "filter", value=op[:40])

    # -- predicates -----------------------------------------------------------

    def _comparison(self, op: str, args: list[Any]) -> Any:
        _arity(op, args, 2)
        left, right = args
        if not _is_column(left) and _is_column(right):
            op, left, right = _FLIPPED[op], right, left
        return _COMPARISON[op](self._column(left), self._operand(left, right))

    def _operand(self, left: Any, right: Any) -> Any:
        if _is_column(right):
            return self._column(right)
        value = self._scalar(right)
        return value.casefold() if _is_casei(left) and isinstance(value, str) else value

    def _like(self, args: list[Any]) -> Any:
        _arity("like", args, 2)
        casei = _is_casei(args[0])
        pattern = args[1]["args"][0] if _is_casei(args[1]) else args[1]
        if not isinstance(pattern, str):
            raise _bad("like: pattern")
        column = self._column(args[0]["args"][0] if casei else args[0])
        return ast.Like(
            column, pattern, nocase=casei, wildcard="%", singlechar="_", escapechar="\\", not_=False
        )

    def _between(self, args: list[Any]) -> Any:
        _arity("between", args, 3)
        return ast.Between(self._column(args[0]), self._scalar(args[1]), self._scalar(args[2]), not_=False)

    def _in(self, args: list[Any]) -> Any:
        _arity("in", args, 2)
        if not isinstance(args[1], list) or not args[1]:
            raise _bad("in: list")
        items = [self._operand(args[0], item) for item in args[1]]
        return ast.In(self._column(args[0]), items, not_=False)

    def _is_null(self, args: list[Any]) -> Any:
        _arity("isNull", args, 1)
        return ast.IsNull(self._column(args[0]), not_=False)

    def _spatial(self, op: str, args: list[Any]) -> Any:
        _arity(op, args, 2)
        left, right = args
        if not _is_property(left):
            op, left, right = _SPATIAL_FLIPPED.get(op, op), right, left
        if not _is_property(left) or _is_property(right):
            raise _bad(f"{op}: property, geometry")
        geometry = self._geometry(right)
        return _SPATIAL[op](self._geometry_property(left), values.Geometry(geometry))

    def _temporal(self, op: str, args: list[Any]) -> Any:
        """Intervals are inclusive for t_intersects and exclusive for t_during (OGC 21-065r2, 7.7)."""
        _arity(op, args, 2)
        if not _is_property(args[0]):
            raise _bad(f"{op}: property, time")
        column, value = self._attribute(args[0]), args[1]
        if isinstance(value, dict) and "interval" in value:
            return self._in_interval(op, column, value["interval"])
        moment = self._scalar(value)
        if not isinstance(moment, (date, datetime)):
            raise _bad(f"{op}: time")
        kinds = {"t_after": ast.GreaterThan, "t_before": ast.LessThan}
        return kinds.get(op, ast.Equal)(column, moment)

    def _in_interval(self, op: str, column: Any, ends: Any) -> Any:
        if not isinstance(ends, list) or len(ends) != 2:
            raise _bad("interval")
        start, end = (None if item == ".." else self._moment(item) for item in ends)
        parts: list[Any] = []
        if op == "t_after":
            parts = [] if end is None else [ast.GreaterThan(column, end)]
        elif op == "t_before":
            parts = [] if start is None else [ast.LessThan(column, start)]
        elif op in ("t_intersects", "t_during"):
            low, high = (
                (ast.GreaterEqual, ast.LessEqual) if op == "t_intersects" else (ast.GreaterThan, ast.LessThan)
            )
            parts = [low(column, start)] if start is not None else []
            parts += [high(column, end)] if end is not None else []
        else:
            raise ParameterError("query.filter-op", "filter", value=f"{op} interval")
        if not parts:
            return ast.Include(op in ("t_after", "t_before"))
        return parts[0] if len(parts) == 1 else ast.And(*parts)

    # -- operands -------------------------------------------------------------

    def _column(self, node: Any) -> Any:
        if _is_property(node):
            return self._attribute(node)
        if _is_casei(node):
            return ast.Function("lower", [self._column(node["args"][0])])
        raise _bad("property")

    def _attribute(self, node: dict[str, Any]) -> Any:
        name = node["property"]
        if name not in self._names:
            raise ParameterError("query.property", "filter", value=str(name)[:80])
        return ast.Attribute(name)

    def _geometry_property(self, node: dict[str, Any]) -> Any:
        if node["property"] != "geometry" or self._schema.geometry_type is None:
            raise ParameterError("query.property", "filter", value=str(node["property"])[:80])
        return ast.Attribute("geometry")

    def _scalar(self, node: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _bad(f"> {MAX_VALUES} values")
        if isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, dict) and len(node) == 1 and (node.keys() & {"date", "timestamp"}):
            return self._moment(node)
        if _is_casei(node):
            value = self._scalar(node["args"][0])
            return value.casefold() if isinstance(value, str) else value
        raise _bad("value")

    def _moment(self, node: Any) -> date | datetime:
        kind, text = next(iter(node.items())) if isinstance(node, dict) and len(node) == 1 else ("", node)
        if not isinstance(text, str) or "/" in text or text in ("", ".."):
            raise _bad("time")
        start, _ = interval("filter", text)
        moment = datetime.fromisoformat(start or "")
        return moment.date() if kind == "date" or (not kind and len(text) == 10) else moment

    def _geometry(self, node: Any) -> dict[str, Any]:
        try:
            if isinstance(node, dict) and "bbox" in node:
                box = [float(number) for number in node["bbox"]]
                box = box if len(box) == 4 else [box[0], box[1], box[3], box[4]]
                shape = shapely.box(*box)
            else:
                shape = shapely.from_geojson(orjson.dumps(node))
        except (ValueError, TypeError, IndexError, KeyError, shapely.errors.ShapelyError) as error:
            raise ParameterError("query.filter-geometry", "filter", reason=str(error)[:120]) from None
        moved = to_storage(shape, self._crs, self._schema.crs, "filter")
        mapped: dict[str, Any] = shapely.geometry.mapping(moved)
        return mapped


def _operation(node: Any) -> tuple[str, list[Any]]:
    if not isinstance(node, dict) or not isinstance(node.get("op"), str):
        raise _bad("op")
    args = node.get("args")
    if not isinstance(args, list):
        raise _bad("args")
    return node["op"].lower(), args


def _arity(op: str, args: list[Any], count: int) -> None:
    if len(args) != count:
        raise _bad(f"{op}: {count} args")


def _is_property(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("property"), str)


def _is_casei(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and str(node.get("op", "")).lower() == "casei"
        and isinstance(node.get("args"), list)
        and len(node["args"]) == 1
    )


def _is_column(node: Any) -> bool:
    return _is_property(node) or (_is_casei(node) and _is_property(node["args"][0]))


def _bad(reason: str) -> ParameterError:
    return ParameterError("query.filter-json", "filter", reason=reason)
