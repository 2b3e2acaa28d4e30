"""The ministry's questions over HTTP: real Cianjur, invented warehouses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from catalog.model import DatasetRecord, FieldDef, FieldType, LayerSchema, Localized, RegionCode
from catalog.settings import ProcessSettings
from layers.contract import FeatureBatch
from layers.raster import write_cog
from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, desa, make_settings, open_world, points
from tests.servers import until

SCHEME = RegionCode(field="kode", vintage=2025)
BOUNDARIES = LayerSchema(
    (FieldDef("kode"), FieldDef("nama")), "MultiPolygon", "EPSG:4326", region_code=SCHEME
)
PEOPLE = LayerSchema((FieldDef("kode"), FieldDef("jiwa", FieldType.INTEGER)), region_code=SCHEME)
STORES = LayerSchema(
    (FieldDef("nama"), FieldDef("jenis"), FieldDef("status"), FieldDef("beras", FieldType.INTEGER)), "Point"
)
EVENTS = LayerSchema(
    (FieldDef("magnitudo", FieldType.REAL), FieldDef("kedalaman_km", FieldType.REAL)), "Point"
)
HERE = {"lon": 107.139, "lat": -6.822}


def fill(world: World, data: Path) -> None:
    """Boundaries, counts, stores, an event; and a layer that is not public."""
    villages = desa(data)
    rows = [{"kode": k, "nama": r["nama"]} for k, r in zip(villages.ids, villages.rows, strict=True)]
    world.publish("batas", BOUNDARIES, FeatureBatch(villages.ids, rows, villages.geometries))
    counts = [{"kode": kode, "jiwa": 1000 + n} for n, kode in enumerate(villages.ids)]
    world.publish("jiwa", PEOPLE, FeatureBatch(villages.ids, counts), kind="table")
    world.publish("jiwa-rahasia", PEOPLE, FeatureBatch(villages.ids, counts), kind="table", access="terbatas")
    some = points(5)
    stores = [
        {"nama": f"Gudang {i}", "jenis": "lumbung", "status": "siap", "beras": int(i)} for i in some.ids
    ]
    world.publish("gudang", STORES, FeatureBatch(some.ids, stores, some.geometries), synthetic=True)
    quake = FeatureBatch(
        ["cianjur-2022"], [{"magnitudo": 5.6, "kedalaman_km": 11.0}],
        np.array([shapely.Point(107.05, -6.86)], dtype=object),
    )  # fmt: skip
    world.publish("gempa", EVENTS, quake)


LAYERS = ProcessSettings(boundaries="batas", facilities="gudang", people="jiwa", events="gempa")


@pytest.fixture(scope="module")
def cianjur(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("processes"), processes=LAYERS))
    fill(made, shared_data)
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(cianjur: World) -> Iterator[httpx.Client]:
    with running(cianjur) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def ask(door: httpx.Client, process: str, inputs: Any, **more: Any) -> httpx.Response:
    return door.post(f"/processes/{process}/execution", json={"inputs": inputs, **more})


def answer(door: httpx.Client, process: str, inputs: Any) -> Any:
    got = ask(door, process, inputs)
    assert got.status_code == 200, got.text
    return got.json()


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> FeatureBatch:
    return desa(shared_data)


def inside(truth: FeatureBatch, row: int) -> shapely.Point:
    assert truth.geometries is not None
    return shapely.point_on_surface(truth.geometries[row])


def test_every_process_is_listed_and_described_in_two_languages(door: httpx.Client) -> None:
    listed = door.get("/processes").json()["processes"]
    assert [one["id"] for one in listed] == list(PROCESSES)
    for one in listed:
        for lang in ("id", "en"):
            doc = door.get(f"/processes/{one['id']}", params={"lang": lang}).json()
            assert doc["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
            for said in (*doc["inputs"].values(), *doc["outputs"].values()):
                assert said["title"]
                assert not said["title"].startswith("process.")
                assert "$ref" not in json.dumps(said["schema"])
            assert set(doc["outputs"]) == {"hasil"}


def test_the_inputs_have_the_fixed_names(door: httpx.Client) -> None:
    def names(process: str) -> set[str]:
        return set(door.get(f"/processes/{process}").json()["inputs"])

    assert names("verifikasi-lokasi") == {
        "lon",
        "lat",
        "kode",
        "skema",
        "vintage",
        "toleransi_m",
        "titik",
        "berkas_register",
        "koleksi",
        "kolom_kode",
    }
    assert names("wilayah-terdampak") >= {"area", "kejadian", "gempa"}
    assert names("bantuan-terdekat") >= {"asal", "jenis", "k"}
    assert names("alokasi-bantuan") >= {"kebutuhan", "stok", "tujuan_fungsi"}
    assert names("rekonsiliasi") >= {"a", "b", "kunci", "nilai", "vintage_a", "vintage_b"}


def test_a_point_is_verified(door: httpx.Client, truth: FeatureBatch) -> None:
    place = inside(truth, 7)
    good = {"lon": place.x, "lat": place.y, "kode": truth.ids[7]}
    (verdict,) = answer(door, "verifikasi-lokasi", good)
    assert verdict == {
        "verdik": "sesuai", "kode_nyata": truth.ids[7], "nama_nyata": truth.rows[7]["nama"], "jarak_m": 0.0,
    }  # fmt: skip
    (other,) = answer(door, "verifikasi-lokasi", {**good, "kode": truth.ids[200]})
    assert other["verdik"] == "tidak_sesuai"
    assert other["kode_nyata"] == truth.ids[7]
    assert other["jarak_m"] > 100


def test_many_points_are_verified_in_their_order(door: httpx.Client, truth: FeatureBatch) -> None:
    places = [inside(truth, row) for row in range(50)]
    titik = [{"lon": p.x, "lat": p.y, "kode": k} for p, k in zip(places, truth.ids, strict=False)]
    titik.append({"lon": "6°49' LS", "lat": None, "kode": "x"})
    found = answer(door, "verifikasi-lokasi", {"titik": titik})
    assert [one["kode_nyata"] for one in found[:50]] == truth.ids[:50]
    assert {one["verdik"] for one in found[:50]} == {"sesuai"}
    assert found[50]["verdik"] == "koordinat_tidak_sah"


def test_raw_is_the_value_and_document_names_the_output(door: httpx.Client) -> None:
    inputs = {**HERE, "kode": "32.03.01.2001"}
    bare = ask(door, "verifikasi-lokasi", inputs, response="raw").json()
    assert ask(door, "verifikasi-lokasi", inputs, response="document").json() == {"hasil": bare}
    area = {"area": shapely.geometry.mapping(shapely.Point(107.14, -6.82).buffer(0.01))}
    bare = ask(door, "wilayah-terdampak", area).json()
    wrapped = ask(door, "wilayah-terdampak", area, response="document", outputs={"hasil": {}}).json()
    assert wrapped == {"hasil": {"value": bare}}


def test_codes_of_many_unknown_years_cost_no_more_than_one(door: httpx.Client) -> None:
    titik = [{**HERE, "kode": "32.03.01.2001", "vintage": 1900 + n} for n in range(1000)]
    began = time.perf_counter()
    found = answer(door, "verifikasi-lokasi", {"titik": titik})
    assert time.perf_counter() - began < 60  # a second on a quiet machine
    assert {one["verdik"] for one in found} == {found[0]["verdik"]}


def test_an_area_hits_desa_and_their_people(door: httpx.Client, truth: FeatureBatch) -> None:
    assert truth.geometries is not None
    whole = truth.geometries[3].buffer(0.0001)
    found = answer(door, "wilayah-terdampak", {"area": {"value": shapely.geometry.mapping(whole)}})
    hit = {one["kode"]: one for one in found["desa"]}
    assert hit[truth.ids[3]]["bagian"] == pytest.approx(1, abs=1e-6)
    assert hit[truth.ids[3]]["jumlah"] == {"jiwa": 1003.0}
    assert set(found["wilayah"]) == {"kecamatan", "kabkota", "provinsi"}


def test_an_earthquake_and_the_event_of_it_hit_the_same(door: httpx.Client) -> None:
    gempa = {"lon": 107.05, "lat": -6.86, "magnitudo": 5.6, "kedalaman_km": 11}
    given = answer(door, "wilayah-terdampak", {"gempa": gempa})
    assert given["desa"]
    assert "doi:10.1007" in given["sumber_intensitas"]
    assert answer(door, "wilayah-terdampak", {"kejadian": "cianjur-2022"}) == given


def test_the_nearest_stores_come_in_order(door: httpx.Client) -> None:
    rows = answer(
        door, "bantuan-terdekat", {"asal": {"type": "Point", "coordinates": [107.12, -6.82]}, "k": 3}
    )
    assert [row["urutan"] for row in rows] == [1, 2, 3]
    assert rows == sorted(rows, key=lambda row: row["jarak_m"])
    assert rows[0]["id"] == "2"
    assert rows[0]["jarak_jenis"] == "geodesik"
    codes = answer(door, "bantuan-terdekat", {"asal": ["32.03.01.2001"], "jenis": ["lumbung"], "k": 1})
    assert len(codes) == 1


def test_aid_is_allocated_and_what_is_short_is_told(door: httpx.Client) -> None:
    inputs = {
        "kebutuhan": [{"kode": "32.03.01.2001", "item": "beras", "jumlah": 10}],
        "stok": [{"gudang": "A", "item": "beras", "jumlah": 8, "lon": 107.1, "lat": -6.8}],
    }
    plan = answer(door, "alokasi-bantuan", inputs)
    assert [row["jumlah"] for row in plan["kiriman"]] == [8]
    [unmet] = plan["tidak_terpenuhi"]
    assert (unmet["kode"], unmet["jumlah"], unmet["alasan"]) == ("32.03.01.2001", 2, "stok_kurang")
    assert (unmet["lon"], unmet["lat"]) == (plan["kiriman"][0]["lon"], plan["kiriman"][0]["lat"])


def test_a_collection_is_reconciled_with_rows(door: httpx.Client, truth: FeatureBatch) -> None:
    rows = [{"kode": truth.ids[0], "jiwa": 1000}, {"kode": truth.ids[1], "jiwa": 7}]
    found = answer(
        door, "rekonsiliasi", {"a": "jiwa", "b": rows, "kunci": "kode", "nilai": ["jiwa"], "vintage_b": 2025}
    )
    assert found["jumlah"] == {"cocok": 1, "hanya_di_a": 358, "nilai_berbeda": 1}
    assert "cocok" not in {row["kelas"] for row in found["baris"]}


def test_an_aggregate_is_always_protected(door: httpx.Client, truth: FeatureBatch) -> None:
    named = ask(door, "agregasi", {"data": [{"kode": truth.ids[0], "nik": "3203011234567890"}]})
    assert named.status_code == 400
    assert "3203011234567890" not in named.text
    rows = [{"kode": truth.ids[0], "program": "PKH"}] * 3
    rows += [{"kode": truth.ids[0], "program": "BPNT"}] * 20
    got = ask(door, "agregasi", {"data": rows, "menurut": ["program"], "tingkat": ["desa"]})
    assert got.status_code == 200, got.text
    cells = {row["program"]: row for row in got.json()["baris"] if row["tingkat"] == "desa"}
    assert "PKH" not in got.text  # three rows have it: it goes with other rare values
    assert cells["lainnya"]["ditekan"] is True
    assert cells["lainnya"]["jumlah"] is None
    assert ask(door, "agregasi", {"data": rows, "ambang": 1}).status_code == 400


def publish_raster(world: World, folder: Path) -> None:
    """A raster that is 1 west of 107 degrees E and 3 east of it."""
    pixels = np.where(np.arange(300) < 150, 1.0, 3.0).astype("float32") * np.ones((300, 1), "float32")
    made = folder / "bahaya.tif"
    place = from_origin(106.25, -6.25, 0.005, 0.005)
    shape = {
        "width": 300,
        "height": 300,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "transform": place,
    }
    with rasterio.open(made, "w", driver="GTiff", **shape) as file:
        file.write(pixels, 1)
    info = write_cog(made, world.settings.data_dir / "layers", "bahaya", 1, "")
    said = DatasetRecord(title=Localized(id="Bahaya"), produsen_data="uji")
    world.catalog.datasets.put(
        "bahaya", source_id="uji", remote_id="b", kind="raster", record=said, run_id=""
    )
    world.catalog.versions.register(info)
    world.catalog.versions.make_current("bahaya", 1, by="tests")


def test_a_raster_is_summed_up_per_desa(
    fresh: World, shared_data: Path, tmp_path: Path, truth: FeatureBatch
) -> None:
    fresh.settings.processes = LAYERS
    fill(fresh, shared_data)
    publish_raster(fresh, tmp_path)
    assert truth.geometries is not None
    west = next(n for n, shape in enumerate(truth.geometries) if shape.bounds[2] < 106.99)
    east = next(n for n, shape in enumerate(truth.geometries) if shape.bounds[0] > 107.01)
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        codes = [truth.ids[west], truth.ids[east]]
        inputs = {"raster": "bahaya", "kode": codes, "batas_kelas": [0, 2, 4]}
        rows = {row["kode"]: row for row in answer(door, "statistik-zonal", inputs)}
        assert rows[codes[0]]["rata_rata"] == pytest.approx(1)
        assert rows[codes[1]]["rata_rata"] == pytest.approx(3)
        assert rows[codes[1]]["kelas_2_4"] == pytest.approx(1)
        assert len(answer(door, "statistik-zonal", {"raster": "bahaya", "kode": ["32.03"]})) == 360
        assert ask(door, "statistik-zonal", {"raster": "batas"}).status_code == 400


@pytest.mark.parametrize(
    ("process", "inputs", "where"),
    [
        ("verifikasi-lokasi", {"lat": 1, "kode": "x"}, "inputs.lon"),
        ("verifikasi-lokasi", {**HERE, "kode": "x", "titik": []}, "inputs.titik"),
        ("verifikasi-lokasi", {"titik": [{**HERE, "kode": "x"}, {"lon": 1, "lat": 2}]}, "inputs.titik.1.kode"),
        ("verifikasi-lokasi", {**HERE, "kode": "x", "toleransi_m": -1}, "inputs.toleransi_m"),
        ("verifikasi-lokasi", {**HERE, "kode": "x", "skema": "lain"}, "inputs.skema"),
        ("verifikasi-lokasi", {**HERE, "kode": "x", "nik": "3203011234567890"}, "inputs.nik"),
        ("wilayah-terdampak", {}, "inputs.area"),
        ("wilayah-terdampak", {"kejadian": "a", "area": {"type": "Point"}}, "inputs.kejadian"),
        ("wilayah-terdampak", {"gempa": {"lon": 1, "lat": 2, "magnitudo": 99, "kedalaman_km": 1}},
         "inputs.gempa.magnitudo"),
        ("bantuan-terdekat", {"k": 1}, "inputs.asal"),
        ("bantuan-terdekat", {"asal": ["32.03.01.2001"], "k": 0}, "inputs.k"),
        ("bantuan-terdekat", {"asal": {"href": "http://10.0.0.1/x"}}, "inputs.asal"),
        ("alokasi-bantuan", {"kebutuhan": [{"kode": "99.99.99.9999", "item": "b", "jumlah": 1}],
                             "stok": [{"gudang": "A", "item": "b", "jumlah": 1}]}, "inputs.kebutuhan.0.kode"),
        ("alokasi-bantuan", {"kebutuhan": [{"kode": "x", "item": "b", "jumlah": 1}] * 5001,
                             "stok": [{"gudang": "A", "item": "b", "jumlah": 1}] * 1000}, "inputs.kebutuhan"),
        ("rekonsiliasi", {"a": [{"kode": "1"}], "b": "jiwa", "kunci": "kode", "nilai": ["x"]}, "inputs.a"),
        ("statistik-zonal", {}, "inputs.raster"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(door: httpx.Client, process: str, inputs: Any, where: str) -> None:
    got = ask(door, process, inputs)
    assert got.status_code == 400, got.text
    assert got.json()["where"] == where
    assert "3203011234567890" not in got.text


@pytest.mark.parametrize(
    "body", ["[]", "1", "", "{", '{"inputs": []}', '{"inputs": {}, "outputs": {"x": {}}}']
)
def test_a_body_that_is_no_request_is_refused(door: httpx.Client, body: str) -> None:
    got = door.post(
        "/processes/agregasi/execution", content=body, headers={"Content-Type": "application/json"}
    )
    assert got.status_code == 400
    assert got.headers["content-type"] == "application/problem+json"


def test_nobody_is_called_back(door: httpx.Client) -> None:
    subscriber = {"successUri": "http://127.0.0.1:9/x"}
    got = ask(door, "verifikasi-lokasi", {**HERE, "kode": "x"}, subscriber=subscriber)
    assert (got.status_code, got.json()["where"]) == (400, "subscriber")


def test_what_is_not_public_can_not_be_reconciled(door: httpx.Client) -> None:
    hidden = ask(door, "rekonsiliasi", {"a": "jiwa-rahasia", "b": "jiwa", "kunci": "kode"})
    absent = ask(door, "rekonsiliasi", {"a": "tidak-ada", "b": "jiwa", "kunci": "kode"})
    assert (hidden.status_code, hidden.json()["where"]) == (400, "inputs.a")
    assert hidden.json()["detail"] == absent.json()["detail"]


def test_an_unknown_process_has_the_type_of_the_standard(door: httpx.Client) -> None:
    for got in (door.get("/processes/tidak-ada"), ask(door, "tidak-ada", {})):
        assert got.status_code == 404
        assert got.json()["type"].endswith("/ogcapi-processes-1/1.0/no-such-process")
    assert door.get("/processes/agregasi/execution").status_code == 405


def test_a_missing_layer_is_said_with_its_setting(client: httpx.Client) -> None:
    got = ask(client, "verifikasi-lokasi", {**HERE, "kode": "32.03.01.2001"})
    assert got.status_code == 503
    assert "processes.boundaries" in got.json()["hint"]


def test_a_new_version_of_the_boundaries_is_asked(
    fresh: World, shared_data: Path, truth: FeatureBatch
) -> None:
    fresh.settings.processes = LAYERS
    fill(fresh, shared_data)
    place = inside(truth, 0)
    question = {"lon": place.x, "lat": place.y, "kode": truth.ids[0]}
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        assert answer(door, "verifikasi-lokasi", question)[0]["nama_nyata"] == truth.rows[0]["nama"]
        renamed = [{"kode": kode, "nama": "Baru"} for kode in truth.ids]
        fresh.publish("batas", BOUNDARIES, FeatureBatch(truth.ids, renamed, truth.geometries))
        # answers go on while the new index is made
        until(lambda: answer(door, "verifikasi-lokasi", question)[0]["nama_nyata"] == "Baru", "the new names")


@pytest.mark.parametrize("lang", ["id", "en"])
def test_the_form_works_without_javascript(door: httpx.Client, truth: FeatureBatch, lang: str) -> None:
    page = door.get("/processes/verifikasi-lokasi", params={"f": "html", "lang": lang})
    assert page.status_code == 200
    action = (
        page.text.split('<form class="ask" method="post" action="')[1].split('"')[0].replace("&amp;", "&")
    )
    place = inside(truth, 4)
    fields = {"lon": str(place.x), "lat": str(place.y), "kode": truth.ids[4], "titik": "", "skema": ""}
    got = door.post(action, data=fields, headers={"Accept": "text/html"})
    assert got.status_code == 200, got.text
    assert "sesuai" in got.text
    assert truth.rows[4]["nama"] in got.text
    wrong = door.post(action, data={**fields, "lon": ""}, headers={"Accept": "text/html"})
    assert wrong.status_code == 400
    assert wrong.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("process", list(PROCESSES))
def test_every_process_has_a_page_with_a_form(door: httpx.Client, process: str) -> None:
    page = door.get(f"/processes/{process}", headers={"Accept": "text/html"}).text
    assert "<form" in page
    assert "process." not in page


_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6),
    st.sampled_from(["kode", "jiwa", "batas", "gudang", "gempa", "32.03.01.2001", "3203", "2025", "lumbung"]),
)  # fmt: skip
_GEOMETRY = st.fixed_dictionaries(
    {"type": st.sampled_from(["Point", "Polygon", "MultiPolygon", "GeometryCollection", "Feature", "FeatureCollection"])},
    optional={
        "coordinates": st.one_of(
            st.recursive(st.floats(-200, 200), lambda inner: st.lists(inner, max_size=4), max_leaves=12),
            st.just([[[107, -7], [108, -7], [108, -6], [107, -7]]]), st.just([107.1, -6.8]),
        ),
        "geometry": st.sampled_from([None, 1, {"type": "Point", "coordinates": [107.1, -6.8]}]),
        "features": st.sampled_from([None, [], [None], [{"type": "Feature", "geometry": None}], 3]),
        "geometries": st.sampled_from([[], [{"type": "Point", "coordinates": []}], None]),
        "properties": st.sampled_from([None, [], "x", {"kelas": 3}]),
    },
)  # fmt: skip
_ANY = st.recursive(
    st.one_of(_LEAF, _GEOMETRY),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["lon", "lat", "kode", "item", "jumlah", "gudang", "a", "b", "magnitudo", "kedalaman_km"]),
            inner, max_size=4,
        ),
    ),
    max_leaves=6,
)  # fmt: skip


_GOOD: dict[str, dict[str, Any]] = {
    "verifikasi-lokasi": {**HERE, "kode": "32.03.01.2001"},
    "bantuan-terdekat": {"asal": ["32.03.01.2001"], "k": 2},
    "statistik-zonal": {"raster": "bahaya"},
    "alokasi-bantuan": {
        "kebutuhan": [{"kode": "32.03.01.2001", "item": "b", "jumlah": 3}],
        "stok": [{"gudang": "A", "item": "b", "jumlah": 2, "lon": 107.1, "lat": -6.8}],
    },
    "rekonsiliasi": {"a": "jiwa", "b": [{"kode": "32.03.01.2001", "jiwa": 3}], "kunci": "kode"},
    "agregasi": {"data": [{"kode": "32.03.01.2001", "jiwa": 3}]},
}


_FIELDS = [(process, name) for process, one in PROCESSES.items() for name in one.model.model_fields]


@pytest.mark.parametrize(("process", "name"), _FIELDS)
def test_every_input_of_a_wrong_kind_is_named(door: httpx.Client, process: str, name: str) -> None:
    got = ask(door, process, {**_GOOD.get(process, {}), name: {"tidak": ["3203011234567890"]}})
    assert got.status_code == 400, got.text
    assert got.json()["where"].split(".")[:2] == ["inputs", name]
    assert "3203011234567890" not in got.text
    got = ask(door, process, {**_GOOD.get(process, {}), name: [[{}]]})
    assert got.status_code == 400, got.text
    assert got.json()["where"].split(".")[:2] == ["inputs", name]


@settings(max_examples=300)
@given(data=st.data())
def test_no_inputs_are_a_server_error(door: httpx.Client, data: st.DataObject) -> None:
    process = data.draw(st.sampled_from(list(PROCESSES)))
    names = list(PROCESSES[process].model.model_fields)
    changed = data.draw(st.dictionaries(st.sampled_from(names), st.one_of(_GEOMETRY, _ANY), max_size=2))
    inputs = {**data.draw(st.sampled_from([_GOOD.get(process, {}), {}])), **changed}
    got = ask(door, process, inputs)
    assert got.status_code in (200, 400, 404), (process, inputs, got.text)
    if got.status_code != 200:
        assert got.headers["content-type"] == "application/problem+json"
        where = got.json().get("where", "")
        assert where.startswith("inputs.") or got.status_code == 404, (process, inputs, got.text)
        assert where.split(".")[1] in names or "unknown" in got.text or got.status_code == 404
