"""Features as agencies and GIS clients read them: pages, CRS, filters, forms, versions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely
import shapely.geometry
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ogc_server.conftest import running
from tests.ogc_server.world import DESA, POINTS, World, desa, fill, make_settings, open_world, points
from tests.servers import until
from tests.servers.postgres import Postgres, postgres  # noqa: F401 - a fixture

CRS = "http://www.opengis.net/def/crs/"
ITEMS = "/collections/desa/items"


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Iterator[httpx.Client]:
    """The key roads on both stores (and both catalog databases)."""
    more: dict[str, Any] = {}
    if request.param == "postgis":
        server: Postgres = request.getfixturevalue("postgres")
        more = {
            "database": server.database(),
            "layers": server.database(postgis=True).replace("+psycopg", ""),
        }
    made = open_world(make_settings(tmp_path_factory.mktemp("either"), **more))
    fill(made, shared_data, ("desa", "gudang"))
    with running(made) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client
    made.close()


def pages(client: httpx.Client, url: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Follow next links to the end."""
    answer = client.get(url, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        if not following:
            return
        answer = client.get(following[0])


def test_every_village_is_read_once_with_its_geometry(either: httpx.Client, shared_data: Path) -> None:
    source = desa(shared_data)
    wanted = dict(zip(source.ids, source.geometries, strict=True))  # type: ignore[arg-type]
    seen: dict[str, Any] = {}
    for page in pages(either, ITEMS, limit=100):
        assert page["numberMatched"] == 360
        seen |= {feature["id"]: feature for feature in page["features"]}
    assert seen.keys() == wanted.keys()
    for key, feature in seen.items():
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.symmetric_difference(wanted[key]).area < 1e-6 * max(wanted[key].area, 1e-6) + 1e-8


def test_time_bbox_filter_and_queryables_together(either: httpx.Client, shared_data: Path) -> None:
    source = desa(shared_data)
    box = shapely.box(107.0, -7.0, 107.3, -6.7)
    wanted = {
        key
        for key, row, shape in zip(source.ids, source.rows, source.geometries, strict=True)  # type: ignore[arg-type]
        if shape.intersects(box) and row["jenis"] == 1 and row["luas"] > 150
        and (row["diperbarui"] is None or row["diperbarui"].month in (3, 4))
    }  # fmt: skip
    assert len(wanted) > 3
    found = {
        feature["id"]
        for page in pages(
            either, ITEMS, bbox="107.0,-7.0,107.3,-6.7", datetime="2024-03-01/2024-04-30", jenis="1",
            filter="luas > 150", limit=7,
        )
        for feature in page["features"]
    }  # fmt: skip
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("nama LIKE 'Suka%'", lambda row: row["nama"].startswith("Suka")),
        ("CASEI(nama) LIKE CASEI('suka%')", lambda row: row["nama"].lower().startswith("suka")),
        ("luas BETWEEN 100 AND 200", lambda row: 100 <= row["luas"] <= 200),
        ("kecamatan IN ('Pacet', 'Cugenang')", lambda row: row["kecamatan"] in ("Pacet", "Cugenang")),
        ("NOT (jenis = 1 AND kota = TRUE)", lambda row: not (row["jenis"] == 1 and row["kota"])),
        ("diperbarui IS NULL", lambda row: row["diperbarui"] is None),
        ("T_AFTER(diperbarui, DATE('2024-06-30'))", lambda row: row["diperbarui"] and row["diperbarui"].month > 6),
        ("luas > 100 OR jenis = 2 AND kota = TRUE", lambda row: row["luas"] > 100 or (row["jenis"] == 2 and row["kota"])),
    ],
)  # fmt: skip
def test_cql2_selects_what_it_says(either: httpx.Client, shared_data: Path, text: str, test: Any) -> None:
    source = desa(shared_data)
    wanted = {key for key, row in zip(source.ids, source.rows, strict=True) if test(row)}
    page = either.get(ITEMS, params={"filter": text, "limit": 1000, "skipGeometry": "true"}).json()
    assert {feature["id"] for feature in page["features"]} == wanted
    assert 0 < page["numberMatched"] == len(wanted) < 360


def test_coordinates_follow_the_axis_order_of_the_crs(either: httpx.Client) -> None:
    def first(crs: str) -> list[float]:
        feature = either.get("/collections/gudang/items/1", params={"crs": CRS + crs}).json()
        found: list[float] = feature["geometry"]["coordinates"]
        return found

    assert first("OGC/1.3/CRS84") == [107.1, -6.8]
    assert first("EPSG/0/4326") == [-6.8, 107.1]
    assert first("EPSG/0/3857") == pytest.approx([11922317.5, -758756.6], abs=50)
    assert first("EPSG/0/32748") == pytest.approx([732052, 9247886], abs=50)


def test_one_feature_and_what_is_not_there(either: httpx.Client) -> None:
    feature = either.get(f"{ITEMS}/32.03.01.1006")
    assert feature.headers["content-type"] == "application/geo+json"
    assert feature.json()["properties"]["nama"] == "Pamoyanan"
    assert {link["rel"] for link in feature.json()["links"]} >= {"self", "alternate", "collection"}
    for missing in ("/collections/desa/items/99", "/collections/x/items", "/collections/rahasia"):
        assert either.get(missing).status_code == 404
    gone = either.get("/collections/ditarik/items")
    assert (gone.status_code, gone.json()["detail"]) == (410, "Diganti oleh gudang")


def test_a_table_has_no_geometry_and_no_crs(client: httpx.Client) -> None:
    doc = client.get("/collections/idm").json()
    assert "crs" not in doc
    page = client.get("/collections/idm/items", params={"limit": 2}).json()
    assert [feature["geometry"] for feature in page["features"]] == [None, None]
    assert client.get("/collections/idm/items", params={"bbox": "0,0,1,1"}).json()["numberMatched"] == 354


def test_what_has_no_place_fits_every_bbox(fresh: World) -> None:
    """/req/core/fc-bbox-response C."""
    batch = points(6)
    batch.geometries[2] = None  # type: ignore[index]
    fresh.publish("gudang", POINTS, batch, bbox=None)
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for box, found in (
            ("107.09,-6.81,107.13,-6.7", [1, 3]),
            ("179,-10,-179,0", [3, 5, 6]),
            ("0,0,1,1", [3]),
        ):
            page = client.get("/collections/gudang/items", params={"bbox": box}).json()
            assert [feature["id"] for feature in page["features"]] == found


@pytest.mark.parametrize(
    ("asked", "months"),
    [("2024-03-01/2024-03-31", {3}), ("2024-03-01/P1M", {3, 4}), ("P1M/2024-03-31T23:59:59Z", {3}), ("../2024-02-01", {1, 2}),
     ("2024-11-30/..", {12}), ("2024-11-30T12:00:00+07:00/", {12})],
)  # fmt: skip
def test_time_selects_the_dated_and_keeps_the_undated(
    client: httpx.Client, asked: str, months: set[int]
) -> None:
    page = client.get(ITEMS, params={"datetime": asked, "limit": 1000, "skipGeometry": "true"}).json()
    times = [feature["properties"]["diperbarui"] for feature in page["features"]]
    assert {int(time[5:7]) for time in times if time} <= months
    assert {int(time[5:7]) for time in times if time} >= months - {2, 4}
    assert times.count(None) == 72


def test_csv_is_read_by_a_spreadsheet_and_runs_nothing(client: httpx.Client) -> None:
    answer = client.get("/collections/gudang/items", headers={"accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == 25
    assert lines[3] == {
        "id": "4",
        "nama": 'Gudang, "3" =1+1',
        "stok": "30",
        "geometry_wkt": "POINT (107.16 -6.86)",
    }
    assert 'filename="gudang.csv"' in answer.headers["content-disposition"]
    empty = client.get("/collections/gudang/items", params={"f": "csv", "stok": "-1"})
    assert empty.text.strip() == "id,nama,stok,geometry_wkt"


def test_a_formula_in_a_text_is_made_harmless() -> None:
    from ogc_server.formats import csv_text

    feature = b'{"id":"1","geometry":null,"properties":{"nama":"=cmd()","stok":-5}}'
    assert b"1,'=cmd(),-5," in csv_text(POINTS, [feature], None)


def test_json_ld_is_the_geojson_with_a_context(client: httpx.Client) -> None:
    plain = client.get(ITEMS, params={"limit": 2}).json()
    linked = client.get(ITEMS, params={"limit": 2, "f": "jsonld"})
    assert linked.headers["content-type"] == "application/ld+json"
    doc = linked.json()
    assert doc.pop("@context")["id"] == "@id"
    assert doc["features"] == plain["features"]


def test_utm_storage_is_named_and_read_alike(client: httpx.Client) -> None:
    doc = client.get("/collections/desa-utm").json()
    assert doc["storageCrs"] == f"{CRS}EPSG/0/32748"
    assert doc["crs"][0] == f"{CRS}OGC/1.3/CRS84"
    box = {"bbox": "107.0,-7.0,107.3,-6.7", "limit": "1000", "skipGeometry": "true"}
    one = {feature["id"] for feature in client.get(ITEMS, params=box).json()["features"]}
    other = {
        feature["id"] for feature in client.get("/collections/desa-utm/items", params=box).json()["features"]
    }
    assert one == other


@settings(max_examples=25)
@given(
    west=st.floats(106.7, 107.4),
    south=st.floats(-7.6, -6.6),
    width=st.floats(0.001, 0.4),
    height=st.floats(0.001, 0.4),
)
def test_any_bbox_selects_what_intersects_it(
    client: httpx.Client, shared_data: Path, west: float, south: float, width: float, height: float
) -> None:
    source = _villages(shared_data)
    box = shapely.box(west, south, west + width, south + height)
    wanted = {key for key, shape in source if shape.intersects(box)}
    asked = {"bbox": ",".join(str(n) for n in box.bounds), "limit": "1000", "skipGeometry": "true"}
    found = {feature["id"] for feature in client.get(ITEMS, params=asked).json()["features"]}
    assert found == wanted


_CACHE: dict[Path, list[tuple[str, Any]]] = {}


def _villages(data: Path) -> list[tuple[str, Any]]:
    if data not in _CACHE:
        source = desa(data)
        _CACHE[data] = list(zip(source.ids, source.geometries, strict=True))  # type: ignore[arg-type]
    return _CACHE[data]


@settings(max_examples=15)
@given(limit=st.integers(1, 90), key=st.sampled_from(["", "kecamatan", "-luas", "kota,-nama", "-diperbarui"]))
def test_any_page_size_and_order_gives_every_feature_once(client: httpx.Client, limit: int, key: str) -> None:
    asked: dict[str, Any] = {"limit": limit, "skipGeometry": "true", **({"sortby": key} if key else {})}
    found = [feature["id"] for page in pages(client, ITEMS, **asked) for feature in page["features"]]
    assert len(found) == len(set(found)) == 360
    assert found == [f["id"] for f in client.get(ITEMS, params={**asked, "limit": 1000}).json()["features"]]


# -- versions ---------------------------------------------------------------------


def test_pages_are_of_one_version_while_data_changes(fresh: World, shared_data: Path) -> None:
    villages = desa(shared_data)
    fresh.publish("desa", DESA, villages)
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        walk = pages(client, ITEMS, limit=50, skipGeometry="true")
        seen = [feature["id"] for feature in next(walk)["features"]]
        half = replace(villages, ids=villages.ids[:100], rows=villages.rows[:100],
                       geometries=villages.geometries[:100])  # type: ignore[index]  # fmt: skip
        fresh.publish("desa", DESA, half)
        wait_for(client, ITEMS, 100)
        seen += [feature["id"] for page in walk for feature in page["features"]]
        assert len(seen) == len(set(seen)) == 360


def wait_for(client: httpx.Client, url: str, matched: int) -> None:
    until(lambda: client.get(url, params={"limit": 1}).json().get("numberMatched") == matched, "the change")


def test_time_travel_and_roll_back(fresh: World) -> None:
    for count in (5, 8):
        fresh.publish("gudang", POINTS, points(count))
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        items = "/collections/gudang/items"
        assert client.get(items).json()["numberMatched"] == 8
        old = client.get(items, params={"version": 1})
        assert old.json()["numberMatched"] == 5
        assert "max-age=3600" in old.headers["cache-control"]
        assert client.get("/collections/gudang", params={"version": 1}).json()["itemCount"] == 5
        assert client.get(f"{items}/8", params={"version": 1}).status_code == 404
        assert client.get(items, params={"version": 3}).status_code == 404
        fresh.catalog.versions.rollback("gudang", to=1, by="tests")
        wait_for(client, items, 5)
