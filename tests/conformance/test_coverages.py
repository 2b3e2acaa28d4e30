"""The abstract tests of OGC API - Coverages 1.0 (19-087, release candidate 4) for the classes that are claimed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from covjson_pydantic.coverage import Coverage
from rasterio.io import MemoryFile

from tests.conformance.classes import COVERAGES, holds
from tests.conformance.rasters import URI, box_of, is_client_error, raster_door, world_pixels
from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, classes, index
from tests.ogc_server.world import World

BAHAYA, KELAS = "/collections/bahaya/coverage", "/collections/kelas/coverage"
WORLD, DATED = "/collections/dunia/coverage", "/collections/berwaktu/coverage"
CRS84 = f"{URI}OGC/1.3/CRS84"
TIFF = "image/tiff; application=geotiff"
LARGE = {"crs": "[OGC:CRS84]"}
"""Makes the server read cells where it would hand out the stored file."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with raster_door(tmp_path_factory.mktemp("coverages")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


def tiff(answer: httpx.Response) -> tuple[Any, Any]:
    """Return values (masked; bands, rows, columns) and profile of a GeoTIFF."""
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == TIFF
    with MemoryFile(answer.content) as memory, memory.open() as file:
        told = {"bounds": file.bounds, "crs": file.crs, "names": file.descriptions, "tags": file.tags(),
                "structure": file.tags(ns="IMAGE_STRUCTURE")}  # fmt: skip
        return file.read(masked=True), told


def covjson(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:300]
    Coverage.model_validate_json(answer.content)
    doc: dict[str, Any] = answer.json()
    return doc


def cells(west: int, south: int, east: int, north: int) -> str:
    """Return a box in degrees by cells from the raster's north-west corner, a hair inside their edges."""
    hair = CELL / 100
    return (f"{WEST + west * CELL + hair},{NORTH - south * CELL + hair},"
            f"{WEST + east * CELL - hair},{NORTH - north * CELL - hair}")  # fmt: skip


# -- core ---------------------------------------------------------------------


@holds(
    f"{COVERAGES}core", "conformance-success", "collection-description", "get-coverage", "response-headers"
)
@pytest.mark.parametrize("name", ["bahaya", "kelas", "berwaktu", "dunia"])
def test_a_collection_leads_to_its_coverage(client: httpx.Client, name: str) -> None:
    doc = client.get(f"/collections/{name}").json()
    links = [link for link in doc["links"] if link["rel"].endswith("/def/rel/ogc/1.0/coverage")]
    assert {link["type"] for link in links} == {TIFF, "application/prs.coverage+json"}
    assert doc["storageCrs"].startswith(URI)
    if doc["storageCrs"] != CRS84:
        assert len(doc["extent"]["spatial"]["storageCrsBbox"][0]) == 4
    for link in links:
        answer = client.get(link["href"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, link["type"])
    plain = client.get(f"/collections/{name}/coverage")
    assert plain.headers["content-type"] == links[0]["type"], "without negotiation, as the first link says"
    assert plain.headers["content-crs"] == f"<{doc['storageCrs']}>"
    _, told = tiff(plain)
    assert box_of(plain) == pytest.approx(tuple(told["bounds"]))
    said = "/".join(doc["extent"]["temporal"]["interval"][0]) if "temporal" in doc["extent"] else None
    assert plain.headers.get("content-datetime") == said
    declared = client.get("/conformance").json()["conformsTo"]
    assert f"http://www.opengis.net/spec/{COVERAGES}core" in declared


@holds(f"{COVERAGES}core", "coverage-fields-schema")
def test_the_schema_tells_the_fields_in_their_order(client: httpx.Client) -> None:
    doc = client.get("/collections/kelas").json()
    href = next(link["href"] for link in doc["links"] if link["rel"].endswith("/schema"))
    fields = client.get(href).json()["properties"]
    assert [one["x-ogc-propertySeq"] for one in fields.values()] == [1, 2]
    assert all(one["title"] and one["type"] in ("integer", "number") for one in fields.values())
    assert tuple(fields) == tiff(client.get(KELAS))[1]["names"]
    assert "defaultFields" not in doc, "all fields are returned"


@holds(
    f"{COVERAGES}core",
    "preference-applied",
    "preference-handling-interpolation",
    "preference-handling-resolution",
)
@pytest.mark.parametrize(
    "wish",
    [
        "interpolation=lat([ogc-interpolation:linear])",
        "properties-interpolation=indeks([ogc-interpolation:lain])",
    ],
)
def test_preferences(client: httpx.Client, wish: str) -> None:
    """None can be met: ignored, and refused when the client says that it insists."""
    asked = {"width": 30, "height": 20}
    plain = client.get(BAHAYA, params=asked)
    for said in (wish, f"handling=lenient, {wish}", f"{wish}; handling=lenient"):
        answer = client.get(BAHAYA, params=asked, headers={"Prefer": said})
        assert (answer.status_code, answer.content) == (200, plain.content)
        assert "preference-applied" not in answer.headers
    for said in (f"handling=strict, {wish}", f"{wish}, handling=strict"):
        assert is_client_error(client.get(BAHAYA, params=asked, headers={"Prefer": said}))
    strict = client.get(BAHAYA, params=LARGE, headers={"Prefer": "handling=strict"})
    assert tiff(strict)[0].shape == (1, HIGH, WIDE), "the native resolution"


# -- spatial subsetting -----------------------------------------------------------


@holds(f"{COVERAGES}subsetting-spatial", "subset", "bbox-definition", "multiple-subset")
@pytest.mark.parametrize("part", [(0, 10, 12, 0), (50, 240, 300, 230), (7, 8, 8, 7)])
def test_only_cells_that_the_box_meets(client: httpx.Client, part: tuple[int, int, int, int]) -> None:
    west, south, east, north = part
    box = cells(*part)
    a, b, c, d = box.split(",")
    wanted = index()[north:south, west:east]
    boxed = client.get(BAHAYA, params={"bbox": box})
    values, _ = tiff(boxed)
    assert (values[0].filled(-9999) == wanted).all()
    edges = (WEST + west * CELL, NORTH - south * CELL, WEST + east * CELL, NORTH - north * CELL)
    assert box_of(boxed) == pytest.approx(edges)
    for asked in (f"?subset=Lat({b}:{d}),Lon({a}:{c})", f"?subset=Lon({a}:{c})&subset=Lat({b}:{d})",
                  f"?bbox={a},{b},0,{c},{d},100"):  # fmt: skip
        assert client.get(BAHAYA + asked).content == boxed.content, asked
    exact = ",".join(f"{one:.9f}" for one in edges)
    assert tiff(client.get(BAHAYA, params={"bbox": exact}))[0].shape == values.shape, (
        "an edge takes no cell in"
    )


@holds(f"{COVERAGES}subsetting-spatial", "subset")
def test_one_value_is_a_slice_and_an_interval_a_trim(client: httpx.Client) -> None:
    """A slice leaves fewer dimensions in CoverageJSON; a GeoTIFF always has its two."""
    lon, lat = WEST + 100.5 * CELL, NORTH - 50.5 * CELL
    column = covjson(client.get(BAHAYA, params={"subset": f"Lon({lon})", "f": "covjson"}))
    assert column["ranges"]["indeks"]["axisNames"] == ["y"]
    assert column["ranges"]["indeks"]["shape"] == [HIGH]
    assert column["domain"]["axes"]["x"]["values"] == [pytest.approx(lon)]
    assert column["ranges"]["indeks"]["values"] == pytest.approx(index()[:, 100], abs=1e-7)
    row = covjson(client.get(BAHAYA, params={"subset": f"Lat({lat})", "f": "covjson"}))
    assert row["ranges"]["indeks"]["axisNames"] == ["x"]
    kept = covjson(client.get(BAHAYA, params={"subset": f"Lon({lon}:{lon})", "f": "covjson"}))
    assert kept["ranges"]["indeks"]["axisNames"] == ["y", "x"]
    assert tiff(client.get(BAHAYA, params={"subset": f"Lon({lon})"}))[0].shape == (1, HIGH, 1)


@holds(f"{COVERAGES}position-query", "position-query")
def test_a_slice_of_every_axis_is_a_bare_value(client: httpx.Client) -> None:
    lon, lat = WEST + 100.5 * CELL, NORTH - 50.5 * CELL
    place = {"subset": f"Lon({lon}),Lat({lat})"}
    answer = client.get(BAHAYA, params=place, headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == pytest.approx(float(index()[50, 100]), abs=1e-7)
    hole = {"subset": f"Lon({WEST + CELL / 2}),Lat({NORTH - CELL / 2})", "f": "json"}
    assert client.get(BAHAYA, params=hole).json() is None
    many = {"subset": "E(700050),N(9279950)", "subset-crs": "EPSG:32748", "f": "json"}
    assert client.get(KELAS, params=many).json() == {"kelas": 1, "nomor": 0}
    point = covjson(client.get(BAHAYA, params={**place, "f": "covjson"}))
    assert point["domain"]["domainType"] == "Point"
    dated = client.get(DATED, params={**place, "datetime": "2024-03-01T00:00:00Z", "f": "json"})
    assert dated.json() == pytest.approx(float(index()[50, 100]), abs=1e-7)


@holds(
    f"{COVERAGES}subsetting-spatial",
    "subset-invalid-axis",
    "subset-bbox-exclusivity",
    "subset-scaling-exclusivity",
)
@pytest.mark.parametrize(
    "asked",
    [
        {"subset": "tekanan(500)"},
        {"subset": "E(700000)"},
        {"subset": "Lat(-7:-6)", "subset-crs": "EPSG:32748"},
        {"subset": "Lat(-7:-6)", "bbox": "107,-7,108,-6"},
        {"subset": "Lat(-6.7)", "resolution": "Lat(0.01)"},
        {"subset": "Lon(107)", "width": "10"},
        {"subset": "Lon(107)", "scale-size": "Lon(10)"},
    ],
)
def test_refused(client: httpx.Client, asked: dict[str, str]) -> None:
    assert client.get(BAHAYA, params=asked).status_code == 400
    if "resolution" in asked:
        trimmed = {**asked, "subset": "Lat(-6.7:-6.6)"}
        assert client.get(BAHAYA, params=trimmed).status_code == 200
        assert client.get(BAHAYA, params={**asked, "resolution": "Lon(0.01)"}).status_code == 200


@holds(f"{COVERAGES}subsetting-spatial", "out-of-bounds", "wildcard-limits")
def test_ends_of_an_axis(client: httpx.Client) -> None:
    for outside in ("Lat(10:11)", "Lat(91:95)", "Lon(-200:-190)", "Lon(10)"):
        assert client.get(BAHAYA, params={"subset": outside}).status_code in (204, 404), outside
    half = NORTH - 120 * CELL
    north, south = (
        tiff(client.get(BAHAYA, params={"subset": f"Lat({part})"}))[0][0].filled(-9999)
        for part in (f"{half}:*", f"*:{half}")
    )
    assert (np.vstack([north, south]) == index()).all()
    assert tiff(client.get(BAHAYA, params={"subset": "Lat(*:*),Lon(*:*)"}))[0].shape == (1, HIGH, WIDE)
    assert tiff(client.get(BAHAYA, params={"subset": "Lat(-95:-6.6)"}))[0].shape[2] == WIDE, "partly outside"


@holds(f"{COVERAGES}subsetting-spatial", "wrap-around", "bbox-definition")
@pytest.mark.parametrize("how", ["bbox", "subset"])
@pytest.mark.parametrize("more", [{}, {"scale-factor": "2"}, {"width": "10"}])
def test_across_the_antimeridian(client: httpx.Client, how: str, more: dict[str, str]) -> None:
    part = {"bbox": "170,-10,-170,10"} if how == "bbox" else {"subset": "Lon(170:-170),Lat(-10:10)"}
    answer = client.get(WORLD, params={**part, **more})
    values, told = tiff(answer)
    truth = np.hstack([world_pixels()[80:100, 350:], world_pixels()[80:100, :10]])
    if more:
        assert values.shape == (1, 10, 10)
        assert values[0, 0].tolist() == pytest.approx([*range(351, 361, 2), *range(1, 11, 2)], abs=1)
    else:
        assert (values[0] == truth).all()
    assert told["bounds"].left == 170
    assert box_of(answer) == (170, -10, -170, 10)


@holds(f"{COVERAGES}subsetting-spatial", "subset-crs", "bbox-crs")
@pytest.mark.parametrize("name", [f"{URI}EPSG/0/32748", "[EPSG:32748]"])
def test_parts_in_the_native_crs(client: httpx.Client, name: str) -> None:
    boxed = client.get(KELAS, params={"bbox": "701000,9270000,711000,9275000", "bbox-crs": name})
    part = client.get(KELAS, params={"subset": "E(701000:711000),N(9270000:9275000)", "subset-crs": name})
    assert boxed.content == part.content
    assert (tiff(boxed)[0] == classes()[:, 50:100, 10:110]).all()
    plain = client.get(BAHAYA, params=LARGE)
    for alone in ("bbox-crs", "subset-crs"):
        assert client.get(BAHAYA, params={**LARGE, alone: name}).content == plain.content
    degrees = {"bbox": cells(0, 10, 12, 0)}
    for crs in (CRS84, "[OGC:CRS84]"):
        assert (
            client.get(BAHAYA, params={**degrees, "bbox-crs": crs}).content
            == client.get(BAHAYA, params=degrees).content
        )


# -- scaling -----------------------------------------------------------------------


@holds(f"{COVERAGES}scaling-spatial", "resolution", "multi-field-resolution")
@pytest.mark.parametrize("size", [0.004, 0.01, 0.007, 0.001])
def test_resolution(client: httpx.Client, size: float) -> None:
    values, told = tiff(client.get(BAHAYA, params={"resolution": f"Lat({size}),Lon({2 * size})"}))
    left, bottom, right, top = told["bounds"]
    rows, columns = values.shape[1:]
    assert ((right - left) / columns, (top - bottom) / rows) == pytest.approx((2 * size, size))
    assert columns == int(np.ceil(WIDE * CELL / (2 * size) - 1e-6))
    metres = tiff(client.get(KELAS, params={"resolution": "E(250),N(500)"}))
    assert metres[0].shape == (2, 48, 120), "all fields at one resolution"
    other = tiff(client.get(BAHAYA, params={"resolution": "E(500),N(500)", "crs": "EPSG:32748"}))[1]
    assert (other["bounds"].right - other["bounds"].left) % 500 == pytest.approx(0, abs=1e-3)


@holds(f"{COVERAGES}scaling-spatial", "native-resolution", "resolution-invalid-axis")
def test_native_resolution_and_wrong_axes(client: httpx.Client) -> None:
    plain = client.get(BAHAYA)
    for native in ("", "Lat(),Lon()", "Lon()"):
        assert client.get(BAHAYA, params={"resolution": native}).content == plain.content
    half = tiff(client.get(BAHAYA, params={"resolution": "Lat(),Lon(0.004)"}))[0]
    assert half.shape == (1, HIGH, WIDE // 2)
    for wrong in ("E(100)", "tekanan(5)", "Lat(0)", "Lat(-1)", "Lat(a)", "0.01"):
        assert client.get(BAHAYA, params={"resolution": wrong}).status_code == 400, wrong
    assert client.get(KELAS, params={"resolution": "Lat(0.01)"}).status_code == 400
    assert is_client_error(client.get(BAHAYA, params={"resolution": "Lat(0.01)", "width": "10"}))
    assert client.get(BAHAYA, params={"resolution": "Lat(1e-9)"}).status_code == 413


@holds(f"{COVERAGES}scaling-spatial", "width-and-height")
def test_width_and_height(client: httpx.Client) -> None:
    assert tiff(client.get(BAHAYA, params={"width": 60, "height": 12}))[0].shape == (1, 12, 60)
    assert tiff(client.get(BAHAYA, params={"width": 60}))[0].shape == (1, 48, 60)
    east = WEST + WIDE * CELL
    box = f"{WEST + 200 * CELL},{NORTH - 50 * CELL},{east + 100 * CELL},{NORTH}"
    answer = client.get(BAHAYA, params={"bbox": box, "width": 200, "height": 50})
    values, _ = tiff(answer)
    assert values.shape == (1, 50, 200)
    assert box_of(answer) == pytest.approx(tuple(float(one) for one in box.split(",")))
    assert (values[0, :, :100] == index()[:50, 200:]).all()
    assert np.ma.getmaskarray(values)[0, :, 100:].all(), "beside the raster there is no data"


@holds(f"{COVERAGES}scaling", "factor", "axes", "size")
def test_the_scaling_of_the_earlier_draft(client: httpx.Client) -> None:
    assert tiff(client.get(BAHAYA, params={"scale-factor": 3}))[0].shape == (1, 80, 100)
    assert tiff(client.get(BAHAYA, params={"scale-axes": "Lat(2),Lon(3)"}))[0].shape == (1, 120, 100)
    assert tiff(client.get(BAHAYA, params={"scale-axes": "Lat(2)"}))[0].shape == (1, 120, WIDE)
    assert tiff(client.get(BAHAYA, params={"scale-size": "Lon(30)"}))[0].shape == (1, HIGH, 30)
    for name in ("scale-axes", "scale-size"):
        assert client.get(BAHAYA, params={name: "tekanan(2)"}).status_code == 400
    beyond = {"bbox": f"{WEST - 1},{NORTH - 0.4},{WEST + 0.5},{NORTH}", "scale-size": "Lon(30),Lat(8)"}
    answer = client.get(BAHAYA, params=beyond)
    assert tiff(answer)[0].shape == (1, 8, 30)
    assert box_of(answer)[0] == pytest.approx(WEST - 1)


# -- fields ---------------------------------------------------------------------------


@holds(f"{COVERAGES}field-selection", "properties", "exclude-properties")
@holds(f"{COVERAGES}fieldselection", "properties")
def test_fields(client: httpx.Client) -> None:
    for asked, names in (({"properties": "nomor,kelas"}, ("nomor", "kelas")), ({"properties": "nomor"}, ("nomor",)),
                         ({"exclude-properties": "kelas"}, ("nomor",)), ({"exclude-properties": ""}, ("kelas", "nomor"))):  # fmt: skip
        values, told = tiff(client.get(KELAS, params=asked))
        assert told["names"] == names
        assert (values == np.stack([classes()[("kelas", "nomor").index(name)] for name in names])).all()
        doc = covjson(client.get(KELAS, params={**asked, "f": "covjson"}))
        assert tuple(doc["parameters"]) == tuple(doc["ranges"]) == names
    for wrong in ({"properties": "suhu"}, {"exclude-properties": "suhu"}, {"properties": ""},
                  {"properties": "kelas", "exclude-properties": "nomor"}, {"exclude-properties": "kelas,nomor"}):  # fmt: skip
        assert client.get(KELAS, params=wrong).status_code == 400, wrong


# -- CRS and encodings -------------------------------------------------------------------


@holds(f"{COVERAGES}crs", "crs-definition")
def test_every_crs_that_is_listed(client: httpx.Client) -> None:
    doc = client.get("/collections/kelas").json()
    assert doc["storageCrs"] in doc["crs"]
    for uri in doc["crs"]:
        answer = client.get(KELAS, params={"crs": uri, "scale-factor": 20})
        if answer.status_code == 400:  # a UTM zone at the other end of the archipelago
            assert answer.json()["where"] == "crs"
            continue
        assert answer.headers["content-crs"] == f"<{uri}>"
        number = uri.rpartition("/")[2]
        assert tiff(answer)[1]["crs"].to_epsg() == (4326 if number == "CRS84" else int(number))
        curie = "[OGC:CRS84]" if number == "CRS84" else f"[EPSG:{number}]"
        assert client.get(KELAS, params={"crs": curie, "scale-factor": 20}).content == answer.content
        box = {"bbox": answer.headers["content-bbox"], "bbox-crs": uri, "crs": uri, "scale-factor": 20}
        assert client.get(KELAS, params=box).status_code == 200
    for wrong in ("EPSG:1", "[LAIN:3]", "degrees"):
        assert client.get(KELAS, params={"crs": wrong}).status_code == 400


@holds(f"{COVERAGES}geotiff", "coverage", "raster-type")
def test_geotiff(client: httpx.Client) -> None:
    for asked in ({}, {"scale-factor": 4}):
        answer = client.get(KELAS, params=asked, headers={"accept": TIFF})
        _, told = tiff(answer)
        assert told["names"] == ("kelas", "nomor")
        assert told["tags"]["AREA_OR_POINT"] == "Area"
        assert told["crs"].to_epsg() == 32748


@holds(f"{COVERAGES}cog", "http-range", "cloud-optimized")
@pytest.mark.parametrize("asked", [{}, {"f": "tif"}, {"resolution": ""}, {"resolution": "Lat(),Lon()"}])
def test_the_stored_file_in_ranges(client: httpx.Client, asked: dict[str, str]) -> None:
    whole = client.get(BAHAYA, params=asked)
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(BAHAYA, params=asked, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    profile = "http://www.opengis.net/def/profile/geotiff/cloud-optimized"
    wanted = client.get(BAHAYA, params=asked, headers={"accept": TIFF, "accept-profile": f"<{profile}>"})
    assert wanted.headers["content-profile"] == f"<{profile}>"
    assert tiff(wanted)[1]["structure"]["LAYOUT"] == "COG"
    made = client.get(BAHAYA, params={"scale-factor": 2})
    assert (made.headers["content-profile"], tiff(made)[1]["structure"]["LAYOUT"]) == (f"<{profile}>", "COG")


@holds(f"{COVERAGES}coveragejson", "coverage")
@pytest.mark.parametrize(
    "media", ["application/vnd.cov+json", "application/prs.coverage+json", "application/json"]
)
def test_coveragejson_is_negotiated(client: httpx.Client, media: str) -> None:
    answer = client.get(BAHAYA, params={"bbox": cells(60, 10, 72, 0)}, headers={"accept": media})
    assert answer.headers["content-type"] == media
    doc = covjson(answer)
    assert json.loads(answer.content)["type"] == "Coverage"
    assert doc["ranges"]["indeks"]["values"] == pytest.approx(index()[:10, 60:72].ravel(), abs=1e-7)
