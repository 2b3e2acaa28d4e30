"""Filters against an oracle in plain Python and shapely, on the real desa of Cianjur."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pygeofilter.parsers.cql2_text import parse as pygeofilter_parse

from catalog.errors import QueryError
from catalog.model import VersionInfo
from layers.contract import FeatureBatch, LayerStore, Query
from layers.cql.parse import parse_filter, transform_filter
from layers.crs import transform
from tests.layers.conftest import POINTS, TABLE, batch, publish

TRIANGLE = "POLYGON((107.0 -6.8, 107.3 -6.9, 107.1 -7.2, 107.0 -6.8))"
LINE = "LINESTRING(106.8 -6.7, 107.4 -7.5)"
type Row = dict[str, Any]


def found(store: LayerStore, info: VersionInfo, text: str | None = None, **question: Any) -> list[str]:
    if text is not None:
        question["filter"] = parse_filter(text)
    page = store.reader(info).page(Query(limit=10_000, skip_geometry=True, **question))
    ids = [str(orjson.loads(f)["id"]) for f in page.features]
    assert page.matched == len(ids)
    return ids


class Shapes:
    """Geometries by id, with a repr that hypothesis can show."""

    def __init__(self, desa: FeatureBatch) -> None:
        assert desa.geometries is not None
        self.by_id = dict(zip(desa.ids, desa.geometries, strict=True))

    def __repr__(self) -> str:
        return f"{len(self.by_id)} desa"


@pytest.fixture(scope="session")
def shapes(desa: FeatureBatch) -> Shapes:
    return Shapes(desa)


def kecamatan(row: Row) -> str:
    return str(row["WADMKC"])


ATTRIBUTES: list[tuple[str, Callable[[Row], bool]]] = [
    ("WADMKC = 'Cipanas'", lambda r: kecamatan(r) == "Cipanas"),
    ("'Cipanas' = WADMKC", lambda r: kecamatan(r) == "Cipanas"),
    ("WADMKC <> 'Cipanas'", lambda r: kecamatan(r) != "Cipanas"),
    ("NOT WADMKC = 'Cipanas'", lambda r: kecamatan(r) != "Cipanas"),
    ("WADMKC < 'D'", lambda r: kecamatan(r) < "D"),
    ("1000 < LUASWH", lambda r: r["LUASWH"] > 1000),
    ("LUASWH >= 1000 AND LUASWH < 2000", lambda r: 1000 <= r["LUASWH"] < 2000),
    ("LUASWH BETWEEN 1000 AND 2000", lambda r: 1000 <= r["LUASWH"] <= 2000),
    ("LUASWH NOT BETWEEN 1000 AND 2000", lambda r: not 1000 <= r["LUASWH"] <= 2000),
    ("LUASWH / 100 > 10.5 + 1", lambda r: r["LUASWH"] / 100 > 11.5),
    ("TIPADM / 2 = 0.5", lambda r: r["TIPADM"] == 1),
    ("TIPADM * 2 - -1 = 5", lambda r: r["TIPADM"] == 2),
    ("LUASWH / (TIPADM - 1) > 0", lambda r: r["TIPADM"] != 1 and r["LUASWH"] / (r["TIPADM"] - 1) > 0),
    ("TIPADM = 1.5", lambda r: False),
    ("TIPADM IN (2, 3.5, 99999999999999999999)", lambda r: r["TIPADM"] == 2),
    ("NAMOBJ IN ('Sukamaju', 'Cipanas', 'O''Brien')", lambda r: r["NAMOBJ"] in ("Sukamaju", "Cipanas")),
    ("NAMOBJ NOT IN ('Sukamaju', 'Cipanas')", lambda r: r["NAMOBJ"] not in ("Sukamaju", "Cipanas")),
    ("NAMOBJ LIKE 'Suka%'", lambda r: r["NAMOBJ"].startswith("Suka")),
    ("NAMOBJ LIKE 'suka%'", lambda r: r["NAMOBJ"].startswith("suka")),
    ("NAMOBJ LIKE 'S_ka%'", lambda r: re.match("S.ka", r["NAMOBJ"]) is not None),
    ("NAMOBJ LIKE 'S.ka%'", lambda r: r["NAMOBJ"].startswith("S.ka")),
    ("NAMOBJ LIKE 'S\\_ka%'", lambda r: r["NAMOBJ"].startswith("S_ka")),
    ("NAMOBJ LIKE '%a\\'", lambda r: r["NAMOBJ"].endswith("a\\")),
    ("NAMOBJ NOT LIKE 'Suka%'", lambda r: not r["NAMOBJ"].startswith("Suka")),
    ("CASEI(NAMOBJ) LIKE CASEI('SUKA%')", lambda r: r["NAMOBJ"].lower().startswith("suka")),
    ("CASEI(NAMOBJ) LIKE 'SUKA%'", lambda r: False),
    ("CASEI(NAMOBJ) = CASEI('sukaMAJU')", lambda r: r["NAMOBJ"].lower() == "sukamaju"),
    ("casei(NAMOBJ) in (casei('SUKAMAJU'), 'cipanas')", lambda r: r["NAMOBJ"].lower() in ("sukamaju", "cipanas")),
    ("ACCENTI(NAMOBJ) = ACCENTI('Sukamäju')", lambda r: r["NAMOBJ"] == "Sukamaju"),
    ("NAMOBJ IS NULL", lambda r: False),
    ("NAMOBJ IS NOT NULL", lambda r: True),
    ("geometry IS NOT NULL", lambda r: True),
    ("TIPADM = 2 OR LUASWH > 5000 AND WADMKC = 'Naringgul'",
     lambda r: r["TIPADM"] == 2 or (r["LUASWH"] > 5000 and kecamatan(r) == "Naringgul")),
    ("(TIPADM = 2 OR LUASWH > 5000) AND WADMKC = 'Naringgul'",
     lambda r: (r["TIPADM"] == 2 or r["LUASWH"] > 5000) and kecamatan(r) == "Naringgul"),
    ("NOT (TIPADM = 2 OR NOT (LUASWH > 1000))", lambda r: r["TIPADM"] != 2 and r["LUASWH"] > 1000),
    ("NAMOBJ =\n  WADMKC", lambda r: r["NAMOBJ"] == kecamatan(r)),
    ("LAT_CTR < -7 AND \"LON_CTR\" > 107", lambda r: r["LAT_CTR"] < -7 and r["LON_CTR"] > 107),
    ("TRUE", lambda r: True),
    ("NOT FALSE AND FALSE", lambda r: False),
    ("NAMOBJ = '''; DROP TABLE desa; --'", lambda r: False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "oracle"), ATTRIBUTES, ids=[t for t, _ in ATTRIBUTES])
def test_attribute_filters(
    store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch, text: str, oracle: Callable[[Row], bool]
) -> None:
    expected = sorted(i for i, row in zip(desa.ids, desa.rows, strict=True) if oracle(row))
    assert found(store, cianjur, text) == expected


PREDICATES = ["intersects", "within", "contains", "disjoint", "touches", "crosses", "overlaps", "equals"]


def literals(desa: FeatureBatch) -> dict[str, shapely.Geometry]:
    assert desa.geometries is not None
    one = desa.geometries[200]
    return {
        "triangle": shapely.from_wkt(TRIANGLE),
        "line": shapely.from_wkt(LINE),
        "itself": one,
        "inside": one.representative_point(),
        "around": shapely.union_all(desa.geometries[190:215]),
        "far": shapely.Point(0, 0),
        "bowtie": shapely.from_wkt("POLYGON((107 -7, 107.2 -7.2, 107.2 -7, 107 -7.2, 107 -7))"),
    }


@pytest.mark.parametrize("predicate", PREDICATES)
def test_spatial_filters(store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch, predicate: str) -> None:
    for name, shape in literals(desa).items():
        fixed = shape if shape.is_valid else shapely.make_valid(shape)
        mask = getattr(shapely, predicate)(desa.geometries, fixed)
        expected = sorted(np.array(desa.ids)[mask].tolist())
        wkt = shapely.to_wkt(shape, rounding_precision=-1)
        assert found(store, cianjur, f"S_{predicate.upper()}(geometry, {wkt})") == expected, name
        other = sorted(np.array(desa.ids)[~mask].tolist())
        assert found(store, cianjur, f"NOT s_{predicate}(geometry, {wkt})") == other, name


def test_the_literal_may_stand_first(store: LayerStore, cianjur: VersionInfo) -> None:
    inside = found(store, cianjur, f"S_WITHIN(geometry, {TRIANGLE})")
    assert inside == found(store, cianjur, f"S_CONTAINS({TRIANGLE}, geometry)") != []


def test_bbox_is_by_geometry_not_by_envelope(
    store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch
) -> None:
    assert desa.geometries is not None
    shape = next(g for g in desa.geometries if g.envelope.area > 1.8 * g.area)
    corner = next(
        p for p in (shapely.Point(x, y).buffer(0.0005).envelope for x in shape.bounds[::2] for y in shape.bounds[1::2])
        if not p.intersects(shape)
    )  # fmt: skip
    expected = sorted(i for i, g in zip(desa.ids, desa.geometries, strict=True) if g.intersects(corner))
    assert found(store, cianjur, bbox=corner.bounds) == expected
    assert (
        found(store, cianjur, f"S_INTERSECTS(geometry,BBOX({','.join(map(str, corner.bounds))}))") == expected
    )


def test_boxes_around_points_and_everything(store: LayerStore, cianjur: VersionInfo) -> None:
    assert len(found(store, cianjur, bbox=(90, -15, 145, 10))) == 360
    points = [f"POINT({x} {y})" for x in (1, 2, 3) for y in (1, 2, 3)]
    info = publish(store, POINTS, batch({p: {"n": 1} for p in points}, points))
    inside = [p for p in points if "1 1" in p or "2 1" in p or "1 2" in p or "2 2" in p]
    assert found(store, info, bbox=(0.5, 1, 2, 2.5)) == inside
    assert found(store, info, bbox=(2, 2, 2, 2)) == ["POINT(2 2)"]
    assert found(store, info, "NOT S_INTERSECTS(geometry, BBOX(0.5, 1, 2, 2.5))") == [
        p for p in points if p not in inside
    ]


SIDE = st.one_of(st.just(0.0), st.floats(1e-6, 0.4))


@settings(max_examples=40)
@given(corner=st.tuples(st.floats(106.5, 107.6), st.floats(-7.7, -6.5)), size=st.tuples(SIDE, SIDE))
def test_any_bbox(
    store: LayerStore, cianjur: VersionInfo, shapes: Shapes, corner: tuple[float, float], size: Any
) -> None:
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    area = shapely.make_valid(shapely.box(*box))
    expected = sorted(i for i, shape in shapes.by_id.items() if shape.intersects(area))
    assert found(store, cianjur, bbox=box) == expected


def test_bbox_over_the_antimeridian(store: LayerStore) -> None:
    points = ["POINT(179 0)", "POINT(-179 0)", "POINT(0 0)", "POINT(180 1)"]
    info = publish(store, POINTS, batch({i: {"n": 1} for i in "abcd"}, points))
    assert found(store, info, bbox=(170, -10, -170, 10)) == ["a", "b", "d"]
    assert found(store, info, "S_INTERSECTS(geometry, BBOX(170, -10, -170, 10))") == ["a", "b", "d"]
    for bad in ((1, 2, 0, float("nan")), (0, 5, 1, 4)):
        with pytest.raises(QueryError, match="bbox"):
            found(store, info, bbox=bad)


def test_features_without_geometry_fit_no_spatial_condition(store: LayerStore) -> None:
    info = publish(store, POINTS, batch({"a": {"n": 1}, "b": {"n": None}}, ["POINT(1 1)", None]))
    for text in ("S_INTERSECTS(geometry, BBOX(0,0,2,2))", "NOT S_DISJOINT(geometry, BBOX(0,0,2,2))",
                 "NOT (NOT S_INTERSECTS(geometry, BBOX(0,0,2,2)))", "S_DISJOINT(geometry, BBOX(5,5,6,6))",
                 "NOT S_INTERSECTS(geometry, BBOX(5,5,6,6))", "geometry IS NOT NULL", "n = 1",
                 "NOT n = 2", "NOT n IN (2)", "NOT (n BETWEEN 5 AND 6 OR n = 9)"):  # fmt: skip
        assert found(store, info, text) == ["a"], text
    assert found(store, info, "geometry IS NULL") == ["b"]
    assert found(store, info, "n IS NULL") == ["b"]


TIMES: dict[str, dict[str, Any]] = {
    "a": {"waktu": "2024-01-01T00:00:00Z", "tanggal": "2024-01-01"},
    "b": {"waktu": "2024-01-01T23:59:59.999Z", "tanggal": "2024-01-02"},
    "c": {"waktu": "2024-01-02T00:00:00Z", "tanggal": "2024-01-03"},
    "d": {"waktu": "2024-06-01T07:00:00+07:00", "tanggal": "2024-06-01"},
    "e": {"waktu": None, "tanggal": None},
}
TEMPORAL = [
    ("waktu = TIMESTAMP('2024-06-01T00:00:00Z')", "d"),
    ("waktu = TIMESTAMP('2024-06-01T07:00:00+07:00')", "d"),
    ("waktu = '2024-06-01T00:00:00Z'", "d"),
    ("waktu > TIMESTAMP('2024-01-01T00:00:00Z')", "bcd"),
    ("waktu = DATE('2024-01-01')", "ab"),
    ("waktu <> DATE('2024-01-01')", "cd"),
    ("waktu > DATE('2024-01-01')", "cd"),
    ("waktu <= DATE('2024-01-01')", "ab"),
    ("NOT waktu <= DATE('2024-01-01')", "cd"),
    ("waktu IN (DATE('2024-01-01'), DATE('2024-06-01'))", "abd"),
    ("waktu BETWEEN DATE('2024-01-01') AND DATE('2024-01-02')", "abc"),
    ("tanggal = DATE('2024-01-02')", "b"),
    ("tanggal BETWEEN DATE('2024-01-02') AND '2024-01-03'", "bc"),
    ("T_AFTER(waktu, DATE('2024-01-01'))", "cd"),
    ("T_AFTER(waktu, TIMESTAMP('2024-01-01T00:00:00Z'))", "bcd"),
    ("T_BEFORE(waktu, DATE('2024-01-02'))", "ab"),
    ("T_EQUALS(waktu, DATE('2024-01-01'))", "ab"),
    ("T_EQUALS(tanggal, DATE('2024-01-01'))", "a"),
    ("T_INTERSECTS(waktu, INTERVAL('2024-01-01','2024-01-02'))", "abc"),
    ("T_INTERSECTS(waktu, INTERVAL('2024-01-02','..'))", "cd"),
    ("NOT T_INTERSECTS(waktu, INTERVAL('2024-01-02','..'))", "ab"),
    ("T_INTERSECTS(waktu, INTERVAL('..','2024-01-01T00:00:00Z'))", "a"),
    ("T_DISJOINT(waktu, INTERVAL('2024-01-02','..'))", "ab"),
    ("T_DURING(waktu, INTERVAL('2024-01-01','2024-01-31'))", "bc"),
    ("T_DURING(tanggal, INTERVAL('2024-01-01','2024-01-31'))", "bc"),
    ("T_INTERSECTS(INTERVAL(tanggal, waktu), TIMESTAMP('2024-01-01T12:00:00Z'))", ""),
    ("T_CONTAINS(INTERVAL('2024-01-01T00:00:00Z','2024-01-02T00:00:01Z'), waktu)", "bc"),
    ("T_MEETS(waktu, INTERVAL('2024-01-02T00:00:00Z','..'))", "c"),
    ("T_STARTS(waktu, INTERVAL('2024-01-02T00:00:00Z','..'))", "c"),
    ("T_FINISHES(waktu, INTERVAL('2023-01-02','2024-01-01'))", "b"),
]


@pytest.mark.parametrize(("text", "expected"), TEMPORAL, ids=[t for t, _ in TEMPORAL])
def test_temporal_filters(store: LayerStore, times: VersionInfo, text: str, expected: str) -> None:
    assert "".join(found(store, times, text)) == expected


@pytest.fixture(scope="module")
def times(store: LayerStore) -> VersionInfo:
    return publish(store, TABLE, batch(TIMES))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (("2024-01-01", "2024-01-01"), "ab"), (("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"), "a"),
        ((None, "2024-01-01"), "ab"), (("2024-01-02", None), "cd"), ((None, None), "abcd"),
        (("2024-06-01T00:00:00+00:00", None), "d"),
    ],
)  # fmt: skip
def test_time_of_a_query(store: LayerStore, times: VersionInfo, span: Any, expected: str) -> None:
    assert "".join(found(store, times, time=span)) == expected


def test_bad_times(store: LayerStore, times: VersionInfo) -> None:
    for bad in (("2024-13-01", None), ("x", None), ("2024-02-01", "2024-01-01")):
        with pytest.raises(QueryError):
            found(store, times, time=bad)


def test_casei_knows_all_letters_and_accenti_only_accents(store: LayerStore) -> None:
    rows: dict[str, dict[str, Any]] = {
        "a": {"nama": "ÉCOLE"},
        "b": {"nama": "école"},
        "c": {"nama": "ecole"},
        "d": {"nama": "ΩМЯ"},
    }
    info = publish(store, TABLE, batch(rows))
    assert found(store, info, "CASEI(nama) = CASEI('École')") == ["a", "b"]
    assert found(store, info, "ACCENTI(nama) = ACCENTI('école')") == ["b", "c"]
    assert found(store, info, "ACCENTI(CASEI(nama)) LIKE ACCENTI(CASEI('ÉC%'))") == ["a", "b", "c"]
    assert found(store, info, "CASEI(nama) = 'ωмя'") == ["d"]


def test_boolean_properties(store: LayerStore) -> None:
    info = publish(store, TABLE, batch({"a": {"aktif": True}, "b": {"aktif": False}, "c": {"aktif": None}}))
    for text, expected in (("aktif", "a"), ("aktif = TRUE", "a"), ("NOT aktif", "b"), ("aktif <> true", "b"),
                           ("aktif IN (TRUE, FALSE)", "ab"), ("aktif IS NULL", "c")):  # fmt: skip
        assert "".join(found(store, info, text)) == expected, text
    assert found(store, info, equals=(("aktif", "false"),)) == ["b"]


BAD = [
    ("KECAMATAN = 'x'", "no property 'KECAMATAN'"), ("NAMOBJ_ = 'x'", "did you mean 'NAMOBJ'"),
    ("namobj = 'x'", "did you mean 'NAMOBJ'"), ("TIPADM = 'dua'", "TIPADM"), ("LUASWH > 'besar'", "LUASWH"),
    ("NAMOBJ = 5", "NAMOBJ"), ("NAMOBJ = TRUE", "NAMOBJ"), ("TIPADM = TRUE", "TIPADM"), ("TIPADM LIKE '1%'", "LIKE"),
    ("NAMOBJ LIKE 5", "LIKE"), ("CASEI(TIPADM) = 'x'", "CASEI"), ("NAMOBJ + 1 = 2", "arithmetic"),
    ("NAMOBJ = TIPADM", "compared"), ("T_AFTER(NAMOBJ, DATE('2024-01-01'))", "time"), ("NAMOBJ", "text"),
    ("S_INTERSECTS(NAMOBJ, POINT(1 1))", "geometry"), ("S_INTERSECTS(geometri, POINT(1 1))", "geometri"),
    ("S_INTERSECTS(geometry, geometry)", "geometry"), ("S_INTERSECTS(geometry, 'x')", "geometry"),
    ("S_INTERSECTS(geometry, POINT EMPTY)", "character 30"), ("geometry = 'x'", "spatial"), ("5", "condition"), ("'x'", "condition"),
    ("S_INTERSECTS(geometry, POINT(nan 1))", "finite"), ("NAMOBJ IN ('a', 5)", "NAMOBJ"), ("LUASWH = DATE('2024-01-01')", "LUASWH"),
    ("TIPADM BETWEEN 'a' AND 'b'", "TIPADM"), ("INTERVAL('..','..') = 5", "value"), ("NAMOBJ = DATE('2024-02-31')", "date"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD, ids=[t for t, _ in BAD])
def test_filters_that_do_not_fit_the_schema(
    store: LayerStore, cianjur: VersionInfo, text: str, message: str
) -> None:
    with pytest.raises(QueryError, match=re.escape(message)):
        found(store, cianjur, text)


def test_pygeofilters_own_tree_is_understood(store: LayerStore, cianjur: VersionInfo) -> None:
    text = f"TIPADM = 1 AND casei(WADMKC) = 'cibeber' AND S_INTERSECTS(geometry, {TRIANGLE})"
    theirs = found(store, cianjur, filter=pygeofilter_parse(text))
    assert theirs == found(store, cianjur, text) != []


def test_filter_crs_follows_the_axis_order_of_the_crs(store: LayerStore, cianjur: VersionInfo) -> None:
    expected = found(store, cianjur, f"S_INTERSECTS(geometry, {TRIANGLE})")
    shape = shapely.from_wkt(TRIANGLE)
    swapped = shapely.transform(shape, lambda c: c[:, ::-1]).wkt
    metres = transform(shape, "EPSG:4326", "EPSG:32748").wkt
    for wkt, crs in (
        (TRIANGLE, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"), (TRIANGLE, "OGC:CRS84"),
        (swapped, "http://www.opengis.net/def/crs/EPSG/0/4326"), (swapped, "EPSG:4326"), (metres, "EPSG:32748"),
    ):  # fmt: skip
        tree = transform_filter(parse_filter(f"S_INTERSECTS(geometry, {wkt})"), crs, "EPSG:4326")
        assert found(store, cianjur, filter=tree) == expected, crs
    with pytest.raises(QueryError, match="CRS"):
        transform_filter(parse_filter("a = 1"), "EPSG:999999", "EPSG:4326")


def test_equals_ids_and_all_together(store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch) -> None:
    cipanas = found(store, cianjur, equals=(("WADMKC", "Cipanas"),))
    assert cipanas == found(store, cianjur, "WADMKC = 'Cipanas'") != []
    some = (*cipanas[:2], "tiada", "'; --")
    assert found(store, cianjur, ids=some) == cipanas[:2]
    assert found(store, cianjur, ids=()) == []
    both = found(store, cianjur, "LUASWH > 500", equals=(("WADMKC", "Cipanas"),), bbox=(106, -8, 108, -6))
    assert both == [i for i in cipanas if next(r for r in desa.rows if r["KDEPUM"] == i)["LUASWH"] > 500]
    for name, value in (("TIPADM", "dua"), ("LUASWH", "nan"), ("TIDAK", "x")):
        with pytest.raises(QueryError):
            found(store, cianjur, equals=((name, value),))
