"""Styled Layer Descriptor 1.1 with Symbology Encoding 1.1 (OGC 05-078r4, 05-077r4), as QGIS reads it."""

from __future__ import annotations

from lxml import etree

from layers.style.drawn import Codes, Drawn, StyleClass

_SLD, _SE, _OGC = "http://www.opengis.net/sld", "http://www.opengis.net/se", "http://www.opengis.net/ogc"
_NAMES = {None: _SLD, "se": _SE, "ogc": _OGC}


_AT_ONCE = 32
"""Tests in one `Or`: readers make a chain of each, and too long a chain is more than a stack holds."""


def sld(
    drawn: Drawn, *, name: str, lang: str, codes: Codes | None = None, other: str = "…", no_data: str = "—"
) -> bytes:
    """Return the style as an XML document.

    With `codes` a class is the list of its areas' codes, as the values stand in another table. `other` and
    `no_data` are the words of those classes.
    """
    root = etree.Element(f"{{{_SLD}}}StyledLayerDescriptor", nsmap=_NAMES, version="1.1.0")
    layer = etree.SubElement(root, f"{{{_SLD}}}NamedLayer")
    _se(layer, "Name", drawn.layer_id)
    user = etree.SubElement(layer, f"{{{_SLD}}}UserStyle")
    _se(user, "Name", name)
    rules = _se(user, "FeatureTypeStyle")
    if codes is not None:
        _rules_by_code(rules, drawn, codes, lang, (other, no_data))
    for number, one in enumerate(drawn.classes if codes is None else ()):
        rule = _se(rules, "Rule")
        _se(rule, "Name", one.label(lang) if drawn.column else name)
        if drawn.column:
            _filter(rule, drawn.column, one, last=number == len(drawn.classes) - 1)
        _symbols(rule, drawn, one.colour)
    if drawn.column and codes is None:
        _rest(rules, drawn, drawn.column, (other, no_data))
    if drawn.label:
        _name(_se(user, "FeatureTypeStyle"), drawn, drawn.label)
    found: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return found


def _rules_by_code(
    rules: etree._Element, drawn: Drawn, codes: Codes, lang: str, words: tuple[str, str]
) -> None:
    shades = [(one.label(lang), one.colour) for one in drawn.classes]
    if drawn.other:
        shades.append((words[0], drawn.other))
    for number, (label, colour) in enumerate(shades):
        members = codes.of(number)
        if not members:
            continue
        rule = _se(rules, "Rule")
        _se(rule, "Name", label)
        _any_of(etree.SubElement(rule, f"{{{_OGC}}}Filter"), codes.key, members)
        _symbols(rule, drawn, colour)
    rest = _se(rules, "Rule")
    _se(rest, "Name", words[1])
    either = etree.SubElement(etree.SubElement(rest, f"{{{_OGC}}}Filter"), f"{{{_OGC}}}Or")
    _null(either, codes.key)
    if codes.classes:
        _any_of(etree.SubElement(either, f"{{{_OGC}}}Not"), codes.key, list(codes.classes))
    _symbols(rest, drawn, drawn.rule.no_data)


def _rest(rules: etree._Element, drawn: Drawn, column: str, words: tuple[str, str]) -> None:
    """Add what no class holds: other values, and no value.

    As plain filters, not as ElseFilter: QGIS up to 3.22 at least takes that for a rule without filter
    and draws it over everything.
    """
    if drawn.other:
        rule = _se(rules, "Rule")
        _se(rule, "Name", words[0])
        both = etree.SubElement(etree.SubElement(rule, f"{{{_OGC}}}Filter"), f"{{{_OGC}}}And")
        _compare_null(both, column)
        _any_of(etree.SubElement(both, f"{{{_OGC}}}Not"), column, [_text(one.value) for one in drawn.classes])
        _symbols(rule, drawn, drawn.other)
    rest = _se(rules, "Rule")
    _se(rest, "Name", words[1])
    _null(etree.SubElement(rest, f"{{{_OGC}}}Filter"), column)
    _symbols(rest, drawn, drawn.rule.no_data)


def _null(parent: etree._Element, column: str) -> None:
    etree.SubElement(
        etree.SubElement(parent, f"{{{_OGC}}}PropertyIsNull"), f"{{{_OGC}}}PropertyName"
    ).text = column


def _any_of(parent: etree._Element, column: str, values: list[str]) -> None:
    """Test for any of the values, in a tree of `Or` with at most 32 branches each."""
    if len(values) == 1:
        _compare(parent, "PropertyIsEqualTo", column, values[0])
        return
    either = etree.SubElement(parent, f"{{{_OGC}}}Or")
    share = max(1, -(-len(values) // _AT_ONCE))
    for start in range(0, len(values), share):
        _any_of(either, column, values[start : start + share])


def _se(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    made = etree.SubElement(parent, f"{{{_SE}}}{tag}")
    made.text = text
    return made


def _filter(rule: etree._Element, column: str, one: StyleClass, *, last: bool) -> None:
    holder = etree.SubElement(rule, f"{{{_OGC}}}Filter")
    if one.value is not None:
        _compare(holder, "PropertyIsEqualTo", column, _text(one.value))
        return
    tests = []
    if one.low is not None:
        tests.append(("PropertyIsGreaterThanOrEqualTo", one.low))
    if one.high is not None:
        tests.append(("PropertyIsLessThan", one.high))
    if not tests:
        _compare_null(holder, column)
        return
    parent = holder if len(tests) == 1 else etree.SubElement(holder, f"{{{_OGC}}}And")
    for operator, limit in tests:
        _compare(parent, operator, column, repr(limit))  # every digit: limits are values of the data


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _compare(parent: etree._Element, operator: str, column: str, value: str) -> None:
    test = etree.SubElement(parent, f"{{{_OGC}}}{operator}")
    etree.SubElement(test, f"{{{_OGC}}}PropertyName").text = column
    etree.SubElement(test, f"{{{_OGC}}}Literal").text = value


def _compare_null(parent: etree._Element, column: str) -> None:
    """Any value at all."""
    _null(etree.SubElement(parent, f"{{{_OGC}}}Not"), column)


def _symbols(rule: etree._Element, drawn: Drawn, colour: str) -> None:
    mixed = drawn.family == "mixed"
    if mixed or drawn.family == "polygon":
        area = _se(rule, "PolygonSymbolizer")
        _parameters(_se(area, "Fill"), {"fill": colour, "fill-opacity": f"{drawn.rule.opacity:g}"})
        _parameters(_se(area, "Stroke"), _stroke(drawn.rule.outline, drawn.rule.width / 2))
    if mixed or drawn.family == "line":
        line = _se(rule, "LineSymbolizer")
        _parameters(_se(line, "Stroke"), _stroke(colour, max(drawn.rule.width, 1.2)))
    if mixed or drawn.family == "point":
        graphic = _se(_se(rule, "PointSymbolizer"), "Graphic")
        mark = _se(graphic, "Mark")
        _se(mark, "WellKnownName", "circle")
        _parameters(_se(mark, "Fill"), {"fill": colour})
        _parameters(_se(mark, "Stroke"), _stroke("#ffffff", 1))
        _se(graphic, "Size", f"{2 * drawn.rule.radius:g}")


def _name(rules: etree._Element, drawn: Drawn, column: str) -> None:
    """Write names, in rules of their own: they are drawn over everything else."""
    text = _se(_se(rules, "Rule"), "TextSymbolizer")
    etree.SubElement(_se(text, "Label"), f"{{{_OGC}}}PropertyName").text = column
    _parameters(_se(text, "Font"), {"font-size": "11"})
    place = _se(text, "LabelPlacement")
    if drawn.family == "line":
        _se(place, "LinePlacement")
    else:
        below = drawn.family == "point"
        point = _se(place, "PointPlacement")
        anchor, moved = _se(point, "AnchorPoint"), _se(point, "Displacement")
        _se(anchor, "AnchorPointX", "0.5")
        _se(anchor, "AnchorPointY", "1" if below else "0.5")
        _se(moved, "DisplacementX", "0")
        _se(moved, "DisplacementY", f"{-drawn.rule.radius - 2:g}" if below else "0")
    halo = _se(text, "Halo")
    _se(halo, "Radius", "1.4")
    _parameters(_se(halo, "Fill"), {"fill": "#ffffff"})
    _parameters(_se(text, "Fill"), {"fill": "#1a1a1a"})


def _stroke(colour: str, width: float) -> dict[str, str]:
    return {"stroke": colour, "stroke-width": f"{width:g}"}


def _parameters(parent: etree._Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        _se(parent, "SvgParameter", value).set("name", name)
