"""WFS: a real MapServer with the real Cianjur, and a server that misbehaves in every way we know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiona
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import ConfigError, IncompleteError, ProtocolError
from catalog.model import FieldType, ItemError
from catalog.settings import HarvestSettings
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.naming import slug
from harvesters.wfs.harvester import WfsHarvester
from tests.servers.loopback import BadWfs, serve
from tests.servers.mapserver import POINTS, MapServer, mapserver

__all__ = ["mapserver"]
LOOPBACK = ["127.0.0.0/8"]


def harvester(url: str, *, page_size: int = 1000, options: dict[str, Any] | None = None, **layer: Any):
    source = SourceConfig(
        id="uji", type="wfs", url=url, produsen_data="Uji", options=options or {},
        layers=[{"remote": "*", **layer}],
    )  # fmt: skip
    rules = HarvestSettings(
        allow_networks=LOOPBACK, page_size=page_size, retries=1, backoff_seconds=0, timeout_seconds=20
    )
    return WfsHarvester(source, HttpClient(rules, source))


def one(of: WfsHarvester) -> RemoteDataset:
    (found,) = of.datasets()
    assert isinstance(found, RemoteDataset), found
    return found


def features(dataset: RemoteDataset) -> tuple[dict[str, tuple[dict[str, Any], Any]], list[ItemError]]:
    """Read everything: id -> (row, geometry), and the item errors."""
    content: Any = dataset.content
    stored: dict[str, tuple[dict[str, Any], Any]] = {}
    errors: list[ItemError] = []
    for page in content.pages(content.listing(), set()):
        shapes = page.batch.geometries
        for i, own in enumerate(page.batch.ids):
            stored[own] = (page.batch.rows[i], None if shapes is None else shapes[i])
        errors += page.errors
    return stored, errors


@pytest.fixture
def bad() -> Iterator[tuple[BadWfs, str]]:
    app = BadWfs()
    with serve(app) as url:
        yield app, f"{url}/wfs"


# -- the real server ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0", "1.0.0"])
def test_all_of_cianjur_comes_with_its_attributes_and_shapes(mapserver: MapServer, version: str):
    dataset = one(harvester(mapserver.url, page_size=100, remote="desa", options={"version": version}))
    got, errors = features(dataset)
    uncounted = ["count-unknown"] if version == "1.0.0" else []  # it has no hits: said, not hidden
    assert [e.code for e in errors if e.severity == "warning"] == uncounted
    assert not [e for e in errors if e.severity == "error"]
    with fiona.open(mapserver.gpkg, layer="desa") as source:
        wanted = {f"desa.{f.properties['KDEPUM']}": f for f in source}
        assert len(wanted) == 360
        assert set(got) == set(wanted)
        for own, feature in wanted.items():
            row, shape = got[own]
            for name in ("NAMOBJ", "KDEPUM", "KD_DAGRI", "TIPADM"):
                assert row[name] == feature.properties[name]
            assert row["LUASWH"] == pytest.approx(feature.properties["LUASWH"])
            original = shapely.geometry.shape(feature.geometry)
            assert shapely.hausdorff_distance(shape, original) < 2e-6, own


def test_the_schema_comes_from_the_xsd_that_owslib_can_not_read(mapserver: MapServer):
    dataset = one(harvester(mapserver.url, remote="desa"))
    schema = dataset.content.schema()  # type: ignore[union-attr]
    kinds = {f.name: f.type for f in schema.fields}
    assert kinds["TIPADM"] is FieldType.INTEGER
    assert kinds["LUASWH"] is FieldType.REAL
    assert kinds["KD_DAGRI"] is FieldType.TEXT
    with fiona.open(mapserver.gpkg, layer="desa") as layer:
        assert list(kinds) == list(layer.schema["properties"]), "no geometry, no corners of an envelope"
    assert (schema.crs, dataset.kind) == ("EPSG:4326", "feature")


def test_a_projected_layer_keeps_its_crs_codes_and_dates(mapserver: MapServer):
    dataset = one(harvester(mapserver.utm_url, page_size=7, remote="pos"))
    got, _ = features(dataset)
    assert dataset.content.schema().crs == "EPSG:32748"  # type: ignore[union-attr]
    for point in POINTS:
        row, shape = got[f"pos.{point['kode']}"]
        assert row["kode"] == point["kode"], "leading zeros stay"
        assert (row["id"], row["stok"], row["buka"]) == (point["id"], point["stok"], point["buka"])
        assert (shape.x, shape.y) == pytest.approx((730000 + 100 * point["id"], 9245000), abs=0.01)


def test_geojson_is_used_when_it_gives_ids(mapserver: MapServer):
    got, _ = features(one(harvester(mapserver.json_url, page_size=7, remote="pos", feature_id="kode")))
    assert set(got) == {p["kode"] for p in POINTS}
    row, shape = got["0001"]
    assert row["buka"] == "2024-05-06"
    assert (shape.x, shape.y) == pytest.approx((107.082066, -6.825901), abs=1e-5)


def test_geojson_without_ids_gives_way_to_gml(mapserver: MapServer):
    got, _ = features(one(harvester(mapserver.json_url, page_size=7, remote="pos")))
    assert set(got) == {f"pos.{p['kode']}" for p in POINTS}


def test_single_features_are_asked_for_again_by_id(mapserver: MapServer):
    dataset = one(harvester(mapserver.url, remote="pos"))
    pages = list(dataset.content.refetch(("pos.0003", "pos.0005")))  # type: ignore[union-attr]
    assert [i for p in pages for i in p.batch.ids] == ["pos.0003", "pos.0005"]


def test_a_filter_narrows_what_is_harvested(mapserver: MapServer):
    where = (
        '<Filter xmlns="http://www.opengis.net/fes/2.0"><PropertyIsEqualTo><ValueReference>KDCPUM'
        "</ValueReference><Literal>32.03.01</Literal></PropertyIsEqualTo></Filter>"
    )
    got, _ = features(one(harvester(mapserver.url, remote="desa", where=where)))
    assert 0 < len(got) < 360
    assert {row["KDCPUM"] for row, _ in got.values()} == {"32.03.01"}


def test_probe_and_listing_tell_what_is_there(mapserver: MapServer):
    found = harvester(mapserver.url)
    assert (found.probe().title, found.probe().version) == ("Cianjur (uji)", "2.0.0")
    assert found.listing().ids == ("ms:desa", "ms:pos")
    datasets = [d for d in found.datasets() if isinstance(d, RemoteDataset)]
    assert [d.collection_id for d in datasets] == ["uji-ms-desa", "uji-ms-pos"]
    record = datasets[0].record
    assert record.title.id == "desa (uji)"
    assert record.keywords == ["batas", "uji"]
    assert record.bbox == pytest.approx((106.776, -7.505, 107.485, -6.602), abs=0.001)
    assert record.links[0].href == mapserver.url, "never the OnlineResource's wrong host"


# -- a server that misbehaves ------------------------------------------------------------------


def test_paging_is_sorted_counted_and_within_the_servers_limit(bad):
    app, url = bad
    app.count_default = 10
    got, _ = features(one(harvester(url)))
    assert len(got) == 25
    data = [a for a in app.asked if a["request"] == "GetFeature" and "startindex" in a]
    assert all(a["sortby"] for a in data)
    assert max(int(a["count"]) for a in data) == 10


def test_a_server_that_gives_fewer_than_asked_is_paged_by_what_it_gave(bad):
    app, url = bad
    app.cap = 4
    assert len(features(one(harvester(url)))[0]) == 25


def test_a_server_that_ignores_start_index_is_asked_for_all_at_once(bad):
    app, url = bad
    app.ignores_start = True
    got, _ = features(one(harvester(url, page_size=10)))
    assert len(got) == 25


def test_a_server_that_ignores_start_index_and_caps_is_incomplete(bad):
    app, url = bad
    app.ignores_start, app.cap = True, 10
    with pytest.raises(IncompleteError, match="at most 10 of 25"):
        features(one(harvester(url, page_size=10)))


def test_a_feature_that_breaks_its_page_is_left_alone_as_an_item_error(bad):
    app, url = bad
    app.broken = (23,)
    got, errors = features(one(harvester(url)))
    assert len(got) == 24
    assert "desa.23" not in got
    assert [e.remote_id for e in errors] == ["a:desa#22"]
    assert "can not be encoded" in errors[0].message


@pytest.mark.parametrize("number", [1, 3, 20])
def test_a_broken_feature_at_the_start_does_not_hide_the_layer(bad, number):
    app, url = bad
    app.broken = (number,)
    got, errors = features(one(harvester(url)))
    assert (len(got), len(errors)) == (24, 1)


def test_an_exception_in_the_middle_of_a_page_costs_only_its_feature(bad):
    app, url = bad
    app.geojson, app.breaks_midway = False, (13,)
    got, errors = features(one(harvester(url)))
    assert (len(got), [e.remote_id for e in errors]) == (24, ["a:desa#12"])


def test_a_feature_without_a_value_in_the_configured_id_is_an_item_error(bad):
    app, url = bad
    app.nameless = (5, 6)
    got, errors = features(one(harvester(url, feature_id="kode")))
    assert len(got) == 23
    assert [(e.code, e.remote_id) for e in errors] == [("id-missing", "desa.5"), ("id-missing", "desa.6")]


def test_gdal_never_fetches_the_schema_that_a_page_names(bad):
    asked: list[str] = []
    app, _ = bad
    app.geojson = False

    def trap(request):
        asked.append(request.path)
        return app(request)

    with serve(trap) as url:
        there = (
            f"{url}/trap?SERVICE=WFS&amp;VERSION=2.0.0&amp;REQUEST=DescribeFeatureType&amp;TYPENAME=a:desa"
        )
        named = f'xsi:schemaLocation="http://a.example {there}"'
        head = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {named} numberMatched'
        plain = app._gml
        app._gml = lambda numbers, matched: plain(numbers, matched).replace("numberMatched", head)
        got, _ = features(one(harvester(f"{url}/wfs")))
    assert len(got) == 25
    assert set(asked) == {"/wfs"}


def test_a_truncated_page_is_asked_for_in_halves(bad):
    app, url = bad
    app.truncated_above = 20
    for app.geojson in (True, False):
        got, errors = features(one(harvester(url)))
        assert (len(got), errors) == (25, [])


def test_a_layer_that_changes_while_paged_is_incomplete(bad):
    app, url = bad
    dataset = one(harvester(url, page_size=10))
    app.counts_as = [25, 25, 24]
    with pytest.raises(IncompleteError, match="changed while it was paged"):
        features(dataset)


def test_unknown_hits_end_with_the_empty_page(bad):
    app, url = bad
    app.hits_unknown = True
    dataset = one(harvester(url, page_size=10))
    assert dataset.content.listing().count is None  # type: ignore[union-attr]
    assert len(features(dataset)[0]) == 25


def test_a_server_that_can_not_sort_is_still_read(bad):
    app, url = bad
    for app.sorts, app.exceptions_http_200 in ((False, True), (False, False)):
        assert len(features(one(harvester(url, page_size=10)))[0]) == 25


@pytest.mark.parametrize(
    ("srs", "latitude_first", "axis"),
    [
        ("urn:ogc:def:crs:EPSG::4326", True, "declared"),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", True, "declared"),
        ("http://www.opengis.net/gml/srs/epsg.xml#4326", False, "declared"),
        ("EPSG:4326", False, "declared"),
        ("", True, "declared"),  # none in the page: the capabilities' URN counts
        ("urn:ogc:def:crs:EPSG::4326", False, "declared"),  # a liar, found out: no latitude of 107
        ("EPSG:4326", True, "declared"),
        ("urn:ogc:def:crs:EPSG::4326", False, "xy"),
        ("EPSG:4326", True, "yx"),
    ],
)
def test_longitude_is_always_x(bad, srs, latitude_first, axis):
    app, url = bad
    app.geojson, app.srs, app.latitude_first = False, srs, latitude_first
    got, _ = features(one(harvester(url, options={"axis": axis})))
    assert (got["desa.1"][1].x, got["desa.1"][1].y) == pytest.approx((107.001, -7))


def test_ids_that_change_at_each_request_are_replaced_by_content_ids(bad):
    app, url = bad
    app.random_ids = True
    first, second = (set(features(one(harvester(url, page_size=10)))[0]) for _ in range(2))
    assert first == second
    assert len(first) == 25


def test_an_exceptions_report_inside_http_200_is_an_error(bad):
    app, url = bad
    app.broken = tuple(range(1, 26))
    (found,) = harvester(url).datasets()
    assert isinstance(found, ItemError)
    assert found.code == "source-protocol"
    assert "NoApplicableCode" in found.message


def test_a_cql_filter_is_refused_where_it_would_be_ignored(bad):
    with pytest.raises(ConfigError, match="CQL"):
        list(harvester(bad[1], where="kode = '1'").datasets())


def test_a_type_that_is_gone_is_named(bad):
    (found,) = harvester(bad[1], remote="a:hilang").datasets()
    assert isinstance(found, ItemError)
    assert (found.code, found.remote_id) == ("not-found", "a:hilang")


def test_a_wfs_link_that_is_really_wms_is_put_right(bad):
    app, _ = bad
    wms = '<WMS_Capabilities xmlns="http://www.opengis.net/wms" version="1.3.0"/>'
    real = app._capabilities()

    def answer(asked):
        app.capabilities = wms if asked.path.endswith("/wms") else real
        return app(asked)

    with serve(answer) as base:
        found = harvester(f"{base}/geoserver/wms")
        assert found.probe().title == "WFS uji"
        assert len(features(one(found))[0]) == 25


@pytest.mark.parametrize("body", ["<html>login</html>", "", "{}", "<a/>", "<wfs:WFS_Capabilities"])
def test_what_is_no_wfs_is_a_protocol_error(bad, body):
    app, url = bad
    app.capabilities = body or " "
    with pytest.raises(ProtocolError):
        harvester(url).probe()


@settings(max_examples=15)
@given(
    count=st.integers(0, 60), page=st.integers(1, 25), cap=st.none() | st.integers(1, 20),
    broken=st.sets(st.integers(1, 60), max_size=2),
)  # fmt: skip
def test_whatever_the_pages_nothing_is_lost_or_doubled(count, page, cap, broken):
    app = BadWfs(count=count, cap=cap, geojson=True)
    with serve(app) as url:
        dataset = one(harvester(f"{url}/wfs", page_size=page))
        app.broken = tuple(broken)
        got, errors = features(dataset)
    lost = {n for n in broken if n <= count}
    assert set(got) == {f"desa.{n}" for n in range(1, count + 1) if n not in lost}
    assert len(errors) == len(lost)


def test_resumed_pages_are_not_asked_for_again(bad):
    content: Any = one(harvester(bad[1], page_size=10)).content
    keys = [p.key for p in content.pages(content.listing(), {"0+10"})]
    assert keys == ["10+10", "20+5"]


@given(st.text(max_size=200))
def test_a_slug_is_a_collection_id(name):
    if made := slug(name):
        assert LayerConfig(remote="x", id=made).id == made
