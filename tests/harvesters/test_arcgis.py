"""ArcGIS REST against a server that can be made to misbehave as real ones do.

What counts every time: the ids that are stored are the ids that were listed, each with its own
attributes and geometry; or the harvester says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arcgis_server import Feature
from catalog.errors import AuthSourceError, ConfigError, ProtocolError, TransientSourceError
from catalog.model import FieldType, ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.arcgis.client import ArcGISClient, service_url
from harvesters.arcgis.content import ArcGISContent
from harvesters.arcgis.harvester import ArcgisHarvester
from harvesters.arcgis.layer import Attributes, read_layer
from harvesters.arcgis.paging import HEAVY, Sizer, page_key, prefetch, remaining
from harvesters.contract import Listing
from harvesters.http.client import HttpClient
from tests.servers.arcgis import FaultyArcGIS, layer_of, villages
from tests.servers.loopback import Answer, Asked, serve

SETTINGS = HarvestSettings(allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, timeout_seconds=5, retries=2)
COUNT = 360
type Harvest = Callable[..., ArcgisHarvester]


@pytest.fixture(scope="module")
def cianjur(shared_data: Path) -> Any:
    """The 360 villages of Cianjur as a layer."""
    return villages(shared_data / "cianjur_desa.gpkg")


@pytest.fixture
def server(cianjur: Any) -> Iterator[FaultyArcGIS]:
    with FaultyArcGIS([cianjur]) as running:
        yield running


@pytest.fixture
def harvest() -> Iterator[Harvest]:
    """Make harvesters that are closed after the test."""
    clients: list[HttpClient] = []

    def make(
        server: FaultyArcGIS, *layers: dict[str, Any], url: str = "",
        settings: dict[str, Any] | None = None, **more: Any,
    ) -> ArcgisHarvester:  # fmt: skip
        source = SourceConfig(
            id="big", type="arcgis", url=url or server.address, produsen_data="BIG",
            layers=list(layers) or [{"remote": "0", "id": "batas-desa"}], **more,
        )  # fmt: skip
        clients.append(HttpClient(SETTINGS.model_copy(update=settings or {}), source))
        return ArcgisHarvester(source, clients[-1])

    yield make
    for client in clients:
        client.close()


def ids_of(listing: Listing) -> tuple[str, ...]:
    assert listing.ids is not None
    return listing.ids


def content_of(harvester: ArcgisHarvester) -> ArcGISContent:
    (dataset,) = harvester.datasets()
    assert not isinstance(dataset, ItemError), dataset
    assert isinstance(dataset.content, ArcGISContent)
    return dataset.content


def collect(content: ArcGISContent, listing: Listing | None = None) -> tuple[dict[str, Any], list[ItemError]]:
    """Harvest everything: id -> (row, geometry), and the item errors; no id may come twice."""
    found: dict[str, Any] = {}
    errors: list[ItemError] = []
    keys: set[str] = set()
    listing = listing or content.listing()
    for page in content.pages(listing, frozenset()):
        assert page.key not in keys
        keys.add(page.key)
        errors += page.errors
        shapes = page.batch.geometries if page.batch.geometries is not None else [None] * len(page.batch)
        for id_, row, shape in zip(page.batch.ids, page.batch.rows, shapes, strict=True):
            assert id_ not in found
            found[id_] = (row, shape)
    return found, errors


def assert_whole(found: dict[str, Any], layer: Any, without: frozenset[int] = frozenset()) -> None:
    assert set(found) == {str(i) for i in layer.ids.tolist() if i not in without}
    truth = orjson.loads(b"[" + bytes(layer.slice(0, len(layer.ids)))[:-1] + b"]")
    for feature in truth:
        oid = feature["attributes"]["OBJECTID"]
        if oid not in without:
            row, shape = found[str(oid)]
            assert row == feature["attributes"]
            assert len(shapely.get_coordinates(shape)) == sum(map(len, feature["geometry"]["rings"]))


def test_a_well_behaved_server_is_read_whole_with_few_questions(server, harvest, cianjur) -> None:
    content = content_of(harvest(server, options={"page_size": 100}))
    listing = content.listing()
    assert (listing.count, len(ids_of(listing))) == (COUNT, COUNT)
    found, errors = collect(content, listing)
    assert not errors
    assert_whole(found, cianjur)
    assert len(server.pages()) == 4
    assert {m for m, _, _ in server.faults.log} == {"POST"}
    asked = server.pages()[0]
    assert asked["orderByFields"] == "OBJECTID"
    assert (asked["outSR"], asked["returnZ"], asked["returnM"]) == ("4326", "false", "false")
    assert "geometryPrecision" not in asked
    collect(content_of(harvest(server, options={"geometry_precision": 7})))
    assert server.pages()[-1]["geometryPrecision"] == "7"


def test_the_page_size_is_never_above_the_servers_cap(shared_data, harvest) -> None:
    layer = villages(shared_data / "cianjur_desa.gpkg", maxRecordCount=50)
    with FaultyArcGIS([layer]) as server:
        found, _ = collect(content_of(harvest(server)))
        assert_whole(found, layer)
        assert len(server.pages()) == 8


FAULTS: dict[str, dict[str, Any]] = {
    "a cap it does not tell": {"lying_cap": 37},
    "truncated JSON on big pages": {"truncate_above": 60},
    "connection cut on big pages": {"hang_up_above": 100},
    "HTML in 200 on big pages": {"html_above": 60},
    "error in 200 on big pages": {"error_above": 60},
    "503 on big pages": {"status_above": 100},
    "the same page for every range": {"same_page": True},
    "features left out of ranges": {"forget": frozenset({10, 37, 1078, 1084})},
    "POST refused by a firewall": {"refuse_post": 403},
    "POST not allowed": {"refuse_post": 405},
    "too many requests": {"busy": 2},
    "a list of ids that is cut": {"ids_at_most": 100},
    "all at once": {"lying_cap": 91, "truncate_above": 80, "refuse_post": 404, "busy": 1, "ids_at_most": 60},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_nothing_is_lost_whatever_the_server_does(server, harvest, cianjur, fault) -> None:
    for name, value in fault.items():
        setattr(server.faults, name, value)
    content = content_of(harvest(server))
    listing = content.listing()
    assert (listing.count, len(ids_of(listing))) == (COUNT, COUNT)
    found, errors = collect(content, listing)
    assert not errors
    assert_whole(found, cianjur)


def test_a_page_that_hangs_is_asked_for_in_halves(server, harvest, cianjur) -> None:
    server.faults.hang_above = 200
    harvester = harvest(server, settings={"timeout_seconds": 0.5})
    found, errors = collect(content_of(harvester))
    assert not errors
    assert_whole(found, cianjur)


def test_a_server_that_lists_no_ids_is_paged_by_the_last_one_seen(server, harvest, cianjur) -> None:
    server.faults.no_ids, server.faults.truncate_above, server.faults.lying_cap = True, 80, 150
    content = content_of(harvest(server))
    listing = content.listing()
    assert (listing.count, listing.ids, listing.stage) == (COUNT, None, "")
    found, errors = collect(content, listing)
    assert not errors
    assert_whole(found, cianjur)
    server.faults.same_page = True
    with pytest.raises(ProtocolError, match="orderByFields"):
        collect(content, listing)


def test_another_id_field_survives_a_cap_and_broken_pages(server, harvest) -> None:
    server.faults.lying_cap, server.faults.truncate_above = 77, 60
    content = content_of(harvest(server, {"remote": "0", "feature_id": "KDEPUM"}))
    listing = content.listing()
    assert len(set(ids_of(listing))) == COUNT
    assert set(collect(content, listing)[0]) == set(ids_of(listing))


def test_a_cap_below_the_stated_one_is_learnt_not_met_again_and_again(server, harvest) -> None:
    server.faults.truncate_above = 60
    collect(content_of(harvest(server, options={"page_size": 360})))
    assert len(server.pages()) < 30


def test_one_poison_feature_is_an_item_error_and_costs_only_itself(server, harvest, cianjur) -> None:
    server.faults.poison = frozenset({505})
    content = content_of(harvest(server))
    found, errors = collect(content)
    assert [e.remote_id for e in errors] == ["505"]
    assert "Error performing query" in errors[0].message
    assert_whole(found, cianjur, without=frozenset({505}))
    (page,) = content.refetch(("505",))
    assert [e.remote_id for e in page.errors] == ["505"]
    server.faults.poison = frozenset()
    (page,) = content.refetch(("505",))
    assert page.batch.ids == ["505"]


def test_a_source_of_which_every_page_is_broken_is_not_hammered(server, harvest) -> None:
    server.faults.html_above = 0
    with pytest.raises(ProtocolError, match="one by one"):
        collect(content_of(harvest(server)))
    assert len(server.pages()) < 150


def test_a_server_that_goes_away_ends_the_run_not_the_features(server, harvest) -> None:
    content = content_of(harvest(server))
    listing = content.listing()
    server.faults.busy = 10_000
    with pytest.raises(TransientSourceError):
        collect(content, listing)


def test_features_that_vanish_while_we_read_are_missing_not_invented(server, harvest) -> None:
    server.faults.vanish_after = 1
    content = content_of(harvest(server, options={"page_size": 100}))
    listing = content.listing()
    found, errors = collect(content, listing)
    assert not errors
    assert len(set(ids_of(listing)) - set(found)) == 10
    (page,) = content.refetch(tuple(set(ids_of(listing)) - set(found)))
    assert page.batch.ids == []
    again = content.listing()
    assert (again.count, again.stage != listing.stage) == (COUNT - 10, True)


def test_an_interrupted_run_resumes_with_another_page_size(server, harvest, cianjur) -> None:
    content = content_of(harvest(server, options={"page_size": 70}))
    listing = content.listing()
    done = {}
    for page in content.pages(listing, frozenset()):
        done[page.key] = page
        if len(done) == 3:
            break
    other = content_of(harvest(server, options={"page_size": 50}))
    rest = list(other.pages(listing, set(done) | {"again 1..2", "nonsense"}))
    ids = [i for p in (*done.values(), *rest) for i in p.batch.ids]
    assert sorted(ids) == sorted(ids_of(listing))


def test_a_fixed_token_that_expires_is_an_auth_error_and_never_shown(server, harvest, monkeypatch) -> None:
    monkeypatch.setenv("BIG_TOKEN", "rahasia-big")
    server.faults.token, server.faults.token_uses = "rahasia-big", 5
    with pytest.raises(AuthSourceError) as caught:
        collect(content_of(harvest(server, auth={"token": "${BIG_TOKEN}"}, options={"page_size": 50})))
    assert "rahasia" not in str(caught.value)
    assert "498" in str(caught.value)


def test_a_token_of_our_own_is_renewed_midway(server, harvest, cianjur, monkeypatch) -> None:
    monkeypatch.setenv("BIG_USER", "pengguna")
    monkeypatch.setenv("BIG_PASSWORD", "sandi")
    server.faults.token, server.faults.token_uses = "none yet", 6
    options = {"page_size": 50, "token_url": server.url("generateToken")}
    auth = {"username": "${BIG_USER}", "password": "${BIG_PASSWORD}"}
    found, errors = collect(content_of(harvest(server, auth=auth, options=options)))
    assert not errors
    assert_whole(found, cianjur)
    assert server.issued == 2


def test_an_error_within_200_is_an_error_of_the_dataset(server, harvest) -> None:
    (error,) = harvest(server, {"remote": "7"}).datasets()
    assert isinstance(error, ItemError)
    assert "Layer not found" in error.message


def test_the_error_that_arcgis_sends_with_status_200_is_one(shared_samples) -> None:
    body = (shared_samples / "arcgis_error_http200.json").read_bytes()

    def app(asked: Asked) -> Answer:
        return Answer(body, type="application/json")

    with (
        serve(app) as url,
        HttpClient(SETTINGS) as http,
        pytest.raises(ProtocolError, match="Failed to execute"),
    ):
        ArcGISClient(http).ask(f"{url}/MapServer/0/query", {"where": "1=1"})


def test_a_filter_and_another_crs_are_passed_on(server, harvest) -> None:
    layer = {"remote": "0", "where": "KDPKAB = '32.03'", "crs": "EPSG:3857"}
    content = content_of(harvest(server, layer))
    assert content.schema().crs == "EPSG:3857"
    assert content.listing().count == COUNT
    collect(content)
    assert server.pages()[0]["where"].startswith("(KDPKAB = '32.03') AND OBJECTID >= ")
    assert server.pages()[0]["outSR"] == "3857"
    with pytest.raises(ConfigError, match="EPSG"):
        content_of(harvest(server, {"remote": "0", "crs": "SRGI 2013"}))


def test_another_id_field_names_the_features(server, harvest) -> None:
    content = content_of(harvest(server, {"remote": "0", "feature_id": "KDEPUM"}))
    listing = content.listing()
    assert len(set(ids_of(listing))) == COUNT
    assert all(i.startswith("32.03.") for i in ids_of(listing))
    found, _ = collect(content, listing)
    assert set(found) == set(ids_of(listing))
    assert all(row["KDEPUM"] == i for i, (row, _) in found.items())
    (page,) = content.refetch((ids_of(listing)[5],))
    assert page.batch.ids == [ids_of(listing)[5]]


def test_star_takes_layers_and_tables_with_stable_ids(cianjur, harvest) -> None:
    text: list[dict[str, Any]] = [{"name": "nama", "type": "esriFieldTypeString"}]
    table = layer_of(text, [(1, {"nama": "Gudang"}, None)], None, name="Daftar_Gudang")
    with FaultyArcGIS([cianjur, table]) as server:
        harvester = harvest(server, {"remote": "*"})
        found = [d for d in harvester.datasets() if not isinstance(d, ItemError)]
        assert [d.collection_id for d in found] == ["big-batas-desakel-ar", "big-daftar-gudang"]
        assert [d.kind for d in found] == ["feature", "table"]
        assert harvester.listing().ids == ("0", "1")
        rows, _ = collect(found[1].content)
        assert rows == {"1": ({"OBJECTID": 1, "nama": "Gudang"}, None)}
        (named,) = harvest(server, {"remote": "Daftar_Gudang", "id": "gudang"}).datasets()
        assert (named.remote_id, named.collection_id) == ("1", "gudang")
        with pytest.raises(ConfigError, match="no layer"):
            list(harvest(server, {"remote": "Gudang"}).datasets())
        folder = server.url("BATASWILAYAH")
        (deep,) = harvest(
            server, {"remote": "BATAS_DESAKEL_AR/MapServer/0", "id": "desa"}, url=folder
        ).datasets()
        assert not isinstance(deep, ItemError)
        assert harvest(server, url=folder).probe().version == "10.81"
        assert harvest(server).probe().details["layers"] == ["BATAS_DESAKEL_AR", "Daftar_Gudang"]
        (own,) = harvest(server, {"remote": "*"}, url=f"{server.address}/1").datasets()
        assert own.remote_id == "1"


def test_dates_domains_and_subtypes_become_what_people_read(harvest) -> None:
    codes = [{"name": "Resmi", "code": 1}, {"name": "Belum ditegaskan", "code": 3}]
    fields: list[dict[str, Any]] = [
        {
            "name": "stsbts",
            "type": "esriFieldTypeInteger",
            "alias": "Status",
            "domain": {"codedValues": codes},
        },
        {"name": "diubah", "type": "esriFieldTypeDate"},
        {"name": "jenis", "type": "esriFieldTypeSmallInteger"},
        {"name": "gambar", "type": "esriFieldTypeBlob"},
    ]
    rows: list[Feature] = [
        (1, {"stsbts": 1, "diubah": 1758629816000, "jenis": 2}, shapely.Point(107, -7)),
        (2, {"stsbts": 999, "diubah": -2208988800000, "jenis": None}, None),
        (3, {"stsbts": None, "diubah": None, "jenis": 7}, shapely.Point(108, -7)),
    ]
    subtypes = {"typeIdField": "jenis", "types": [{"id": 2, "name": "Gudang"}]}
    layer = layer_of(fields, rows, "esriGeometryPoint", **subtypes)
    with FaultyArcGIS([layer]) as server:
        content = content_of(harvest(server, options={"field_case": "upper"}))
        types = {f.name: f for f in content.schema().fields}
        assert list(types) == ["OBJECTID", "STSBTS", "STSBTS_kode", "DIUBAH", "JENIS", "JENIS_kode"]
        assert types["STSBTS_kode"].codes == {"1": "Resmi", "3": "Belum ditegaskan"}
        assert types["STSBTS"].type is FieldType.TEXT
        assert types["STSBTS_kode"].type is FieldType.INTEGER
        found, _ = collect(content)
        assert found["1"][0] == {
            "OBJECTID": 1, "STSBTS": "Resmi", "STSBTS_kode": 1, "DIUBAH": "2025-09-23T12:16:56+00:00",
            "JENIS": "Gudang", "JENIS_kode": 2,
        }  # fmt: skip
        assert (found["2"][0]["STSBTS"], found["2"][0]["DIUBAH"]) == ("999", "1900-01-01T00:00:00+00:00")
        assert found["2"][1] is None
        assert (found["3"][0]["STSBTS"], found["3"][0]["JENIS"]) == (None, "7")


def test_the_captured_layer_of_big_is_understood(shared_samples) -> None:
    raw = orjson.loads((shared_samples / "big_desakel_layer.assembled.json").read_bytes())
    info = read_layer(raw, "x")
    assert (info.oid, info.geometry_type) == ("OBJECTID", "esriGeometryPolygon")
    attributes = Attributes(info)
    page = orjson.loads((shared_samples / "big_desakel_query_esri.assembled.json").read_bytes())
    row = attributes.row(dict(page["features"][0]["attributes"]))
    assert row["KDEPUM"].startswith("32.03.")
    assert [f.name for f in attributes.fields if not f.name.upper().startswith("SHAPE")][:3] == [
        "OBJECTID",
        "NAMOBJ",
        "FCODE",
    ]


def test_an_edition_with_other_names_of_the_same_fields_is_aligned() -> None:
    fields = [
        {"name": "objectid", "type": "esriFieldTypeOID"},
        {"name": "namobj", "type": "esriFieldTypeString"},
    ]
    attributes = Attributes(read_layer({"fields": fields, "name": "x"}, "x"), "upper")
    assert attributes.row({"SDE.OBJECTID": 4, "SDE.NAMOBJ": "Cugenang"}) == {
        "OBJECTID": 4,
        "NAMOBJ": "Cugenang",
    }
    assert attributes.row({"objectid": 4}) == {"OBJECTID": 4, "NAMOBJ": None}


@pytest.mark.parametrize("raw", [{}, {"fields": [{"name": "a", "type": "esriFieldTypeString"}]}])
def test_a_layer_that_can_not_be_queried_says_so(raw) -> None:
    with pytest.raises(ProtocolError):
        read_layer(raw, "http://x/0")


def test_two_different_features_of_one_object_id_are_reported(harvest) -> None:
    fields = [{"name": "nama", "type": "esriFieldTypeString"}]
    twice = [(5, {"nama": "a"}, shapely.Point(0, 0)), (5, {"nama": "b"}, shapely.Point(1, 1))]
    with FaultyArcGIS([layer_of(fields, twice, "esriGeometryPoint")]) as server:
        content = content_of(harvest(server))
        listing = content.listing()
        assert (listing.count, listing.ids) == (2, ("5",))
        found, errors = collect(content, listing)
        assert found["5"][0]["nama"] == "a"
        assert [e.code for e in errors] == ["duplicate-id"]


def test_addresses_of_layers_and_services() -> None:
    assert service_url("https://h/s/A/MapServer/12?f=json") == ("https://h/s/A/MapServer", "12")
    assert service_url("https://h/s/A/FeatureServer/") == ("https://h/s/A/FeatureServer", "")
    assert service_url("https://h/2024/7") == ("https://h/2024/7", "")


@given(st.sets(st.integers(-50, 500), min_size=1), st.lists(st.integers(1, 40), min_size=1), st.randoms())
def test_any_pages_that_were_staged_leave_exactly_the_others(ids, sizes, rnd) -> None:
    every = np.array(sorted(ids), dtype=np.int64)
    staged, covered, at = set(), set(), 0
    while at < len(every):
        chunk = every[at : at + rnd.choice(sizes)]
        at += len(chunk)
        if rnd.random() < 0.5:
            staged.add(page_key(chunk))
            covered |= set(chunk.tolist())
    left = [i for stretch in remaining(every, staged) for i in stretch.tolist()]
    assert left == [i for i in every.tolist() if i not in covered]


@given(st.integers(1, 5000), st.lists(st.sampled_from(["good", "heavy", "failed", "capped"]), max_size=60))
def test_the_page_size_stays_between_one_and_the_limit(limit, events) -> None:
    sizer = Sizer(limit)
    for event in events:
        if event == "good":
            sizer.good()
        elif event == "heavy":
            sizer.good(sizer.size, 3 * HEAVY)
        elif event == "failed":
            sizer.failed(sizer.size)
        else:
            sizer.capped(max(1, sizer.size // 3), firm=True)
        assert 1 <= sizer.size <= sizer.limit <= limit


def test_heavy_features_come_in_small_pages() -> None:
    sizer, weight = Sizer(1000), HEAVY // 100
    for _ in range(20):
        sizer.good(sizer.size, sizer.size * weight)
    assert 60 <= sizer.size <= 100


def test_prefetch_is_bounded_passes_errors_on_and_stops() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    stream = prefetch(numbers())
    assert isinstance(stream, Generator)
    assert next(stream) == 0
    stream.close()
    assert len(made) <= 4

    def broken() -> Iterator[int]:
        yield 1
        raise ProtocolError("cut")

    got = prefetch(broken())
    assert next(got) == 1
    with pytest.raises(ProtocolError):
        next(got)
