"""A choropleth: the areas of one collection in the colours of a column of another.

The colours stand in the style itself (a `match` from code to colour, grouped by class), so the areas'
tiles stay as they are and any MapLibre client draws it without code of its own; SLD and QML name the
codes of each class, too; `f=values` gives the plain values for those who set feature states.
"""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.errors import NotFoundError
from catalog.messages import text
from catalog.model import VersionInfo
from layers.style.drawn import Codes
from layers.style.maplibre import style as maplibre_style
from layers.style.qml import qml
from layers.style.sld import sld
from layers.tiles.plan import FID, family_of
from ogc_server import qgis
from ogc_server.answer import PINNED, REVALIDATE, Answer, digest, to_json
from ogc_server.ask import Ask, segment
from ogc_server.errors import ParameterError
from ogc_server.parameters import COMMON, VERSION, Param, choice, positive
from ogc_server.parameters import text as read_text
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot
from ogc_server.style_join import Join, class_numbers, join, joined_colour
from ogc_server.style_parts import Kept, glyphs, legend_document, source, words

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
_JOINED: Kept[Join] = Kept()


def choropleth(service: Service, snapshot: Snapshot, ask: Ask, dataset: Dataset, info: VersionInfo) -> Answer:
    """Answer `/collections/{id}/styles/choropleth`: this is the table, `geometry` the areas."""
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
            joined = _JOINED.put(key, join(ask.values, table, reader))
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
    codes = Codes(joined.key, class_numbers(joined))
    if form == "sld" and len(codes.classes) > MOST_SLD:
        raise ParameterError("query.style-codes", "f", most=MOST_SLD)
    name = text("style.choropleth", ask.lang, column=drawn.column)
    if form == "sld":
        return Answer(sld(drawn, name=name, lang=ask.lang, codes=codes, **words(ask.lang)), ask.chosen.media)
    body = qml(drawn, name=name, lang=ask.lang, codes=codes, **words(ask.lang))
    file = f"{areas.id}-{segment(ask.arguments[0])}.{form}"
    if form == "qlr":
        body = qgis.layer_definition(ask, areas, shape, body, name)
    return Answer(body, ask.chosen.media, headers=qgis.as_file(file))


def _joined_document(
    service: Service, ask: Ask, areas: Dataset, shape: VersionInfo, joined: Join
) -> dict[str, Any]:
    drawn = joined.drawn
    name = text("style.choropleth", ask.lang, column=drawn.column)
    said = legend_document(ask, drawn, name)
    if ask.chosen.name == "legend":
        return said
    counts = {"matched": len(joined.values), "unmatched": joined.unmatched}
    if ask.chosen.name == "values":
        return {
            "collection": areas.id, "version": shape.version, "key": joined.key, **counts,
            "legend": said, "values": joined.values,
        }  # fmt: skip
    return maplibre_style(
        drawn, source(service, ask, areas, shape), name=name, glyphs=glyphs(ask),
        colour=joined_colour(joined),
        metadata={"satudata:legend": said, "satudata:join": {"key": joined.key, **counts}},
    )  # fmt: skip


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
