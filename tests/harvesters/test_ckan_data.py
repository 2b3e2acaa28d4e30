"""The data behind CKAN's resources through the engine: judged by bytes, counted, unchanged when unchanged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from catalog.model import RunState
from catalog.runs import Run
from catalog.settings import Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.engine.engine import Engine
from layers.contract import LayerStore, Query
from layers.open import open_store
from tests.servers.ckan_speaker import Speaker, speaking

type Harvest = Callable[..., Run]

CSV = "text/csv", "kode;nama;korban\n01.02;Cianjur;3\n01.03;Cugenang;5\n".encode("cp1252")
PNG = "image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))
LOGIN = "text/html", b"<!DOCTYPE html><html><body><form>Masuk</form></body></html>"


@pytest.fixture
def site() -> Iterator[Speaker]:
    with speaking() as speaker:
        yield speaker


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({
        "data_dir": tmp_path,
        "harvest": {"allow_networks": ["127.0.0.0/8"], "retries": 1, "backoff_seconds": 0},
    })  # fmt: skip


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    with Catalog.open(settings.database_url()) as opened:
        yield opened


@pytest.fixture
def store(settings: Settings) -> LayerStore:
    return open_store(settings)


@pytest.fixture
def harvest(site: Speaker, settings: Settings, catalog: Catalog, store: LayerStore) -> Harvest:
    def run(*layers: dict[str, Any], **options: Any) -> Run:
        source = SourceConfig.model_validate({
            "id": "bnpb", "type": "ckan", "url": site.url, "produsen_data": "BNPB",
            "options": {"data": True, **options}, "layers": layers or [{"remote": "*"}],
        })  # fmt: skip
        return Engine(settings, catalog, store, hooks=[]).run(source)

    return run


def offer(site: Speaker, file: tuple[str, bytes], *, format_: str = "CSV", **more: Any) -> None:
    """Put one package with one resource on the site."""
    site.files["/unduh/korban.csv"] = file
    resource = {"id": "0a1b2c3d-res", "name": "Korban", "format": format_, "url": f"{site.url}/unduh/korban.csv",
                **more}  # fmt: skip
    site.packages["korban"] = {
        "id": "pkg",
        "name": "korban",
        "title": "Korban bencana",
        "resources": [resource],
    }


def rows(catalog: Catalog, store: LayerStore, dataset_id: str) -> list[dict[str, Any]]:
    version = catalog.datasets.get(dataset_id).version
    assert version is not None
    features = store.reader(version).page(Query(limit=1000)).features
    return [json.loads(feature)["properties"] for feature in features]


def test_a_file_is_harvested_and_not_fetched_again_while_unchanged(
    site: Speaker, harvest: Harvest, catalog: Catalog, store: LayerStore
) -> None:
    offer(site, CSV)
    first = harvest()
    assert (first.state, first.reason) == (RunState.OK, "")
    assert [(r["kode"], r["korban"]) for r in rows(catalog, store, "bnpb-korban-0a1b2c3d")] == [
        ("01.02", 3), ("01.03", 5),
    ]  # fmt: skip
    assert catalog.datasets.get("bnpb-korban").kind == "record"
    assert catalog.datasets.get("bnpb-korban-0a1b2c3d").record.title.id == "Korban bencana: Korban"
    second = harvest()
    assert second.state is RunState.UNCHANGED
    assert second.layers["bnpb-korban-0a1b2c3d"].unchanged == 2
    assert catalog.datasets.get("bnpb-korban-0a1b2c3d").record.extras["berkas_format"] == "csv"


def test_a_picture_said_to_be_csv_is_kept_by_reference(
    site: Speaker, harvest: Harvest, catalog: Catalog
) -> None:
    offer(site, PNG)
    run = harvest()
    assert run.state is RunState.OK
    dataset = catalog.datasets.get("bnpb-korban-0a1b2c3d")
    assert (dataset.kind, dataset.version) == ("record", None)
    assert any(link.href.endswith("/unduh/korban.csv") for link in dataset.record.links)
    [error] = catalog.runs.errors(run.id)
    assert (error.code, error.severity) == ("not-data", "warning")


def test_a_login_page_in_place_of_data_keeps_the_last_good_version(
    site: Speaker, harvest: Harvest, catalog: Catalog, store: LayerStore
) -> None:
    offer(site, CSV)
    harvest()
    offer(site, LOGIN)
    run = harvest()
    assert run.state is RunState.INCOMPLETE
    assert catalog.datasets.get("bnpb-korban-0a1b2c3d").kind == "table"
    assert len(rows(catalog, store, "bnpb-korban-0a1b2c3d")) == 2


def test_a_table_that_ckan_only_says_to_have_is_read_from_its_file(
    site: Speaker, harvest: Harvest, catalog: Catalog, store: LayerStore
) -> None:
    offer(site, CSV, datastore_active=True)
    assert harvest().state is RunState.OK
    assert len(rows(catalog, store, "bnpb-korban-0a1b2c3d")) == 2


def test_a_datastore_table_with_coordinates_becomes_points(
    site: Speaker, harvest: Harvest, catalog: Catalog, store: LayerStore
) -> None:
    offer(site, CSV, datastore_active=True)
    fields = [{"id": "_id", "type": "int"}, {"id": "nama", "type": "text"}, {"id": "bujur", "type": "numeric"},
              {"id": "lintang", "type": "numeric"}]  # fmt: skip
    records = [
        {"_id": n, "nama": f"Gudang {n}", "bujur": f"{107 + n / 100}", "lintang": "-6.8"} for n in range(1, 8)
    ]
    site.tables["0a1b2c3d-res"] = (fields, records)
    run = harvest(
        {"remote": "korban/0a1b2c3d-res", "id": "gudang", "x": "bujur", "y": "lintang"}, table_rows=3
    )
    assert (run.state, run.reason) == (RunState.OK, "")
    dataset = catalog.datasets.get("gudang")
    assert dataset.version is not None
    assert dataset.version.count == 7
    feature = json.loads(store.reader(dataset.version).page(Query(limit=1)).features[0])
    assert feature["geometry"] == {"type": "Point", "coordinates": [107.01, -6.8]}


def test_one_resource_that_can_not_be_fetched_makes_the_run_incomplete(
    site: Speaker, harvest: Harvest, catalog: Catalog
) -> None:
    offer(site, CSV)
    more = {"id": "9f9f9f9f-res", "format": "CSV", "url": f"{site.url}/unduh/tiada.csv"}
    site.packages["korban"]["resources"].append(more)
    run = harvest()
    assert run.state is RunState.INCOMPLETE
    assert catalog.datasets.get("bnpb-korban-0a1b2c3d").version is not None
    assert [e.remote_id for e in catalog.runs.errors(run.id)] == ["pkg/9f9f9f9f-res"]


def test_a_harvest_registers_what_it_published_and_waits_for_no_ckan_that_is_down(
    site: Speaker, settings: Settings, catalog: Catalog, store: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKAN_KEY", "kunci")
    offer(site, CSV)
    source = SourceConfig.model_validate({
        "id": "bnpb", "type": "ckan", "url": site.url, "produsen_data": "BNPB", "options": {"data": True},
        "layers": [{"remote": "*"}],
    })  # fmt: skip
    with speaking() as ours:
        own = {
            "ckan": {"url": ours.url, "api_key": "${CKAN_KEY}"},
            "server": {"url": "https://geo.example.go.id"},
        }
        full = Settings.model_validate({**settings.model_dump(exclude_none=True), **own,
                                        "data_dir": settings.data_dir})  # fmt: skip
        ours.faults.add("down")
        assert Engine(full, catalog, store).run(source).state is RunState.OK
        assert not ours.packages
        ours.faults.clear()
        site.packages["korban"]["title"] = "Korban bencana 2024"
        assert Engine(full, catalog, store).run(source).state is RunState.OK
        assert ours.packages["bnpb-korban"]["title"] == "Korban bencana 2024"
        assert ours.organisations["bnpb"]["title"] == "BNPB"


def test_a_workbook_of_two_sheets_becomes_two_tables(
    site: Speaker, harvest: Harvest, catalog: Catalog, store: LayerStore
) -> None:
    book = openpyxl.Workbook()
    for name, count in (("Gudang", 3), ("Lumbung", 2)):
        sheet = book.create_sheet(name)
        sheet.append(["kode", "isi"])
        for n in range(count):
            sheet.append([f"32.03.0{n}", n])
    del book["Sheet"]
    body = io.BytesIO()
    book.save(body)
    offer(site, ("application/octet-stream", body.getvalue()), format_="XLS")
    site.packages["korban"]["resources"][0]["mimetype"] = "application/vnd.ms-excel; xlsx"
    run = harvest()
    assert (run.state, run.reason) == (RunState.OK, "")
    assert catalog.runs.errors(run.id) == []
    tables = catalog.datasets.ids(kind="table")
    assert tables == ["bnpb-korban-0a1b2c3d-gudang", "bnpb-korban-0a1b2c3d-lumbung"]
    assert [len(rows(catalog, store, name)) for name in tables] == [3, 2]
    assert catalog.datasets.get("bnpb-korban-0a1b2c3d").kind == "record"
    assert harvest().state is RunState.UNCHANGED


def test_a_geotiff_behind_a_resource_becomes_a_raster(
    site: Speaker, harvest: Harvest, catalog: Catalog
) -> None:
    with MemoryFile() as memory:
        values = np.arange(64 * 64, dtype="float32").reshape(64, 64)
        with memory.open(driver="GTiff", width=64, height=64, count=1, dtype="float32", crs="EPSG:4326",
                         transform=from_origin(107, -6.5, 0.01, 0.01), nodata=-1) as made:  # fmt: skip
            made.write(values, 1)
        body = bytes(memory.getbuffer())
    offer(site, ("application/octet-stream", body), format_="GeoTIFF")
    run = harvest()
    assert (run.state, run.reason) == (RunState.OK, "")
    dataset = catalog.datasets.get("bnpb-korban-0a1b2c3d")
    assert dataset.kind == "raster"
    assert dataset.version is not None
    assert dataset.record.bbox == pytest.approx((107, -7.14, 107.64, -6.5))
