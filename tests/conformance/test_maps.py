"""The abstract tests of OGC API - Maps 1.0 (20-058, annex A) for the classes that are claimed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pyproj import Geod

from tests.conformance.classes import MAPS, holds
from tests.conformance.rasters import URI, box_of, is_client_error, picture, raster_door
from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE
from tests.ogc_server.world import World

MAP, WORLD, DATED = "/collections/bahaya/map", "/collections/dunia/map", "/collections/berwaktu/map"
UTM = "/collections/kelas/map"
TILE = "/collections/bahaya/map/tiles/WebMercatorQuad/9/265/408"
CRS84 = f"{URI}OGC/1.3/CRS84"
EARTH = Geod(ellps="WGS84")
HOLE = (5, 5)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with raster_door(tmp_path_factory.mktemp("maps")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


def rels(client: httpx.Client, path: str) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in client.get(path, params={"f": "json"}).json()["links"]}


# -- core, collection map, encodings ------------------------------------------


@holds(f"{MAPS}core", "map-op", "map-response", "conformance-success")
@holds(f"{MAPS}collection-map", "desc-links", "desc-crs", "map-operation")
@pytest.mark.parametrize("name", ["bahaya", "kelas", "berwaktu"])
def test_a_collection_leads_to_its_map(client: httpx.Client, name: str) -> None:
    doc = client.get(f"/collections/{name}").json()
    href = next(link["href"] for link in doc["links"] if link["rel"].endswith("/def/rel/ogc/1.0/map"))
    assert httpx.URL(href).path == f"/collections/{name}/map"
    answer = client.get(href, headers={"accept": "image/png,image/jpeg"})
    assert answer.status_code == 200
    assert answer.headers["content-crs"] == f"<{doc['storageCrs']}>"
    assert all(uri.startswith(URI) for uri in doc["crs"])
    if doc["storageCrs"] != CRS84:
        assert box_of(answer) == pytest.approx(doc["extent"]["spatial"]["storageCrsBbox"][0])
    else:
        assert box_of(answer) == pytest.approx(doc["extent"]["spatial"]["bbox"][0], abs=1e-6)
    if "temporal" in doc["extent"]:
        assert answer.headers["content-datetime"] == "/".join(doc["extent"]["temporal"]["interval"][0])
    else:
        assert "content-datetime" not in answer.headers
    assert f"http://www.opengis.net/spec/{MAPS}core" in client.get("/conformance").json()["conformsTo"]


@holds(f"{MAPS}png", "content")
@holds(f"{MAPS}jpeg", "content")
@pytest.mark.parametrize(("media", "form"), [("image/png", "PNG"), ("image/jpeg", "JPEG")])
def test_both_encodings_are_negotiated(client: httpx.Client, media: str, form: str) -> None:
    answer = client.get(MAP, params={"width": 60}, headers={"accept": media})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    drawn = Image.open(io.BytesIO(answer.content))
    assert (drawn.format, drawn.width) == (form, 60)
    assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) >= 3


# -- background ----------------------------------------------------------------


@holds(f"{MAPS}background", "bgcolor-definition", "transparent-definition", "map-success")
@pytest.mark.parametrize(
    "colour", [None, "0x102030", "#102030", "102030", "rebeccapurple", "AliceBlue", "RED"]
)
@pytest.mark.parametrize("clear", [None, "true", "false"])
def test_background(client: httpx.Client, colour: str | None, clear: str | None) -> None:
    given = {"bgcolor": colour, "transparent": clear}
    asked = {"width": str(WIDE), **{name: value for name, value in given.items() if value is not None}}
    shown = picture(client.get(MAP, params=asked))[HOLE]
    names = {"rebeccapurple": (102, 51, 153), "AliceBlue": (240, 248, 255), "RED": (255, 0, 0)}
    wanted = names.get(colour, (16, 32, 48)) if colour else (255, 255, 255)
    see_through = clear == "true" or (clear is None and colour is None)
    assert shown[3] == (0 if see_through else 255)
    if not see_through:
        assert tuple(int(one) for one in shown[:3]) == wanted
    jpeg = picture(client.get(MAP, params={**asked, "f": "jpeg"}))[HOLE]
    assert np.abs(jpeg[:3].astype(int) - wanted).max() < 30
    assert is_client_error(client.get(MAP, params={"bgcolor": "tidak-ada"}))


@holds(f"{MAPS}background", "void-color-definition", "void-transparent-definition", "map-success")
@pytest.mark.parametrize(
    ("given", "void", "hole"),
    [
        ({}, None, None),
        ({"bgcolor": "red"}, (255, 0, 0), (255, 0, 0)),
        ({"bgcolor": "red", "void-color": "0x0000FF"}, (0, 0, 255), (255, 0, 0)),
        ({"void-color": "blue"}, None, None),
        ({"void-color": "blue", "void-transparent": "false"}, (0, 0, 255), None),
        ({"transparent": "false"}, (255, 255, 255), (255, 255, 255)),
        ({"transparent": "false", "void-transparent": "true"}, None, (255, 255, 255)),
        ({"bgcolor": "red", "void-transparent": "true"}, None, (255, 0, 0)),
    ],
)
@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:3857"])
def test_void(client: httpx.Client, given: dict[str, str], void: Any, hole: Any, crs: str) -> None:
    """A square around the whole world: beyond latitude 90 there is nothing, in Mercator beyond its edges."""
    side = 200 if crs == "OGC:CRS84" else 22_000_000
    box = {"subset": f"x({-side}:{side}),y({-side}:{side})", "subset-crs": crs} if crs != "OGC:CRS84" else {}
    around = {"center": "0,0", "scale-denominator": "500000000", "width": "300", "height": "300"}
    asked = {**(box or around), "crs": crs, "width": "300", "height": "300", **given}
    drawn = picture(client.get(WORLD, params=asked))
    for place, wanted in (((3, 3), void), ((150, 150), hole)):
        seen = tuple(int(one) for one in drawn[place])
        assert seen[3] == (0 if wanted is None else 255), (place, seen)
        assert wanted is None or seen[:3] == wanted
    assert drawn[150, 200, 3] == 255, "the data"


# -- scaling and display resolution ---------------------------------------------


def limits(client: httpx.Client) -> dict[str, int]:
    found: dict[str, int] = client.get("/api").json()["info"]["x-OGC-limits"]["maps"]
    return found


@holds(f"{MAPS}scaling", "width-definition", "height-definition")
@pytest.mark.parametrize(("name", "axis"), [("width", 1), ("height", 0)])
def test_width_and_height(client: httpx.Client, name: str, axis: int) -> None:
    other = "height" if name == "width" else "width"
    box = {"bbox": "106.9,-6.9,107.2,-6.6"}
    assert picture(client.get(MAP, params={**box, name: 120})).shape[axis] == 120
    assert picture(client.get(MAP, params={**box, name: 120, other: 35})).shape[:2] == (
        (35, 120) if name == "width" else (120, 35)
    )
    for bad in ("0", "-3", "1.5", "x", ""):
        assert is_client_error(client.get(MAP, params={name: bad})), bad
    most = limits(client)
    assert client.get(MAP, params={name: most[f"max{name.title()}"] + 1}).status_code == 413
    side = int(most["maxPixels"] ** 0.5) + 1
    assert client.get(MAP, params={"width": side, "height": side}).status_code == 413
    for region in (box, {"subset": "Lat(-6.9:-6.6),Lon(106.9:107.2)"}):
        assert is_client_error(client.get(MAP, params={**region, name: 120, "scale-denominator": 100000}))


@holds(f"{MAPS}scaling", "width-definition", "height-definition")
@pytest.mark.parametrize("south", [-60.0, 0.0, 45.0])
def test_a_side_that_is_not_given_keeps_pixels_square_on_the_ground(
    client: httpx.Client, south: float
) -> None:
    rows, columns = picture(
        client.get(WORLD, params={"bbox": f"10,{south},20,{south + 10}", "width": 500})
    ).shape[:2]
    middle = south + 5
    across = EARTH.inv(14.9, middle, 15.1, middle)[2] / 0.2
    down = EARTH.inv(15, middle - 0.1, 15, middle + 0.1)[2] / 0.2
    assert columns == 500
    assert rows == pytest.approx(500 * down / across, abs=1)


@holds(f"{MAPS}scaling", "scale-denominator-definition")
@holds(f"{MAPS}display-resolution", "mm-per-pixel-definition", "map-success")
@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:4326", "EPSG:3857", "EPSG:32748"])
@pytest.mark.parametrize("pixel", [None, 0.14, 0.56])
def test_scale_denominator(client: httpx.Client, crs: str, pixel: float | None) -> None:
    """Metres on the ground per pixel = mm-per-pixel / 1000 x scale-denominator."""
    scale = 400_000
    asked: dict[str, Any] = {"bbox": "106.95,-6.85,107.15,-6.65", "crs": crs, "scale-denominator": scale}
    asked |= {} if pixel is None else {"mm-per-pixel": pixel}
    rows, columns = picture(client.get(MAP, params=asked)).shape[:2]
    per_pixel = (pixel or 0.28) / 1000 * scale
    across, down = EARTH.inv(106.95, -6.75, 107.15, -6.75)[2], EARTH.inv(107.05, -6.85, 107.05, -6.65)[2]
    assert columns == pytest.approx(across / per_pixel, rel=0.02, abs=1)
    assert rows == pytest.approx(down / per_pixel, rel=0.02, abs=1)


@holds(f"{MAPS}scaling", "scale-denominator-definition")
@holds(f"{MAPS}display-resolution", "mm-per-pixel-definition", "map-success")
@holds(f"{MAPS}spatial-subsetting", "width-height")
@pytest.mark.parametrize("place", [{}, {"center": "107.1,-6.7"}])
@pytest.mark.parametrize("pixel", [0.28, 0.14])
def test_scale_and_size_decide_the_area(client: httpx.Client, place: dict[str, str], pixel: float) -> None:
    """Without a box the scale and the size are the area, around the centre or the raster's middle."""
    size = {"width": 200, "height": 100, "scale-denominator": 250_000, "mm-per-pixel": pixel}
    answer = client.get(MAP, params={**place, **size})
    assert picture(answer).shape[:2] == (100, 200)
    west, south, east, north = box_of(answer)
    middle = (107.1, -6.7) if place else (WEST + WIDE * CELL / 2, NORTH - HIGH * CELL / 2)
    assert ((west + east) / 2, (south + north) / 2) == pytest.approx(middle, abs=1e-6)
    metres = pixel / 1000 * 250_000
    assert EARTH.inv(west, middle[1], east, middle[1])[2] == pytest.approx(200 * metres, rel=1e-3)
    assert EARTH.inv(middle[0], south, middle[0], north)[2] == pytest.approx(100 * metres, rel=1e-3)


@holds(f"{MAPS}display-resolution", "mm-per-pixel-definition")
def test_a_pixel_has_a_size_above_zero(client: httpx.Client) -> None:
    for bad in ("0", "-1", "nan", "x"):
        assert is_client_error(client.get(MAP, params={"mm-per-pixel": bad}))
    box = {"bbox": "106.95,-6.85,107.15,-6.65", "scale-denominator": "400000"}
    plain = client.get(MAP, params=box)
    assert (picture(plain) == picture(client.get(MAP, params={**box, "mm-per-pixel": "0.28"}))).all()


# -- spatial subsetting -----------------------------------------------------------


@holds(
    f"{MAPS}spatial-subsetting",
    "bbox-definition",
    "bbox-crs",
    "subset-crs",
    "subset-definition",
    "map-success",
)
@pytest.mark.parametrize(
    "name",
    ["[EPSG:32748]", "EPSG:32748", f"{URI}EPSG/0/32748", f"{URI}EPSG/0/32748".replace("http:", "https:")],
)
def test_box_and_subset_in_the_storage_crs(client: httpx.Client, name: str) -> None:
    size = {"width": 100, "height": 50}
    boxed = client.get(UTM, params={"bbox": "701000,9270000,711000,9275000", "bbox-crs": name, **size})
    part = client.get(
        UTM, params={"subset": "E(701000:711000),N(9270000:9275000)", "subset-crs": name, **size}
    )
    assert box_of(boxed) == box_of(part) == pytest.approx((701000, 9270000, 711000, 9275000))
    assert boxed.content == part.content
    assert len(np.unique(picture(boxed).reshape(-1, 4), axis=0)) >= 1


@holds(f"{MAPS}spatial-subsetting", "bbox-definition", "subset-definition", "subset-response", "map-success")
@pytest.mark.parametrize(
    "names", [("Lon", "Lat"), ("lon", "lat"), ("Longitude", "latitude"), ("Long", "Latitude"), ("x", "y")]
)
def test_box_and_subset_are_the_same_part(client: httpx.Client, names: tuple[str, str]) -> None:
    west, south, east, north = WEST + 100 * CELL, NORTH - 90 * CELL, WEST + 160 * CELL, NORTH - 60 * CELL
    size = {"width": 60, "height": 30}
    boxed = client.get(MAP, params={"bbox": f"{west},{south},{east},{north}", **size})
    lon, lat = names
    part = client.get(MAP, params={"subset": f"{lat}({south}:{north}),{lon}({west}:{east})", **size})
    assert part.content == boxed.content
    twice = client.get(f"{MAP}?subset={lat}({south}:{north})&subset={lon}({west}:{east})&width=60&height=30")
    assert twice.content == boxed.content
    tall = client.get(MAP, params={"bbox": f"{west},{south},0,{east},{north},100", **size})
    assert tall.content == boxed.content
    whole = picture(client.get(MAP, params={"width": WIDE, "height": HIGH}))
    assert (picture(boxed) == whole[60:90, 100:160]).all()


@holds(f"{MAPS}spatial-subsetting", "subset-definition", "bbox-definition", "center-definition")
@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        ({"subset": "tekanan(500)"}, {400}),
        ({"subset": "E(700000:710000)"}, {400}),  # degrees have no easting
        ({"subset": "Lat(-7:-6)", "subset-crs": "EPSG:3857"}, {400}),
        ({"subset": "Lat(-6.9:-6.7)", "bbox": "107,-7,108,-6"}, {400}),
        ({"center": "107,-6.7", "bbox": "107,-7,108,-6"}, {400}),
        ({"center": "107,-6.7", "subset": "Lat(-6.9:-6.7)"}, {400}),
        ({"center": "107"}, {400}),
        ({"center": "107,-6.7,5"}, {400}),
        ({"center": "107,x"}, {400}),
        ({"center": "500,-6.7"}, {400}),
    ],
)
def test_what_can_not_be_meant_is_refused(
    client: httpx.Client, asked: dict[str, str], statuses: set[int]
) -> None:
    answer = client.get(MAP, params={**asked, "width": 10, "height": 10})
    assert answer.status_code in statuses, answer.text[:200]
    assert answer.json()["where"] in asked


@holds(f"{MAPS}spatial-subsetting", "subset-definition", "subset-response")
def test_a_subset_across_the_antimeridian_and_one_beyond_the_axis(client: httpx.Client) -> None:
    """A raster on one side of it, and one of the whole world; beside the values of an axis is nothing."""
    for crs in ("OGC:CRS84", "EPSG:3857"):
        asked = {"subset": "Lon(170:-170),Lat(-10:10)", "crs": crs, "width": 40, "height": 40}
        both = client.get(WORLD, params=asked)
        halves = [
            picture(client.get(WORLD, params={**asked, "subset": f"Lon({part}),Lat(-10:10)", "width": 20}))
            for part in ("170:180", "-180:-170")
        ]
        assert (picture(both) == np.hstack(halves)).all()
        assert len(np.unique(picture(both)[0].reshape(-1, 4), axis=0)) > 2
        west, _, east, _ = box_of(both)
        assert west > 0 > east
    across = client.get(MAP, params={"subset": "Lon(107:-170),Lat(-7:-6.5)", "width": 40, "height": 20})
    assert across.status_code == 200
    assert box_of(across)[0] == pytest.approx(107)
    outside = client.get(MAP, params={"subset": "Lat(100:110)", "width": 10, "height": 10})
    assert outside.status_code in (204, 404)
    assert client.get(MAP, params={"subset": "Lon(-179:-178)", "width": 10, "height": 10}).status_code in (
        204,
        404,
    )


@holds(f"{MAPS}spatial-subsetting", "bbox-crs", "subset-crs", "center-crs")
@pytest.mark.parametrize("name", ["bbox-crs", "subset-crs", "center-crs"])
def test_the_crs_of_nothing_is_ignored(client: httpx.Client, name: str) -> None:
    plain = client.get(MAP, params={"width": 50})
    assert client.get(MAP, params={"width": 50, name: "EPSG:3857"}).content == plain.content
    inside = {"bbox-crs": {"bbox": "107,-6.8,107.2,-6.7"}, "subset-crs": {"subset": "Lat(-6.8:-6.7)"},
              "center-crs": {"center": "107,-6.7"}}[name]  # fmt: skip
    default = client.get(MAP, params={"width": 50, "height": 40, **inside})
    for crs in (CRS84, "[OGC:CRS84]"):
        assert (
            client.get(MAP, params={"width": 50, "height": 40, **inside, name: crs}).content
            == default.content
        )
    assert client.get(MAP, params={**inside, name: "EPSG:99999"}).status_code == 400


@holds(f"{MAPS}spatial-subsetting", "center-definition", "center-crs", "width-height", "map-success")
@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:4326", "EPSG:3857", "EPSG:32748"])
def test_around_a_centre(client: httpx.Client, crs: str) -> None:
    """At the native scale a pixel is a cell; the centre comes in the axis order of its own CRS."""
    x, y = WEST + 150 * CELL, NORTH - 120 * CELL
    given = (
        {"center": f"{y},{x}", "center-crs": "EPSG:4326"} if crs != "OGC:CRS84" else {"center": f"{x},{y}"}
    )
    answer = client.get(MAP, params={**given, "width": 30, "height": 20, "crs": crs})
    drawn = picture(answer)
    assert drawn.shape[:2] == (20, 30)
    if crs == "OGC:CRS84":
        west, south, east, north = box_of(answer)
        assert ((west + east) / 2, (south + north) / 2) == pytest.approx((x, y))
        assert north - south == pytest.approx(20 * CELL, rel=1e-6)
    boxed = client.get(
        MAP,
        params={
            "bbox": answer.headers["content-bbox"],
            "bbox-crs": crs,
            "crs": crs,
            "width": 30,
            "height": 20,
        },
    )
    assert (picture(boxed) == drawn).mean() > 0.99


# -- time --------------------------------------------------------------------------


@holds(f"{MAPS}datetime", "datetime-definition", "datetime-response", "map-success")
@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("2024-03-01T00:00:00Z", True),
        ("2024-01-01T00:00:00Z", True),
        ("2023-12-31T23:59:59Z", False),
        ("2024-06-30", True),
        ("2024-07-01T00:00:00Z/..", False),
        ("2024-06-01T00:00:00Z/..", True),
        ("../2023-12-31T00:00:00Z", False),
        ("/2024-03-01T00:00:00Z", True),
        ("2023-01-01T00:00:00Z/2023-06-01T00:00:00Z", False),
        ("../..", True),
    ],
)
def test_datetime(client: httpx.Client, asked: str, there: bool) -> None:
    answer = client.get(DATED, params={"datetime": asked, "width": 20})
    assert answer.status_code == (200 if there else 404), answer.text[:200]
    if there:
        assert answer.headers["content-datetime"] == "2024-01-01T00:00:00Z/2024-06-30T12:00:00Z"
        assert answer.content == client.get(DATED, params={"width": 20}).content
    assert client.get(MAP, params={"datetime": asked, "width": 20}).status_code == 200, (
        "a raster without a time"
    )


@holds(f"{MAPS}datetime", "subset-definition", "subset-response", "axis", "map-success")
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ('time("2024-03-01T00:00:00Z")', 200),
        ('time("2023-03-01T00:00:00Z":"2024-02-01T00:00:00Z")', 200),
        ('time("2022-01-01":"2023-12-31")', 404),
        ("time(2024)", 200),
        ("time(2023)", 404),
        ('time("2024-06")', 200),
        ('time("2024-07")', 404),
        ('time("2024-06-30T12Z")', 200),
        ('time("2024-06-30T13Z")', 404),
        ('time("2024-06-30T11:59Z")', 200),
        ("time(*)", 200),
        ('time(*:"2023-12-31T00:00:00Z")', 404),
        ('time("2024-06-30":*)', 200),
        ('t("2024-03-01")', 200),
        ('Time("2024-03-01")', 200),
        ('waktu("2024-03-01")', 400),
        ('time("2024-13")', 400),
        ('time("2024-03-01":"2024-02-01")', 400),
        ("time(kemarin)", 400),
        ('time("2024-03-01"),Lat(-6.8:-6.7)', 200),
    ],
)
def test_time_as_an_axis(client: httpx.Client, asked: str, status: int) -> None:
    answer = client.get(DATED, params={"subset": asked, "width": 20})
    assert answer.status_code == status, answer.text[:200]
    both = client.get(DATED, params={"subset": asked, "datetime": "2024-03-01T00:00:00Z", "width": 20})
    assert is_client_error(both)
    joined = client.get(f"{DATED}?subset=Lat(-6.8:-6.7)&subset=time(*)&width=20&height=20")
    assert joined.status_code == 200


# -- CRS ------------------------------------------------------------------------------


@holds(f"{MAPS}crs", "crs-definition", "map-success")
def test_every_crs_that_is_listed(client: httpx.Client) -> None:
    doc = client.get("/collections/kelas").json()
    assert doc["storageCrs"] in doc["crs"]
    for uri in doc["crs"]:
        answer = client.get(UTM, params={"crs": uri, "width": 20})
        if answer.status_code == 400:  # a UTM zone at the other end of the archipelago
            assert answer.json()["where"] == "crs"
            continue
        assert answer.headers["content-crs"] == f"<{uri}>"
        number = uri.rpartition("/")[2]
        curie = "[OGC:CRS84]" if number == "CRS84" else f"[EPSG:{number}]"
        assert client.get(UTM, params={"crs": curie, "width": 20}).content == answer.content
        box = {"bbox": answer.headers["content-bbox"], "bbox-crs": uri, "crs": uri, "width": 20, "height": 20}
        assert client.get(UTM, params=box).status_code == 200
    assert client.get(UTM, params={"crs": "EPSG:1"}).status_code == 400


# -- tilesets ---------------------------------------------------------------------------


@holds(f"{MAPS}tilesets", "desc-links", "tiles-parameters")
def test_tiles_take_the_parameters_of_a_map(client: httpx.Client) -> None:
    href = rels(client, "/collections/bahaya")["http://www.opengis.net/def/rel/ogc/1.0/tilesets-map"]
    for one in client.get(href).json()["tilesets"]:
        links = {link["rel"].rpartition("/")[2]: link["href"] for link in one["links"]}
        scheme, told = client.get(links["tiling-scheme"]).json(), client.get(links["self"]).json()
        assert (scheme["uri"], scheme["crs"]) == (one["tileMatrixSetURI"], one["crs"])
        assert told["tileMatrixSetLimits"][9]["tileMatrix"] == "9"
        spot = told["tileMatrixSetLimits"][9]
        tile = links["item"].format(tileMatrix=9, tileRow=spot["minTileRow"], tileCol=spot["minTileCol"])
        assert client.get(tile).headers["content-type"] == "image/png"
    plain = picture(client.get(TILE))
    assert plain.shape[:2] == (256, 256)
    for asked, shape in (({"width": 512}, (512, 512)), ({"height": 128}, (128, 128)),
                         ({"width": 100, "height": 60}, (60, 100))):  # fmt: skip
        assert picture(client.get(TILE, params=asked)).shape[:2] == shape
    red = picture(client.get(TILE, params={"bgcolor": "red"}))
    empty = plain[..., 3] == 0
    assert 0 < empty.sum() < empty.size
    assert (red[empty] == (255, 0, 0, 255)).all()
    assert (red[~empty] == plain[~empty]).all()
    assert (picture(client.get(TILE, params={"transparent": "false"}))[empty] == 255).all()
    side = picture(client.get(TILE, params={"scale-denominator": 1_000_000})).shape[0]
    finer = picture(client.get(TILE, params={"scale-denominator": 1_000_000, "mm-per-pixel": 0.14})).shape[0]
    metres = 2 * np.pi * 6_378_137 / 2**9 * np.cos(np.radians(6.7))
    assert side == pytest.approx(metres / 280, rel=0.02)
    assert finer == pytest.approx(2 * side, abs=2)
    blank = client.get("/collections/bahaya/map/tiles/WebMercatorQuad/8/10/10", params={"bgcolor": "blue"})
    assert (picture(blank) == (0, 0, 255, 255)).all()
    assert is_client_error(client.get(TILE, params={"width": 100, "scale-denominator": 1000}))
    assert is_client_error(client.get(TILE, params={"bbox": "1,2,3,4"}))


# -- the API definition -------------------------------------------------------------------


@holds(f"{MAPS}api-operations", "completeness", "operation-id")
def test_the_api_definition_describes_the_maps(client: httpx.Client) -> None:
    doc = client.get("/api").json()
    here = "/collections/{collectionId}/map"
    tiles = f"{here}/tiles/{{tileMatrixSetId}}"
    suffixes = {
        here: ".collection.getMap",
        f"{here}/tiles": ".collection.map.getTileSetsList",
        tiles: ".collection.map.getTileSet",
        f"{tiles}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": ".collection.map.getTile",
    }
    for path, suffix in suffixes.items():
        assert doc["paths"][path]["get"]["operationId"].endswith(suffix), path
    ids = [one["operationId"] for path in doc["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))
    names = {ref["$ref"].rpartition("/")[2] for ref in doc["paths"][here]["get"]["parameters"]}
    assert {"bbox", "bbox-crs", "subset", "subset-crs", "center", "center-crs", "crs", "datetime", "width", "height",
            "scale-denominator", "mm-per-pixel", "bgcolor", "transparent", "void-color",
            "void-transparent"} <= names  # fmt: skip
    path = here.replace("{collectionId}", "bahaya")
    assert (
        httpx.URL(rels(client, "/collections/bahaya")["http://www.opengis.net/def/rel/ogc/1.0/map"]).path
        == path
    )


@holds(f"{MAPS}cors", "cors")
@pytest.mark.parametrize(
    "path", [MAP, TILE, "/collections/bahaya/map/tiles", "/collections/bahaya", "/conformance"]
)
def test_pages_of_other_origins_may_read(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Origin": "https://peta.example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"content-bbox", "content-crs", "content-datetime"} <= set(exposed.split(", "))
    asked = {"Origin": "https://peta.example.org", "Access-Control-Request-Method": "GET"}
    assert "GET" in client.options(path, headers=asked).headers["access-control-allow-methods"]
