"""Styles: class breaks against brute force, colours, and every language written from the same rule."""

from __future__ import annotations

import itertools
import operator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from catalog.errors import ConfigError
from catalog.settings import Settings
from layers.contract import FeatureBatch
from layers.open import open_store
from layers.style.classes import class_breaks
from layers.style.drawn import Codes, Drawn, classify, draw
from layers.style.legend import legend
from layers.style.maplibre import colour_of, style
from layers.style.palettes import colours, rgb
from layers.style.qml import qml
from layers.style.rule import StyleRule, columns_of, rules_of
from layers.style.sld import sld
from tests.layers.conftest import DESA, NOW, publish


def spread(groups: list[list[float]]) -> float:
    return sum(float(((np.array(g) - np.mean(g)) ** 2).sum()) for g in groups)


def split(values: list[float], limits: list[float]) -> list[list[float]]:
    edges = [-np.inf, *limits, np.inf]
    made = [[v for v in values if low <= v < high] for low, high in itertools.pairwise(edges)]
    return [one for one in made if one]


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9), st.integers(2, 4))
def test_natural_breaks_are_the_best_there_are(values: list[int], classes: int) -> None:
    known = sorted(float(v) for v in values)
    found = spread(split(known, class_breaks(np.array(known), "jenks", classes)))
    distinct = sorted(set(known))[1:]
    most = min(classes - 1, len(distinct))
    best = min(spread(split(known, list(one))) for one in itertools.combinations(distinct, most))
    assert found == pytest.approx(best, abs=1e-6)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=60),
    st.sampled_from(["jenks", "quantile", "equal"]),
    st.integers(2, 9),
)
def test_limits_grow_and_every_class_can_hold_something(
    values: list[float], method: str, classes: int
) -> None:
    array = np.array(values, dtype=float)
    limits = class_breaks(array, method, classes)  # type: ignore[arg-type]
    assert limits == sorted(set(limits))
    assert len(limits) < classes
    known = array[np.isfinite(array)]
    assert all(known.min() < one <= known.max() for one in limits)


def test_quantiles_hold_equal_counts() -> None:
    limits = class_breaks(np.arange(1000.0), "quantile", 4)
    assert [len(part) for part in split(list(map(float, range(1000))), limits)] == pytest.approx(
        [250] * 4, abs=1
    )


def test_a_large_column_is_quick() -> None:
    values = np.random.default_rng(1).gamma(2, size=83_402)
    assert len(class_breaks(values, "jenks", 9)) == 8


def luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance."""
    parts = [c / 255 for c in rgb(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", ["viridis", "cividis", "ylgnbu", "ylorrd"])
@pytest.mark.parametrize("count", [2, 5, 9])
def test_palettes_keep_their_order_in_grey(palette: str, count: int) -> None:
    found = [luminance(one) for one in colours(palette, count)]
    assert found == sorted(found, reverse=True)
    assert min(a - b for a, b in itertools.pairwise(found)) > 0.005


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, desa: FeatureBatch) -> Drawn:
    store = open_store(Settings(data_dir=tmp_path_factory.mktemp("style")), clock=lambda: NOW)
    try:
        info = publish(store, DESA, desa, layer="desa")
        return draw(store.reader(info), StyleRule(column="LUASWH", classes=4, method="quantile"))
    finally:
        store.close()


def test_every_language_says_the_same(drawn: Drawn) -> None:
    limits = [one.low for one in drawn.classes[1:]]
    wanted = [one.colour for one in drawn.classes]
    assert len(limits) == 3
    step = colour_of(drawn)[2]
    assert step == [
        "step",
        ["get", "LUASWH"],
        wanted[0],
        limits[0],
        wanted[1],
        limits[1],
        wanted[2],
        limits[2],
        wanted[3],
    ]
    tree = etree.fromstring(sld(drawn, name="Luas", lang="id"))
    names = {"se": "http://www.opengis.net/se", "ogc": "http://www.opengis.net/ogc"}
    fills = tree.xpath(
        "//se:PolygonSymbolizer/se:Fill/se:SvgParameter[@name='fill']/text()", namespaces=names
    )
    assert fills == [*wanted, drawn.rule.no_data]
    lows = tree.xpath("//ogc:PropertyIsGreaterThanOrEqualTo/ogc:Literal/text()", namespaces=names)
    assert [float(one) for one in lows] == limits
    document = etree.fromstring(qml(drawn, name="Luas", lang="id"))
    assert [float(one) for one in document.xpath("//range/@lower")][1:-1] == limits
    entries = legend(drawn, name="Luas", lang="id", plain="", no_data="Tanpa data", other="")["entries"]
    assert [one["color"] for one in entries] == [*wanted, drawn.rule.no_data]
    assert entries[0]["label"].startswith("< ")


OGC = "{http://www.opengis.net/ogc}"


def true_of(test: etree._Element, row: dict[str, Any]) -> bool:
    """Evaluate a filter of an SLD on a row, as its standard has it; a comparison with nothing is false."""
    tag = str(test.tag).removeprefix(OGC)
    if tag in ("And", "Or", "Not"):
        parts = [true_of(one, row) for one in test]
        return not parts[0] if tag == "Not" else all(parts) if tag == "And" else any(parts)
    value = row[test.findtext(f"{OGC}PropertyName") or ""]
    if tag == "PropertyIsNull" or value is None:
        return tag == "PropertyIsNull" and value is None
    limit = type(value)(test.findtext(f"{OGC}Literal"))
    compare = {"PropertyIsEqualTo": operator.eq, "PropertyIsLessThan": operator.lt,
               "PropertyIsGreaterThanOrEqualTo": operator.ge}[tag]  # fmt: skip
    return bool(compare(value, limit))


def fills(document: bytes, row: dict[str, Any]) -> list[str | None]:
    """Return the colours of all rules that hold of a row: whoever draws them lays one over the other."""
    found = []
    for rule in etree.fromstring(document).iterfind(".//{*}Rule[{*}PolygonSymbolizer]"):
        (condition,) = rule.findall(f"{OGC}Filter")
        if true_of(condition[0], row):
            found.append(rule.findtext(".//{http://www.opengis.net/se}Fill/{*}SvgParameter[@name='fill']"))
    return found


@given(st.one_of(st.none(), st.floats(-1e6, 1e6)))
def test_each_number_has_one_rule_of_an_sld(drawn: Drawn, value: float | None) -> None:
    wanted = drawn.rule.no_data if value is None else next(
        one.colour for one in reversed(drawn.classes) if one.low is None or value >= one.low
    )  # fmt: skip
    assert fills(sld(drawn, name="Luas", lang="id"), {"LUASWH": value}) == [wanted]


def test_a_value_that_is_a_limit_is_of_the_upper_class_of_an_sld(drawn: Drawn) -> None:
    """Limits are values of the data: none of their digits is left out."""
    low = 0.1 + 0.2  # 17 digits
    classes = (replace(drawn.classes[0], high=low), replace(drawn.classes[1], low=low, high=None))
    made = sld(replace(drawn, classes=classes), name="Luas", lang="id")
    assert fills(made, {"LUASWH": low}) == [classes[1].colour]
    assert fills(made, {"LUASWH": 0.3}) == [classes[0].colour]


@pytest.mark.parametrize("kinds", [3, 20])
def test_each_category_has_one_rule_of_an_sld(drawn: Drawn, kinds: int) -> None:
    values = [f"jenis {number % kinds}" for number in range(200)]
    classes, other = classify(values, StyleRule(column="x", method="categories"), numeric=False)
    made = sld(replace(drawn, column="x", classes=classes, other=other), name="x", lang="id")
    shades = {one.value: one.colour for one in classes}
    for value in (*set(values), None):
        wanted = drawn.rule.no_data if value is None else shades.get(value, other)
        assert fills(made, {"x": value}) == [wanted]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=150))
def test_each_code_has_one_rule_of_a_joined_sld(drawn: Drawn, numbers: list[int]) -> None:
    codes = Codes("kode", {f"32.{place:02}": number for place, number in enumerate(numbers)})
    made = sld(drawn, name="x", lang="id", codes=codes)
    for code, number in list(codes.classes.items())[:: max(1, len(numbers) // 10)]:
        assert fills(made, {"kode": code}) == [drawn.classes[number].colour]
    for unknown in ("99.99", None):
        assert fills(made, {"kode": unknown}) == [drawn.rule.no_data]


def test_categories_have_eight_colours_at_most() -> None:
    rule = StyleRule(column="x", method="categories")
    classes, other = classify(["a"] * 3 + ["b"] * 2 + [None], rule, numeric=False)
    assert [(one.value, one.colour) for one in classes] == [("a", "#e69f00"), ("b", "#56b4e9")]
    assert other is None
    many, rest = classify([str(i % 20) for i in range(100)], rule, numeric=False)
    assert len(many) == 7
    assert rest is not None


def test_names_of_lines_stand_along_them(drawn: Drawn) -> None:
    roads = replace(drawn, family="line", label="nama")
    made = style(roads, {"type": "vector"}, name="x", glyphs="g/{fontstack}/{range}.pbf")
    layout = made["layers"][-1]["layout"]
    assert (layout["text-field"], layout["symbol-placement"]) == (["get", "nama"], "line")
    assert made["layers"][-1]["source-layer"] == "desa"
    assert etree.fromstring(sld(roads, name="x", lang="id")).find(".//{*}LinePlacement") is not None
    assert etree.fromstring(qml(roads, name="x", lang="id")).xpath("//text-style/@fieldName") == ["nama"]


def test_a_style_without_glyphs_has_no_text(drawn: Drawn) -> None:
    plain = style(drawn, {"type": "vector"}, name="x")
    assert {layer["type"] for layer in plain["layers"]} == {"fill", "line"}
    assert "glyphs" not in plain
    full = style(drawn, {"type": "vector"}, name="x", glyphs="g/{fontstack}/{range}.pbf")
    assert full["layers"][-1]["source-layer"] == "desa:label"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"style": {"kolom": "x"}}, "kolom"), ({"style": {"classes": 1}}, "classes"),
        ({"styles": {"a": {"color": "red"}}}, "styles.a.color"), ({"style": {"breaks": [1]}}, "breaks"),
        ({"style": {"method": "breaks", "breaks": [2, 1]}}, "grow"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rules_of(options)


def test_rules_are_read_from_the_layers_options() -> None:
    rules = rules_of({"style": {"column": "a"}, "styles": {"lain": {"column": "b", "title": "Lain"}}})
    assert list(rules) == ["default", "lain"]
    assert columns_of(rules) == ("a", "b")
    assert rules["lain"].title.get("en") == "Lain"
    assert rules_of({}) == {}
