"""Search over the datasets: words, place, time, facets, filters, order, pages. One SQL for both databases.

Words: every word of the question must occur (the last one may be a beginning); accents and case do
not matter; any other sign only separates words, so no input is an error or is read as syntax.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalog.errors import QueryError
from catalog.model import BBox
from catalog.tables import dataset_keywords, dataset_terms, datasets
from catalog.words import query_words

type Period = tuple[datetime | None, datetime | None]
type Filter = str | Sequence[str]

_FACETS = ("produsen_data", "kind", "access", "source_id")
_FILTERS = (*_FACETS, "keywords")
_FACET_VALUES = 200
_SORTS = {
    "title": datasets.c.title_key, "updated": datasets.c.updated, "created": datasets.c.created,
    "id": datasets.c.id, "produsen_data": datasets.c.produsen_data, "time": datasets.c.time_start,
    "rank": datasets.c.rank,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question to the catalog.

    `bbox` is in CRS84 degrees; west > east crosses the antimeridian. `time` overlaps, None is an
    open end. A filter with several values matches any of them. `sort` is a column, `-` in front
    for descending; by default the best match first when there are words, else by title.
    """

    q: str = ""
    bbox: BBox | None = None
    time: Period = (None, None)
    filters: Mapping[str, Filter] = field(default_factory=dict)
    ids: Sequence[str] | None = None
    sort: str = ""
    limit: int = 20
    offset: int = 0
    facets: bool = True


@dataclass(frozen=True, slots=True)
class Hits:
    """What a query found: the ids of the page asked for, the total, the facets."""

    total: int
    ids: list[str]
    facets: dict[str, dict[str, int]]


def run(connection: sa.Connection, query: SearchQuery) -> Hits:
    """Answer a question; QueryError for a bad bbox, period, filter, sort or page."""
    if query.limit < 0 or query.offset < 0:
        raise QueryError("limit and offset can not be negative")
    hits, score = _hits(query)
    total, facets = _count(connection, hits, query.facets)
    page = (
        sa.select(datasets.c.id)
        .join(hits, hits.c.id == datasets.c.id)
        .order_by(*_order(query, hits, score))
        .limit(query.limit)
        .offset(query.offset)
    )
    return Hits(total, list(connection.scalars(page)), facets)


def _hits(query: SearchQuery) -> tuple[sa.CTE, bool]:
    """Return the matching datasets (id and facet columns, with `score` when there are words)."""
    columns: list[sa.ColumnElement[Any]] = [datasets.c.id, *(datasets.c[name] for name in _FACETS)]
    found = query_words(query.q)
    if query.q.strip() and not found:
        return sa.select(*columns).where(sa.false()).cte("hits"), False
    source: sa.FromClause = datasets
    scores: list[sa.ColumnElement[Any]] = []
    for number, word in enumerate(found):
        match = _matching(word, whole=number < len(found) - 1 or query.q[-1:].isspace())
        part = match.subquery(f"w{number}")
        source = source.join(part, part.c.dataset_id == datasets.c.id)
        scores.append(part.c.score)
    if scores:
        columns.append(sum(scores[1:], scores[0]).label("score"))
    select = sa.select(*columns).select_from(source).where(*_conditions(query))
    return select.cte("hits"), bool(scores)


def _matching(word: str, *, whole: bool) -> sa.Select[Any]:
    term = dataset_terms.c.term
    fits = term == word if whole else sa.and_(term >= word, term < word + "\U0010ffff")
    # A whole word counts more than one that only begins so.
    weight = dataset_terms.c.weight * sa.case((term == word, 3), else_=1)
    return (
        sa.select(dataset_terms.c.dataset_id, sa.func.max(weight).label("score"))
        .where(fits)
        .group_by(dataset_terms.c.dataset_id)
    )


def _conditions(query: SearchQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [datasets.c.withdrawn_at.is_(None)]
    if query.ids is not None:
        found.append(datasets.c.id.in_(list(query.ids)))
    if query.bbox is not None:
        found.append(_intersects(query.bbox))
    found.extend(_overlaps(query.time))
    found.extend(_filter(name, values) for name, values in query.filters.items())
    return found


def _intersects(bbox: BBox) -> sa.ColumnElement[bool]:
    west, south, east, north = bbox
    if not all(math.isfinite(value) for value in bbox):
        raise QueryError("bbox must hold four finite numbers")
    if south > north or not (south >= -90 and north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        raise QueryError("bbox must be west,south,east,north in degrees", where=str(bbox))
    c = datasets.c
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    beside = [
        sa.case(
            (c.west <= c.east, sa.and_(c.west <= right, c.east >= left)),
            else_=sa.or_(c.west <= right, c.east >= left),
        )
        for left, right in spans
    ]
    return sa.and_(c.west.is_not(None), c.south <= north, c.north >= south, sa.or_(*beside))


def _overlaps(time: Period) -> list[sa.ColumnElement[bool]]:
    start, end = time
    if start is None and end is None:
        return []
    if start is not None and end is not None and start > end:
        raise QueryError("the period ends before it starts")
    c = datasets.c
    found: list[sa.ColumnElement[bool]] = [sa.or_(c.time_start.is_not(None), c.time_end.is_not(None))]
    if end is not None:
        found.append(sa.or_(c.time_start.is_(None), c.time_start <= end))
    if start is not None:
        found.append(sa.or_(c.time_end.is_(None), c.time_end >= start))
    return found


def _filter(name: str, values: Filter) -> sa.ColumnElement[bool]:
    wanted = [values] if isinstance(values, str) else list(values)
    if name == "keywords":
        bearing = sa.select(dataset_keywords.c.dataset_id).where(dataset_keywords.c.keyword.in_(wanted))
        return datasets.c.id.in_(bearing)
    if name not in _FACETS:
        raise QueryError(f"unknown filter {name!r}", hint=_nearest(name, _FILTERS))
    return datasets.c[name].in_(wanted)


def _order(query: SearchQuery, hits: sa.CTE, scored: bool) -> list[sa.ColumnElement[Any]]:
    tie: list[sa.ColumnElement[Any]] = [datasets.c.title_key, datasets.c.id]
    if not query.sort or query.sort in {"score", "-score"}:
        return [hits.c.score.desc(), *tie] if scored else tie
    name, descending = query.sort.removeprefix("-"), query.sort.startswith("-")
    if name not in _SORTS:
        raise QueryError(f"can not sort by {name!r}", hint=_nearest(name, _SORTS))
    column = _SORTS[name]
    return [(column.desc() if descending else column.asc()).nulls_last(), *tie]


def _count(
    connection: sa.Connection, hits: sa.CTE, with_facets: bool
) -> tuple[int, dict[str, dict[str, int]]]:
    """Count all hits and, in the same pass, each facet's values (most frequent first)."""
    number = sa.func.count().label("number")
    parts = [
        sa.select(sa.literal("").label("facet"), sa.literal("").label("value"), number).select_from(hits)
    ]
    if with_facets:
        parts += [
            sa.select(sa.literal(name), hits.c[name], number).group_by(hits.c[name]) for name in _FACETS
        ]
        keyword = dataset_keywords.c.keyword
        parts.append(
            sa.select(sa.literal("keywords"), keyword, number)
            .select_from(hits.join(dataset_keywords, dataset_keywords.c.dataset_id == hits.c.id))
            .group_by(keyword)
        )
    rows = connection.execute(sa.union_all(*parts)).all()
    facets: dict[str, dict[str, int]] = {name: {} for name in _FILTERS} if with_facets else {}
    for facet, value, counted in sorted(rows, key=lambda row: (-row[2], row[1])):
        if facet and value and len(facets[facet]) < _FACET_VALUES:
            facets[facet][value] = counted
    return next(row[2] for row in rows if not row[0]), facets


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
