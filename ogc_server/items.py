"""Features of a collection: pages, single features, in GeoJSON, JSON-LD, CSV and HTML.

Not by pygeoapi's `get_collection_items`: it decodes and encodes every feature (220 ms for 1,000
features against 7), has no keyset pages, drops parameters from next links and reads parameters
leniently. Here the texts made at harvest are spliced into the answer as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from typing import Any

import orjson
from pygeofilter import ast

from catalog.datasets import Dataset
from catalog.errors import QueryError, SatuDataError
from catalog.messages import text
from catalog.model import FieldType, LayerSchema, VersionInfo
from layers.contract import LayerReader, Page, Query
from layers.cql.parse import parse_filter, transform_filter
from ogc_server import formats
from ogc_server.answer import PINNED, REVALIDATE, Answer, digest, link_header, to_json
from ogc_server.ask import Ask, segment
from ogc_server.basemap import basemap
from ogc_server.crs import CRS84, Crs, offered
from ogc_server.errors import LayerBrokenError, ParameterError
from ogc_server.links import OGC_REL, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import (
    CSV_OFFER,
    GEOJSON_OFFER,
    HTML_OFFER,
    JSON,
    JSONLD_OFFER,
    SCHEMA,
)  # fmt: skip
from ogc_server.parameters import NUMBER, queryable_names
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.spatial import bbox_query, inside
from ogc_server.times import Interval

OFFERS = (GEOJSON_OFFER, HTML_OFFER, JSONLD_OFFER, CSV_OFFER)
FEATURE_OFFERS = (GEOJSON_OFFER, HTML_OFFER, JSONLD_OFFER)
MAX_BODY = 1 << 20


@contextmanager
def _reading(service: Service, snapshot: Snapshot, info: VersionInfo) -> Iterator[LayerReader]:
    """Lease the reader; what is wrong with the layer (not with the question) leaves it out."""
    try:
        with service.readers.lease(info) as reader:
            yield reader
    except QueryError:
        raise
    except (SatuDataError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, SatuDataError) and error.http_status < 500:
            raise
        snapshot.mark_broken(info.layer_id, error)
        raise LayerBrokenError(where=info.layer_id) from error


def items(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/items`."""
    (collection_id,) = ask.arguments
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"))
    schema = info.schema or LayerSchema(())
    crs = _crs(ask.values.get("crs"), schema, "crs")
    cache = PINNED if "version" in ask.values else REVALIDATE
    tag = _tag(ask, dataset, info)
    with _reading(service, snapshot, info) as reader:
        query = question(service, ask, schema, crs, reader)
        ask.check(tag, cache)
        page = _page(ask, reader, query)
    links = _links(service, ask, dataset, info, query, page)
    below = basemap(service, snapshot, ask) if ask.chosen.name == "html" else []
    answer = _represent(ask, dataset, info, schema, page, links, below)
    answer.tag, answer.cache = tag, cache
    answer.headers |= {
        "Content-Crs": f"<{crs.uri}>",
        "Link": link_header([one for one in links if one["rel"] != "alternate"]),
        "OGC-NumberReturned": str(len(page.features)),
        "OGC-NumberMatched": str(page.matched),
    }
    return answer


def _page(ask: Ask, reader: LayerReader, query: Query) -> Page:
    try:
        return reader.page(query)
    except QueryError as error:
        if query.after is not None and "token" in error.detail:
            raise ParameterError("query.after", "after") from error
        # All else was checked before: what the store refuses now stands in the filter.
        error.where = error.where or ("filter" if query.filter is not None else "")
        raise


def item(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/items/{feature}`."""
    collection_id, feature_id = ask.arguments
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"))
    schema = info.schema or LayerSchema(())
    crs = _crs(ask.values.get("crs"), schema, "crs")
    cache = PINNED if "version" in ask.values else REVALIDATE
    tag = _tag(ask, dataset, info)
    with _reading(service, snapshot, info) as reader:
        feature = reader.feature(feature_id, _output(crs))
    if feature is None:
        raise missing("feature", feature_id)
    ask.check(tag, cache)
    here = f"/collections/{segment(collection_id)}"
    version = {"version": ask.values.get("version")}
    links = [
        *document_links(ask, FEATURE_OFFERS),
        link(ask.href(here, version), "collection", JSON, text("link.collection", ask.lang)),
    ]
    whole = feature[:-1] + b',"links":' + to_json(links) + b"}"
    headers = {"Content-Crs": f"<{crs.uri}>", "Link": link_header(links)}
    if ask.chosen.name == "html":
        context = {
            "collection_id": collection_id, "title": dataset.record.title.get(ask.lang) or collection_id,
            "synthetic": dataset.record.synthetic, "basemap": basemap(service, snapshot, ask),
        }  # fmt: skip
        return document(ask, orjson.loads(whole), "item.html", context, tag=tag, cache=cache, headers=headers)
    if ask.chosen.name == "jsonld":
        whole = formats.json_ld(whole, ask.href(f"{here}/items/"))
    return Answer(whole, ask.chosen.media, tag=tag, cache=cache, headers=headers)


def question(service: Service, ask: Ask, schema: LayerSchema, crs: Crs, reader: LayerReader) -> Query:
    """Return the query that the parameters ask; ParameterError for what does not fit the schema."""
    values = ask.values
    server = service.settings.server
    if "after" in values and "offset" in values:
        raise ParameterError("query.after-offset", "after")
    box, exact = _bbox(values, schema, reader)
    span, dated = _time(values.get("datetime"), schema, reader)
    condition = _filter(ask, schema)
    free = set(queryable_names(schema, ()))
    equals = tuple((k, _typed(schema, k, v)) for k, v in ask.pairs if k in free and k not in _RESERVED)
    _known(schema, [name for name, _ in values.get("sortby", ())], "sortby")
    _known(schema, values.get("properties", ()), "properties")
    parts = [part for part in (exact, dated, condition) if part is not None]
    return Query(
        limit=min(values.get("limit", server.limit_default), server.limit_max),
        offset=values.get("offset", 0),
        after=values.get("after"),
        bbox=box,
        time=span,
        equals=equals,
        filter=_all(parts),
        sortby=values.get("sortby", ()),
        properties=values.get("properties"),
        skip_geometry=values.get("skipGeometry", False),
        crs=_output(crs),
    )


_RESERVED = frozenset(
    [
        "f",
        "lang",
        "limit",
        "offset",
        "after",
        "bbox",
        "bbox-crs",
        "datetime",
        "crs",
        "filter",
        "filter-lang",
        "filter-crs",
        "sortby",
        "properties",
        "skipGeometry",
        "version",
    ]
)


def _output(crs: Crs) -> str | None:
    return None if crs is CRS84 else crs.code


def _crs(uri: str | None, schema: LayerSchema, where: str) -> Crs:
    if uri is None:
        return CRS84
    found = offered(schema.crs).get(uri)
    if found is None:
        raise ParameterError("query.crs", where, value=uri[:120])
    return found


def _all(parts: list[Any]) -> Any:
    """Return the conjunction of conditions, None for none."""
    return reduce(ast.And, parts) if parts else None


def _bbox(values: dict[str, Any], schema: LayerSchema, reader: LayerReader) -> tuple[Any, Any]:
    """Return (envelope, condition) of the bbox.

    /req/core/fc-bbox-response: features without geometry fit every bbox. The store's envelope never
    fits them, so where there are some (counted once per version) the bbox becomes a condition.
    """
    if "bbox" not in values:
        if "bbox-crs" in values:
            raise ParameterError("query.bbox-crs-alone", "bbox-crs")
        return None, None
    box, exact = bbox_query(
        values["bbox"], _crs(values.get("bbox-crs"), schema, "bbox-crs"), schema.crs, reader.info.bbox
    )
    if schema.geometry_type is None:
        return None, None
    none = ast.IsNull(ast.Attribute("geometry"), not_=False)
    if not reader.count(Query(filter=none)):
        return box, exact
    return None, ast.Or(exact if exact is not None or box is None else inside(box), none)


def _time(span: Interval | None, schema: LayerSchema, reader: LayerReader) -> tuple[Interval | None, Any]:
    """Return (interval, condition) of datetime; features without time fit any (fc-time-response)."""
    if span is None or schema.time_field is None or span == (None, None):
        return None, None
    column = ast.Attribute(schema.time_field)
    none = ast.IsNull(column, not_=False)
    if not reader.count(Query(filter=none)):
        return span, None
    kind = next(field.type for field in schema.fields if field.name == schema.time_field)
    parts: list[Any] = []
    for text_, compare in zip(span, (ast.GreaterEqual, ast.LessEqual), strict=True):
        if text_ is not None:
            moment = datetime.fromisoformat(text_)
            parts.append(compare(column, moment.date() if kind is FieldType.DATE else moment))
    return None, ast.Or(_all(parts), none)


def _filter(ask: Ask, schema: LayerSchema) -> Any:
    values = ask.values
    source: str | None = values.get("filter")
    lang = values.get("filter-lang", "cql2-text")
    if ask.method == "POST":
        source, lang = _posted(ask), "cql2-json"
    if source is None:
        for name in ("filter-lang", "filter-crs"):
            if name in values:
                raise ParameterError("query.filter-alone", name, name=name)
        return None
    crs = _crs(values.get("filter-crs"), schema, "filter-crs")
    try:
        return transform_filter(parse_filter(source, lang), crs.code, schema.crs)
    except QueryError as error:
        error.where = error.where or "filter"
        raise


def _posted(ask: Ask) -> str:
    """Return the CQL2 JSON that stands in the body."""
    media = ask.headers.get("content-type", "").split(";")[0].strip().lower()
    if media not in ("application/json", "application/query-cql-json", "application/cql2+json"):
        raise ParameterError("query.body-type", "Content-Type", value=media[:60])
    try:
        return ask.body.decode("utf-8")
    except UnicodeDecodeError:
        raise ParameterError("query.encoding", "body") from None


def _known(schema: LayerSchema, names: Any, where: str) -> None:
    known = set(schema.names())
    for name in names:
        if name not in known:
            raise ParameterError("query.property", where, value=name[:80])


def _typed(schema: LayerSchema, name: str, value: str) -> str:
    """Check a queryable's value early, so that the refusal names the parameter."""
    kind = next(field.type for field in schema.fields if field.name == name)
    shape = _SPELLED.get(kind)
    if shape is not None and not shape.fullmatch(value):
        raise ParameterError("query.value", name, value=value[:80], type=kind.value)
    return value


_SPELLED = {
    FieldType.INTEGER: re.compile(r"[+-]?[0-9]{1,19}"),
    FieldType.REAL: NUMBER,
    FieldType.BOOLEAN: re.compile("true|false"),
}


def _tag(ask: Ask, dataset: Dataset, info: VersionInfo) -> str:
    """Return the strong validator: the version, the question and the representation."""
    return digest(
        ask.base, ask.path, sorted(ask.pairs), ask.body, ask.chosen, ask.lang, info.version, info.checksum,
        dataset.updated, formats.REVISION,
    )  # fmt: skip


def _links(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, query: Query, page: Page
) -> list[dict[str, Any]]:
    here = f"/collections/{segment(dataset.id)}"
    version = ask.values.get("version")
    title = dataset.record.title.get(ask.lang) or dataset.id
    links = document_links(ask, OFFERS)
    links.append(link(ask.href(here, {"version": version}), "collection", JSON, title))
    links.append(
        link(
            ask.href(f"{here}/queryables", {"version": version}), f"{OGC_REL}queryables", SCHEMA,
            text("link.queryables", ask.lang),
        )
    )  # fmt: skip
    media = ask.chosen.media
    if page.next is not None:
        # The version is pinned: all pages are of one state, whatever is harvested meanwhile.
        href = ask.here(offset=None, after=page.next, version=info.version)
        links.append(link(href, "next", media, text("link.next", ask.lang)))
    if query.offset > 0:
        earlier = max(0, query.offset - query.limit)
        href = ask.here(offset=earlier or None, version=info.version)
        links.append(link(href, "prev", media, text("link.prev", ask.lang)))
    return links


def _represent(
    ask: Ask,
    dataset: Dataset,
    info: VersionInfo,
    schema: LayerSchema,
    page: Page,
    links: list[dict[str, Any]],
    below: list[dict[str, str]],
) -> Answer:
    name = ask.chosen.name
    if name == "csv":
        body = formats.csv_text(schema, page.features, ask.values.get("properties"))
        filename = f'attachment; filename="{dataset.id}.csv"'
        return Answer(body, formats.CSV_MEDIA, headers={"Content-Disposition": filename})
    if name == "html":
        doc = {
            "type": "FeatureCollection", "features": [orjson.loads(feature) for feature in page.features],
            "numberMatched": page.matched, "numberReturned": len(page.features), "links": links,
        }  # fmt: skip
        context = {
            "collection_id": dataset.id, "title": dataset.record.title.get(ask.lang) or dataset.id,
            "synthetic": dataset.record.synthetic, "mappable": schema.geometry_type is not None,
            "filter": ask.values.get("filter", ""),
            "columns": ask.values.get("properties") or schema.names(), "basemap": below,
        }  # fmt: skip
        return document(ask, doc, "items.html", context)
    body = formats.feature_collection(page.features, page.matched, links)
    if name == "jsonld":
        body = formats.json_ld(body, ask.href(f"/collections/{segment(dataset.id)}/items/"))
    return Answer(body, ask.chosen.media)
