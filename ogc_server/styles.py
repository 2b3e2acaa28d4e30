"""Styles of a collection: MapLibre, SLD, QML, QGIS layer and legend, all of one rule; tables joined to areas.

`choropleth` colours the areas of another collection by a column of this one. The colours stand in the
style itself (a `match` from code to colour, grouped by class), so the areas' tiles stay as they are
and any MapLibre client draws it without code of its own; SLD and QML name the codes of each class, too;
`f=values` gives the plain values for those who set feature states.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from catalog.datasets import Dataset
from catalog.errors import NotFoundError
from catalog.messages import text
from catalog.model import FieldType, LayerSchema, VersionInfo
from layers.contract import LayerReader
from layers.style.drawn import Codes, Drawn, classify, draw
from layers.style.legend import legend
from layers.style.maplibre import style as maplibre_style
from layers.style.qml import qml
from layers.style.rule import DEFAULT, StyleRule
from layers.style.sld import sld
from layers.tiles.plan import FID, family_of, name_column
from ogc_server import qgis
from ogc_server.answer import PINNED, REVALIDATE, Answer, digest, to_json
from ogc_server.ask import Ask, segment
from ogc_server.errors import ParameterError
from ogc_server.links import OGC_REL, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import JSON, JSON_OFFER, Offer
from ogc_server.parameters import COMMON, VERSION, Param, choice, positive
from ogc_server.parameters import text as read_text
from ogc_server.service import Service, document
from ogc_server.snapshot import VECTORS, Snapshot, missing
from ogc_server.tiles import tilejson

OFFERS = (JSON_OFFER,)
MAPBOX = "application/vnd.mapbox.style+json"
STYLE_OFFERS = (
    Offer("mapbox", MAPBOX, (JSON,)),
    Offer("sld", "application/vnd.ogc.sld+xml;version=1.1", ("application/xml",)),
    Offer("qml", "application/x-qgis-qml", ("text/xml",)),
    Offer("qlr", qgis.MEDIA),
    Offer("legend", "application/vnd.satudata.legend+json"),
    Offer("values", "application/vnd.satudata.values+json"),
)
CHOROPLETH = "choropleth"
MOST_SLD = 5000
"""Codes in one SLD: whoever reads it compares each area with each of them."""
METHODS = ("jenks", "quantile", "equal", "categories")
PALETTES = ("viridis", "cividis", "ylgnbu", "ylorrd", "okabe-ito")
_TEXT = {"type": "string"}
TABLE: tuple[Param, ...] = (
    *COMMON,
    VERSION,
    Param("geometry", read_text, _TEXT),
    Param("column", read_text, _TEXT),
    Param("code", read_text, _TEXT),
    Param("geometry-code", read_text, _TEXT),
    Param("classes", positive, {"type": "integer", "minimum": 2, "maximum": 9, "default": 5}),
    Param("method", choice(*METHODS), {"type": "string", "enum": list(METHODS), "default": "jenks"}),
    Param("palette", choice(*PALETTES), {"type": "string", "enum": list(PALETTES)}),
)
_NUMERIC = (FieldType.INTEGER, FieldType.REAL)
_KEPT = 16


class _Kept[T]:
    """The few newest results, by key. Shared by threads."""

    def __init__(self) -> None:
        self._items: OrderedDict[object, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        with self._lock:
            return self._items.get(key)

    def put(self, key: object, value: T) -> T:
        with self._lock:
            self._items[key] = value
            while len(self._items) > _KEPT:
                self._items.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class Join:
    """A table's values at the codes of areas: `values` by the code as the tiles spell it."""

    drawn: Drawn
    key: str
    values: dict[str, Any]
    unmatched: int


_DRAWN: _Kept[Drawn] = _Kept()
_JOINED: _Kept[Join] = _Kept()


def styles(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/styles`."""
    dataset, info = snapshot.layer(ask.arguments[0], ask.values.get("version"), VECTORS)
    here = f"/collections/{segment(dataset.id)}/styles"
    made = []
    for name, rule in _rules(service, dataset, info).items():
        links = [
            link(
                ask.href(f"{here}/{segment(name)}", {"f": offer.name}), _rel(offer.name), offer.media,
                text("link.style", ask.lang, title=_title(rule, name, ask), **{"as": offer.name.upper()}),
            )
            for offer in STYLE_OFFERS
            if offer.name != "values"
        ]  # fmt: skip
        made.append({"id": name, "title": _title(rule, name, ask), "links": links})
    doc: dict[str, Any] = {"styles": made, "links": document_links(ask, OFFERS)}
    if made:
        doc["default"] = DEFAULT
    return document(ask, doc, "")


def _rel(form: str) -> str:
    return f"{OGC_REL}legend" if form == "legend" else "stylesheet"


def style(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/styles/{styleId}` in the form asked for."""
    dataset, info = snapshot.layer(ask.arguments[0], ask.values.get("version"), VECTORS)
    name = ask.arguments[1]
    if name == CHOROPLETH:
        return _choropleth(service, snapshot, ask, dataset, info)
    if info.schema is None or info.schema.geometry_type is None:
        raise ParameterError("query.style-layer", "styleId")
    rule = _rules(service, dataset, info).get(name)
    if rule is None:
        raise missing("style", name)
    tag = digest(ask.url, ask.base, ask.lang, ask.chosen, info.version, info.checksum, rule, dataset.updated)
    cache = PINNED if "version" in ask.values else REVALIDATE
    ask.check(tag, cache)
    answer = _written(service, ask, dataset, info, _drawn(service, info, rule), _title(rule, name, ask))
    answer.tag, answer.cache = tag, cache
    return answer


def _drawn(service: Service, info: VersionInfo, rule: StyleRule) -> Drawn:
    key = (info.layer_id, info.version, info.checksum, rule.model_dump_json())
    found = _DRAWN.get(key)
    if found is None:
        with service.readers.lease(info) as reader:
            found = _DRAWN.put(key, draw(reader, rule))
    return found


def qgis_style(
    service: Service, dataset: Dataset, info: VersionInfo, lang: str
) -> tuple[bytes, bytes] | None:
    """Return QML and SLD of the layer's first own style, else of the plain one; None for a table."""
    rules = _rules(service, dataset, info)
    if not rules:
        return None
    name = next((one for one in rules if one != DEFAULT), DEFAULT)
    drawn = _drawn(service, info, rules[name])
    title = rules[name].title.get(lang) or name
    return qml(drawn, name=title, lang=lang), sld(drawn, name=title, lang=lang)


def _written(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, drawn: Drawn, name: str
) -> Answer:
    form = ask.chosen.name
    if form == "sld":
        return Answer(sld(drawn, name=name, lang=ask.lang), ask.chosen.media)
    if form == "qml":
        filename = f'attachment; filename="{dataset.id}.qml"'
        body = qml(drawn, name=name, lang=ask.lang)
        return Answer(body, ask.chosen.media, headers={"Content-Disposition": filename})
    if form == "qlr":
        body = qgis.layer_definition(ask, dataset, info, qml(drawn, name=name, lang=ask.lang))
        return Answer(body, ask.chosen.media, headers=qgis.as_file(f"{dataset.id}.qlr"))
    if form == "legend":
        return Answer(to_json(_legend(ask, drawn, name)), ask.chosen.media)
    if form == "values":
        raise ParameterError("query.f", "f", value=form, known="mapbox, sld, qml, qlr, legend")
    made = maplibre_style(
        drawn, _source(service, ask, dataset, info), name=name, glyphs=glyphs(ask),
        metadata={"satudata:legend": _legend(ask, drawn, name)},
    )  # fmt: skip
    return Answer(to_json(made), ask.chosen.media)


def glyphs(ask: Ask) -> str:
    """Return the address of our own glyphs, as MapLibre wants it."""
    return ask.href("/fonts/") + "{fontstack}/{range}.pbf"


def _legend(ask: Ask, drawn: Drawn, name: str) -> dict[str, Any]:
    return legend(
        drawn, name=name, lang=ask.lang, plain=text("style.plain", ask.lang),
        no_data=text("style.no-data", ask.lang), other=text("style.other", ask.lang),
    )  # fmt: skip


def _source(service: Service, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
    """Return the vector source: our own tiles of this very version; `fid` is the feature's id."""
    told = tilejson(service, ask, dataset, info, service.tiles().plan(dataset, info))
    wanted = ("tiles", "minzoom", "maxzoom", "bounds", "attribution", "scheme")
    return {
        "type": "vector", **{name: told[name] for name in wanted if name in told},
        "promoteId": {one["id"]: FID for one in told["vector_layers"]},
    }  # fmt: skip


def _rules(service: Service, dataset: Dataset, info: VersionInfo) -> dict[str, StyleRule]:
    """Return the layer's styles: those of its configuration, and a plain default where it has none."""
    if info.schema is None or info.schema.geometry_type is None:
        return {}
    return {DEFAULT: StyleRule(), **service.tiles().styles(dataset)}


def _title(rule: StyleRule, name: str, ask: Ask) -> str:
    return rule.title.get(ask.lang) or (text("style.default", ask.lang) if name == DEFAULT else name)


# -- a table joined to areas


def _choropleth(
    service: Service, snapshot: Snapshot, ask: Ask, dataset: Dataset, info: VersionInfo
) -> Answer:
    areas, shape = _areas(snapshot, ask)
    tag = digest(
        ask.url, ask.base, ask.lang, ask.chosen, info.version, info.checksum, shape.version, shape.checksum,
        areas.updated, dataset.updated,
    )  # fmt: skip
    cache = PINNED if "version" in ask.values else REVALIDATE
    ask.check(tag, cache)
    asked = tuple(sorted((k, v) for k, v in ask.pairs if k not in ("f", "lang", "version")))
    key = (info.layer_id, info.version, info.checksum, shape.version, shape.checksum, asked)
    joined = _JOINED.get(key)
    if joined is None:
        with service.readers.lease(info) as table, service.readers.lease(shape) as reader:
            joined = _JOINED.put(key, _join(ask, table, reader))
    if ask.chosen.name in ("sld", "qml", "qlr"):
        answer = _joined_file(ask, areas, shape, joined)
        answer.tag, answer.cache = tag, cache
        return answer
    body = to_json(_joined_document(service, ask, areas, shape, joined))
    return Answer(body, ask.chosen.media, tag=tag, cache=cache)


def _joined_file(ask: Ask, areas: Dataset, shape: VersionInfo, joined: Join) -> Answer:
    """Return the joined style for desktop programs: the codes of each class stand in it."""
    drawn, form = joined.drawn, ask.chosen.name
    if joined.key == FID:
        raise ParameterError("query.style-form", "geometry")
    codes = Codes(joined.key, _class_numbers(joined))
    if form == "sld" and len(codes.classes) > MOST_SLD:
        raise ParameterError("query.style-codes", "f", most=MOST_SLD)
    name = text("style.choropleth", ask.lang, column=drawn.column)
    if form == "sld":
        return Answer(sld(drawn, name=name, lang=ask.lang, codes=codes), ask.chosen.media)
    body = qml(drawn, name=name, lang=ask.lang, codes=codes)
    file = f"{areas.id}-{segment(ask.arguments[0])}.{form}"
    if form == "qlr":
        body = qgis.layer_definition(ask, areas, shape, body)
    return Answer(body, ask.chosen.media, headers=qgis.as_file(file))


def _class_numbers(joined: Join) -> dict[str, int]:
    """Return code -> number of its class; codes whose value has no colour are left out."""
    drawn = joined.drawn
    numbers: dict[str, int] = {}
    for code, value in joined.values.items():
        number = _class_number(drawn, value)
        if number is not None:
            numbers[code] = number
    return numbers


def _class_number(drawn: Drawn, value: Any) -> int | None:
    if drawn.categorical:
        found = next((n for n, one in enumerate(drawn.classes) if one.value == value), None)
        return len(drawn.classes) if found is None and drawn.other else found
    return next(
        (n for n, one in reversed(list(enumerate(drawn.classes))) if one.low is None or value >= one.low),
        None,
    )


def _joined_document(
    service: Service, ask: Ask, areas: Dataset, shape: VersionInfo, joined: Join
) -> dict[str, Any]:
    drawn = joined.drawn
    name = text("style.choropleth", ask.lang, column=drawn.column)
    said = _legend(ask, drawn, name)
    if ask.chosen.name == "legend":
        return said
    counts = {"matched": len(joined.values), "unmatched": joined.unmatched}
    if ask.chosen.name == "values":
        return {
            "collection": areas.id, "version": shape.version, "key": joined.key, **counts,
            "legend": said, "values": joined.values,
        }  # fmt: skip
    return maplibre_style(
        drawn, _source(service, ask, areas, shape), name=name, glyphs=glyphs(ask),
        colour=joined_colour(joined),
        metadata={"satudata:legend": said, "satudata:join": {"key": joined.key, **counts}},
    )  # fmt: skip


def joined_colour(joined: Join) -> Any:
    """Return `match` from the areas' codes to colours, one branch per class: 83,402 desa are 1.4 MB."""
    drawn = joined.drawn
    branches: dict[str, list[str]] = {one.colour: [] for one in drawn.classes}
    for code, value in joined.values.items():
        colour = _colour(drawn, value)
        if colour is not None:
            branches.setdefault(colour, []).append(code)
    parts = [part for colour, codes in branches.items() if codes for part in (codes, colour)]
    if not parts:
        return drawn.rule.no_data
    return ["match", ["get", joined.key], *parts, drawn.rule.no_data]


def _colour(drawn: Drawn, value: Any) -> str | None:
    if drawn.categorical:
        found = next((one.colour for one in drawn.classes if one.value == value), None)
        return found or drawn.other
    return next((one.colour for one in reversed(drawn.classes) if one.low is None or value >= one.low), None)


def _areas(snapshot: Snapshot, ask: Ask) -> tuple[Dataset, VersionInfo]:
    given = ask.values.get("geometry")
    if given is None:
        raise ParameterError("query.empty", "geometry")
    try:
        dataset, info = snapshot.layer(given, None, ("feature",))
    except NotFoundError as error:
        raise ParameterError("query.style-geometry", "geometry") from error
    if info.schema is None or info.schema.geometry_type is None or _family(info) != "polygon":
        raise ParameterError("query.style-geometry", "geometry")
    return dataset, info


def _family(info: VersionInfo) -> str:
    return family_of(info.schema.geometry_type) if info.schema and info.schema.geometry_type else ""


def _join(ask: Ask, table: LayerReader, areas: LayerReader) -> Join:
    """Work out classes and which area has which value; codes are compared without their dots."""
    schema = table.info.schema or LayerSchema(())
    column = ask.values.get("column")
    kind = next((f.type for f in schema.fields if f.name == column), None)
    if column is None or kind is None:
        raise ParameterError("query.style-column", "column")
    rule = _rule(ask, column)
    own = _code_column(schema, ask.values.get("code"), "code")
    there = _code_column(
        areas.info.schema or LayerSchema(()), ask.values.get("geometry-code"), "geometry-code"
    )
    spelled = {_bare(code): code for code, _ in _column(areas, there, None)}
    said = {_bare(code): value for code, value in _column(table, own, column) if value is not None}
    classes, other = classify(list(said.values()), rule, numeric=kind in _NUMERIC)
    shape = areas.info.schema or LayerSchema(())
    drawn = Drawn(areas.info.layer_id, "polygon", rule, column, kind, classes, name_column(shape), other)
    values = {spelled[code]: value for code, value in said.items() if code in spelled}
    return Join(drawn, there or FID, values, len(said) - len(values))


def _rule(ask: Ask, column: str) -> StyleRule:
    given = ask.values
    classes = given.get("classes", 5)
    if not 2 <= classes <= 9:
        raise ParameterError("query.class-count", "classes")
    return StyleRule(
        column=column, classes=classes, method=given.get("method", "jenks"), palette=given.get("palette")
    )


def _code_column(schema: LayerSchema, given: str | None, where: str) -> str | None:
    """Return the column of the codes, None for the feature's id."""
    if given == FID:
        return None
    if given is not None:
        if given not in schema.names():
            raise ParameterError("query.style-column", where)
        return given
    return schema.region_code.field if schema.region_code else None


def _column(reader: LayerReader, code: str | None, value: str | None) -> list[tuple[str, Any]]:
    """Return (code, value) of all rows that have a code."""
    names = [name for name in dict.fromkeys((code, value)) if name is not None]
    found = []
    for batch in reader.batches(names, geometry=False):
        for feature_id, row in zip(batch.ids, batch.rows, strict=True):
            spelled = feature_id if code is None else row[code]
            if spelled is not None:
                found.append((str(spelled), None if value is None else row[value]))
    return found


def _bare(code: str) -> str:
    return code.replace(".", "").strip()
