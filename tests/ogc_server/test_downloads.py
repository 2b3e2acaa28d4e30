"""Files of a collection over HTTP: whole, by region, by box, in ranges; QGIS opens what it is given."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pyogrio
import pytest

from catalog.model import FieldDef, LayerSchema, RegionCode
from catalog.regions import Region
from catalog.settings import DownloadSettings
from layers.contract import FeatureBatch
from layers.downloads.build import Builder
from layers.downloads.shelf import Shelf
from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, desa, fill, make_settings, open_world
from tests.servers import missing

SCHEMA = LayerSchema(
    (FieldDef("kode"), FieldDef("nama")), "MultiPolygon", region_code=RegionCode(field="kode", vintage=2025)
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    """Boundaries with codes, warehouses, a table; files of parts are small so that limits show."""
    settings = make_settings(tmp_path_factory.mktemp("unduhan"), downloads=DownloadSettings(at_once=100))
    processes = settings.processes.model_copy(
        update={"boundaries": "batas", "facilities": "gudang", "people": "idm"}
    )
    world = open_world(settings.model_copy(update={"processes": processes}))
    villages = desa(shared_data)
    rows = [{"kode": i, "nama": row["nama"]} for i, row in zip(villages.ids, villages.rows, strict=True)]
    world.publish("batas", SCHEMA, FeatureBatch(villages.ids, rows, villages.geometries), title="Batas Desa")
    world.catalog.regions.load(
        "kemendagri", 2025,
        [Region("32", "provinsi", "Jawa Barat", None), Region("32.03", "kabkota", "Kabupaten Cianjur", "32")],
        source="tests",
    )  # fmt: skip
    fill(world, shared_data, ("idm", "gudang"))
    Builder(world.catalog, world.store, Shelf(settings.data_dir / "downloads"), settings.downloads).build(
        ["batas"]
    )
    yield world
    world.close()


@pytest.fixture(scope="module")
def web(made: World) -> Iterator[httpx.Client]:
    with running(made) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def test_the_list_tells_size_checksum_and_regions(web: httpx.Client) -> None:
    doc = web.get("/collections/batas/downloads").raise_for_status().json()
    assert [one["format"] for one in doc["downloads"]] == [
        "gpkg", "geoparquet", "flatgeobuf", "shapefile", "geojson", "csv", "csvw", "kml",
    ]  # fmt: skip
    for one in doc["downloads"]:
        answer = web.get(one["href"]).raise_for_status()
        assert one["ready"]
        assert len(answer.content) == one["length"]
        assert (
            hashlib.sha256(answer.content).hexdigest() == one["sha256"] == answer.headers["x-checksum-sha256"]
        )
        assert one["fileName"] in answer.headers["content-disposition"]
        assert answer.headers["content-type"] == one["type"]
    assert {(r["code"], r["name"], r["count"]) for r in doc["regions"]} == {
        ("32", "Jawa Barat", 360), ("32.03", "Kabupaten Cianjur", 360),
    }  # fmt: skip


@pytest.mark.parametrize("part", ["", "?wilayah=32.03.01", "?bbox=107.1,-6.9,107.12,-6.88", "?version=1"])
def test_a_csv_links_to_what_it_can_not_say(web: httpx.Client, part: str) -> None:
    answer = web.get(f"/collections/batas/downloads/batas.csv{part}").raise_for_status()
    described = answer.links["describedby"]
    assert described["type"] == "application/csvm+json"
    found = web.get(described["url"]).raise_for_status()
    assert found.headers["content-type"] == "application/csvm+json"
    doc = found.json()
    assert doc["dc:license"] == "CC-BY-4.0"
    assert web.get(doc["url"]).content == answer.content
    columns = [one["titles"] for one in doc["tableSchema"]["columns"]]
    assert answer.text.split("\r\n")[0].split(",") == columns
    assert web.get("/collections/batas/downloads/tidak.csv-metadata.json").status_code == 404


def test_the_collection_links_to_its_files(web: httpx.Client) -> None:
    links = web.get("/collections/batas").json()["links"]
    assert any(
        one["rel"] == "enclosure" and one["href"].endswith("/collections/batas/downloads") for one in links
    )


def test_a_broken_download_goes_on_where_it_stopped(web: httpx.Client) -> None:
    whole = web.get("/collections/batas/downloads/batas.gpkg")
    tag = whole.headers["etag"]
    half = len(whole.content) // 2
    rest = web.get(
        "/collections/batas/downloads/batas.gpkg", headers={"Range": f"bytes={half}-", "If-Range": tag}
    )
    assert rest.status_code == 206
    assert whole.content[:half] + rest.content == whole.content
    assert (
        web.get("/collections/batas/downloads/batas.gpkg", headers={"If-None-Match": tag}).status_code == 304
    )
    assert web.head("/collections/batas/downloads/batas.gpkg").headers["content-length"] == str(
        len(whole.content)
    )


def test_a_part_of_a_file_that_has_changed_is_refused(web: httpx.Client) -> None:
    """A download manager that fetches parts side by side must not join those of two versions."""
    for path in (
        "/collections/batas/downloads/batas.gpkg",
        "/collections/batas?f=json",
        "/collections/batas/items?f=json",
    ):
        tag = web.get(path).headers["etag"]
        part = {"Range": "bytes=0-9"}
        for known in (tag, f'"lain", {tag}', "*"):
            assert web.get(path, headers=part | {"If-Match": known}).status_code in (200, 206)
        for other in ('"lain"', f"W/{tag}", ""):
            answer = web.get(path, headers=part | {"If-Match": other})
            assert (answer.status_code, answer.json()["code"]) == (412, "precondition")


def test_gdal_reads_a_part_over_http_without_the_rest(web: httpx.Client) -> None:
    """FlatGeobuf's index lets GDAL fetch one place by ranges."""
    address = f"/vsicurl/{web.base_url}/collections/batas/downloads/batas.fgb"
    script = f"import pyogrio;print(pyogrio.read_info({address!r})['features'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "360", done.stderr


def test_gdal_knows_the_types_of_a_csv_over_http(web: httpx.Client) -> None:
    """The codes stay text, with their zeros; GDAL finds types and CRS beside the CSV by itself."""
    address = f"CSV:/vsicurl/{web.base_url}/collections/gudang/downloads/gudang.csv"
    script = (
        f"import pyogrio;found=pyogrio.read_info({address!r});"
        "print(*found['fields'],*found['dtypes'],found['crs'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split()[:8] == [
        "id", "nama", "stok", "geometry_wkt", "object", "object", "int64", "object",
    ], done.stderr  # fmt: skip
    assert "WGS 84" in done.stdout
    assert web.get("/collections/idm/downloads/idm.prj").status_code == 404  # a table has no CRS
    assert web.get("/collections/idm/downloads/idm.csvt").text == '"String","Real","String","Date"\n'
    assert web.get("/collections/gudang/downloads/batas.csvt").status_code == 404


def test_a_region_and_a_box_are_cut_out(web: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "part.gpkg"
    path.write_bytes(
        web.get("/collections/batas/downloads/batas.gpkg?wilayah=32.03.01").raise_for_status().content
    )
    _, table = pyogrio.raw.read_arrow(path)
    assert {code[:8] for code in table.column("kode").to_pylist()} == {"32.03.01"}
    answer = web.get("/collections/batas/downloads/batas.geojson?bbox=107.13,-6.83,107.14,-6.82")
    assert 0 < len(answer.json()["features"]) < 20
    assert "107.13_-6.83" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("query", "status", "where"),
    [
        ("batas.gpkg?wilayah=Cianjur", 400, "wilayah"),
        ("batas.gpkg?wilayah=32.03", 400, "wilayah"),  # 360 desa, at most 100 at once here
        ("batas.gpkg?wilayah=11", 404, ""),
        ("batas.gpkg?bbox=1,2,3", 400, "bbox"),
        ("batas.gpkg?bbox=200,0,201,1", 400, "bbox"),
        ("idm.csv?bbox=1,2,3,4", 404, ""),
        ("batas.dwg", 404, ""),
        ("..%2f..%2fcatalog.sqlite", 404, ""),
        ("batas.gpkg?wilayah=", 400, "wilayah"),
    ],
)
def test_wrong_questions_are_told(web: httpx.Client, query: str, status: int, where: str) -> None:
    answer = web.get(f"/collections/batas/downloads/{query}")
    assert answer.status_code == status, answer.text
    if where:
        assert answer.json()["where"] == where


def test_a_table_has_no_places(web: httpx.Client) -> None:
    doc = web.get("/collections/idm/downloads").json()
    assert [one["format"] for one in doc["downloads"]] == ["gpkg", "geoparquet", "csv", "csvw"]
    assert web.get("/collections/idm/downloads/idm.csv?bbox=1,2,3,4").json()["where"] == "bbox"


def test_a_large_file_that_is_not_ready_says_when_to_come_back(web: httpx.Client, made: World) -> None:
    answer = web.get("/collections/idm/downloads/idm.csv")  # 360 rows and nobody built it
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert web.get("/collections/gudang/downloads/gudang.csv").status_code == 200  # 25 rows: made at once


def test_restricted_layers_have_no_files(web: httpx.Client) -> None:
    assert web.get("/collections/rahasia/downloads").status_code == 404
    assert web.get("/collections/rahasia/downloads/rahasia.gpkg").status_code == 404


def test_files_of_an_older_version_stay_apart(fresh: World, shared_data: Path) -> None:
    fill(fresh, shared_data, ("gudang",))
    fresh.publish("gudang", replace(SCHEMA, geometry_type=None, region_code=None), FeatureBatch(["1"], [{"kode": "x", "nama": "y"}]), kind="table")  # fmt: skip
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert len(client.get("/collections/gudang/downloads/gudang.csv?version=1").text.splitlines()) == 26
        assert len(client.get("/collections/gudang/downloads/gudang.csv").text.splitlines()) == 2


def test_parts_that_anybody_asks_for_do_not_fill_the_disk(fresh: World, shared_data: Path) -> None:
    fill(fresh, shared_data, ("gudang",))
    small = fresh.settings.model_copy(update={"downloads": DownloadSettings(parts_megabytes=0)})
    world = World(small, fresh.catalog, fresh.store)
    with running(world) as url, httpx.Client(base_url=url, trust_env=False) as client:
        client.get("/collections/gudang/downloads/gudang.csv").raise_for_status()
        for n in range(5):
            box = f"107,-8,108.{n},-6"
            client.get(f"/collections/gudang/downloads/gudang.csv?bbox={box}").raise_for_status()
    kept = [path.name for path in (fresh.settings.data_dir / "downloads").rglob("*.csv")]
    assert sorted(kept) == ["gudang-v1-107_-8_108.4_-6.csv", "gudang-v1.csv"]


def test_the_field_kit_of_a_kabupaten(web: httpx.Client, tmp_path: Path) -> None:
    doc = web.get("/downloads").raise_for_status().json()
    (kit,) = doc["fieldKits"]
    assert kit["name"] == "Kabupaten Cianjur"
    path = tmp_path / "kit.gpkg"
    path.write_bytes(web.get(kit["href"]).raise_for_status().content)
    assert {name for name, _ in pyogrio.list_layers(path)} >= {"batas", "gudang", "idm"}
    assert pyogrio.read_info(path, layer="batas")["features"] == 360
    with sqlite3.connect(path) as db:
        styles = dict(
            db.execute("SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault").fetchall()
        )
    db.close()
    assert styles.keys() == {"batas", "gudang"}
    assert "singleSymbol" in styles["batas"]
    for name in ("paket-lapangan-11.01.gpkg", "paket-lapangan-32.gpkg", "paket-lapangan-99.99.gpkg", "x"):
        assert web.get(f"/downloads/{name}").status_code == 404, name


QGIS = """
import json, sys
from qgis.PyQt.QtCore import QSize
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsLayerDefinition, QgsMapRendererSequentialJob,
                       QgsMapSettings, QgsProject, QgsRectangle)
application = QgsApplication([], False)
application.initQgis()
project = QgsProject.instance()
ok, message = QgsLayerDefinition.loadLayerDefinition(sys.argv[1], project, project.layerTreeRoot())
(layer,) = project.mapLayers().values()
told = {"ok": ok, "message": message, "valid": layer.isValid(), "name": layer.name(), "crs": layer.crs().authid(),
        "codes": sorted(f["kode"] for f in layer.getFeatures()),
        "colour": layer.renderer().symbol().color().name()}
job = QgsMapSettings()
job.setLayers([layer])
job.setExtent(QgsRectangle(107.0, -7.0, 107.2, -6.8))
job.setOutputSize(QSize(200, 200))
job.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
drawing = QgsMapRendererSequentialJob(job)
drawing.start()
drawing.waitForFinished()
image = drawing.renderedImage()
told["drawn"] = [image.pixelColor(x, y).name() for x in range(0, 200, 10) for y in range(0, 200, 10)]
with open(sys.argv[2], "w") as out:
    json.dump(told, out)
application.exitQgis()
"""


def test_qgis_opens_the_layer_definition(web: httpx.Client, tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import qgis.core"], capture_output=True).returncode:
        missing("qgis", "apt-get install python3-qgis")
    qlr, script, out = tmp_path / "batas.qlr", tmp_path / "read.py", tmp_path / "out.json"
    qlr.write_bytes(web.get("/collections/batas/downloads/batas.qlr").raise_for_status().content)
    script.write_text(textwrap.dedent(QGIS))
    environment = {
        "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)
    }  # fmt: skip
    done = subprocess.run(
        [python, str(script), str(qlr), str(out)],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )
    assert out.exists(), done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["ok"]
    assert told["valid"], told
    assert told["name"] == "Batas Desa"
    assert len(told["codes"]) == 360
    assert told["colour"] == "#0072b2"  # as the server's own style has it
    blue = [name for name in told["drawn"] if int(name[5:7], 16) > int(name[1:3], 16) + 40]
    assert len(blue) > 200, told["drawn"][:20]  # of 400 places in the picture of a box full of desa


def test_pages_list_the_files_in_both_languages(web: httpx.Client) -> None:
    page = web.get("/collections/batas/downloads?f=html&lang=id").raise_for_status().text
    assert "Unduhan Batas Desa" in page
    assert "Kabupaten Cianjur" in page
    assert "Downloads of Batas Desa (en)" in web.get("/collections/batas/downloads?f=html&lang=en").text
    assert "Field kit" in web.get("/downloads?f=html&lang=en").text
