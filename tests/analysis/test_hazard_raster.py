"""A hazard raster hits desa: shares beside geodesic and cell-by-cell oracles, nodata, CRS, bands, memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer
from rasterio.transform import from_origin

import analysis.raster_cells as raster_cells
from analysis.affected import Bahaya, affected_by_area
from analysis.hazard_raster import affected_by_raster, thresholds_of
from analysis.lookup import DesaIndex
from catalog.errors import ProtocolError, QueryError
from tests.analysis.boundaries import DEGREE, SOUTH, WEST

SATU, DUA = "32.03.01.2001", "32.03.01.2002"
LEVELS = thresholds_of([0.33, 0.66], ["sedang", "tinggi"])
GEOD = Geod(ellps="WGS84")


def written(
    path: Path, *grids: np.ndarray, place, crs: str | None = "EPSG:4326", nodata=None, **more
) -> Path:
    height, width = grids[0].shape
    profile = {"driver": "GTiff", "height": height, "width": width, "dtype": grids[0].dtype.name, **more}
    with rasterio.open(
        path, "w", count=len(grids), crs=crs, transform=place, nodata=nodata, **profile
    ) as file:
        for number, grid in enumerate(grids, 1):
            file.write(grid, number)
    return path


def index_like(folder: Path, columns: list[list[float]], **more) -> Path:
    """Cells of half a desa's edge over desa Satu and Dua, north up."""
    place = from_origin(WEST, SOUTH + DEGREE, DEGREE / 2, DEGREE / 2)
    return written(folder / "indeks.tif", np.array(columns, np.float32), place=place, nodata=-9999, **more)


def test_shares_per_class_people_and_roll_ups(squares: DesaIndex, tmp_path: Path) -> None:
    """Like InaRISK: an index of 0..1. Satu: one cell each of none, medium, high, high; Dua: all low."""
    raster = index_like(tmp_path, [[0.1, 0.5, 0.2, 0.3], [0.7, 1.0, 0.0, 0.32]])
    found = affected_by_raster(
        squares, raster, LEVELS, aggregates={SATU: {"jiwa": 1000.0}}, names={"32.03": "Cianjur"}
    )
    [one] = found.desa
    assert (one.kode, one.kelas, one.maksimum) == (SATU, "tinggi", 1.0)
    assert one.bagian == pytest.approx(0.75, abs=1e-4)
    assert one.bagian_kelas == pytest.approx({"sedang": 0.25, "tinggi": 0.5}, abs=1e-4)
    assert one.perkiraan == pytest.approx({"jiwa": 750}, rel=1e-3)
    assert one.bagian_tanpa_data == 0
    [kabupaten] = found.wilayah["kabkota"]
    assert (kabupaten.kode, kabupaten.nama, kabupaten.desa, kabupaten.maksimum) == (
        "32.03",
        "Cianjur",
        1,
        1.0,
    )
    assert kabupaten.bagian_kelas["tinggi"] == pytest.approx(0.5 / 13, rel=1e-2)


def test_the_class_with_most_area_when_that_is_asked(squares: DesaIndex, tmp_path: Path) -> None:
    raster = index_like(tmp_path, [[0.4, 0.5, 0, 0], [0.4, 1.0, 0, 0]])
    assert affected_by_raster(squares, raster, LEVELS).desa[0].kelas == "tinggi"
    assert affected_by_raster(squares, raster, LEVELS, rule="terbanyak").desa[0].kelas == "sedang"


def test_no_data_is_neither_hit_nor_safe(squares: DesaIndex, tmp_path: Path) -> None:
    raster = index_like(tmp_path, [[-9999, 0.9, -9999, -9999], [0.1, np.nan, -9999, -9999]])
    found = affected_by_raster(squares, raster, LEVELS)
    assert found.tanpa_data == (DUA,)
    [one] = found.desa
    assert (one.bagian, one.bagian_tanpa_data) == pytest.approx((0.25, 0.5), abs=1e-4)
    assert one.as_dict()["bagian_tanpa_data"] == pytest.approx(0.5, abs=1e-4)


def test_what_the_raster_does_not_reach_is_without_data(squares: DesaIndex, tmp_path: Path) -> None:
    """The western half of Satu only: the other half is unknown; Tiga and others are not looked at."""
    place = from_origin(WEST - DEGREE, SOUTH + DEGREE, DEGREE / 2, DEGREE / 2)
    raster = written(tmp_path / "barat.tif", np.full((2, 3), 0.9, np.float32), place=place)
    [one] = (found := affected_by_raster(squares, raster, LEVELS)).desa
    assert (one.kode, found.tanpa_data) == (SATU, ())
    assert (one.bagian, one.bagian_tanpa_data) == pytest.approx((0.5, 0.5), abs=1e-4)


def test_a_desa_smaller_than_a_cell_gets_its_cell(squares: DesaIndex, tmp_path: Path) -> None:
    place = from_origin(WEST - 0.3, SOUTH + 0.3, 1, 1)
    raster = written(tmp_path / "kasar.tif", np.full((1, 1), 2, np.uint8), place=place)
    found = affected_by_raster(squares, raster, thresholds_of([1, 2, 3]))
    assert len(found.desa) == len(squares)
    assert {(one.kelas, round(one.bagian, 6)) for one in found.desa} == {("2-3", 1.0)}


def test_bands_and_other_crs(squares: DesaIndex, tmp_path: Path) -> None:
    """UTM, 100 m cells, the hazard in band 2: as the same area given as a polygon."""
    to = Transformer.from_crs("EPSG:4326", "EPSG:32748", always_xy=True)
    x, y = to.transform(WEST - 0.002, SOUTH + DEGREE + 0.002)
    grid = np.zeros((20, 30), np.uint8)
    grid[:, 10:18] = 3
    place = from_origin(x, y, 100, 100)
    raster = written(tmp_path / "utm.tif", grid * 0, grid, place=place, crs="EPSG:32748")
    found = affected_by_raster(squares, raster, thresholds_of([3]), band=2)
    assert not affected_by_raster(squares, raster, thresholds_of([3])).desa
    back = Transformer.from_crs("EPSG:32748", "EPSG:4326", always_xy=True)
    box = shapely.segmentize(shapely.box(x + 1000, y - 2000, x + 1800, y), 100)
    area = shapely.transform(box, lambda xy: np.column_stack(back.transform(*xy.T)))
    expected = affected_by_area(squares, [Bahaya(area)]).desa
    assert [one.kode for one in found.desa] == [one.kode for one in expected] == [SATU, DUA]
    assert [one.bagian for one in found.desa] == pytest.approx([one.bagian for one in expected], abs=2e-4)


def test_shares_of_real_desa_are_equal_area(country: DesaIndex, tmp_path: Path) -> None:
    """Random cells of 0.01 degree over Cianjur, each share beside geodesic areas of every cell."""
    rng = np.random.default_rng(5)
    grid = rng.integers(0, 4, (80, 80)).astype(np.uint8)
    raster = written(tmp_path / "acak.tif", grid, place=from_origin(106.8, -6.7, 0.01, 0.01))
    found = {one.kode: one for one in affected_by_raster(country, raster, thresholds_of([2, 3])).desa}
    assert len(found) > 150
    for code in list(found)[::40]:
        row = country.row(code)
        assert row is not None
        shape = country.polygons.shapes(np.array([row]))[0]
        total = abs(GEOD.geometry_area_perimeter(shape)[0])
        hit = {"2-3": 0.0, ">=3": 0.0}
        for r, c in zip(*np.nonzero(grid >= 2), strict=True):
            cell = shapely.box(106.8 + c * 0.01, -6.71 - r * 0.01, 106.81 + c * 0.01, -6.7 - r * 0.01)
            part = shapely.intersection(cell, shape)
            if part.area:
                hit["2-3" if grid[r, c] == 2 else ">=3"] += abs(GEOD.geometry_area_perimeter(part)[0])
        for name, metres in hit.items():
            assert found[code].bagian_kelas.get(name, 0.0) == pytest.approx(metres / total, abs=5e-4)


def test_a_raster_is_never_whole_in_memory(
    country: DesaIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4000 x 4000 cells would be 128 MB as numbers; strips give the same as one piece does."""
    grid = np.zeros((4000, 4000), np.uint8)
    grid[1000:3000, 1000:3000] = 1
    place = from_origin(106.8, -6.6, 0.0002, 0.0002)
    raster = written(
        tmp_path / "halus.tif",
        grid,
        place=place,
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="DEFLATE",
    )
    del grid
    whole = affected_by_raster(country, raster, thresholds_of([1])).desa
    monkeypatch.setattr(raster_cells, "STRIP_CELLS", 20_000)
    tracemalloc.start()
    found = affected_by_raster(country, raster, thresholds_of([1])).desa
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 30e6
    assert [one.kode for one in found] == [one.kode for one in whole]
    assert [one.bagian for one in found] == pytest.approx([one.bagian for one in whole], abs=1e-9)
    area = shapely.box(107.0, -7.2, 107.4, -6.8)
    expected = affected_by_area(country, [Bahaya(area)]).desa
    assert {one.kode for one in found} == {one.kode for one in expected if one.bagian > 1e-6}
    shares = {one.kode: one.bagian for one in expected}
    assert all(one.bagian == pytest.approx(shares[one.kode], abs=1e-5) for one in found)


@pytest.mark.parametrize(
    ("values", "names", "where"),
    [([], [], "ambang"), ([2, 1], [], "ambang"), ([1, 1], [], "ambang"), ([float("nan")], [], "ambang"),
     ([1, 2], ["a"], "kelas"), ([1, 2], ["a", "a"], "kelas")],
)  # fmt: skip
def test_thresholds_that_make_no_classes(values: list[float], names: list[str], where: str) -> None:
    with pytest.raises(QueryError) as error:
        thresholds_of(values, names)
    assert error.value.where == where


def test_rasters_that_can_not_be_used(squares: DesaIndex, tmp_path: Path) -> None:
    raster = index_like(tmp_path, [[1, 1, 1, 1]])
    with pytest.raises(QueryError) as error:
        affected_by_raster(squares, raster, LEVELS, band=2)
    assert error.value.where == "band"
    lost = index_like(tmp_path, [[1, 1, 1, 1]], crs=None)
    with pytest.raises(ProtocolError):
        affected_by_raster(squares, lost, LEVELS)
    assert affected_by_raster(squares, lost, LEVELS, crs="EPSG:4326").desa
    (tmp_path / "rusak.tif").write_bytes(b"II*\0 not really")
    with pytest.raises(ProtocolError):
        affected_by_raster(squares, tmp_path / "rusak.tif", LEVELS)
