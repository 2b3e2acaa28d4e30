"""CQL2 JSON (OGC 21-065r2) to pygeofilter's syntax tree."""

from __future__ import annotations

import math
from typing import Any

import orjson
import shapely
from pygeofilter import ast, values
from shapely.errors import GEOSException

from catalog.errors import QueryError
from layers.cql.nodes import (
    ARITHMETIC,
    COMPARISON,
    MAX_DEPTH,
    MAX_PREDICATES,
    balanced,
    call,
    envelope,
    interval_end,
    like,
    parse_date,
    parse_timestamp,
)


class _Walker:
    def __init__(self) -> None:
        self.seen = 0

    def node(self, value: Any, depth: int = 0) -> Any:
        """Return the node of one JSON value."""
        self.seen += 1
        if depth > MAX_DEPTH:
            raise QueryError(f"the filter nests deeper than {MAX_DEPTH}")
        if self.seen > 4 * MAX_PREDICATES:
            raise QueryError(f"the filter has more than {MAX_PREDICATES} operators")
        if isinstance(value, (str, bool, int, float)):
            return value
        if not isinstance(value, dict):
            raise QueryError(f"the filter can not hold {orjson.dumps(value).decode()[:60]} here")
        return self.object(value, depth)

    def object(self, value: dict[str, Any], depth: int) -> Any:
        if isinstance(value.get("op"), str):
            return self.operator(value["op"], value.get("args"), depth + 1)
        if isinstance(value.get("property"), str):
            return ast.Attribute(value["property"])
        if "date" in value:
            return parse_date(value["date"])
        if "timestamp" in value:
            return parse_timestamp(value["timestamp"])
        if "interval" in value:
            ends = _list(value["interval"], "interval", 2)
            return values.Interval(*(interval_end(self.node(e, depth + 1)) for e in ends))
        if "bbox" in value:
            return envelope(_list(value["bbox"], "bbox", None))
        if isinstance(value.get("type"), str) and ("coordinates" in value or "geometries" in value):
            return _geometry(value)
        raise QueryError(f"the filter can not hold an object with {', '.join(sorted(value))[:80]!r}")

    def operator(self, op: str, args: Any, depth: int) -> Any:
        name = op.lower()
        if name == "not" and not isinstance(args, list):
            args = [args]
        given = _list(args, op, None)
        if name == "in":
            _list(given, op, 2)
            options = [self.node(v, depth) for v in _list(given[1], op, None)]
            return ast.In(self.node(given[0], depth), options, False)
        if name == "between" and len(given) == 2:
            given = [given[0], *_list(given[1], op, 2)]
        nodes = [self.node(v, depth) for v in given]
        return self.build(op, name, nodes)

    def build(self, op: str, name: str, nodes: list[Any]) -> Any:
        if name in ("and", "or"):
            if not nodes:
                raise QueryError(f"{op} needs arguments")
            return balanced(ast.And if name == "and" else ast.Or, nodes)
        if name in ("not", "isnull"):
            (only,) = _list(nodes, op, 1)
            return ast.Not(only) if name == "not" else ast.IsNull(only, False)
        if name == "between":
            return ast.Between(*_list(nodes, op, 3), False)
        if name == "like":
            left, pattern = _list(nodes, op, 2)
            return like(left, pattern, False)
        kind = COMPARISON.get(name) or ARITHMETIC.get(name)
        return kind(*_list(nodes, op, 2)) if kind is not None else call(op, nodes)


def _list(value: Any, name: str, length: int | None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        shown = "a list" if length is None else f"{length} arguments"
        raise QueryError(f"{name} needs {shown}")
    return value


def _geometry(value: dict[str, Any]) -> values.Geometry:
    try:
        shape = shapely.from_geojson(orjson.dumps(value))
    except (GEOSException, ValueError, TypeError) as error:
        raise QueryError(f"the geometry of type {value['type']!r} can not be read") from error
    if not all(map(math.isfinite, shapely.get_coordinates(shape).ravel())):
        raise QueryError("the geometry has coordinates that are not finite")
    return values.Geometry(shapely.geometry.mapping(shapely.force_2d(shape)))


def parse_json(text: str) -> Any:
    """Return the syntax tree of a CQL2 JSON text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise QueryError(f"the filter is not JSON: {error.msg} at character {error.pos + 1}") from error
    return _Walker().node(value)
