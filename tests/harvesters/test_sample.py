"""The invented kabupaten: seeded, a valid coverage, marked synthetic everywhere, and harvested for real."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import rasterio
import requests
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from catalog.config import load_sources
from catalog.model import RunState
from catalog.runs import Run
from catalog.sources import SourceConfig
from harvesters.sample.generate import generate
from harvesters.sample.land import make_land
from harvesters.sample.server import PAGE, SERVICE, app
from layers.contract import Query
from tests.harvesters.support import World
from tests.servers.thread import in_thread

CONFIG = Path(__file__).resolve().parents[2] / "config"
INDONESIA = shapely.box(95, -11, 141, 6)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contoh")
    generate(folder)
    return folder


@contextmanager
def running(folder: Path) -> Iterator[str]:
    with in_thread(app(folder)) as url:
        yield url


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def geometries(path: Path, layer: str) -> dict[str, shapely.Geometry]:
    with fiona.open(path, layer=layer) as source:
        return {f["properties"]["KD_DAGRI"]: shape(f["geometry"]) for f in source}


# -- the data -------------------------------------------------------------------------------------


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_land(sample: Path, tmp_path: Path):
    generate(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(sample)
    generate(tmp_path / "other", seed=7)
    assert digests(tmp_path / "other")["batas.gpkg"] != digests(sample)["batas.gpkg"]


def test_generating_twice_into_one_folder_replaces_the_files(sample: Path, tmp_path: Path):
    generate(tmp_path, seed=7)
    generate(tmp_path)
    assert digests(tmp_path) == digests(sample)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_any_seed_makes_a_valid_coverage(seed: int):
    land = make_land(np.random.default_rng(seed))
    desa = np.array([region.geometry for region in land.desa])
    assert len(desa) == 80
    assert shapely.is_valid(desa).all()
    assert shapely.coverage_is_valid(desa)
    kecamatan = [region.geometry for region in land.kecamatan]
    assert shapely.coverage_is_valid(kecamatan)
    assert land.provinsi[0].geometry.area == pytest.approx(shapely.area(desa).sum())
    assert {region.code[:8] for region in land.desa} == {region.code for region in land.kecamatan}


def test_desa_join_exactly_to_the_levels_above(sample: Path):
    desa = geometries(sample / "batas.gpkg", "desa")
    for level, digits in (("kecamatan", 6), ("kabupaten", 4), ("provinsi", 2)):
        for code, whole in geometries(sample / "batas.gpkg", level).items():
            parts = [g for key, g in desa.items() if key[:digits] == code]
            assert shapely.equals(shapely.coverage_union_all(parts), whole)


def test_the_land_is_in_the_sea_but_inside_indonesias_box_and_its_codes_are_nobodys(
    sample: Path, shared_data: Path
):
    land = geometries(sample / "batas.gpkg", "provinsi")["99"]
    assert INDONESIA.contains(land)
    with fiona.open(shared_data / "admin_light.gpkg", layer="provinsi") as source:
        real = [shape(feature["geometry"]) for feature in source]
    assert min(shapely.distance(real, land)) > 0.5
    with (sample / "kode-wilayah.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 92
    assert all(row["kode"].startswith("99") and "Contoh" in row["nama"] for row in rows)
    assert {row["induk"] for row in rows if row["induk"]} <= {row["kode"] for row in rows}


def test_every_facility_lies_in_the_desa_it_names(sample: Path):
    desa = geometries(sample / "batas.gpkg", "desa")
    with fiona.open(sample / "fasilitas.geojson") as source:
        features = list(source)
    assert len(features) > 100
    for feature in features:
        code = feature["properties"]["kode_desa"].replace(".", "")
        assert desa[code].contains(shape(feature["geometry"]))


def test_the_hazard_index_is_between_0_and_1_on_land_and_nodata_at_sea(sample: Path):
    with rasterio.open(sample / "bahaya-banjir.tif") as source:
        cells = source.read(1, masked=True)
        share = cells.count() * 0.001**2 / geometries(sample / "batas.gpkg", "provinsi")["99"].area
        assert source.nodata == -9999
    assert cells.min() >= 0
    assert cells.max() <= 1
    assert cells.max() > 0.66
    assert share == pytest.approx(1, abs=0.02)


def test_published_counts_are_never_small(sample: Path):
    with (sample / "penerima-bantuan.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    counts = [row[key] for row in rows for key in ("jumlah_penerima_pkh", "jumlah_penerima_sembako")]
    assert len(rows) == 80
    assert all(count == "" or int(count) >= 5 for count in counts)


# -- its upstream ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(sample: Path) -> Iterator[str]:
    with running(sample) as url:
        yield url


def ask(upstream: str, path: str = "", **params: str) -> Any:
    answer = requests.get(f"{upstream}{SERVICE}{path}", params={"f": "json", **params}, timeout=5)
    assert answer.status_code == 200
    return answer.json()


def test_it_pages_as_arcgis_does(upstream: str):
    ids = ask(upstream, "/3/query", where="1=1", returnIdsOnly="true")["objectIds"]
    assert len(ids) == 80
    assert max(ids) > 80  # gaps
    page = ask(upstream, "/3/query", where="OBJECTID >= 1 AND OBJECTID <= 100", outFields="*")
    assert len(page["features"]) == PAGE
    assert page["exceededTransferLimit"] is True
    rest = ask(upstream, "/3/query", where="1=1", orderByFields="OBJECTID", resultOffset="75")
    assert len(rest["features"]) == 5
    assert "exceededTransferLimit" not in rest


def test_geojson_and_esri_answers_hold_the_same_shapes(upstream: str):
    esri = ask(upstream, "/3/query", objectIds="1,2,3", outFields="*")
    plain = requests.post(
        f"{upstream}{SERVICE}/3/query",
        data={"f": "geojson", "objectIds": "1,2,3", "outFields": "*"},
        timeout=5,
    ).json()
    for a, b in zip(esri["features"], plain["features"], strict=True):
        assert a["attributes"] == b["properties"]
        rings = [shapely.Polygon(ring) for ring in a["geometry"]["rings"]]
        assert shapely.area(rings).sum() == pytest.approx(shape(b["geometry"]).area)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/9/query", {"where": "1=1"}),
        ("/3/query", {"where": "TIDAK_ADA = 1"}),
        ("/3/query", {"where": "1=1; DROP TABLE desa"}),
        ("/3/query", {"objectIds": "satu"}),
        ("/3/query", {"where": "1=1", "outSR": "3857"}),
    ],
)
def test_errors_come_inside_http_200(upstream: str, path: str, params: dict[str, str]):
    assert ask(upstream, path, **params)["error"]["code"] == 400


def test_codes_can_be_asked_for(upstream: str):
    found = ask(upstream, "/3/query", where="KDCPUM = '99.01.01'", returnCountOnly="true")
    listed = ask(upstream, "/3/query", where="(KDCPUM IN ('99.01.01', 'x'))", returnIdsOnly="true")
    assert found["count"] == len(listed["objectIds"]) > 0


# -- the sources that ship ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("rumah"))
    generate(world.settings.data_dir / "sample")
    yield world
    world.close()


SOURCES = [source for source in load_sources(CONFIG) if source.synthetic]


def at(upstream: str, source: SourceConfig) -> SourceConfig:
    """Return the source with its upstream where this test run has it."""
    return source.model_copy(update={"url": source.url.replace("http://127.0.0.1:8765", upstream)})


@pytest.fixture(scope="module")
def runs(world: World, upstream: str) -> dict[str, Run]:
    """Every sample source harvested once."""
    return {source.id: world.harvest(at(upstream, source)) for source in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
def test_every_sample_source_is_harvested_and_is_unchanged_the_second_time(
    source: SourceConfig, world: World, runs: dict[str, Run], upstream: str
):
    run = runs[source.id]
    assert run.state is RunState.OK, (run.reason, world.catalog.runs.errors(run.id))
    assert run.counts.failed == run.counts.repaired == 0
    for layer in source.layers:
        dataset = world.catalog.datasets.get(str(layer.id))
        assert dataset.version is not None
        assert dataset.record.synthetic
        assert "sintetis" in dataset.record.lineage
        assert "(contoh sintetis)" in dataset.record.title.id
        assert "synthetic" in dataset.record.title.en
    assert world.harvest(at(upstream, source)).state is RunState.UNCHANGED


@pytest.mark.usefixtures("runs")
def test_the_sample_codes_are_a_reference_of_a_year_that_no_real_list_has(world: World):
    assert world.catalog.regions.vintages("kemendagri") == [2099]
    desa = world.catalog.regions.get("kemendagri", 2099, "99.01.01.1001")
    assert desa is not None
    assert (desa.name, desa.parent) == ("Contoh Anggrek Satu", "99.01.01")


def test_one_source_at_least_comes_over_http():
    assert any(source.type == "arcgis" for source in SOURCES)


@pytest.mark.usefixtures("runs")
def test_what_is_served_is_what_was_generated(world: World, sample: Path):
    rows = world.rows("contoh-batas-desa")
    assert len(rows) == 80
    assert {row["KDEPUM"].replace(".", "") for row in rows.values()} == set(
        geometries(sample / "batas.gpkg", "desa")
    )
    aid = world.rows("contoh-penerima-bantuan")
    assert set(aid) == {row["KDEPUM"] for row in rows.values()}
    assert all(isinstance(row["jumlah_keluarga"], int) for row in aid.values())
    assert all(0 <= row["persen_penerima_sembako"] <= 100 for row in aid.values())
    info = world.live("contoh-logistik")
    assert info is not None
    stores = world.store.reader(info).page(Query(equals=(("status", "siap"),)))
    assert stores.matched >= 2


@pytest.mark.parametrize(
    ("kind", "name", "feature_id"),
    [
        ("file", "fasilitas.geojson", "id"),
        ("file", "zona-banjir.zip", "id"),
        ("raster", "bahaya-banjir.tif", None),
    ],
)
def test_a_file_over_http_is_fetched_once_and_then_only_asked_about(
    kind: str, name: str, feature_id: str | None, tmp_path: Path, upstream: str
):
    world = World(tmp_path)
    layer = {"remote": name.partition(".")[0], "id": "berkas", "feature_id": feature_id}
    source = SourceConfig.model_validate(
        {
            "id": "unduhan",
            "type": kind,
            "url": f"{upstream}/berkas/{name}",
            "produsen_data": "Dinas",
            "layers": [layer],
        }
    )
    first = world.harvest(source)
    assert first.state is RunState.OK, (first.reason, world.catalog.runs.errors(first.id))
    record = world.catalog.datasets.get("berkas").record
    second = world.harvest(source)
    assert second.state is RunState.UNCHANGED
    assert second.details["datasets"].get("berkas", {"code": "not-modified"})["code"] == "not-modified"
    assert "same-listing" not in str(second.details)  # that would have fetched it all
    assert world.catalog.datasets.get("berkas").record == record
    world.close()


@pytest.mark.parametrize("kind", ["file", "raster"])
def test_an_http_file_that_is_not_there_is_told_by_the_check(kind: str, tmp_path: Path, upstream: str):
    world = World(tmp_path, retries=0)
    source = SourceConfig.model_validate(
        {
            "id": "unduhan", "type": kind, "url": f"{upstream}/berkas/tidak-ada.tif", "produsen_data": "Dinas",
            "layers": [{"remote": "*"}],
        }
    )  # fmt: skip
    run = world.harvest(source)
    world.close()
    assert run.state is RunState.FAILED
    assert "404" in run.reason
