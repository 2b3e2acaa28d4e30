"""What is kept of a dataset a second time so that it is found: columns, words, keywords, marks."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa

from catalog.model import DatasetRecord, Link
from catalog.tables import dataset_keywords, dataset_marks, dataset_terms, datasets
from catalog.words import fold, words

_TITLE, _KEYWORD, _OFFICE, _BODY = 8, 4, 2, 1
_MOST_TERMS = 500
_IDENTIFIERS = ("identifier", "citation_identifier", "metadata_identifier")
_SERVICES = ("OGC:", "ESRI:")
_OPERATION = {"service", "version", "request", "f", "acceptversions"}


def columns(record: DatasetRecord, dataset_id: str) -> dict[str, Any]:
    """Return the merged values that queries filter and sort by."""
    west, south, east, north = record.bbox or (None, None, None, None)
    return {
        "title_key": fold(record.title.get("id") or dataset_id), "access": record.access,
        "produsen_data": record.produsen_data,
        "west": west, "south": south, "east": east, "north": north,
        "time_start": record.time_start, "time_end": record.time_end,
    }  # fmt: skip


def write(connection: sa.Connection, dataset_id: str, record: DatasetRecord) -> None:
    """Put one dataset's words, keywords and marks into the index (`clear` it first)."""
    found: dict[sa.Table, list[dict[str, Any]]] = {
        dataset_terms: [{"term": term, "weight": weight} for term, weight in _terms(record, dataset_id)],
        dataset_keywords: [{"keyword": keyword} for keyword in sorted(set(record.keywords)) if keyword],
        dataset_marks: [{"mark": mark} for mark in sorted(_marks(record))],
    }
    for table, rows in found.items():
        if rows:
            connection.execute(table.insert(), [{"dataset_id": dataset_id, **row} for row in rows])


def clear(connection: sa.Connection, dataset_id: str) -> None:
    """Take a dataset out of the index."""
    for table in (dataset_terms, dataset_keywords, dataset_marks):
        connection.execute(table.delete().where(table.c.dataset_id == dataset_id))


def also_at(connection: sa.Connection, dataset_ids: list[str]) -> dict[str, list[str]]:
    """Return, per dataset, the same dataset from other sources, best rank first.

    Two datasets are the same when they share a mark. A mark that several datasets of one source
    bear (the address of a whole server) tells nothing and is left out.
    """
    found: dict[str, list[str]] = {}
    for row in connection.execute(_ALSO_AT, {"ids": dataset_ids}):
        found.setdefault(row.dataset_id, []).append(row.id)
    return found


def _also_at_query() -> sa.Select[Any]:
    mine, theirs = dataset_marks.alias("mine"), dataset_marks.alias("theirs")
    own, other = datasets.alias("own"), datasets.alias("other")
    return (
        sa.select(mine.c.dataset_id, other.c.id, other.c.rank)
        .distinct()
        .join(own, own.c.id == mine.c.dataset_id)
        .join(theirs, theirs.c.mark == mine.c.mark)
        .join(other, other.c.id == theirs.c.dataset_id)
        .where(
            mine.c.dataset_id.in_(sa.bindparam("ids", expanding=True)),
            own.c.source_id != other.c.source_id,
            ~_borne_twice(mine.c.mark, own.c.source_id, own.c.id),
            ~_borne_twice(mine.c.mark, other.c.source_id, other.c.id),
        )
        .order_by(other.c.rank, other.c.id)
    )


def _borne_twice(
    mark: sa.ColumnElement[str], source_id: sa.ColumnElement[str], dataset_id: sa.ColumnElement[str]
) -> sa.Exists:
    marks, sibling = dataset_marks.alias(), datasets.alias()
    return sa.exists(
        sa.select(sa.literal(1))
        .select_from(marks.join(sibling, sibling.c.id == marks.c.dataset_id))
        .where(marks.c.mark == mark, sibling.c.source_id == source_id, sibling.c.id != dataset_id)
        .correlate_except(marks, sibling)
    )


_ALSO_AT = _also_at_query()  # built once: building it costs more than running it


def _terms(record: DatasetRecord, dataset_id: str) -> list[tuple[str, int]]:
    weights: Counter[str] = Counter()
    for weight, texts in (
        (_TITLE, [record.title.id, record.title.en]),
        (_KEYWORD, [*record.keywords, *record.topic]),
        (_OFFICE, [record.produsen_data, record.walidata, record.cakupan, record.tahun, dataset_id]),
        (_BODY, [record.description.id, record.description.en, record.purpose, record.rujukan]),
    ):
        for word in {word for text in texts for word in words(text)}:
            weights[word] += weight
    return weights.most_common(_MOST_TERMS)


def _marks(record: DatasetRecord) -> set[str]:
    declared = {record.extras.get(name, "").strip().lower() for name in _IDENTIFIERS} - {""}
    services = {_link_mark(link) for link in record.links if link.protocol.upper().startswith(_SERVICES)}
    return {_address(d) if "://" in d else f"id:{d}" for d in declared} | services


def _link_mark(link: Link) -> str:
    """An ArcGIS address names its layer; an OGC address needs the layer's name beside it."""
    layer = fold(link.title) if link.protocol.upper().startswith("OGC:") else ""
    return _address(link.href) + (f"#{layer}" if layer else "")


def _address(href: str) -> str:
    """Return a service's address without what differs from client to client."""
    try:
        parts = urlsplit(href.strip())
    except ValueError:  # not an address at all
        return f"link:{href.strip().lower()}"
    asked = sorted((k.lower(), v) for k, v in parse_qsl(parts.query) if k.lower() not in _OPERATION)
    query = f"?{urlencode(asked)}" if asked else ""
    return f"link:{parts.netloc.lower()}{parts.path.rstrip('/').lower()}{query}"
