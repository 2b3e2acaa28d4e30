"""Maps: each pixel has the colour of the value below it, in every CRS and at every size; tiles fit together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyproj import Transformer

from tests.ogc_server.conftest import running
from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, door, index, publish, refused
from tests.ogc_server.world import SOURCE, World

MAP = "/collections/bahaya/map"
TILES = "/collections/bahaya/map/tiles"
GREEN, YELLOW, RED = (0x1A, 0x98, 0x50), (0xFE, 0xE0, 0x8B), (0xD7, 0x30, 0x27)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with door(tmp_path_factory.mktemp("maps")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


def picture(answer: httpx.Response) -> Any:
    """Return an (height, width, 4) array of the answer's pixels."""
    assert answer.status_code == 200, answer.text[:300]
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def colour(value: float) -> tuple[int, int, int]:
    """The rule of BNPB, written down once more."""
    return GREEN if value <= 1 / 3 else YELLOW if value <= 2 / 3 else RED


def expected() -> Any:
    truth = index()
    drawn = np.zeros((*truth.shape, 4), "uint8")
    for row, column in np.ndindex(*truth.shape):
        if truth[row, column] != -9999:
            drawn[row, column] = (*colour(float(truth[row, column])), 255)
    return drawn


# -- pictures -----------------------------------------------------------------


def test_each_cell_has_the_colour_of_its_class(client: httpx.Client) -> None:
    answer = client.get(MAP, params={"width": WIDE})
    found, wanted = picture(answer), expected()
    assert found.shape == wanted.shape
    clear = wanted[..., 3] == 0
    assert (found[..., 3] == wanted[..., 3]).all()
    assert (found[~clear] == wanted[~clear]).all()
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    box = [float(one) for one in answer.headers["content-bbox"].split(",")]
    assert box == pytest.approx([WEST, NORTH - HIGH * CELL, WEST + WIDE * CELL, NORTH])


@settings(max_examples=20)
@given(st.data())
def test_any_box_in_any_crs_shows_what_lies_there(client: httpx.Client, data: st.DataObject) -> None:
    crs = data.draw(st.sampled_from(["OGC:CRS84", "EPSG:4326", "EPSG:3857", "EPSG:32748"]))
    west = data.draw(st.floats(106.6, 107.4))
    south = data.draw(st.floats(-7.1, -6.45))
    wide, high = data.draw(st.floats(0.01, 0.15)), data.draw(st.floats(0.01, 0.11))
    to = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    box = to.transform_bounds(west, south, west + wide, south + high)
    given_box = (box[1], box[0], box[3], box[2]) if crs == "EPSG:4326" else box
    asked: dict[str, str | int] = {
        "bbox": ",".join(f"{one:.9f}" for one in given_box),
        "bbox-crs": crs,
        "crs": crs,
        "width": 40,
        "height": 30,
    }
    found = picture(client.get(MAP, params=asked))
    assert found.shape == (30, 40, 4)
    xs = box[0] + (np.arange(40) + 0.5) * (box[2] - box[0]) / 40
    ys = box[3] - (np.arange(30) + 0.5) * (box[3] - box[1]) / 30
    lon, lat = to.transform(*np.meshgrid(xs, ys), direction="INVERSE")
    column, row = (lon - WEST) / CELL, (NORTH - lat) / CELL
    if max(wide / 40, high / 30) > 1.9 * CELL:
        return  # read from an overview: averages have colours of their own
    truth = index()
    for y, x in np.ndindex(30, 40):
        c, r = column[y, x], row[y, x]
        if abs(c - round(c)) < 0.2 or abs(r - round(r)) < 0.2:
            continue  # GDAL may be off by an eighth of a cell
        inside = 0 <= c < WIDE and 0 <= r < HIGH
        value = float(truth[int(r), int(c)]) if inside else -9999
        wanted = (*colour(value), 255) if value != -9999 else None
        assert (tuple(found[y, x]) == wanted) if wanted else found[y, x, 3] == 0, (crs, x, y)


def test_axis_order_follows_the_crs(client: httpx.Client) -> None:
    plain = client.get(MAP, params={"bbox": "107,-6.9,107.2,-6.7", "width": 50, "height": 50})
    latitude_first: dict[str, str | int] = {
        "bbox": "-6.9,107,-6.7,107.2",
        "bbox-crs": "EPSG:4326",
        "width": 50,
        "height": 50,
    }
    assert (picture(client.get(MAP, params=latitude_first)) == picture(plain)).all()
    answer = client.get(MAP, params={**latitude_first, "crs": "EPSG:4326"})
    assert answer.headers["content-bbox"] == "-6.9,107,-6.7,107.2"
    assert (picture(answer) == picture(plain)).all()


def test_background_and_transparency(client: httpx.Client) -> None:
    hole = (5, 5)
    assert picture(client.get(MAP, params={"width": WIDE}))[hole][3] == 0
    blue = picture(client.get(MAP, params={"width": WIDE, "bgcolor": "0x0000ff"}))[hole]
    assert tuple(blue) == (0, 0, 255, 255)
    white = picture(client.get(MAP, params={"width": WIDE, "transparent": "false"}))[hole]
    assert tuple(white) == (255, 255, 255, 255)
    assert (
        picture(client.get(MAP, params={"width": WIDE, "bgcolor": "0x0000ff", "transparent": "true"}))[hole][
            3
        ]
        == 0
    )
    jpeg = client.get(MAP, params={"width": WIDE, "f": "jpeg"})
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert (np.abs(picture(jpeg)[120, 290, :3].astype(int) - RED) < 25).all()


def test_a_place_without_data_is_an_empty_picture(client: httpx.Client) -> None:
    found = picture(client.get(MAP, params={"bbox": "10,10,11,11", "width": 20, "height": 20}))
    assert (found[..., 3] == 0).all()


@pytest.mark.parametrize(
    ("params", "status", "where"),
    [
        ({"width": "100000"}, 413, "width"),
        ({"width": "8000", "height": "8000"}, 413, "width"),
        ({"bbox": "107,-6.7,107,-6.6"}, 400, "bbox"),
        ({"bbox": "nan,0,1,1"}, 400, "bbox"),
        ({"bbox": "0,0,1e-300,1"}, 400, "bbox"),
        ({"bbox": "1e299,1e299,2e299,3e299", "bbox-crs": "EPSG:3857", "crs": "EPSG:32748"}, 400, "bbox"),
        ({"bgcolor": "merah"}, 400, "bgcolor"),
        ({"transparent": "ya"}, 400, "transparent"),
        ({"crs": "EPSG:1"}, 400, "crs"),
        ({"f": "svg"}, 400, "f"),
    ],
)
def test_hostile_questions_name_what_is_wrong(
    client: httpx.Client, params: dict[str, str], status: int, where: str
) -> None:
    refused(client.get(MAP, params=params), status, where)


# -- tiles --------------------------------------------------------------------


def test_tiles_put_together_are_the_map(client: httpx.Client) -> None:
    """Four Mercator tiles of zoom 11 beside the map of the box that they cover."""
    zoom, row, column = 11, 1062, 1632
    half = np.pi * 6378137
    side = 2 * half / 2**zoom
    joined = np.vstack(
        [np.hstack([picture(client.get(f"{TILES}/WebMercatorQuad/{zoom}/{row + y}/{column + x}")) for x in (0, 1)])
         for y in (0, 1)]
    )  # fmt: skip
    west, north = -half + column * side, half - row * side
    box = f"{west},{north - 2 * side},{west + 2 * side},{north}"
    whole = picture(
        client.get(MAP, params={"bbox": box, "bbox-crs": "EPSG:3857", "crs": "EPSG:3857", "width": 512})
    )
    assert joined.shape == whole.shape == (512, 512, 4)
    assert len(np.unique(joined.reshape(-1, 4), axis=0)) >= 3
    assert (joined == whole).all(axis=2).mean() > 0.995


def test_degree_tiles_cover_the_raster(client: httpx.Client) -> None:
    zoom, side = 8, 180 / 2**8
    row, column = int((90 - NORTH + 0.2) / side), int((WEST + 180 + 0.3) / side)
    found = picture(client.get(f"{TILES}/WorldCRS84Quad/{zoom}/{row}/{column}"))
    assert found[..., 3].any()
    assert picture(client.get(f"{TILES}/WorldCRS84Quad/0/0/1"))[..., 3].any()
    assert not picture(client.get(f"{TILES}/WorldCRS84Quad/0/0/0"))[..., 3].any()


def test_empty_tiles_are_small_and_those_outside_the_grid_are_missing(client: httpx.Client) -> None:
    empty = client.get(f"{TILES}/WebMercatorQuad/8/10/10")
    assert not picture(empty)[..., 3].any()
    assert len(empty.content) < 200
    for path in ("WebMercatorQuad/2/4/0", "WebMercatorQuad/2/0/4", "WebMercatorQuad/25/0/0", "WebMercatorQuad/x/0/0",
                 "WebMercatorQuad/-1/0/0", "WebMercatorQuad/1/0/²", "Lain/0/0/0", "WebMercatorQuad/9999999999/0/0"):  # fmt: skip
        assert client.get(f"{TILES}/{path}").status_code == 404, path


def test_tile_sets_lead_to_the_tiles(client: httpx.Client) -> None:
    doc = client.get(TILES).json()
    assert {one["tileMatrixSetURI"].rpartition("/")[2] for one in doc["tilesets"]} == {
        "WebMercatorQuad",
        "WorldCRS84Quad",
    }
    for one in doc["tilesets"]:
        links = {link["rel"].rpartition("/")[2]: link["href"] for link in one["links"]}
        assert client.get(links["self"]).json()["dataType"] == "map"
        tile = links["item"].format(tileMatrix=0, tileRow=0, tileCol=0)
        assert client.get(tile).headers["content-type"] == "image/png"


def test_tiles_are_kept_by_clients_until_the_version_changes(client: httpx.Client) -> None:
    path = f"{TILES}/WebMercatorQuad/9/265/408"
    first = client.get(path)
    assert first.headers["etag"].startswith('"')
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get(path, params={"version": 1}).headers["cache-control"] == "public, max-age=3600"


# -- colours ------------------------------------------------------------------


def test_the_legend_tells_the_classes_of_a_hazard_index(client: httpx.Client) -> None:
    doc = client.get(f"{MAP}/legend", params={"f": "json", "lang": "id"}).json()
    assert doc["type"] == "classes"
    assert [entry["label"].split(" ")[0] for entry in doc["entries"]] == ["Rendah", "Sedang", "Tinggi"]
    assert [entry["colour"] for entry in doc["entries"]] == ["#1a9850", "#fee08b", "#d73027"]
    english = client.get(f"{MAP}/legend", params={"f": "json", "lang": "en"}).json()
    assert english["entries"][0]["label"] == "Low (≤ 0.3333)"
    shown = picture(client.get(f"{MAP}/legend", params={"f": "png"}))
    seen = {tuple(int(v) for v in one[:3]) for one in shown.reshape(-1, 4)}
    assert {GREEN, YELLOW, RED} <= seen


def test_whole_numbers_get_a_step_each(client: httpx.Client) -> None:
    doc = client.get("/collections/kelas/map/legend", params={"f": "json"}).json()
    assert [entry["min"] for entry in doc["entries"]] == [1, 2, 3]
    drawn = picture(client.get("/collections/kelas/map", params={"width": WIDE}))
    assert len({tuple(one) for one in drawn.reshape(-1, 4)}) == 3


STYLE = """
id: {source}
type: raster
url: x.tif
produsen_data: BNPB
layers:
  - remote: bahaya
    id: bahaya
    style: {style}
"""


def styled(world: World, style: str) -> None:
    path = world.settings.config_dir / "sources" / "gaya.yml"
    path.write_text(STYLE.format(source=SOURCE, style=style), "utf-8")


@pytest.mark.parametrize(
    ("style", "first", "last"),
    [
        ("{classes: [{up_to: 0.5, color: '#000000', label: {id: Bawah, en: Below}}, {color: '#ffffff'}]}",
         (0, 0, 0, 255), (255, 255, 255, 255)),
        ("{ramp: [{value: 0, color: '#0000ff'}, {value: 1, color: '#ff0000'}]}", None, None),
        ("{classes: [{up_to: 0.5, color: '#000000'}]}", (0, 0, 0, 255), (255, 255, 255, 0)),
        ("{classes: biru}", (*GREEN, 255), (*RED, 255)),  # not understood: reported, default colours
        ("{band: suhu, ramp: [{value: 0, color: '#0000ff'}, {value: 1, color: '#ff0000'}]}", (*GREEN, 255), (*RED, 255)),
    ],
)  # fmt: skip
def test_a_rule_in_the_source_file_decides(
    fresh: World, tmp_path: Path, style: str, first: tuple[int, ...] | None, last: tuple[int, ...] | None
) -> None:
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999, title="Indeks bahaya")
    styled(fresh, style)
    with running(fresh) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        drawn = picture(client.get(MAP, params={"width": WIDE}))
        if first and last:
            assert tuple(int(v) for v in drawn[200, 2]) == first
            assert (tuple(int(v) for v in drawn[200, -2]) == last) or (last[3] == 0 == drawn[200, -2, 3])
        else:
            value = float(index()[200, 150])
            assert drawn[200, 150, :3] == pytest.approx([255 * value, 0, 255 * (1 - value)], abs=2)
