"""EDR: the value at a position and the values within an area, beside rasterio and exactextract."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
import shapely
from covjson_pydantic.coverage import Coverage
from exactextract import exact_extract
from hypothesis import given, settings
from hypothesis import strategies as st
from owslib.ogcapi.edr import EnvironmentalDataRetrieval
from pyproj import Transformer
from shapely.geometry import mapping

from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, door, index, refused
from tests.ogc_server.world import World

SLOW = settings(max_examples=25)
HERE = "/collections/bahaya"
THERE = "/collections/kelas"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with door(tmp_path_factory.mktemp("edr")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


@pytest.fixture(scope="module")
def files(opened: tuple[World, httpx.Client]) -> Path:
    return opened[0].settings.data_dir / "layers"


def covjson(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:300]
    Coverage.model_validate_json(answer.content)
    doc: dict[str, Any] = answer.json()
    return doc


# -- position -----------------------------------------------------------------


@SLOW
@given(st.floats(0.01, WIDE - 0.01), st.floats(0.01, HIGH - 0.01))
def test_a_position_has_the_value_that_rasterio_samples(
    client: httpx.Client, files: Path, column: float, row: float
) -> None:
    x, y = WEST + column * CELL, NORTH - row * CELL
    if min(abs(column - round(column)), abs(row - round(row))) < 1e-4:
        return  # on the line between two cells either may answer
    doc = covjson(client.get(f"{HERE}/position", params={"coords": f"POINT({x!r} {y!r})"}))
    with rasterio.open(files / "bahaya" / "1.tif") as plain:
        wanted = next(plain.sample([(x, y)], masked=True))[0]
    (found,) = doc["ranges"]["indeks"]["values"]
    assert found == (None if wanted is np.ma.masked else pytest.approx(float(wanted)))
    assert doc["domain"]["axes"]["x"]["values"] == [pytest.approx(x)]


def test_a_position_in_another_crs_and_axis_order(client: httpx.Client, files: Path) -> None:
    x, y = 106.95, -6.65
    east, north = Transformer.from_crs("OGC:CRS84", "EPSG:32748", always_xy=True).transform(x, y)
    with rasterio.open(files / "kelas" / "1.tif") as plain:
        wanted = [int(one) for one in next(plain.sample([(east, north)]))]
    for crs, text in (
        ("OGC:CRS84", f"{x} {y}"),
        ("EPSG:4326", f"{y} {x}"),
        ("EPSG:32748", f"{east} {north}"),
    ):
        doc = covjson(client.get(f"{THERE}/position", params={"coords": f"POINT({text})", "crs": crs}))
        assert [doc["ranges"][name]["values"][0] for name in ("kelas", "nomor")] == wanted, crs


def test_many_positions_at_once(client: httpx.Client) -> None:
    places = [
        (WEST + 100.5 * CELL, NORTH - 100.5 * CELL),
        (WEST + 10.5 * CELL, NORTH - 10.5 * CELL),
        (0.0, 0.0),
    ]
    text = "MULTIPOINT(" + ",".join(f"{x!r} {y!r}" for x, y in places) + ")"
    doc = covjson(client.get(f"{HERE}/position", params={"coords": text}))
    assert doc["domain"]["domainType"] == "MultiPoint"
    assert doc["ranges"]["indeks"]["values"] == [pytest.approx(float(index()[100, 100])), None, None]
    rows = list(
        csv.DictReader(io.StringIO(client.get(f"{HERE}/position", params={"coords": text, "f": "csv"}).text))
    )
    assert [row["indeks"] == "" for row in rows] == [False, True, True]


# -- area ---------------------------------------------------------------------


def polygons() -> st.SearchStrategy[Any]:
    points = st.tuples(st.floats(WEST - 0.05, WEST + 0.65), st.floats(NORTH - 0.53, NORTH + 0.05))
    return st.lists(points, min_size=3, max_size=6).map(lambda at: shapely.MultiPoint(at).convex_hull).filter(
        lambda shape: shape.geom_type == "Polygon" and shape.area > 1e-5
        and shape.intersects(shapely.box(WEST, NORTH - 0.48, WEST + 0.6, NORTH))
    )  # fmt: skip


@settings(SLOW, max_examples=12)
@given(polygons())
def test_an_area_has_the_cells_that_exactextract_covers(
    client: httpx.Client, files: Path, shape: Any
) -> None:
    coords = shapely.to_wkt(shape, rounding_precision=-1)
    answer = client.get(f"{HERE}/area", params={"coords": coords, "f": "csv"})
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(shape)}
    said = exact_extract(
        str(files / "bahaya" / "1.tif"), [feature], ["values", "coverage", "mean", "count"]
    )[0]["properties"]  # fmt: skip
    if answer.status_code == 404:
        assert not np.asarray(said["coverage"]).sum() > 1e-6
        return
    rows = [row for row in csv.DictReader(io.StringIO(answer.text)) if row["indeks"]]
    values, parts = (np.array([float(row[name]) for row in rows]) for name in ("indeks", "bagian_sel"))
    assert parts.sum() == pytest.approx(float(said["count"] or 0), abs=0.01)
    if parts.sum() > 1:
        assert np.average(values, weights=parts) == pytest.approx(float(said["mean"]), abs=1e-4)
    doc = covjson(client.get(f"{HERE}/area", params={"coords": coords}))
    inside = [one for one in doc["ranges"]["indeks"]["values"] if one is not None]
    assert len(inside) == len(values)
    assert np.allclose(np.sort(inside), np.sort(values), atol=1e-6)


def test_an_area_in_the_rasters_own_crs_is_read_cell_by_cell(client: httpx.Client) -> None:
    box = "POLYGON((705000 9275000,705300 9275000,705300 9275200,705000 9275200,705000 9275000))"
    asked = {"coords": box, "crs": "EPSG:32748", "parameter-name": "nomor"}
    doc = covjson(client.get(f"{THERE}/area", params=asked))
    assert doc["ranges"]["nomor"]["shape"] == [2, 3]
    assert doc["ranges"]["nomor"]["values"] == [48 * WIDE + 50 + x for x in range(3)] + [
        49 * WIDE + 50 + x for x in range(3)
    ]


def test_a_hole_and_several_parts(client: httpx.Client) -> None:
    outer, inner = shapely.box(107.0, -6.8, 107.1, -6.7), shapely.box(107.02, -6.78, 107.08, -6.72)
    both = shapely.MultiPolygon([outer.difference(inner), shapely.box(107.2, -6.8, 107.22, -6.78)])
    doc = covjson(client.get(f"{HERE}/area", params={"coords": both.wkt}))
    found = [one for one in doc["ranges"]["indeks"]["values"] if one is not None]
    assert len(found) == pytest.approx(both.area / CELL**2, abs=250)  # cells on the edges count as well


@pytest.mark.parametrize(
    ("path", "params", "status", "where"),
    [
        ("position", {}, 400, "coords"),
        ("position", {"coords": "POINT(nan nan)"}, 400, "coords"),
        ("position", {"coords": "POINT(1e400 0)"}, 400, "coords"),
        ("position", {"coords": "POINT EMPTY"}, 400, "coords"),
        ("position", {"coords": "LINESTRING(0 0,1 1)"}, 400, "coords"),
        ("position", {"coords": "POINT(200 0)"}, 400, "coords"),
        ("position", {"coords": "POINT(10 10)"}, 404, "coords"),
        ("position", {"coords": "POINT(107 -6.7)", "parameter-name": "suhu"}, 400, "parameter-name"),
        ("position", {"coords": "POINT(107 -6.7)", "crs": "EPSG:1"}, 400, "crs"),
        ("position", {"coords": "POINT(107 -6.7)", "z": "10"}, 400, "z"),
        ("area", {"coords": "POINT(107 -6.7)"}, 400, "coords"),
        ("area", {"coords": "POLYGON((107 -6.7,107.1 -6.8,107.1 -6.7,107 -6.8,107 -6.7))"}, 400, "coords"),
        ("area", {"coords": "POLYGON((10 10,11 10,11 11,10 10))"}, 404, "coords"),
        ("area", {"coords": "POLYGON(("}, 400, "coords"),
    ],
)
def test_hostile_questions_name_what_is_wrong(
    client: httpx.Client, path: str, params: dict[str, str], status: int, where: str
) -> None:
    refused(client.get(f"{HERE}/{path}", params=params), status, where)


# -- description --------------------------------------------------------------


def test_the_collection_describes_its_queries_as_edr_does(client: httpx.Client) -> None:
    doc = client.get(THERE).json()
    assert set(doc["data_queries"]) == {"position", "area"}
    variables = doc["data_queries"]["position"]["link"]["variables"]
    assert variables["query_type"] == "position"
    assert variables["default_output_format"] in variables["output_formats"] == doc["output_formats"]
    assert variables["crs_details"][0]["wkt"].startswith("GEOGCRS")
    assert doc["parameter_names"]["nomor"]["type"] == "Parameter"
    assert doc["parameter_names"]["nomor"]["unit"]["symbol"] == "m"
    for name in variables["output_formats"]:
        href = doc["data_queries"]["position"]["link"]["href"]
        assert client.get(href, params={"coords": "POINT(107 -6.7)", "f": name}).status_code == 200


def test_owslib_finds_the_rasters_and_asks_them(client: httpx.Client) -> None:
    service = EnvironmentalDataRetrieval(str(client.base_url))
    assert {"bahaya", "kelas"} <= set(service.data())
    assert not {"bahaya-rahasia"} & set(service.data())
    found = service.query_data("bahaya", "position", coords="POINT(107.1 -6.7)")
    answer = client.get("/collections/bahaya/position", params={"coords": "POINT(107.1 -6.7)"})
    assert found == answer.json()
