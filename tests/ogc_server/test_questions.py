"""Rasters, ShakeMaps, BMKG's events, roads and H3 cells over HTTP; Gorontalo and Cianjur are real."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from catalog.model import DatasetRecord, FieldDef, FieldType, LayerSchema, Localized
from catalog.settings import HarvestSettings, ProcessSettings
from catalog.sources import SourceConfig
from harvesters.engine.engine import Engine
from layers.contract import FeatureBatch
from layers.raster import write_cog
from ogc_server.processes.desk import Desk
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot
from tests.analysis.test_shakemap import grid_xml
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import BOUNDARIES, EVENTS, PEOPLE, STORES, answer, ask
from tests.ogc_server.world import World, desa, make_settings, open_world
from tests.servers import until
from tests.servers.loopback import Answer, Asked, serve

NEAR = "20260921T073107Z_-0.70_122.45"
"""M 5.3 off Gorontalo, as BMKG's list had it."""
FELT = "20260923T121656Z_-8.51_123.27"
"""BMKG made a picture of its shakemap."""
ROADS = LayerSchema((FieldDef("kmh", FieldType.REAL), FieldDef("searah")), "LineString", "EPSG:4326")
CENTRE = (107.14, -6.82)
LAYERS = ProcessSettings(
    boundaries="batas",
    facilities="gudang",
    people="jiwa",
    roads="jalan",
    roads_speed="kmh",
    roads_oneway="searah",
)


def harvest(world: World, samples: Path) -> None:
    """Take BMKG's captured answers in, through the engine, as a deployment does."""
    feeds = {
        f: (samples / f"bmkg_{f}.json").read_bytes() for f in ("autogempa", "gempaterkini", "gempadirasakan")
    }
    alert = (samples / "bmkg_cap_CGT20260924002.xml").read_text("utf-8")
    date = "Mon, 01 Jan 2052 00:00:00 +0700"
    rss = (
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><lastBuildDate>{date}</lastBuildDate>'
        f"<item><title>x</title><link>a.xml</link><pubDate>{date}</pubDate></item></channel></rss>"
    )

    def app(asked: Asked) -> Answer:
        name = asked.path.rpartition("/")[2]
        if name.endswith(".json"):
            return Answer(feeds[name.removesuffix(".json")], type="application/json")
        return Answer(rss if name == "rss.xml" else alert)

    world.settings.harvest = HarvestSettings(allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=0)
    engine = Engine(world.settings, world.catalog, world.store, hooks=[])
    with serve(app) as url:
        for type_, path, remote, layer in (
            ("bmkg", "/DataMKG/TEWS/", "gempa", "gempa"), ("cap", "/rss.xml", "*", "peringatan-cuaca"),
        ):  # fmt: skip
            source = SourceConfig(
                id=f"uji-{type_}", type=type_, url=url + path, produsen_data="BMKG",
                layers=[{"remote": remote, "id": layer}],
            )  # fmt: skip
            engine.run(source)


def publish_raster(world: World, folder: Path, name: str, grid: np.ndarray, place, **more: Any) -> None:
    made = folder / f"{name}.tif"
    height, width = grid.shape
    profile = {"width": width, "height": height, "count": 1, "dtype": grid.dtype.name, "crs": "EPSG:4326"}
    with rasterio.open(made, "w", driver="GTiff", transform=place, **profile, **more) as file:
        file.write(grid, 1)
    info = write_cog(made, world.settings.data_dir / "layers", name, 1, "")
    said = DatasetRecord(title=Localized(id=name), produsen_data="uji")
    world.catalog.datasets.put(name, source_id="uji", remote_id=name, kind="raster", record=said, run_id="")
    world.catalog.versions.register(info)
    world.catalog.versions.make_current(name, 1, by="tests")


def fill(world: World, data: Path, folder: Path) -> FeatureBatch:
    """Boundaries of Cianjur and Gorontalo, invented counts, stores and roads, rasters."""
    villages = desa(data)
    columns = ["KDEPUM", "NAMOBJ", "geometry"]
    more = pq.read_table(data / "desa_2025.parquet", columns=columns, filters=[("KDPPUM", "=", "75")])
    ids = villages.ids + more["KDEPUM"].to_pylist()
    names = [row["nama"] for row in villages.rows] + more["NAMOBJ"].to_pylist()
    shapes = np.concatenate([villages.geometries, shapely.from_wkb(more["geometry"].to_numpy())])
    rows = [{"kode": kode, "nama": name} for kode, name in zip(ids, names, strict=True)]
    world.publish("batas", BOUNDARIES, FeatureBatch(list(ids), rows, shapes))
    counts = [{"kode": kode, "jiwa": 1000} for kode in ids]
    world.publish("jiwa", PEOPLE, FeatureBatch(list(ids), counts), kind="table")
    publish_roads(world)
    rng = np.random.default_rng(4)
    index = rng.random((150, 150)).astype(np.float32)
    index[:20] = -9999
    publish_raster(world, folder, "inarisk", index, from_origin(106.7, -6.5, 0.01, 0.01), nodata=-9999)
    quake = np.full((60, 60), 6.7, np.float32)
    publish_raster(world, folder, "mmi", quake, from_origin(106.9, -6.7, 0.01, 0.01))
    return FeatureBatch(list(ids), rows, shapes)


def publish_roads(world: World) -> None:
    """A river between two roads that meet far in the east; store B is beyond it, C on an island of its own."""
    x, y = CENTRE
    lines = [[(x, y), (x + 0.05, y), (x + 0.1, y)], [(x + 0.1, y), (x + 0.1, y + 0.01)],
             [(x + 0.1, y + 0.01), (x, y + 0.01)], [(x, y - 0.2), (x + 0.1, y - 0.2)]]  # fmt: skip
    said = [{"kmh": 40.0, "searah": "no"}] * 4
    world.publish(
        "jalan",
        ROADS,
        FeatureBatch(
            [str(n) for n in range(4)], said, np.array([shapely.LineString(one) for one in lines], object)
        ),
    )
    places = {"A": (x + 0.06, y), "B": (x, y + 0.01), "C": (x, y - 0.2)}
    rows = [{"nama": f"Gudang {name}", "jenis": "lumbung", "status": "buka", "beras": 7} for name in places]
    shapes = np.array([shapely.Point(place) for place in places.values()], object)
    world.publish("gudang", STORES, FeatureBatch(list(places), rows, shapes), synthetic=True)


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path, shared_samples: Path
) -> Iterator[tuple[World, FeatureBatch]]:
    made = open_world(make_settings(tmp_path_factory.mktemp("questions"), processes=LAYERS))
    truth = fill(made, shared_data, tmp_path_factory.mktemp("rasters"))
    harvest(made, shared_samples)
    yield made, truth
    made.close()


@pytest.fixture(scope="module")
def door(filled: tuple[World, FeatureBatch]) -> Iterator[httpx.Client]:
    with running(filled[0]) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        until(  # indexes are made beside the requests
            lambda: ask(client, "bantuan-terdekat", {"asal": ["32.03.01.2001"]}).status_code != 503,
            "the indexes", pause=0.2,
        )  # fmt: skip
        yield client


def test_a_hazard_raster_hits_desa(door: httpx.Client) -> None:
    inputs = {"raster": "inarisk", "ambang": [0.33, 0.66], "kelas": ["sedang", "tinggi"]}
    found = answer(door, "wilayah-terdampak", inputs)
    assert len(found["desa"]) > 250
    assert {one["kode"][:2] for one in found["desa"]} == {"32"}
    for one in found["desa"]:
        assert one["bagian"] == pytest.approx(sum(one["bagian_kelas"].values()), abs=1e-4)
        assert one["perkiraan"]["jiwa"] == pytest.approx(1000 * one["bagian"], abs=0.1)
        assert 0 <= one["bagian"] + one["bagian_tanpa_data"] <= 1 + 1e-5
    assert any(one["bagian_tanpa_data"] > 0.1 for one in found["desa"])
    [kabupaten] = found["wilayah"]["kabkota"]
    assert kabupaten["bagian_kelas"]["tinggi"] == pytest.approx(0.34, abs=0.08)
    most = answer(door, "wilayah-terdampak", {**inputs, "kelas_desa": "terbanyak"})
    assert {one["kelas"] for one in most["desa"]} == {"sedang", "tinggi"}


def test_a_shakemap_is_taken_inline_or_from_a_raster(door: httpx.Client) -> None:
    found = answer(door, "wilayah-terdampak", {"shakemap": grid_xml(), "mmi_minimum": 6})
    assert found["sumber_intensitas"].startswith("ShakeMap grid.xml (uji2022 v3")
    assert {one["kelas"] for one in found["desa"]} == {"VI", "VII"}
    assert all(one["mmi"] >= 6 for one in found["desa"])
    flat = answer(door, "wilayah-terdampak", {"shakemap": "mmi"})
    assert {(one["mmi"], one["kelas"]) for one in flat["desa"]} == {(6.7, "VII")}
    assert flat["sumber_intensitas"] == "MMI: mmi"


def test_a_shakemap_goes_through_the_form(door: httpx.Client) -> None:
    """A field of one line would run the lines of the grid together."""
    place = "/processes/wilayah-terdampak"
    page = door.get(place, params={"f": "html"}).text
    assert '<textarea id="in-shakemap"' in page
    fields = {"shakemap": grid_xml(nodes=61).replace("\n", "\r\n"), "mmi_minimum": "6", "area": ""}
    got = door.post(f"{place}/execution?f=html", data=fields)
    assert got.status_code == 200, got.text
    assert "VII" in got.text


def test_an_earthquake_of_bmkg_hits_desa_by_its_id(door: httpx.Client) -> None:
    found = answer(door, "wilayah-terdampak", {"kejadian": NEAR, "mmi_minimum": 2})
    assert found["desa"]
    assert {one["kode"][:2] for one in found["desa"]} == {"75"}
    assert found["catatan"] == []
    given = {"gempa": {"lon": 122.45, "lat": -0.7, "magnitudo": 5.3, "kedalaman_km": 10}, "mmi_minimum": 2}
    assert answer(door, "wilayah-terdampak", given) == found


def test_of_a_picture_nothing_is_read_and_the_answer_says_so(door: httpx.Client) -> None:
    found = answer(door, "wilayah-terdampak", {"kejadian": FELT, "koleksi": "gempa"})
    assert found["desa"] == []
    assert "shakemap_hanya_gambar" in found["catatan"]
    assert "Allen" in found["sumber_intensitas"]


def test_a_warning_of_bmkg_hits_desa_by_its_id(
    door: httpx.Client, filled: tuple[World, FeatureBatch]
) -> None:
    world, truth = filled
    info = world.catalog.versions.current("peringatan-cuaca")
    assert info is not None
    [batch] = list(world.store.reader(info).batches())
    assert batch.geometries is not None
    found = answer(door, "wilayah-terdampak", {"kejadian": batch.ids[0]})
    hit = np.flatnonzero(shapely.area(shapely.intersection(truth.geometries, batch.geometries[0])) > 0)
    assert {one["kode"] for one in found["desa"]} == {truth.ids[number] for number in hit.tolist()}
    assert found["desa"]
    assert all(one["kode"].startswith("75") for one in found["desa"])


def test_an_event_of_an_older_version(door: httpx.Client, filled: tuple[World, FeatureBatch]) -> None:
    """BMKG revised the magnitude: both answers can be had."""
    world, _ = filled
    place = np.array([shapely.Point(107.05, -6.86)], object)
    first = world.publish(
        "revisi", EVENTS, FeatureBatch(["e"], [{"magnitudo": 6.5, "kedalaman_km": 11.0}], place)
    )
    world.publish("revisi", EVENTS, FeatureBatch(["e"], [{"magnitudo": 5.0, "kedalaman_km": 11.0}], place))
    world.settings.processes.events = ["gempa", "revisi", "peringatan-cuaca", "tidak-ada"]
    until(lambda: door.get("/collections/revisi?f=json").json().get("version") == first + 1, "the revision")
    now = answer(door, "wilayah-terdampak", {"kejadian": "e", "koleksi": "revisi"})
    then = answer(door, "wilayah-terdampak", {"kejadian": "e", "koleksi": "revisi", "versi": first})
    assert len(then["desa"]) > len(now["desa"]) > 0


def test_the_nearest_over_roads(door: httpx.Client) -> None:
    point = {"type": "Point", "coordinates": CENTRE}
    rows = answer(door, "bantuan-terdekat", {"asal": point, "k": 3})
    assert [(row["id"], row["jarak_jenis"]) for row in rows] == [
        ("A", "jalan"),
        ("B", "jalan"),
        ("C", "geodesik"),
    ]
    a, b, c = rows
    assert a["jarak_m"] == pytest.approx(0.06 * 110_500, rel=0.01)
    assert b["jarak_m"] > 20_000
    assert a["waktu_menit"] == pytest.approx(a["jarak_m"] / 1000 / 40 * 60, abs=0.1)
    assert (a["status"], a["stok"]) == ("buka", {"beras": 7.0})
    assert "waktu_menit" not in c
    crow = answer(door, "bantuan-terdekat", {"asal": point, "k": 1, "jarak_jenis": "geodesik"})
    assert (crow[0]["id"], crow[0]["jarak_jenis"]) == ("B", "geodesik")


def register(count: int = 400) -> list[dict[str, Any]]:
    rng = np.random.default_rng(6)
    lon, lat = CENTRE[0] + rng.normal(0, 0.03, count), CENTRE[1] + rng.normal(0, 0.03, count)
    programmes = rng.choice(["PKH", "BPNT"], count).tolist()
    rows = zip(lon.tolist(), lat.tolist(), programmes, strict=True)
    return [{"bujur": x, "lintang": y, "program": p, "tahun": 2025} for x, y, p in rows]


def test_a_register_is_counted_per_h3_cell(door: httpx.Client) -> None:
    rows = register()
    inputs = {"data": rows, "lon": "bujur", "lat": "lintang", "h3": [5, 7], "menurut": ["program"]}
    found = answer(door, "agregasi", inputs)
    assert {row["tingkat"] for row in found["baris"]} == {"semua", "h3-5", "h3-7"}
    assert found["ditekan"] > 0
    assert all(row["jumlah"] is None or row["jumlah"] >= 5 for row in found["baris"])
    assert str(rows[0]["bujur"]) not in str(found)
    asked = {"inputs": inputs, "outputs": {"hasil": {"format": {"mediaType": "application/geo+json"}}}}
    layer = door.post("/processes/agregasi/execution", json=asked).json()
    shapes = {f["properties"]["kode"]: f["geometry"] for f in layer["features"]}
    assert shapes.pop("") is None
    assert all(shape["type"] == "Polygon" for shape in shapes.values())


def test_a_register_is_counted_in_the_desa_of_its_points(door: httpx.Client) -> None:
    inputs = {"data": register(), "lon": "bujur", "lat": "lintang", "tingkat": ["desa", "kabkota"]}
    found = answer(door, "agregasi", inputs)
    by_code = {row["kode"]: row["jumlah"] for row in found["baris"]}
    assert by_code["32.03"] == 400 - found["tanpa_wilayah"]
    asked = {"inputs": inputs, "outputs": {"hasil": {"format": {"mediaType": "text/csv"}}}}
    table = list(csv.DictReader(io.StringIO(door.post("/processes/agregasi/execution", json=asked).text)))
    assert len(table) == len(found["baris"])


def test_zonal_statistics_of_an_index(door: httpx.Client) -> None:
    rows = answer(
        door, "statistik-zonal", {"raster": "inarisk", "kode": ["32.03"], "batas_kelas": [0, 0.33, 0.66, 1]}
    )
    assert len(rows) == 360
    known = [row for row in rows if row["rata_rata"] is not None]
    assert all(0 <= row["min"] <= row["rata_rata"] <= row["maks"] <= 1 for row in known)
    assert np.mean([row["simpangan_baku"] for row in known]) == pytest.approx(0.28, abs=0.05)


def test_a_network_that_does_not_fit_its_settings_is_not_the_fault_of_who_asks(
    filled: tuple[World, FeatureBatch],
) -> None:
    world, _ = filled
    chosen = world.settings.model_copy(deep=True)
    chosen.processes.roads_speed = "laju"
    readers = Readers(world.store)
    try:
        with pytest.raises(NotConfiguredError) as error:
            Desk(chosen, world.catalog, readers).finder(Snapshot.build(world.catalog))
        assert error.value.params["setting"] == "processes.roads_speed"
        assert error.value.http_status == 503
    finally:
        readers.close()


POINT = {"type": "Point", "coordinates": list(CENTRE)}


@pytest.mark.parametrize(
    ("process", "inputs", "where"),
    [
        ("wilayah-terdampak", {"area": {"type": "FeatureCollection", "features": [None]}}, "inputs.area"),
        ("wilayah-terdampak", {"area": {"type": "FeatureCollection", "features": 3}}, "inputs.area"),
        ("bantuan-terdekat", {"asal": {"type": "Feature", "geometry": 1, "properties": []}}, "inputs.asal"),
        ("wilayah-terdampak", {"raster": "inarisk"}, "inputs.ambang"),
        ("wilayah-terdampak", {"raster": "inarisk", "ambang": [2, 1]}, "inputs.ambang"),
        ("wilayah-terdampak", {"raster": "inarisk", "ambang": [1], "kelas": ["a", "b"]}, "inputs.kelas"),
        ("wilayah-terdampak", {"raster": "inarisk", "ambang": [1], "band": 2}, "inputs.band"),
        ("wilayah-terdampak", {"raster": "batas", "ambang": [1]}, "inputs.raster"),
        ("wilayah-terdampak", {"raster": "../../etc/passwd", "ambang": [1]}, "inputs.raster"),
        ("wilayah-terdampak", {"shakemap": "http://10.0.0.1/grid.xml"}, "inputs.shakemap"),
        ("wilayah-terdampak", {"shakemap": {"href": "http://10.0.0.1/grid.xml"}}, "inputs.shakemap"),
        ("wilayah-terdampak", {"shakemap": "<a/>"}, "inputs.shakemap"),
        ("wilayah-terdampak", {"shakemap": "mmi", "ambang": [1]}, "inputs.ambang"),
        ("wilayah-terdampak", {"kejadian": "tidak-ada"}, "inputs.kejadian"),
        ("wilayah-terdampak", {"kejadian": NEAR, "koleksi": "batas"}, "inputs.koleksi"),
        ("wilayah-terdampak", {"kejadian": NEAR, "versi": 99}, "inputs.versi"),
        ("wilayah-terdampak", {"gempa": {"lon": 1, "lat": 1, "magnitudo": 5, "kedalaman_km": 1}, "versi": 1}, "inputs.versi"),
        ("bantuan-terdekat", {"asal": POINT, "jenis": ["bank"]}, "inputs.jenis"),
        ("bantuan-terdekat", {"asal": POINT, "jarak_jenis": "udara"}, "inputs.jarak_jenis"),
        ("bantuan-terdekat", {"asal": {"type": "Point", "coordinates": [500000, 1]}}, "inputs.asal"),
        ("agregasi", {"data": [{"x": 1.0, "y": 2.0}], "lon": "x", "h3": [5]}, "inputs.lat"),
        ("agregasi", {"data": [{"x": 1.0, "y": 2.0}], "lon": "x", "lat": "y", "h3": [12]}, "inputs.h3"),
        ("agregasi", {"data": [{"x": 1.0, "y": 2.0}], "lon": "x", "lat": "y", "kode": "x"}, "inputs.kode"),
        ("statistik-zonal", {"raster": "inarisk", "batas_kelas": [1, 0]}, "inputs.batas_kelas"),
        ("statistik-zonal", {"raster": "inarisk", "band": 9}, "inputs.band"),
        ("statistik-zonal", {"raster": "inarisk", "kode": ["99.99"]}, "inputs.kode.0"),
        ("statistik-zonal", {"raster": "tidak-ada"}, "inputs.raster"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(door: httpx.Client, process: str, inputs: Any, where: str) -> None:
    got = ask(door, process, inputs)
    assert got.status_code == 400, got.text
    assert got.json()["where"] == where
    assert orjson.loads(got.content)["detail"]


@pytest.mark.parametrize("roads", ["tidak-ada", ""])
def test_without_roads_aid_is_found_as_the_crow_flies(
    filled: tuple[World, FeatureBatch], door: httpx.Client, roads: str
) -> None:
    chosen = filled[0].settings.processes
    kept, chosen.roads = chosen.roads, roads
    try:
        assert answer(door, "bantuan-terdekat", {"asal": POINT, "k": 1})[0]["jarak_jenis"] == "geodesik"
        got = ask(door, "bantuan-terdekat", {"asal": POINT, "jarak_jenis": "jalan"})
        assert (got.status_code, got.json()["where"]) == (400, "inputs.jarak_jenis")
        assert "processes.roads" in got.json()["detail"]
    finally:
        chosen.roads = kept
