"""Coverages: parts of a raster at any size are what rasterio reads; hostile questions are refused clearly."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from covjson_pydantic.coverage import Coverage
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.windows import Window

from ogc_server.maps import OFFERS as MAP_OFFERS
from tests.ogc_server.conftest import running
from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, classes, door, index, publish, refused
from tests.ogc_server.world import World
from tests.servers import missing, until

BAHAYA = "/collections/bahaya/coverage"
KELAS = "/collections/kelas/coverage"
URI = "http://www.opengis.net/def/crs/"
SLOW = settings(max_examples=25)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with door(tmp_path_factory.mktemp("coverages")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


@pytest.fixture(scope="module")
def stored(opened: tuple[World, httpx.Client]) -> Path:
    return opened[0].settings.data_dir / "layers" / "bahaya" / "1.tif"


def tiff(answer: httpx.Response) -> tuple[Any, Any]:
    """Return the values (masked) and the profile with bounds of a GeoTIFF answer."""
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == "image/tiff; application=geotiff"
    with MemoryFile(answer.content) as memory, memory.open() as file:
        told = {**file.profile, "bounds": file.bounds, "names": file.descriptions, "units": file.units}
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        return file.read(masked=True), told


def covjson(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    Coverage.model_validate_json(answer.content)  # OGC CoverageJSON 1.0 as KNMI's models have it
    doc: dict[str, Any] = answer.json()
    return doc


def grid_values(doc: dict[str, Any], band: str) -> Any:
    said = doc["ranges"][band]
    assert said["axisNames"] == ["y", "x"]
    return np.array(said["values"], dtype=float).reshape(said["shape"])


# -- values -------------------------------------------------------------------


def test_the_whole_coverage_is_the_raster(client: httpx.Client) -> None:
    values, told = tiff(client.get(BAHAYA))
    assert (values[0].filled(-9999) == index()).all()
    assert told["bounds"] == pytest.approx((WEST, NORTH - HIGH * CELL, WEST + WIDE * CELL, NORTH))
    assert (told["crs"].to_epsg(), told["nodata"], told["names"]) == (4326, -9999, ("indeks",))


@SLOW
@given(st.data())
def test_a_part_at_any_size_is_rasterios_own_read(
    client: httpx.Client, stored: Path, data: st.DataObject
) -> None:
    column, row = data.draw(st.integers(0, WIDE - 1)), data.draw(st.integers(0, HIGH - 1))
    wide, high = data.draw(st.integers(1, WIDE - column)), data.draw(st.integers(1, HIGH - row))
    across, down = data.draw(st.integers(1, wide)), data.draw(st.integers(1, high))
    west, north = WEST + column * CELL, NORTH - row * CELL
    east, south = west + wide * CELL, north - high * CELL
    how = data.draw(st.sampled_from(["bbox", "subset", "subset-crs"]))
    part = {
        "bbox": {"bbox": f"{west:.7f},{south:.7f},{east:.7f},{north:.7f}"},
        "subset": {"subset": f"Lat({south:.7f}:{north:.7f}),Lon({west:.7f}:{east:.7f})"},
        "subset-crs": {
            "subset": f"x({west:.7f}:{east:.7f}),y({south:.7f}:{north:.7f})",
            "subset-crs": "[EPSG:4326]",
        },
    }[how]
    values, told = tiff(client.get(BAHAYA, params={**part, "scale-size": f"Lon({across}),Lat({down})"}))
    with rasterio.open(stored) as plain:
        wanted = plain.read(
            window=Window(column, row, wide, high), out_shape=(1, down, across), masked=True,
            resampling=Resampling.average,
        )  # fmt: skip
    assert values.shape == (1, down, across)
    assert (values.filled(-1) == wanted.filled(-1)).all()
    assert told["bounds"] == pytest.approx((west, south, east, north), abs=1e-9)


def test_coverage_json_says_where_and_what(client: httpx.Client) -> None:
    box = {"bbox": f"{WEST},{NORTH - 50 * CELL},{WEST + 70 * CELL},{NORTH}", "f": "covjson"}
    doc = covjson(client.get(BAHAYA, params=box))
    axes = doc["domain"]["axes"]
    assert axes["x"] == {
        "start": pytest.approx(WEST + CELL / 2),
        "stop": pytest.approx(WEST + 69.5 * CELL),
        "num": 70,
    }
    assert axes["y"] == {
        "start": pytest.approx(NORTH - CELL / 2),
        "stop": pytest.approx(NORTH - 49.5 * CELL),
        "num": 50,
    }
    found, truth = grid_values(doc, "indeks"), index()[:50, :70]
    assert (np.isnan(found) == (truth == -9999)).all()
    assert found[40:, 60:] == pytest.approx(truth[40:, 60:], abs=1e-7)
    assert doc["parameters"]["indeks"]["observedProperty"]["label"]["id"] == "Indeks bahaya longsor: indeks"


def test_whole_numbers_units_and_bands(client: httpx.Client) -> None:
    doc = covjson(client.get(KELAS, params={"f": "covjson", "properties": "nomor", "scale-factor": 10}))
    assert list(doc["ranges"]) == ["nomor"]
    assert doc["ranges"]["nomor"]["dataType"] == "integer"
    assert doc["parameters"]["nomor"]["unit"]["symbol"] == "m"
    assert doc["domain"]["referencing"][0] == {
        "coordinates": ["x", "y"], "system": {"type": "ProjectedCRS", "id": f"{URI}EPSG/0/32748"},
    }  # fmt: skip
    values, told = tiff(client.get(KELAS, params={"properties": "2,kelas"}))
    assert told["names"] == ("nomor", "kelas")
    assert told["units"][0] == "m"
    assert (values == classes()[::-1]).all()
    refused(client.get(KELAS, params={"properties": "suhu"}), 400, "properties")


@pytest.mark.parametrize("crs", [f"{URI}OGC/1.3/CRS84", f"{URI}EPSG/0/4326", "[EPSG:3857]", "EPSG:32748"])
def test_another_crs_holds_the_same_values_in_the_same_places(client: httpx.Client, crs: str) -> None:
    box = {"bbox": "106.9,-6.8,107.1,-6.6"}
    answer = client.get(KELAS, params={**box, "crs": crs, "properties": "nomor"})
    values, _ = tiff(answer)
    assert crs.strip("[]").rpartition(":")[2].split("/")[-1] in answer.headers["content-crs"]
    with MemoryFile(answer.content) as memory, memory.open() as file:
        rows, columns = np.mgrid[5 : file.height - 5 : 40j, 5 : file.width - 5 : 40j].astype(int)
        xs, ys = rasterio.transform.xy(file.transform, rows.ravel(), columns.ravel())
        x, y = rasterio.warp.transform(file.crs, "EPSG:32748", xs, ys)
    column, row = (np.array(x) - 700_000) / 100, (9_280_000 - np.array(y)) / 100
    sure = (np.abs(column - np.round(column)) > 0.2) & (np.abs(row - np.round(row)) > 0.2)
    truth = classes()[1][row.astype(int), column.astype(int)]
    assert sure.sum() > 200
    assert (values[0][rows.ravel(), columns.ravel()].data == truth)[sure].all()


def test_the_parts_beside_a_raster_without_nodata_are_masked(client: httpx.Client) -> None:
    """UTM cells laid out in degrees leave corners empty; no value stands for that in this raster."""
    values, told = tiff(client.get(KELAS, params={"crs": "EPSG:4326", "properties": "kelas"}))
    assert told["nodata"] is None
    mask = np.ma.getmaskarray(values)[0]
    assert 0 < mask.sum() < mask.size / 10
    assert set(np.unique(values.compressed())) == {1, 2, 3}


@pytest.mark.parametrize(
    ("params", "shape"),
    [
        ({"scale-factor": "2"}, (120, 150)),
        ({"scale-factor": "0.5"}, (480, 600)),
        ({"scale-axes": "Lon(3),Lat(2)"}, (120, 100)),
        ({"scale-size": "Lon(30)"}, (240, 30)),
        ({"width": "100"}, (80, 100)),
        ({"height": "24"}, (24, 30)),
        ({"width": "7", "height": "5"}, (5, 7)),
        ({"scale-factor": "1e6"}, (1, 1)),
        ({"subset": "Lat(-6.7:*)"}, (100, 300)),
        ({"subset": "Lon(107.0011)"}, (240, 1)),
        ({"bbox": "-170,-90,180,90"}, (240, 300)),
        ({"bbox": "107,-6.7,-170,-6.6"}, (50, 200)),  # across the antimeridian: the side that has the raster
        ({"bbox-crs": "EPSG:3857"}, (240, 300)),  # without bbox it is ignored, as the standard says
        ({"datetime": "2024-01-01/.."}, (240, 300)),  # without a time of its own it is ignored
    ],
)
def test_sizes(client: httpx.Client, params: dict[str, str], shape: tuple[int, int]) -> None:
    values, _ = tiff(client.get(BAHAYA, params=params))
    assert values.shape == (1, *shape)


# -- refusals -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "status", "where"),
    [
        ({"bbox": "nan,0,1,1"}, 400, "bbox"),
        ({"bbox": "1e400,0,1,1"}, 400, "bbox"),
        ({"bbox": "107,-6,106"}, 400, "bbox"),
        ({"bbox": "0,-100,1,100"}, 400, "bbox"),
        ({"bbox": "10,10,11,11"}, 404, "bbox"),
        ({"subset": "Lat(10:11)"}, 404, "subset"),
        ({"subset": "Lat(-6.5:-6.9)"}, 400, "subset"),
        ({"subset": "Lat(a:b)"}, 400, "subset"),
        ({"subset": "Lat"}, 400, "subset"),
        ({"subset": "tekanan(500)"}, 400, "subset"),
        ({"subset": "Lat(-7:-6),y(-7:-6)"}, 400, "subset"),
        ({"subset": "Lat(-7:-6)", "bbox": "107,-7,108,-6"}, 400, "subset"),
        ({"subset": "Lat(-7:-6)", "subset-crs": "EPSG:99999"}, 400, "subset-crs"),
        ({"scale-factor": "0"}, 400, "scale-factor"),
        ({"scale-factor": "-1"}, 400, "scale-factor"),
        ({"scale-factor": "nan"}, 400, "scale-factor"),
        ({"scale-factor": "inf"}, 400, "scale-factor"),
        ({"scale-factor": "1e-300"}, 413, "scale-factor"),
        ({"scale-size": "Lon(999999999999)"}, 413, "scale-size"),
        ({"scale-size": "Lon(4000),Lat(4000)"}, 413, "scale-factor"),
        ({"width": "100000000"}, 413, "width"),
        ({"width": "0"}, 400, "width"),
        ({"width": "10", "scale-factor": "2"}, 400, "width"),
        ({"crs": "EPSG:99999"}, 400, "crs"),
        ({"crs": f"{URI}EPSG/0/1"}, 400, "crs"),
        ({"datetime": "kemarin"}, 400, "datetime"),
        ({"f": "netcdf"}, 400, "f"),
        ({"lebar": "3"}, 400, "lebar"),
    ],
)
def test_hostile_questions_name_what_is_wrong(
    client: httpx.Client, params: dict[str, str], status: int, where: str
) -> None:
    refused(client.get(BAHAYA, params=params), status, where)


def test_too_large_answers_say_how_to_ask_for_less(client: httpx.Client) -> None:
    asked = {"f": "covjson", "scale-factor": "0.1"}
    doc = refused(client.get(BAHAYA, params=asked), 413, "scale-factor")
    assert "scale-factor=" in doc["detail"]
    assert "/cog" in doc["hint"]


@settings(max_examples=80)
@given(
    path=st.sampled_from(["bahaya/coverage", "kelas/coverage", "bahaya/map", "kelas/map", "kelas/position", "bahaya/area"]),
    params=st.dictionaries(
        st.sampled_from(["bbox", "subset", "subset-crs", "bbox-crs", "crs", "scale-factor", "scale-size", "scale-axes",
                         "width", "height", "f", "properties", "coords", "bgcolor", "transparent", "version",
                         "center", "center-crs", "scale-denominator", "mm-per-pixel", "resolution", "datetime",
                         "exclude-properties", "void-color", "void-transparent"]),
        st.one_of(
            st.text(max_size=20), st.floats().map(str), st.integers(-5, 3000).map(str),
            st.lists(st.floats(-200, 200).map(str), min_size=4, max_size=4).map(",".join),
            st.lists(st.floats(-1e8, 1e8).map(str), min_size=4, max_size=4).map(",".join),
            st.sampled_from(["EPSG:3857", "EPSG:4326", "EPSG:32654", "CRS84", "OGC:CRS84", "covjson", "tif", "png", "csv",
                             "Lat(-7:-6)", "E(1:2),N(3:4)", "Lon(170:-170)", 'time("2024":*)', "Lat(),Lon(1e-300)", "107,-6.7", "0,90",
                             "-6.7,107", "1e-320", "1e300", "Lon(*:107)", "POINT(107 -6.7)", "POINT(1e308 1e308)",
                             "POLYGON((107 -6.7,107.1 -6.7,107.1 -6.8,107 -6.7))", "POLYGON EMPTY", "true", "0xff0000"]),
        ), max_size=4,
    ),
)  # fmt: skip
def test_no_question_is_a_server_error(client: httpx.Client, path: str, params: dict[str, str]) -> None:
    answer = client.get(f"/collections/{path}", params=params)
    assert answer.status_code < 500, (str(answer.request.url), answer.text[:500])
    assert client.get("/collections/bahaya").status_code == 200, "the layer was left out after a bad question"


# -- access, versions, validators ---------------------------------------------


PATHS = ("coverage", "cog", "map", "map/legend", "map/tiles", "map/tiles/WebMercatorQuad",
         "map/tiles/WebMercatorQuad/0/0/0", "position?coords=POINT(107 -6.7)", "schema",
         "area?coords=POLYGON((107 -6.7,107.1 -6.7,107.1 -6.8,107 -6.7))")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_restricted_raster_is_never_opened(opened: tuple[World, httpx.Client], path: str) -> None:
    world, client = opened
    file = world.settings.data_dir / "layers" / "bahaya-rahasia" / "1.tif"
    file.chmod(0o644)
    file.write_bytes(b"not a raster")  # whoever opened it would answer 503
    assert client.get(f"/collections/bahaya-rahasia/{path}").status_code == 404
    assert client.get(f"/collections/bahaya/{path}").status_code == 200
    assert client.get("/stac/collections/bahaya-rahasia").status_code == 404
    assert "rahasia" not in client.get("/stac").text
    assert client.get(f"/collections/tidak-ada/{path}").status_code == 404
    assert client.get(f"/collections/katalog/{path}").status_code in ((200,) if path == "schema" else (404,))


def test_old_versions_stay_and_new_ones_are_seen(fresh: World, tmp_path: Path) -> None:
    publish(fresh, "bahaya", index(1), tmp_path, nodata=-9999)
    with running(fresh) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        path, tile = "/collections/bahaya/coverage", "/collections/bahaya/map/tiles/WebMercatorQuad/9/265/408"
        first, drawn = client.get(path), client.get(tile)
        assert (tiff(first)[0].filled(-9999) == index(1)).all()
        tags = {"If-None-Match": first.headers["etag"]}
        assert client.get(path, headers=tags).status_code == 304
        assert client.get(tile, headers={"If-None-Match": drawn.headers["etag"]}).status_code == 304
        publish(fresh, "bahaya", index(2), tmp_path, nodata=-9999)
        until(lambda: client.get(path, headers=tags).status_code == 200, "the new version is served")
        second = client.get(path, headers=tags)
        assert (tiff(second)[0].filled(-9999) == index(2)).all()
        assert client.get(tile, headers={"If-None-Match": drawn.headers["etag"]}).status_code == 200
        old = client.get(path, params={"version": 1})
        assert (tiff(old)[0].filled(-9999) == index(1)).all()
        assert old.headers["cache-control"] == "public, max-age=3600"
        assert client.get(path, params={"version": 9}).status_code == 404


def test_a_damaged_raster_does_not_take_others_down(fresh: World, tmp_path: Path) -> None:
    publish(fresh, "rusak", index(), tmp_path, nodata=-9999)
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999)
    file = fresh.settings.data_dir / "layers" / "rusak" / "1.tif"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:3000])
    with running(fresh) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        answer = client.get("/collections/rusak/coverage")
        assert answer.status_code == 503
        assert str(fresh.settings.data_dir) not in answer.text
        assert client.get("/collections/bahaya/coverage").status_code == 200
        assert "rusak" in client.get("/health").text


def test_a_question_that_fails_does_not_take_a_sound_layer_out(
    fresh: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999)

    def fails(*_: object) -> None:
        raise ValueError("PROJ does not know this place")

    with running(fresh) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        monkeypatch.setattr("ogc_server.raster_select.read_grid", fails)
        assert client.get("/collections/bahaya/coverage", params={"crs": "EPSG:3857"}).status_code == 503
        monkeypatch.undo()
        assert client.get("/collections/bahaya/coverage", params={"crs": "EPSG:3857"}).status_code == 200
        assert client.get("/collections/bahaya").status_code == 200


# -- the stored file ----------------------------------------------------------


def test_the_cog_is_the_stored_file_in_ranges(client: httpx.Client, stored: Path) -> None:
    whole, body = client.get("/collections/bahaya/cog"), stored.read_bytes()
    assert whole.content == body
    assert whole.headers["accept-ranges"] == "bytes"
    assert "bahaya-v1.tif" in whole.headers["content-disposition"]
    head = client.head("/collections/bahaya/cog")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(body)), b"")
    part = client.get("/collections/bahaya/cog", headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, body[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(body)}"
    assert part.headers["etag"] == whole.headers["etag"]
    tail = client.get(
        "/collections/bahaya/cog", headers={"Range": "bytes=-10", "If-Range": whole.headers["etag"]}
    )
    assert (tail.status_code, tail.content) == (206, body[-10:])
    other = client.get("/collections/bahaya/cog", headers={"Range": "bytes=-10", "If-Range": '"lain"'})
    assert (other.status_code, other.content) == (200, body)
    gone = client.get("/collections/bahaya/cog", headers={"Range": f"bytes={len(body)}-"})
    assert (gone.status_code, gone.headers["content-range"]) == (416, f"bytes */{len(body)}")
    again = client.get("/collections/bahaya/cog", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_gdal_reads_the_cog_over_http_without_fetching_all(client: httpx.Client) -> None:
    with (
        rasterio.Env(
            GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", CPL_VSIL_CURL_USE_HEAD=True, GDAL_HTTP_PROXY=""
        ),
        rasterio.open(f"/vsicurl/{client.base_url}/collections/bahaya/cog") as far,
    ):
        assert (far.read(1) == index()).all()
        assert far.descriptions == ("indeks",)
        x, y = WEST + 100.5 * CELL, NORTH - 50.5 * CELL
        assert next(far.sample([(x, y)]))[0] == index()[50, 100]


# -- descriptions -------------------------------------------------------------


EAST, SOUTH = WEST + 9 * CELL, NORTH - 9 * CELL
QUESTIONS = {
    "position": f"?coords=POINT({EAST} {SOUTH})",
    "area": f"?coords=POLYGON(({WEST} {NORTH},{EAST} {NORTH},{EAST} {SOUTH},{WEST} {NORTH}))",
}
"""What a door of EDR has to be asked."""


def test_the_collection_tells_its_grid_and_its_doors(client: httpx.Client) -> None:
    doc = client.get("/collections/bahaya").json()
    rels = {link["rel"].rpartition("/")[2] for link in doc["links"]}
    assert {"coverage", "schema", "map", "tilesets-map", "legend", "enclosure"} <= rels
    assert doc["storageCrs"] == f"{URI}OGC/1.3/CRS84"
    assert doc["storageCrs"] in doc["crs"]
    across, down = doc["extent"]["spatial"]["grid"]
    assert (across["cellsCount"], down["cellsCount"]) == (WIDE, HIGH)
    assert across["firstCoordinate"] == pytest.approx(WEST + CELL / 2)
    for link in doc["links"]:
        if link["href"].startswith(str(client.base_url)):
            assert client.get(link["href"] + QUESTIONS.get(link["href"].rpartition("/")[2], "")).is_success, (
                link
            )
    listed = client.get("/collections").json()["collections"]
    assert any(
        link["rel"].endswith("coverage") for one in listed if one["id"] == "bahaya" for link in one["links"]
    )


def test_the_schema_has_a_field_per_band(client: httpx.Client) -> None:
    found = client.get("/collections/kelas/schema").json()["properties"]
    assert list(found) == ["kelas", "nomor"]
    assert found["nomor"]["type"] == "integer"
    assert found["nomor"]["x-ogc-unit"] == "m"
    assert found["nomor"]["x-ogc-statistics"]["max"] == WIDE * HIGH - 1
    assert client.get("/collections/bahaya/schema").json()["properties"]["indeks"]["type"] == "number"


def test_the_api_definition_knows_the_doors(client: httpx.Client) -> None:
    paths = client.get("/api").json()["paths"]
    assert "/collections/{collectionId}/coverage" in paths
    described = paths["/collections/{collectionId}/map"]["get"]["responses"]["200"]["content"]
    assert {offer.media for offer in MAP_OFFERS} <= set(described)


def test_every_curl_example_of_the_page_on_rasters_is_answered(fresh: World, tmp_path: Path) -> None:
    """docs/rasters.md, on a raster that lies where the sample's lies."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "rasters.md").read_text("utf-8")
    examples = [shlex.split(line)[1] for line in page.splitlines() if line.startswith("curl ")]
    assert len(examples) >= 5
    place = {"transform": rasterio.transform.from_origin(108.19, -8.9, 0.001, 0.001)}
    pixels = np.tile(index(), (2, 2))[:309, :487]
    publish(fresh, "contoh-indeks-bahaya", pixels, tmp_path, nodata=-9999, **place)
    with running(fresh) as url, httpx.Client(timeout=30, trust_env=False) as client:
        for example in examples:
            answer = client.get(example.replace("$BASE", url))
            assert answer.status_code == 200, (example, answer.text[:300])


def test_gdals_own_driver_of_coverages_reads_values(client: httpx.Client, tmp_path: Path) -> None:
    """`OGCAPI:` (GDAL, and so QGIS) asks for each block by `bbox` and `scaleSize`, as the draft of 2021 had it."""
    if not shutil.which("gdal_translate"):
        missing("gdal", "apt-get install gdal-bin")
    place = f"OGCAPI:{str(client.base_url).rstrip('/')}/collections/bahaya"
    out = tmp_path / "part.tif"
    corners = (WEST + 100 * CELL, NORTH - 100 * CELL, WEST + 200 * CELL, NORTH - 200 * CELL)
    subprocess.run(
        ["gdal_translate", "-q", "-projwin", *map(str, corners), "-outsize", "100", "100", place, str(out),
         "-oo", "API=COVERAGE", "-oo", "CACHE=NO"],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    with rasterio.open(out) as read:
        found = read.read(1)
    wanted = index()[100:200, 100:200]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.8, "GDAL's blocks do not end where cells do"
    assert found.mean() == pytest.approx(wanted.mean(), abs=0.01)
    params = {"bbox": "107,-6.8,107.1,-6.7"}
    by_either = [
        client.get(BAHAYA, params={**params, name: "Lat(20),Long(30)"})
        for name in ("scaleSize", "scale-size")
    ]
    assert by_either[0].content == by_either[1].content
    refused(client.get(BAHAYA, params={"scaleSize": "Lat(2)", "scale-size": "Lat(2)"}), 400, "scaleSize")
