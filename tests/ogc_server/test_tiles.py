"""OGC API - Tiles over HTTP: requirements, ranges, the short way, styles; GDAL, QGIS and Chromium read them."""

from __future__ import annotations

import gzip
import io
import json
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiona
import httpx
import jsonschema
import mapbox_vector_tile
import pytest
from lxml import etree
from playwright.sync_api import Browser, Page
from pmtiles.reader import MemorySource, Reader

from layers.tiles.grid import GRIDS
from tests.servers import missing
from tests.servers.ours import Deployment

OGC = "http://www.opengis.net/def/rel/ogc/1.0/"
MVT = "application/vnd.mapbox-vector-tile"
LAYER = "/collections/desa-cianjur"
TILES = f"{LAYER}/tiles/WebMercatorQuad"
SOURCES = """
id: cianjur
type: file
url: {file}
produsen_data: Badan Informasi Geospasial
layers:
  - remote: desa
    id: desa-cianjur
    title: {{id: Batas Desa Cianjur, en: Villages of Cianjur}}
    region_code: {{field: KDEPUM, scheme: kemendagri, vintage: 2025}}
    feature_id: KDEPUM
    licence: CC-BY-4.0
    style: {{column: LUASWH, classes: 5, method: quantile, title: {{id: Luas desa, en: Village area}}}}
    styles:
      jenis: {{column: TIPADM, method: categories}}
  - remote: kabkota
    id: kabupaten-cianjur
    tiles: {{max_zoom: 9}}
"""
TABLE = """
id: idm
type: file
url: {file}
produsen_data: Kemendesa
layers:
  - remote: cianjur_idm2024
    id: idm-cianjur
    feature_id: kode_kemendagri
    region_code: {{field: kode_kemendagri, scheme: kemendagri, vintage: 2025}}
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Deployment:
    made = Deployment(tmp_path_factory.mktemp("tiles"))
    made.settings("harvest: {contact: test@example.org}\n")
    made.source("cianjur", SOURCES.format(file=shared_data / "cianjur_desa.gpkg"))
    made.source("idm", TABLE.format(file=shared_data / "cianjur_idm2024.csv"))
    assert {row["state"] for row in made.json("harvest", "--all")} == {"ok"}
    rows = made.json("tiles", "build", "desa-cianjur")
    assert rows[0]["state"] == "ready"
    assert rows[0]["largest"] <= 500_000
    return made


@pytest.fixture(scope="module")
def base(deployment: Deployment) -> Iterator[str]:
    with deployment.serving(workers=2) as address:
        yield address


@pytest.fixture(scope="module")
def client(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as made:
        yield made


def links(doc: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in doc["links"] if link["rel"] == rel]


def tile_with_data(client: httpx.Client, zoom: int = 11, grid: str = "WebMercatorQuad") -> str:
    """The address of the tile in the middle of Cianjur."""
    row, _, column, _ = GRIDS[grid].limits((107.14, -6.82, 107.14, -6.82), zoom)
    return f"{LAYER}/tiles/{grid}/{zoom}/{row}/{column}"


# -- OGC API - Tiles Part 1, by conformance class


def test_landing_page_and_collection_lead_to_the_tiles(client: httpx.Client) -> None:
    """geodata-tilesets: /req/geodata-tilesets/desc-links; tms: /tileMatrixSets."""
    landing = client.get("/").json()
    (grids,) = links(landing, f"{OGC}tiling-schemes")
    assert {one["id"] for one in client.get(grids["href"]).json()["tileMatrixSets"]} == set(GRIDS)
    (found,) = links(client.get(LAYER).json(), f"{OGC}tilesets-vector")
    listed = client.get(found["href"]).json()
    assert len(listed["tilesets"]) == 2
    assert not links(client.get("/collections/idm-cianjur").json(), f"{OGC}tilesets-vector")
    assert client.get("/collections/idm-cianjur/tiles").status_code == 404


def test_conformance_classes_of_tiles_are_declared(client: httpx.Client) -> None:
    declared = set(client.get("/conformance").json()["conformsTo"])
    spec = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/"
    assert {
        spec + name for name in ("core", "tileset", "tilesets-list", "geodata-tilesets", "mvt")
    } <= declared


def test_the_tilesets_list_has_what_the_class_asks(client: httpx.Client) -> None:
    """/req/tilesets-list/tileset-set: dataType, crs, self link, tileMatrixSetURI of each."""
    for one in client.get(f"{LAYER}/tiles").json()["tilesets"]:
        grid = GRIDS[one["tileMatrixSetId"]]
        assert (one["dataType"], one["crs"], one["tileMatrixSetURI"]) == ("vector", grid.crs, grid.uri)
        (itself,) = links(one, "self")
        assert client.get(itself["href"]).json()["tileMatrixSetURI"] == grid.uri


@pytest.mark.parametrize("grid", GRIDS)
def test_tileset_metadata_leads_to_every_tile(client: httpx.Client, grid: str) -> None:
    """/req/tileset/description: limits, bounding box, templated item link, tiling scheme, layers."""
    doc = client.get(f"{LAYER}/tiles/{grid}").json()
    (item,) = links(doc, "item")
    assert item["templated"] is True
    assert item["type"] == MVT
    (scheme,) = links(doc, f"{OGC}tiling-scheme")
    matrices = {one["id"]: one for one in client.get(scheme["href"]).json()["tileMatrices"]}
    assert doc["layers"][0]["geometryDimension"] == 2
    assert "fid" in doc["layers"][0]["propertiesSchema"]["properties"]
    west, south = doc["boundingBox"]["lowerLeft"]
    assert 106 < west < 108
    assert -8 < south < -6
    for limit in doc["tileMatrixSetLimits"]:
        matrix = matrices[limit["tileMatrix"]]
        assert 0 <= limit["minTileRow"] <= limit["maxTileRow"] < matrix["matrixHeight"]
        assert 0 <= limit["minTileCol"] <= limit["maxTileCol"] < matrix["matrixWidth"]
    for limit in doc["tileMatrixSetLimits"][:6]:
        place = {
            "tileMatrix": limit["tileMatrix"],
            "tileRow": limit["minTileRow"],
            "tileCol": limit["minTileCol"],
        }
        url = item["href"]
        for name, value in place.items():
            url = url.replace("{" + name + "}", str(value))
        answer = client.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == MVT
    assert doc["archive"]["state"] == "ready"
    assert doc["archive"]["largest_tile"] < 500_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{TILES}/x/0/0", 400), (f"{TILES}/1/0/-1", 400), (f"{TILES}/1/2/0", 404), (f"{TILES}/1/0/2", 404),
        (f"{TILES}/17/68000/104000", 404), (f"{TILES}/99/0/0", 404), (f"{LAYER}/tiles/Tidak/1/0/0", 404),
        (f"{LAYER}/tiles/WorldCRS84Quad/0/0/0", 404), ("/collections/tiada/tiles/WebMercatorQuad/0/0/0", 404),
        (f"{TILES}/5/0/0", 204), (f"{TILES}/0/0/0?f=png", 400), (f"{TILES}/0/0/0?apa=1", 400),
        (f"{TILES}/0/0/0?version=9", 404), (f"{TILES}/0/0/0?version=1", 200), ("/tileMatrixSets/Tidak", 404),
        (f"{LAYER}/tiles/WorldCRS84Quad?f=tilejson", 400),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_rightly(client: httpx.Client, path: str, status: int) -> None:
    """/req/core/tc-success, /req/core/tc-error."""
    answer = client.get(path)
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_click_leads_to_the_feature(client: httpx.Client) -> None:
    tile = decoded(client.get(tile_with_data(client)))
    said = tile["desa-cianjur"]["features"][0]["properties"]
    feature = client.get(f"{LAYER}/items/{said['fid']}").json()
    assert feature["id"] == said["fid"]
    assert feature["properties"]["NAMOBJ"] == said["NAMOBJ"]


def decoded(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200
    found: dict[str, Any] = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})
    return found


def test_deep_tiles_and_layers_without_archive_are_made_on_request(client: httpx.Client) -> None:
    row, _, column, _ = GRIDS["WebMercatorQuad"].limits((107.14, -6.82, 107.14, -6.82), 15)
    assert decoded(client.get(f"{TILES}/15/{row}/{column}"))["desa-cianjur"]["features"]
    other = "/collections/kabupaten-cianjur/tiles"
    assert client.get(other).json()["status"]["state"] == "waiting"
    assert client.get("/collections/kabupaten-cianjur/tiles.pmtiles").status_code == 503
    first = client.get(f"{other}/WebMercatorQuad/0/0/0")
    again = client.get(f"{other}/WebMercatorQuad/0/0/0")
    assert decoded(first)["kabupaten-cianjur"]["features"]
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"]


# -- bytes


def test_gzip_is_passed_on_and_unpacked_for_those_who_do_not_take_it(client: httpx.Client) -> None:
    path = tile_with_data(client)
    packed = client.get(path, headers={"accept-encoding": "gzip"})
    plain = client.get(path, headers={"accept-encoding": "identity"})
    never = client.get(path, headers={"accept-encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == never.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "Accept-Encoding" in packed.headers["vary"]


def test_the_short_way_and_the_long_way_answer_alike(client: httpx.Client) -> None:
    """An X-Request-Id of the client's own takes the long way."""
    for path in (tile_with_data(client), tile_with_data(client) + "?f=mvt&version=1", f"{TILES}/5/0/0"):
        for headers in ({}, {"origin": "https://peta.example.go.id"}):
            short = client.get(path, headers=headers)
            long = client.get(path, headers={**headers, "x-request-id": "uji-1"})
            assert long.headers["x-request-id"] == "uji-1"
            assert short.headers["x-request-id"] != "uji-1"
            assert (short.status_code, short.content) == (long.status_code, long.content)
            kept = {name for name in long.headers if name not in ("date", "x-request-id", "content-language")}
            assert {name: short.headers[name] for name in kept} == {name: long.headers[name] for name in kept}
        for extra in ({}, {"x-request-id": "uji-2"}):
            if "etag" in short.headers:
                known = client.get(path, headers={"if-none-match": short.headers["etag"], **extra})
                assert (known.status_code, known.content) == (304, b"")
                assert known.headers["etag"] == short.headers["etag"]


def test_head_says_what_get_would(client: httpx.Client) -> None:
    for path in (tile_with_data(client), f"{LAYER}/tiles.pmtiles"):
        got, told = client.get(path), client.head(path)
        assert told.content == b""
        for name in ("content-type", "etag", "content-length"):
            assert told.headers[name] == got.headers[name], name


def test_a_pinned_version_may_be_kept(client: httpx.Client) -> None:
    assert "max-age=3600" in client.get(tile_with_data(client) + "?version=1").headers["cache-control"]
    assert "max-age=0" in client.get(tile_with_data(client)).headers["cache-control"]


def test_the_archive_is_read_in_ranges(client: httpx.Client, deployment: Deployment) -> None:
    path = f"{LAYER}/tiles.pmtiles"
    whole = client.get(path)
    stored = deployment.data / "layers" / "desa-cianjur" / "tiles" / "1.WebMercatorQuad.pmtiles"
    assert whole.content == stored.read_bytes()
    part = client.get(path, headers={"range": "bytes=0-126"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 0-126/{len(whole.content)}"
    same = client.get(path, headers={"range": "bytes=0-6", "if-range": whole.headers["etag"]})
    assert (same.status_code, same.content) == (206, b"PMTiles")
    assert client.get(path, headers={"range": "bytes=0-6", "if-range": '"lain"'}).status_code == 200
    reader = Reader(MemorySource(whole.content))  # type: ignore[no-untyped-call]
    row, _, column, _ = GRIDS["WebMercatorQuad"].limits((107.14, -6.82, 107.14, -6.82), 11)
    packed = reader.get(11, column, row)  # type: ignore[no-untyped-call]
    assert gzip.decompress(packed) == client.get(tile_with_data(client)).content


# -- TileJSON and styles


def test_tilejson_is_what_mapbox_specified(client: httpx.Client) -> None:
    doc = client.get(f"{TILES}?f=tilejson").json()
    jsonschema.validate(doc, TILEJSON)
    assert doc["tilejson"] == "3.0.0"
    assert doc["maxzoom"] == 12
    row, _, column, _ = GRIDS["WebMercatorQuad"].limits((107.14, -6.82, 107.14, -6.82), 11)
    url = doc["tiles"][0].replace("{z}", "11").replace("{y}", str(row)).replace("{x}", str(column))
    tile = decoded(client.get(url))
    assert {one["id"] for one in doc["vector_layers"]} == {"desa-cianjur", "desa-cianjur:label"} == set(tile)
    fields = set(doc["vector_layers"][0]["fields"])
    assert all(set(f["properties"]) <= fields for f in tile["desa-cianjur"]["features"])


TILEJSON = {
    "type": "object",
    "required": ["tilejson", "tiles", "vector_layers"],
    "properties": {
        "tilejson": {"pattern": r"^3\.\d+\.\d+$"},
        "tiles": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "bounds": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}},
        "center": {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "number"}},
        "minzoom": {"type": "integer", "minimum": 0, "maximum": 30},
        "maxzoom": {"type": "integer", "minimum": 0, "maximum": 30},
        "scheme": {"enum": ["xyz", "tms"]},
        "vector_layers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "fields"],
                "properties": {"fields": {"type": "object", "additionalProperties": {"type": "string"}}},
            },
        },
    },
}
"""After https://github.com/mapbox/tilejson-spec/tree/master/3.0.0, the parts that we use."""


def test_every_style_comes_in_every_form(client: httpx.Client) -> None:
    doc = client.get(f"{LAYER}/styles").json()
    assert {one["id"] for one in doc["styles"]} == {"default", "jenis"}
    for one in doc["styles"]:
        assert len(one["links"]) == 5
        for link in one["links"]:
            answer = client.get(link["href"])
            assert answer.status_code == 200, link
            assert answer.headers["content-type"] == link["type"]
            if "json" in link["type"]:
                assert answer.json()
            else:
                assert etree.fromstring(answer.content) is not None
    style = client.get(f"{LAYER}/styles/default").json()
    assert style["version"] == 8
    assert style["layers"][0]["paint"]["fill-color"][2][0] == "step"
    assert style["sources"]["desa-cianjur"]["promoteId"]["desa-cianjur"] == "fid"
    assert client.get(f"{LAYER}/styles/tiada").status_code == 404


def test_a_table_colours_areas_by_their_code(client: httpx.Client) -> None:
    path = "/collections/idm-cianjur/styles/choropleth?geometry=desa-cianjur&column=idm&classes=4&method=quantile"
    style = client.get(path).json()
    colour = style["layers"][0]["paint"]["fill-color"]
    assert colour[:2] == ["match", ["get", "KDEPUM"]]
    branches = dict(zip(colour[3:-1:2], colour[2:-1:2], strict=True))
    assert len(branches) == 4
    joined = style["metadata"]["satudata:join"]
    assert joined["matched"] == sum(map(len, branches.values())) > 340
    legend = client.get(f"{path}&f=legend").json()
    values = client.get(f"{path}&f=values").json()
    assert values["key"] == "KDEPUM"
    for entry in legend["entries"]:
        for code in branches.get(entry["color"], ()):
            value = values["values"][code]
            assert entry["min"] is None or value >= entry["min"]
            assert entry["max"] is None or value < entry["max"]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("column=idm", "geometry"), ("geometry=tiada&column=idm", "geometry"),
        ("geometry=idm-cianjur&column=idm", "geometry"), ("geometry=desa-cianjur", "column"),
        ("geometry=desa-cianjur&column=x", "column"), ("geometry=desa-cianjur&column=idm&classes=12", "classes"),
        ("geometry=desa-cianjur&column=idm&method=x", "method"),
        ("geometry=desa-cianjur&column=idm&geometry-code=fid&f=qml", "geometry"),
        ("geometry=desa-cianjur&column=idm&code=x", "code"),
    ],
)  # fmt: skip
def test_a_wrong_join_names_the_parameter(client: httpx.Client, query: str, where: str) -> None:
    answer = client.get(f"/collections/idm-cianjur/styles/choropleth?{query}")
    assert (answer.status_code, answer.json()["where"]) == (400, where)


def test_every_curl_example_of_the_page_on_styles_is_answered(client: httpx.Client) -> None:
    """docs/styles.md, with the kabupaten of the tests in place of the nation."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "styles.md").read_text("utf-8")
    examples = [shlex.split(line)[1] for line in page.splitlines() if line.startswith("curl ")]
    assert len(examples) >= 3
    for example in examples:
        path = (
            example.replace("$BASE", "")
            .replace("idm-desa", "idm-cianjur")
            .replace("batas-desa", "desa-cianjur")
        )
        assert client.get(path).status_code == 200, example


def test_glyphs_are_ours(client: httpx.Client) -> None:
    style = client.get(f"{LAYER}/styles/default").json()
    url = style["glyphs"].replace("{fontstack}", "Satu Data Regular").replace("{range}", "0-255")
    assert url.startswith(str(client.base_url))
    answer = client.get(url)
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert len(answer.content) > 20_000
    assert client.get(url.replace("0-255", "0-100")).status_code == 404


# -- other people's programs


def test_gdal_reads_the_archive(client: httpx.Client, tmp_path: Path, shared_data: Path) -> None:
    """Fiona's GDAL opens the archive as downloaded and finds every desa."""
    path = tmp_path / "desa.pmtiles"
    path.write_bytes(client.get(f"{LAYER}/tiles.pmtiles").content)
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as source:
        wanted = {feature["properties"]["KDEPUM"]: feature["properties"]["NAMOBJ"] for feature in source}
    with fiona.open(path, layer="desa-cianjur", allow_unsupported_drivers=True) as layer:
        found = {feature["properties"]["fid"]: feature["properties"]["NAMOBJ"] for feature in layer}
    assert found == wanted


QGIS = """
import json, sys
from qgis.PyQt.QtCore import QSize, QEventLoop, QTimer
from qgis.PyQt.QtGui import QColor
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsMapRendererParallelJob, QgsMapSettings,
    QgsRectangle, QgsVectorTileLayer)
base, folder = sys.argv[1:3]
application = QgsApplication([], False)
application.initQgis()
told = {}
tiles = QgsVectorTileLayer(
    f"type=xyz&url={base}/collections/desa-cianjur/tiles/WebMercatorQuad/%7Bz%7D/%7By%7D/%7Bx%7D&zmin=0&zmax=12", "desa")
told["valid"] = tiles.isValid()
settings = QgsMapSettings()
settings.setLayers([tiles])
settings.setOutputSize(QSize(500, 500))
settings.setBackgroundColor(QColor("#ffffff"))
settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
settings.setExtent(QgsRectangle(11886000, -838000, 11964000, -737000))
job = QgsMapRendererParallelJob(settings)
loop = QEventLoop()
job.finished.connect(loop.quit)
job.start()
QTimer.singleShot(60000, loop.quit)
loop.exec_()
image = job.renderedImage()
image.save(folder + "/tiles.png")
told["errors"] = [error.message for error in job.errors()]
with open(folder + "/told.json", "w") as out:
    json.dump(told, out)
application.exitQgis()
"""


def test_qgis_draws_the_tiles(base: str, tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import qgis.core"], capture_output=True).returncode:
        missing("qgis", "apt-get install python3-qgis")
    script = tmp_path / "draw.py"
    script.write_text(textwrap.dedent(QGIS))
    environment = {
        "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin",
        "XDG_RUNTIME_DIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [python, str(script), base, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )
    assert (tmp_path / "told.json").exists(), done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["valid"] is True
    assert told["errors"] == []
    drawn = image_of((tmp_path / "tiles.png").read_bytes())
    inked = (drawn[:, :, :3] != 255).any(axis=2).mean()
    assert 0.2 < inked < 0.9


def image_of(png: bytes) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="module")
def browser_page(browser: Browser, base: str) -> Page:
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(f"{base}/conformance")
    page.add_script_tag(url=f"{base}/static/maplibre-gl.js")
    return page


DRAW = """async ([style, centre, zoom]) => {
  document.body.innerHTML = '<div id="m" style="position:fixed;inset:0;background:#fff"></div>';
  const map = new maplibregl.Map({container: "m", style, center: centre, zoom, attributionControl: false,
    fadeDuration: 0, canvasContextAttributes: {preserveDrawingBuffer: true}});
  const errors = [];
  map.on("error", (event) => errors.push(String(event.error)));
  await new Promise((done) => map.once("idle", done));
  const at = map.project(centre);
  const found = map.queryRenderedFeatures(at).filter((one) => one.layer.type === "fill");
  const names = map.queryRenderedFeatures().filter((one) => one.layer.type === "symbol");
  return {errors, fid: found[0]?.properties.fid, source: found[0]?.sourceLayer, names: names.length,
    x: at.x, y: at.y};
}"""


@pytest.mark.parametrize(
    "path",
    [
        f"{LAYER}/styles/default",
        "/collections/idm-cianjur/styles/choropleth?geometry=desa-cianjur&column=idm&method=quantile",
    ],
)
def test_maplibre_draws_the_style_with_the_legends_colours(
    base: str, client: httpx.Client, browser_page: Page, path: str, tmp_path: Path
) -> None:
    strangers: list[str] = []
    browser_page.on(
        "request", lambda asked: strangers.append(asked.url) if not _ours(asked.url, base) else None
    )
    centre = [107.1420, -6.8200]
    told = browser_page.evaluate(DRAW, [base + path, centre, 11])
    assert told["errors"] == []
    assert told["names"] > 3, "no name is written on the map"
    assert strangers == []
    feature = client.get(f"{LAYER}/items/{told['fid']}").json()
    inside = client.get(
        f"{LAYER}/items", params={"filter": "S_INTERSECTS(geometry,POINT(107.142 -6.82))"}
    ).json()
    assert [one["id"] for one in inside["features"]] == [told["fid"]]
    style = client.get(base + path).json()
    wanted = _expected(style, feature, client, path)
    style["layers"] = [one for one in style["layers"] if one["type"] == "fill"]
    style["layers"][0]["paint"]["fill-opacity"] = 1
    told = browser_page.evaluate(DRAW, [style, centre, 11])
    png = browser_page.screenshot(path=tmp_path / "map.png")
    seen = image_of(png)[int(told["y"]), int(told["x"])]
    assert [int(part) for part in seen] == pytest.approx(
        [int(wanted[i : i + 2], 16) for i in (1, 3, 5)], abs=2
    )


def _ours(url: str, base: str) -> bool:
    return url.startswith((base, "blob:", "data:"))


def _expected(style: dict[str, Any], feature: dict[str, Any], client: httpx.Client, path: str) -> str:
    """The legend's colour of the feature's value."""
    entries = style["metadata"]["satudata:legend"]["entries"]
    if "choropleth" in path:
        value = client.get(f"{path}&f=values").json()["values"].get(feature["id"])
    else:
        value = feature["properties"]["LUASWH"]
    for entry in entries:
        if value is None and entry.get("noData"):
            return str(entry["color"])
        low, high = (entry.get(name) for name in ("min", "max"))
        if value is not None and (low is None or value >= low) and (high is None or value < high):
            return str(entry["color"])
    raise AssertionError(f"no class for {value}")


def test_tiles_of_versions_that_are_gone_are_swept(deployment: Deployment) -> None:
    folder = deployment.data / "layers" / "desa-cianjur" / "tiles"
    (folder / "77.json").write_text("{}", "utf-8")
    (folder / "77.WebMercatorQuad.pmtiles").write_bytes(b"x")
    rows = {row["id"]: row for row in deployment.json("tiles", "build", "--all")}
    assert rows.keys() == {"desa-cianjur", "kabupaten-cianjur"}
    assert {row["state"] for row in rows.values()} == {"ready"}
    assert sorted(path.name for path in folder.glob("77.*")) == []
    assert (folder / "1.WebMercatorQuad.pmtiles").exists()
    told = deployment.json("tiles", "status")
    assert {row["id"]: row["state"] for row in told} == dict.fromkeys(rows, "ready")
    wrong = deployment.run("tiles", "build", "idm-cianjur", check=False)
    assert wrong.returncode != 0
    assert "idm-cianjur" in wrong.stdout + wrong.stderr


# -- what is left out, and the pages


@pytest.mark.parametrize("grid", GRIDS)
def test_what_a_zoom_leaves_out_is_told_to_the_feature(client: httpx.Client, grid: str) -> None:
    """The tiles themselves are counted: what they do not hold is what the metadata says."""
    doc = client.get(f"{LAYER}/tiles/{grid}").json()
    said = doc["generalization"]
    assert said["featureCount"] == 360
    rows = {row["tileMatrix"]: row for row in said["tileMatrices"]}
    assert rows, "at zoom 1 some desa are smaller than a unit"
    complete = int(said["completeFrom"])
    for limits in doc["tileMatrixSetLimits"][:6]:
        zoom = limits["tileMatrix"]
        seen: set[str] = set()
        for row in range(limits["minTileRow"], limits["maxTileRow"] + 1):
            for column in range(limits["minTileCol"], limits["maxTileCol"] + 1):
                answer = client.get(f"{LAYER}/tiles/{grid}/{zoom}/{row}/{column}")
                found = decoded(answer).get("desa-cianjur", {}) if answer.status_code == 200 else {}
                seen |= {one["properties"]["fid"] for one in found.get("features", ())}
        assert len(seen) == 360 - rows.get(zoom, {}).get("withoutShape", 0), zoom
        assert (len(seen) == 360) == (int(zoom) >= complete)


def test_tilejson_says_the_same(client: httpx.Client) -> None:
    """TileJSON 3.0, clause 3: clients pass over keys that they do not know."""
    told = client.get(f"{TILES}?f=tilejson&lang=en").json()["satudata:generalization"]
    assert told == client.get(f"{TILES}?f=json&lang=en").json()["generalization"]
    assert "no shape" in told["note"]
    assert "picture of the larger ones" in told["note"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/tileMatrixSets", ["WebMercatorQuad", "WorldCRS84Quad"]),
        ("/tileMatrixSets/WorldCRS84Quad", ["279", "Lon, Lat"]),
        (f"{LAYER}/tiles", ["WorldCRS84Quad", "tiles.pmtiles", "f=tilejson", "styles/default"]),
        (TILES, ["KDEPUM", "desa-cianjur:label", "360"]),
        (f"{LAYER}/tiles/WorldCRS84Quad", ["TileJSON", "KDEPUM"]),
        ("/collections/kabupaten-cianjur/tiles", ["WorldCRS84Quad"]),
    ],
)
def test_documents_of_tiles_have_pages(client: httpx.Client, path: str, shown: list[str]) -> None:
    page = client.get(path, headers={"accept": "text/html,*/*;q=0.5"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for word in shown:
        assert word in page.text, word
    assert page.text != client.get(path, params={"f": "html", "lang": "en"}).text
    doc = client.get(path)
    assert doc.headers["content-type"] == "application/json"
    (other,) = [one for one in links(doc.json(), "alternate") if one["type"] == "text/html"]
    assert client.get(other["href"]).text == client.get(path, params={"f": "html"}).text
    described = client.get("/api").json()["paths"]
    templates = {
        2: "/tileMatrixSets/{tileMatrixSetId}", 3: "/collections/{collectionId}/tiles",
        4: "/collections/{collectionId}/tiles/{tileMatrixSetId}",
    }  # fmt: skip
    template = templates.get(len(path.strip("/").split("/")), "/tileMatrixSets")
    assert "text/html" in described[template]["get"]["responses"]["200"]["content"]


def test_the_page_shows_the_tiles_themselves(browser: Browser, base: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if _ours(asked.url, base) else wrong.append(asked.url))
    page.goto(f"{base}{LAYER}/tiles?f=html&lang=id")
    page.wait_for_selector("satudata-peta[data-ready]", timeout=60_000)
    fids = page.evaluate(
        """() => new Set(document.querySelector("satudata-peta").map.queryRenderedFeatures()
            .map((one) => one.properties.fid)).size"""
    )
    assert fids > 300
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert wrong == []
    page.close()


def test_a_build_that_goes_on_shows_how_far_it_is(client: httpx.Client, deployment: Deployment) -> None:
    note = deployment.data / "layers" / "kabupaten-cianjur" / "tiles" / "1.json"
    before = note.read_bytes() if note.exists() else None
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text('{"state": "building", "progress": 41.6}', "utf-8")
    page = client.get("/collections/kabupaten-cianjur/tiles?f=html&lang=en").text
    note.unlink() if before is None else note.write_bytes(before)
    assert 'value="42"' in page
    assert "Being built" in page
    assert 'http-equiv="refresh"' in page


def test_the_refusal_of_tilejson_names_the_right_document(client: httpx.Client) -> None:
    told = client.get(f"{LAYER}/tiles/WorldCRS84Quad?f=tilejson&lang=en").json()
    assert "f=json" in told["detail"]
    assert "WebMercatorQuad" in told["detail"]
