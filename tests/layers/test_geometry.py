"""Geometry: what is repaired, what is refused, and that what is good comes back as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import PublishError, QueryError
from catalog.model import LayerSchema, VersionInfo
from layers.contract import LayerStore, Query, WriteReport
from layers.crs import transform
from layers.geometry import type_name
from tests.layers.conftest import batch, layer_id, publish

BOWTIE = "POLYGON((107 -7, 107.2 -7.2, 107.2 -7, 107 -7.2, 107 -7))"
SQUARE = "POLYGON((107 -7, 107 -6, 108 -6, 108 -7, 107 -7))"


def schema(kind: str, crs: str = "EPSG:4326") -> LayerSchema:
    return LayerSchema((), kind, crs)


def write(store: LayerStore, kind: str, shape: Any, crs: str = "EPSG:4326") -> tuple[WriteReport, Any]:
    """Write one geometry; return the report and the stored geometry."""
    writer = store.writer(layer_id(), schema(kind, crs), "s")
    report = writer.write("p", batch({"a": {}}, [shape]))
    info = writer.finish(1, "r")
    stored = [g for b in store.reader(info).batches() for g in b.geometries]  # type: ignore[union-attr]
    return report, stored[0] if stored else None


@pytest.mark.parametrize(
    ("kind", "given_wkt", "expected"),
    [
        ("MultiPolygon", SQUARE, f"MULTI{SQUARE.replace('POLYGON', 'POLYGON(')})"),
        ("MultiPoint", "POINT(1 2)", "MULTIPOINT((1 2))"),
        ("MultiLineString", "LINESTRING(1 2, 3 4)", "MULTILINESTRING((1 2, 3 4))"),
        ("Polygon", f"MULTIPOLYGON({SQUARE[7:]})", SQUARE),
        ("POINT Z", "POINT Z (1 2 3)", "POINT(1 2)"),
        ("Geometry", "LINESTRING ZM (1 2 3 4, 5 6 7 8)", "LINESTRING(1 2, 5 6)"),
        ("GeometryCollection", "GEOMETRYCOLLECTION(POINT(1 2))", "GEOMETRYCOLLECTION(POINT(1 2))"),
    ],
)
def test_geometries_are_flat_and_of_the_layers_type(
    store: LayerStore, kind: str, given_wkt: str, expected: str
) -> None:
    report, stored = write(store, kind, given_wkt)
    assert (report.errors, report.repaired, report.written) == ([], 0, 1)
    assert not stored.has_z
    assert shapely.equals_exact(stored, shapely.from_wkt(expected), 0)
    assert stored.geom_type == shapely.from_wkt(expected).geom_type


def test_self_crossing_rings_are_repaired_and_counted(store: LayerStore) -> None:
    report, stored = write(store, "MultiPolygon", BOWTIE)
    assert (report.repaired, report.errors) == (1, [])
    assert stored.is_valid
    assert len(stored.geoms) == 2
    assert stored.area == pytest.approx(0.02)


def test_repair_keeps_only_the_layers_family(store: LayerStore) -> None:
    spike = "POLYGON((107 -7, 108 -7, 108 -6, 108 -5, 108 -6, 107 -6, 107 -7))"
    report, stored = write(store, "MultiPolygon", spike)
    assert (report.repaired, stored.geom_type, stored.area) == (1, "MultiPolygon", 1.0)


@pytest.mark.parametrize(
    ("kind", "shape", "code"),
    [
        ("MultiPolygon", "POLYGON((107 -7, 108 -7, 107 -7, 107 -7))", "geometry-collapsed"),
        ("MultiPolygon", "POINT(107 -7)", "geometry-type"),
        ("Point", "MULTIPOINT((1 2), (3 4))", "geometry-type"),
        ("Polygon", "GEOMETRYCOLLECTION(POINT(1 2))", "geometry-type"),
        ("Point", shapely.Point(float("nan"), 1), "geometry-not-finite"),
        ("LineString", shapely.LineString([(1, 2), (float("inf"), 1)]), "geometry-not-finite"),
        ("Point", "POINT(-6.9 107.6)", "coordinates-swapped"),
        ("MultiPolygon", "POLYGON((-7 107, -7 108, -6 108, -7 107))", "coordinates-swapped"),
        ("Point", "POINT(700000 9300000)", "coordinates-outside"),
        ("Point", "POINT(181 0)", "coordinates-outside"),
    ],
)
def test_what_can_not_be_stored_is_an_item_error(store: LayerStore, kind: str, shape: Any, code: str) -> None:
    report, stored = write(store, kind, shape)
    assert [(e.code, e.remote_id, e.severity) for e in report.errors] == [(code, "a", "error")]
    assert (report.written, stored) == (0, None)


def test_points_near_the_poles_are_not_taken_for_swapped(store: LayerStore) -> None:
    for wkt in ("POINT(5 89)", "POINT(107 7)", "POINT(-6 60)", "POINT(180 90)"):
        assert write(store, "Point", wkt)[0].errors == []


@pytest.mark.parametrize(
    ("shape", "code"),
    [("POINT(107 -7)", "coordinates-degrees"), ("POINT(-7 107)", "coordinates-degrees"),
     ("POINT(1e12 1e12)", "coordinates-outside")],
)  # fmt: skip
def test_wrong_coordinates_in_a_metric_crs(store: LayerStore, shape: str, code: str) -> None:
    report, _ = write(store, "Point", shape, "EPSG:32748")
    assert [e.code for e in report.errors] == [code]


@pytest.mark.parametrize("missing", [None, "POLYGON EMPTY", "MULTIPOLYGON EMPTY"])
def test_missing_geometry_is_kept_with_a_warning(store: LayerStore, missing: str | None) -> None:
    writer = store.writer(layer_id(), schema("MultiPolygon"), "s")
    report = writer.write("p", batch({"a": {}, "b": {}}, [missing, SQUARE]))
    assert [(e.code, e.severity) for e in report.errors] == [("geometry-missing", "warning")]
    info = writer.finish(1, "r")
    page = store.reader(info).page(Query())
    assert [orjson.loads(f)["geometry"] is None for f in page.features] == [True, False]
    assert orjson.loads(store.reader(info).page(Query(crs="EPSG:32748")).features[0])["geometry"] is None


def test_polygons_are_counter_clockwise_in_geojson(store: LayerStore) -> None:
    info = publish(store, schema("Polygon"), batch({"a": {}}, [SQUARE]))
    (text,) = store.reader(info).page(Query()).features
    assert shapely.from_geojson(orjson.dumps(orjson.loads(text)["geometry"])).exterior.is_ccw


def test_a_layer_in_metres(store: LayerStore) -> None:
    metres = "POINT(704123.4567 9236789.1234)"
    info = publish(store, schema("Point", "EPSG:32748"), batch({"a": {}}, [metres]))
    lon, lat = transform(shapely.from_wkt(metres), "EPSG:32748", "OGC:CRS84").coords[0]

    def coordinates(crs: str | None) -> Any:
        feature = store.reader(info).feature("a", crs)
        assert feature is not None
        return orjson.loads(feature)["geometry"]["coordinates"]

    assert coordinates(None) == coordinates("OGC:CRS84") == [round(lon, 7), round(lat, 7)]
    assert coordinates("EPSG:32748") == [704123.457, 9236789.123]
    assert coordinates("EPSG:4326") == [round(lat, 7), round(lon, 7)]
    mercator = transform(shapely.from_wkt(metres), "EPSG:32748", "EPSG:3857").coords[0]
    assert coordinates("http://www.opengis.net/def/crs/EPSG/0/3857") == [round(v, 3) for v in mercator]
    assert info.bbox == pytest.approx((lon, lat, lon, lat))
    assert store.reader(info).page(Query(bbox=(704123, 9236789, 704124, 9236790))).matched == 1
    with pytest.raises(QueryError, match="CRS"):
        coordinates("EPSG:123456")


def test_a_box_with_its_edges_reversed_is_only_for_degrees(store: LayerStore) -> None:
    info = publish(store, schema("Point", "EPSG:32748"), batch({"a": {}}, ["POINT(704123 9236789)"]))
    with pytest.raises(QueryError, match="minx"):
        store.reader(info).page(Query(bbox=(5, 0, 1, 1)))


def test_unknown_geometry_types_are_refused(store: LayerStore) -> None:
    with pytest.raises(PublishError, match="geometry type"):
        store.writer(layer_id(), schema("Sphere"), "s")
    assert type_name("multisurface ZM") == "MultiPolygon"


POINT = st.tuples(st.floats(95, 141), st.floats(-11, 6))
LINE = st.lists(POINT, min_size=2, max_size=8, unique=True).map(shapely.LineString)


@settings(max_examples=20)
@given(shapes=st.lists(st.one_of(st.none(), POINT.map(shapely.Point), LINE), min_size=1, max_size=10))
def test_any_geometry_comes_back(store: LayerStore, shapes: list[Any]) -> None:
    info = publish(store, schema("Geometry"), batch({f"{i:02}": {} for i in range(len(shapes))}, shapes))
    (stored,) = store.reader(info).batches()
    assert stored.geometries is not None
    for before, after in zip(shapes, stored.geometries, strict=True):
        assert (before is None) == (after is None)
        assert before is None or shapely.equals_exact(before, after, 0)
    page = store.reader(info).page(Query(limit=100))
    for before, text in zip(shapes, page.features, strict=True):
        shown = orjson.loads(text)["geometry"]
        assert (before is None) == (shown is None)
        if before is not None:
            off = np.abs(shapely.get_coordinates(before) - np.atleast_2d(shown["coordinates"]))
            assert off.max() <= 0.5000001e-7
    store.remove(info.layer_id, info.version)


RING = st.lists(POINT, min_size=3, max_size=9, unique=True)


@settings(max_examples=30)
@given(ring=RING)
def test_any_ring_is_stored_valid_or_refused(store: LayerStore, ring: list[tuple[float, float]]) -> None:
    report, stored = write(store, "MultiPolygon", shapely.Polygon(ring))
    if stored is None:
        assert [e.code for e in report.errors] == ["geometry-collapsed"]
    else:
        assert report.errors == []
        assert stored.is_valid
        assert stored.geom_type == "MultiPolygon"
        assert report.repaired == (not shapely.Polygon(ring).is_valid)


def test_bbox_of_the_version_is_in_degrees(cianjur: VersionInfo) -> None:
    assert cianjur.bbox == pytest.approx((106.77, -7.50, 107.48, -6.60), abs=0.2)
