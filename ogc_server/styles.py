"""Styles of a collection: MapLibre, SLD, QML, QGIS layer and legend, all of one rule."""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.messages import text
from catalog.model import VersionInfo
from layers.downloads.kit import KitStyle
from layers.style.drawn import Drawn, draw
from layers.style.maplibre import style as maplibre_style
from layers.style.qml import qml
from layers.style.rule import DEFAULT, StyleRule
from layers.style.sld import sld
from ogc_server import qgis
from ogc_server.answer import PINNED, REVALIDATE, Answer, digest, to_json
from ogc_server.ask import Ask, segment
from ogc_server.choropleth import CHOROPLETH, choropleth
from ogc_server.errors import ParameterError
from ogc_server.links import OGC_REL, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import JSON_OFFER
from ogc_server.service import Service, document
from ogc_server.snapshot import VECTORS, Snapshot, missing
from ogc_server.style_parts import STYLE_OFFERS, Kept, glyphs, legend_document, source, words

OFFERS = (JSON_OFFER,)
_DRAWN: Kept[Drawn] = Kept()


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
        return choropleth(service, snapshot, ask, dataset, info)
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


def qgis_styles(service: Service, dataset: Dataset, info: VersionInfo, lang: str) -> list[KitStyle]:
    """Return the layer's styles for QGIS, the one to draw it in first; empty for a table.

    That is `style` of its configuration, else the first of `styles`, else the plain one.
    """
    rules = _rules(service, dataset, info)
    own = list(service.tiles().styles(dataset)) if rules else []
    first = DEFAULT if DEFAULT in own or not own else own[0]
    made, said = [], words(lang)
    for name in sorted(rules, key=lambda one: one != first):
        drawn = _drawn(service, info, rules[name])
        title = rules[name].title.get(lang) or (name if name != DEFAULT else text("style.default", lang))
        made.append(
            KitStyle(
                title,
                qml(drawn, name=title, lang=lang, **said).decode(),
                sld(drawn, name=title, lang=lang, **said).decode(),
            )
        )
    return made


def _written(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, drawn: Drawn, name: str
) -> Answer:
    form = ask.chosen.name
    if form == "sld":
        return Answer(sld(drawn, name=name, lang=ask.lang, **words(ask.lang)), ask.chosen.media)
    if form == "qml":
        filename = f'attachment; filename="{dataset.id}.qml"'
        body = qml(drawn, name=name, lang=ask.lang, **words(ask.lang))
        return Answer(body, ask.chosen.media, headers={"Content-Disposition": filename})
    if form == "qlr":
        made = qml(drawn, name=name, lang=ask.lang, **words(ask.lang))
        body = qgis.layer_definition(ask, dataset, info, made)
        return Answer(body, ask.chosen.media, headers=qgis.as_file(f"{dataset.id}.qlr"))
    if form == "legend":
        return Answer(to_json(legend_document(ask, drawn, name)), ask.chosen.media)
    if form == "values":
        raise ParameterError("query.f", "f", value=form, known="mapbox, sld, qml, qlr, legend")
    styled = maplibre_style(
        drawn, source(service, ask, dataset, info), name=name, glyphs=glyphs(ask),
        metadata={"satudata:legend": legend_document(ask, drawn, name)},
    )  # fmt: skip
    return Answer(to_json(styled), ask.chosen.media)


def _rules(service: Service, dataset: Dataset, info: VersionInfo) -> dict[str, StyleRule]:
    """Return the layer's styles: those of its configuration, and a plain default where it has none."""
    if info.schema is None or info.schema.geometry_type is None:
        return {}
    return {DEFAULT: StyleRule(), **service.tiles().styles(dataset)}


def _title(rule: StyleRule, name: str, ask: Ask) -> str:
    return rule.title.get(ask.lang) or (text("style.default", ask.lang) if name == DEFAULT else name)
