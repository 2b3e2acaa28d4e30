"""From a `Query` to SQL: validated against the schema, the same for both stores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import shapely

from catalog.errors import QueryError
from catalog.model import FieldType, LayerSchema
from layers.columns import FID, ID, quote
from layers.contract import Query
from layers.crs import crs_of
from layers.fold import text_of
from layers.lookup import field_of, literal
from layers.query.filters import translate
from layers.query.sql import FALSE, Dialect, Sql, join
from layers.query.tokens import Sort, Token

MAX_IDS = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Condition (empty = all), sort and ORDER BY of a query."""

    where: Sql
    sort: Sort
    order: str


def make_plan(schema: LayerSchema, query: Query, dialect: Dialect) -> Plan:
    """Return the plan of a query; QueryError for anything that does not fit the schema."""
    if query.limit < 0 or query.offset < 0:
        raise QueryError("limit and offset must not be negative")
    for name in query.properties or ():
        field_of(schema, name)
    conditions = [
        _ids(query.ids),
        *(_equal(schema, name, value, dialect) for name, value in query.equals),
        _time(schema, query.time, dialect),
        _bbox(schema, query.bbox, dialect),
        translate(query.filter, schema, dialect) if query.filter is not None else Sql(""),
    ]
    sort: dict[str, Any] = {}
    for name, direction in query.sortby:
        field_of(schema, name)
        if direction not in ("asc", "desc"):
            raise QueryError(f"sort order {direction!r} must be asc or desc")
        sort.setdefault(name, direction)
    terms = [f"{dialect.column(n)} IS NULL, {dialect.column(n)} {d.upper()}" for n, d in sort.items()]
    return Plan(join(conditions, "AND"), tuple(sort.items()), ", ".join([*terms, quote(FID)]))


def beyond(plan: Plan, token: Token, fid: int, schema: LayerSchema, dialect: Dialect) -> Sql:
    """Return the condition for what comes after the token (nulls last; ties by fid)."""
    choices: list[Sql] = []
    equal: list[Sql] = []
    for (name, direction), raw in zip(plan.sort, token.values, strict=True):
        column = dialect.column(name)
        value = None if raw is None else literal(field_of(schema, name), raw, dialect)
        if value is not None:
            sign = ">" if direction == "asc" else "<"
            more = Sql(f"({column} {sign} {value.text} OR {column} IS NULL)", value.params)
            choices.append(join([*equal, more], "AND"))
            equal.append(Sql(f"{column} = {value.text}", value.params))
        else:
            equal.append(Sql(f"{column} IS NULL"))
    choices.append(join([*equal, Sql(f"{quote(FID)} > ?", (fid,))], "AND"))
    return join(choices, "OR")


def _ids(ids: tuple[str, ...] | None) -> Sql:
    if ids is None:
        return Sql("")
    if len(ids) > MAX_IDS:
        raise QueryError(f"at most {MAX_IDS} ids can be asked for at once")
    if not ids:
        return FALSE
    return Sql(f"{quote(ID)} IN ({', '.join('?' * len(ids))})", tuple(map(text_of, ids)))


def _equal(schema: LayerSchema, name: str, value: str, dialect: Dialect) -> Sql:
    column = field_of(schema, name)
    right = literal(column, value, dialect)
    return Sql(f"{dialect.column(name)} = {right.text}", right.params)


def _time(schema: LayerSchema, span: tuple[str | None, str | None] | None, dialect: Dialect) -> Sql:
    """Select by the layer's time field; a layer without one has no time to select by."""
    if span is None:
        return Sql("")
    first, last = (_instant(text, last=last) for text, last in zip(span, (False, True), strict=True))
    if first and last and first > last:
        raise QueryError(f"the time interval {span[0]}/{span[1]} ends before it starts")
    if schema.time_field is None:
        return Sql("")
    column = field_of(schema, schema.time_field)
    name, parts = dialect.column(column.name), []
    for sign, instant in ((">=", first), ("<=", last)):
        if instant is not None:
            shown = instant.date() if column.type is FieldType.DATE else instant
            right = literal(column, shown, dialect)
            parts.append(Sql(f"{name} {sign} {right.text}", right.params))
    return join(parts or [Sql(f"{name} IS NOT NULL")], "AND")


def _instant(text: str | None, *, last: bool) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(f"{text!r} is not an RFC 3339 date or time") from error
    if len(text) == 10:
        found = datetime.combine(found.date(), time.max if last else time.min)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _bbox(schema: LayerSchema, box: tuple[float, float, float, float] | None, dialect: Dialect) -> Sql:
    if box is None:
        return Sql("")
    shapes = boxes(box, schema.crs)
    if schema.geometry_type is None:
        return FALSE
    return join([dialect.spatial("intersects", shape) for shape in shapes], "OR")


def boxes(box: tuple[float, float, float, float], crs: str) -> list[shapely.Geometry]:
    """Return the box as geometry; one over the antimeridian (minx > maxx, degrees) becomes two."""
    west, south, east, north = box
    if not all(math.isfinite(v) for v in box) or south > north:
        raise QueryError(f"bbox {','.join(map(str, box))} must be minx,miny,maxx,maxy of finite numbers")
    if west <= east:
        return [_solid(west, south, east, north)]
    if not crs_of(crs).is_geographic:
        raise QueryError("bbox has minx above maxx")
    return [_solid(west, south, 180, north), _solid(-180, south, east, north)]


def _solid(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """Return a box as polygon, or as the line or point that it shrinks to."""
    if west < east and south < north:
        return shapely.box(west, south, east, north)
    same = (west, south) == (east, north)
    return shapely.Point(west, south) if same else shapely.LineString([(west, south), (east, north)])
