"""QGIS's own style file (QML) of a drawn style: symbology of a vector layer, and its labels."""

from __future__ import annotations

import json
import math

from lxml import etree

from layers.style.drawn import Codes, Drawn
from layers.style.palettes import rgb

_SYMBOL = {"polygon": "fill", "line": "line", "point": "marker", "mixed": "fill"}
_OPEN_LOW, _OPEN_HIGH = -1e15, 1e15


def qml(drawn: Drawn, *, name: str, lang: str, codes: Codes | None = None) -> bytes:
    """Return the style as an XML document; a layer of mixed geometries is drawn as its areas are.

    With `codes` the class comes from the area's code, as the values stand in another table.
    """
    root = etree.Element("qgis", version="3.22", styleCategories="Symbology|Labeling")
    if codes is not None:
        renderer = _joined(root, drawn, codes, lang)
    elif drawn.column is None:
        renderer = etree.SubElement(root, "renderer-v2", type="singleSymbol")
    elif drawn.categorical:
        renderer = _categories(root, drawn, lang)
    else:
        renderer = _ranges(root, drawn, lang)
    renderer.set("enableorderby", "0")
    symbols = etree.SubElement(renderer, "symbols")
    for number, one in enumerate(drawn.classes):
        _symbol(symbols, drawn, number, one.colour)
    if codes is not None:
        _symbol(symbols, drawn, len(drawn.classes), drawn.other or drawn.rule.no_data)
        _symbol(symbols, drawn, len(drawn.classes) + 1, drawn.rule.no_data)
    elif drawn.categorical:
        _symbol(symbols, drawn, len(drawn.classes), drawn.other or drawn.rule.no_data)
    if drawn.label and drawn.family != "line":
        _labels(root, drawn.label)
    found: bytes = etree.tostring(
        root, doctype="<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>", pretty_print=True,
        encoding="UTF-8",
    )  # fmt: skip
    return found


def _ranges(root: etree._Element, drawn: Drawn, lang: str) -> etree._Element:
    renderer = etree.SubElement(
        root,
        "renderer-v2",
        type="graduatedSymbol",
        attr=f'"{drawn.column}"',
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
    return renderer


def _joined(root: etree._Element, drawn: Drawn, codes: Codes, lang: str) -> etree._Element:
    """Return categories by class number, looked up by code in a map that QGIS makes once per drawing."""
    numbers = json.dumps({code: str(number) for code, number in codes.classes.items()}, separators=(",", ":"))
    literal, key = numbers.replace("\\", "\\\\").replace("'", "''"), codes.key.replace('"', '""')
    expression = f"map_get(json_to_map('{literal}'),to_string(\"{key}\"))"
    renderer = etree.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=expression)
    categories = etree.SubElement(renderer, "categories")
    labels = [one.label(lang) for one in drawn.classes]
    if drawn.other:
        labels.append("…")
    for number, label in enumerate(labels):
        etree.SubElement(
            categories, "category", symbol=str(number), value=str(number), type="string", label=label,
            render="true",
        )  # fmt: skip
    last = str(len(drawn.classes) + 1)
    etree.SubElement(categories, "category", symbol=last, value="", label="—", render="true")
    return renderer


def _categories(root: etree._Element, drawn: Drawn, lang: str) -> etree._Element:
    renderer = etree.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=str(drawn.column))
    categories = etree.SubElement(renderer, "categories")
    for number, one in enumerate(drawn.classes):
        value, kind = _typed(one.value)
        etree.SubElement(
            categories,
            "category",
            symbol=str(number),
            value=value,
            type=kind,
            label=one.label(lang),
            render="true",
        )
    etree.SubElement(
        categories, "category", symbol=str(len(drawn.classes)), value="", label="—", render="true"
    )
    return renderer


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


def _labels(root: etree._Element, column: str) -> None:
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
