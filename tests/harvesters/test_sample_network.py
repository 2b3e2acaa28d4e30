"""What the sample has for the questions: roads that connect, an index that fills its scale, earthquakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import rasterio
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry import shape

from catalog.errors import QueryError
from harvesters.sample.generate import generate
from harvesters.sample.hazard import index_over, write_index
from harvesters.sample.land import make_land
from harvesters.sample.roads import roads
from harvesters.sample.things import NODATA


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contoh")
    generate(folder)
    return folder


def rows(path: Path, layer: str | None = None) -> list[tuple[dict[str, Any], shapely.Geometry]]:
    with fiona.open(path, layer=layer) as source:
        return [(dict(f["properties"]), shape(f["geometry"])) for f in source]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_desa_is_reached_over_lines_that_share_their_ends(seed: int) -> None:
    land = make_land(np.random.default_rng(seed))
    lines = [road.geometry for road in roads(np.random.default_rng(seed), land.desa)]
    ends = np.array([[line.coords[0], line.coords[-1]] for line in lines])
    nodes, number = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True)
    a, b = number.reshape(-1, 2).T
    assert len(nodes) == len(land.desa)
    count, _ = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(len(nodes), len(nodes))))
    assert count == 1
    desa = [region.geometry for region in land.desa]
    assert set(shapely.STRtree(desa).query(shapely.points(nodes), predicate="within")[1].tolist()) == set(
        range(len(desa))
    )


def test_roads_say_their_class_speed_and_geodesic_length(sample: Path) -> None:
    found = rows(sample / "jalan.fgb")
    assert {p["kelas"] for p, _ in found} == {"kolektor", "lokal"}
    assert sum(p["kelas"] == "kolektor" for p, _ in found) == 79  # the spanning tree of 80 desa
    for properties, line in found:
        assert properties["keterangan"] == "Contoh sintetis, bukan data nyata"
        assert properties["panjang_m"] == pytest.approx(line.length * 110_000, rel=0.02)
        assert properties["kecepatan_kmj"] in (25, 50)


def test_places_with_stock_say_when_they_are_open(sample: Path) -> None:
    found = [p for p, _ in rows(sample / "logistik.fgb")]
    assert {p["jenis"] for p in found} == {"lumbung-sosial", "gudang-logistik", "sentra", "pilar-sosial"}
    assert all(p["jam_buka"] for p in found)
    assert len({p["id"] for p in found}) == len(found)
    assert all(p["selimut"] == 0 for p in found if p["status"] == "kosong")


def test_the_index_fills_its_scale_on_land_only(sample: Path) -> None:
    with rasterio.open(sample / "indeks-bahaya.tif") as source:
        cells = source.read(1, masked=True)
        assert "sintetis" in source.descriptions[0]
        assert "bukan data nyata" in source.tags()["KETERANGAN"]
    assert 0 <= cells.min() < 0.05
    assert 0.95 < cells.max() <= 1
    assert 0.05 < np.ma.mean(cells > 0.5) < 0.6


def test_an_index_over_a_box_has_a_value_in_every_cell_and_is_a_cog(tmp_path: Path) -> None:
    grid = index_over(np.random.default_rng(3), (107.0, -7.0, 107.5, -6.7), 0.01)
    assert grid.values.shape == (30, 50)
    assert (grid.values != NODATA).all()
    with rasterio.open(write_index(tmp_path / "x.tif", grid, "Indeks")) as stored:
        assert stored.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert stored.bounds == pytest.approx((107.0, -7.0, 107.5, -6.7))
        assert stored.nodata == NODATA
        assert "sintetis" in stored.tags()["KETERANGAN"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]


@pytest.mark.parametrize(
    ("bounds", "cell"), [((1.0, 0.0, 0.0, 1.0), 0.1), ((0.0, 0.0, 1.0, 1.0), 0.0), ((95, -11, 141, 6), 1e-4)]
)
def test_an_impossible_grid_is_refused(bounds: Any, cell: float) -> None:
    with pytest.raises(QueryError):
        index_over(np.random.default_rng(0), bounds, cell)


def test_earthquakes_are_bmkg_feeds_that_say_they_are_invented(sample: Path) -> None:
    newest = json.loads((sample / "gempa" / "autogempa.json").read_text("utf-8"))["Infogempa"]["gempa"]
    listed = json.loads((sample / "gempa" / "gempaterkini.json").read_text("utf-8"))["Infogempa"]["gempa"]
    assert listed[0]["DateTime"] == newest["DateTime"]
    assert all("sintetis" in event["Wilayah"] for event in [newest, *listed])
