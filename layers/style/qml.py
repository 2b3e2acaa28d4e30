"""QGIS's own style file (QML) of a drawn style: symbology of a vector layer, and its labels."""

from __future__ import annotations

import json
import math

from lxml import etree

from layers.style.drawn import Codes, Drawn
from layers.style.palettes import rgb
from layers.tiles.plan import Family

_SYMBOL = {"polygon": "fill", "line": "line", "point": "marker", "mixed": "fill"}
_OPEN_LOW, _OPEN_HIGH = -1e15, 1e15
_NOTHING = -1e300
"""Stands for "no value" in a range of its own: QGIS draws nothing where a number is missing."""
_NO_VALUE = "\u2205"
"""The same among categories: QGIS takes a missing value for one that no category names."""


def qml(
    drawn: Drawn, *, name: str, lang: str, codes: Codes | None = None, other: str = "…", no_data: str = "—"
) -> bytes:
    """Return the style as an XML document; a layer of mixed geometries is drawn as its areas are.

    With `codes` the class comes from the area's code, as the values stand in another table. `other` and
    `no_data` are the words of those classes.
    """
    root = etree.Element("qgis", version="3.22", styleCategories="Symbology|Labeling")
    if drawn.column is None and codes is None:
        renderer = etree.SubElement(root, "renderer-v2", type="singleSymbol")
    elif codes is not None or drawn.categorical:
        renderer = _categories(root, drawn, lang, codes, other, no_data)
    else:
        renderer = _ranges(root, drawn, lang, no_data)
    renderer.set("enableorderby", "0")
    symbols = etree.SubElement(renderer, "symbols")
    shades = [one.colour for one in drawn.classes]
    if drawn.column is not None or codes is not None:
        shades += [drawn.other, drawn.rule.no_data] if drawn.other else [drawn.rule.no_data]
    for number, colour in enumerate(shades):
        _symbol(symbols, drawn, number, colour)
    if drawn.label:
        _labels(root, drawn.label, drawn.family)
    found: bytes = etree.tostring(
        root, doctype="<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>", pretty_print=True,
        encoding="UTF-8",
    )  # fmt: skip
    return found


def _ranges(root: etree._Element, drawn: Drawn, lang: str, no_data: str) -> etree._Element:
    column = _quoted(drawn.column)
    renderer = etree.SubElement(
        root,
        "renderer-v2",
        type="graduatedSymbol",
        attr=f"coalesce({column},{_NOTHING!r})",
        graduatedMethod="GraduatedColor",
    )
    ranges = etree.SubElement(renderer, "ranges")
    for number, one in enumerate(drawn.classes):
        etree.SubElement(
            ranges, "range", symbol=str(number), label=one.label(lang), render="true",
            lower=repr(_OPEN_LOW if one.low is None else one.low),
            # QGIS counts a range's upper end in; ours belongs to the next class
            upper=repr(_OPEN_HIGH if one.high is None else math.nextafter(one.high, -math.inf)),
        )  # fmt: skip
    last = str(len(drawn.classes))
    etree.SubElement(
        ranges, "range", symbol=last, label=no_data, render="true", lower=repr(_NOTHING), upper=repr(_NOTHING)
    )
    return renderer


def _categories(
    root: etree._Element, drawn: Drawn, lang: str, codes: Codes | None, other: str, no_data: str
) -> etree._Element:
    """Return categories: by value, or by class number with `codes`; one for each of the legend's entries."""
    if codes is not None:
        attribute = _class_of_code(codes)
        values = [(str(number), "string", one.label(lang)) for number, one in enumerate(drawn.classes)]
        if drawn.other:
            values.append((str(len(values)), "string", other))
    else:
        # "" stands for all that no other category names, a missing value among them
        attribute = f"coalesce({_quoted(drawn.column)},'{_NO_VALUE}')" if drawn.other else str(drawn.column)
        values = [(*_typed(one.value), one.label(lang)) for one in drawn.classes]
        if drawn.other:
            values.append(("", "string", other))
    values.append((_NO_VALUE if codes is None and drawn.other else "", "string", no_data))
    renderer = etree.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=attribute)
    categories = etree.SubElement(renderer, "categories")
    for number, (value, kind, label) in enumerate(values):
        etree.SubElement(
            categories, "category", symbol=str(number), value=value, type=kind, label=label, render="true"
        )
    return renderer


def _class_of_code(codes: Codes) -> str:
    """Return an expression: the class's number, by code, of a map that QGIS makes once per drawing."""
    numbers = json.dumps({code: str(number) for code, number in codes.classes.items()}, separators=(",", ":"))
    literal = numbers.replace("\\", "\\\\").replace("'", "''")
    return f"map_get(json_to_map('{literal}'),to_string({_quoted(codes.key)}))"


def _quoted(column: str | None) -> str:
    return '"' + (column or "").replace('"', '""') + '"'


def _typed(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        return str(value).lower(), "bool"
    return str(value), "long" if isinstance(value, int) else "string"


def _symbol(symbols: etree._Element, drawn: Drawn, number: int, colour: str) -> None:
    kind = _SYMBOL[drawn.family]
    symbol = etree.SubElement(symbols, "symbol", type=kind, name=str(number), alpha="1")
    if kind == "fill":
        opacity = round(255 * drawn.rule.opacity)
        _layer(
            symbol, "SimpleFill",
            {"color": _rgba(colour, opacity), "outline_color": _rgba(drawn.rule.outline), "style": "solid",
             "outline_width": f"{drawn.rule.width / 4:g}", "outline_style": "solid",
             "outline_width_unit": "MM"},
        )  # fmt: skip
    elif kind == "line":
        width = max(drawn.rule.width, 1.2) / 4
        _layer(
            symbol,
            "SimpleLine",
            {"line_color": _rgba(colour), "line_width": f"{width:g}", "line_width_unit": "MM"},
        )
    else:
        _layer(
            symbol, "SimpleMarker",
            {"color": _rgba(colour), "name": "circle", "outline_color": _rgba("#ffffff"),
             "size": f"{drawn.rule.radius / 2:g}", "size_unit": "MM"},
        )  # fmt: skip


def _layer(symbol: etree._Element, kind: str, values: dict[str, str]) -> None:
    layer = etree.SubElement(symbol, "layer", {"class": kind, "enabled": "1", "pass": "0", "locked": "0"})
    options = etree.SubElement(layer, "Option", type="Map")
    for name, value in values.items():
        etree.SubElement(options, "Option", name=name, value=value, type="QString")


def _rgba(colour: str, alpha: int = 255) -> str:
    return ",".join(map(str, (*rgb(colour), alpha)))


_PLACEMENT = {
    "polygon": {"placement": "4", "fitInPolygonOnly": "1"},  # horizontal, where there is room
    "line": {"placement": "3"},  # along the line, curved
    "point": {
        "placement": "6", "predefinedPositionOrder": "B,T,R,L", "offsetType": "1", "dist": "0.5",
        "distUnits": "MM",
    },
}  # fmt: skip


def _labels(root: etree._Element, column: str, family: Family) -> None:
    settings = etree.SubElement(
        etree.SubElement(root, "labeling", type="simple"), "settings", calloutType="simple"
    )
    text = etree.SubElement(
        settings, "text-style", fieldName=column, isExpression="0", fontSize="8", fontSizeUnit="Point",
        textColor="26,26,26,255",
    )  # fmt: skip
    etree.SubElement(
        text,
        "text-buffer",
        bufferDraw="1",
        bufferSize="0.8",
        bufferSizeUnits="MM",
        bufferColor="255,255,255,255",
    )
    etree.SubElement(settings, "placement", _PLACEMENT.get(family, {}))
    if family == "polygon":  # names of points may stand on areas
        etree.SubElement(settings, "rendering", obstacle="0")
