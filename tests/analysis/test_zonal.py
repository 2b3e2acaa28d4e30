"""Zonal statistics beside plain oracles: numpy on whole cells, shapely cell by cell on real shapes."""

from __future__ import annotations

from pathlib import Path

import fiona
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from shapely.geometry import box, shape

from analysis.zonal import Zone, ZoneStatistics, zonal, zonal_table
from catalog.errors import ProtocolError, QueryError
from harvesters.sample.generate import generate

GRID = np.array([[1, 2, -9], [3, 4, 5], [1, 1, 2]], dtype=np.float32)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return _written(tmp_path / "kecil.tif", GRID, from_origin(107, -6, 1, 1), "EPSG:4326")


def _written(path: Path, grid: np.ndarray, transform, crs: str | None) -> Path:
    height, width = grid.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": grid.dtype.name}
    with rasterio.open(path, "w", crs=crs, transform=transform, nodata=-9, **profile) as file:
        file.write(grid, 1)
    return path


def _one(raster: Path, geometry, **options) -> ZoneStatistics:
    (found,) = zonal([Zone("x", geometry)], raster, **options)
    return found


def test_whole_cells_are_plain_numpy(raster: Path) -> None:
    found = _one(raster, box(107, -9, 110, -6), breaks=(1, 3, 5))
    data = GRID[GRID != -9].astype(float)
    assert (found.cells, found.least, found.most) == (8, 1, 5)
    assert found.total == pytest.approx(data.sum())
    assert found.mean == pytest.approx(data.mean())
    assert found.no_data == pytest.approx(1 / 9)
    assert found.classes == pytest.approx([(data < 3).sum() / 8, (data >= 3).sum() / 8])


def test_parts_of_cells_count_by_their_part(raster: Path) -> None:
    found = _one(raster, box(107.5, -7.5, 108.5, -6.5))
    assert found.cells == pytest.approx(1)
    assert found.mean == pytest.approx((1 + 2 + 3 + 4) / 4)


def test_what_lies_beside_the_raster_is_without_data(raster: Path) -> None:
    assert _one(raster, box(106, -7, 108, -6)).no_data == pytest.approx(0.5)
    outside = _one(raster, box(120, -7, 121, -6), breaks=(0, 1))
    assert (outside.no_data, outside.mean, outside.classes) == (1.0, None, (None,))
    assert _one(raster, box(109.2, -6.8, 109.8, -6.2)).mean is None
    assert _one(raster, shapely.Polygon()).no_data == 1.0


def test_zones_are_brought_into_the_raster_s_crs(tmp_path: Path) -> None:
    utm = _written(tmp_path / "utm.tif", GRID, from_origin(700_000, 9_250_000, 100, 100), "EPSG:32748")
    from pyproj import Transformer

    to_degrees = Transformer.from_crs("EPSG:32748", "EPSG:4326", always_xy=True).transform
    square = shapely.transform(
        box(700_000, 9_249_900, 700_200, 9_250_000), lambda xy: np.column_stack(to_degrees(*xy.T))
    )
    assert _one(utm, square).mean == pytest.approx(1.5, rel=1e-4)


def test_the_sample_s_hazard_is_that_of_a_cell_by_cell_oracle(tmp_path: Path) -> None:
    generate(tmp_path, 2026)
    with fiona.open(tmp_path / "batas.gpkg", layer="desa") as layer:
        zones = [Zone(f.properties["KDEPUM"], shape(f.geometry)) for f in layer]
    found = list(zonal(zones, tmp_path / "bahaya-banjir.tif", breaks=(0, 0.33, 0.66, 1)))
    assert [row.code for row in found] == [zone.code for zone in zones]
    with rasterio.open(tmp_path / "bahaya-banjir.tif") as source:
        for zone, row in list(zip(zones, found, strict=True))[::9]:
            mean, cells = _oracle(source, zone.geometry)
            assert row.mean == pytest.approx(mean, rel=1e-5)
            assert row.cells == pytest.approx(cells, rel=1e-5)
            assert sum(part or 0 for part in row.classes) == pytest.approx(1)
    assert zonal_table(found, (0, 0.33, 0.66, 1)).column_names[-1] == "kelas_0.66_1"


def _oracle(source: rasterio.DatasetReader, geometry) -> tuple[float, float]:
    grid, transform = source.read(1, masked=True), source.transform
    (left, top), (right, bottom) = ~transform @ geometry.bounds[::3], ~transform @ geometry.bounds[2:0:-1]
    rows, columns = np.mgrid[int(top) - 1 : int(bottom) + 2, int(left) - 1 : int(right) + 2]
    rows, columns = rows.ravel(), columns.ravel()
    inside = (rows >= 0) & (columns >= 0) & (rows < grid.shape[0]) & (columns < grid.shape[1])
    rows, columns = rows[inside], columns[inside]
    west, north = transform @ (columns, rows)
    east, south = transform @ (columns + 1, rows + 1)
    part = shapely.area(shapely.intersection(shapely.box(west, south, east, north), geometry))
    part /= abs(transform.a * transform.e)
    values = grid[rows, columns]
    good = ~np.ma.getmaskarray(values)
    return float(np.average(values.data[good], weights=part[good])), float(part[good].sum())


def test_deviation_and_majority_are_numpy_s(raster: Path) -> None:
    found = _one(raster, box(107, -9, 110, -6))
    data = GRID[GRID != -9].astype(float)
    assert found.deviation == pytest.approx(data.std())
    assert found.majority == 1
    row = zonal_table([found]).to_pylist()[0]
    assert (row["simpangan_baku"], row["mayoritas"]) == (found.deviation, 1.0)


def test_strips_add_up_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of 0..1 like InaRISK's, far from zero and fine: read in pieces of 7 rows."""
    grid = (1000 + np.random.default_rng(1).random((60, 50))).astype(np.float32)
    grid[20:30, :25] = -9
    path = _written(tmp_path / "halus.tif", grid, from_origin(107, -6, 0.01, 0.01), "EPSG:4326")
    shape_ = shapely.Point(107.25, -6.3).buffer(0.22)
    whole = _one(path, shape_, breaks=(1000, 1000.5, 1001))
    monkeypatch.setattr("analysis.raster_cells.STRIP_CELLS", 350)
    parts = _one(path, shape_, breaks=(1000, 1000.5, 1001))
    for name in ("cells", "no_data", "mean", "deviation", "least", "most", "total"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert parts.classes == pytest.approx(whole.classes)
    assert parts.majority is None  # measurements: no value comes twice


def test_a_desa_smaller_than_a_cell_has_figures(raster: Path) -> None:
    found = _one(raster, box(108.4, -7.6, 108.41, -7.59), breaks=(0, 4, 5))
    assert (found.mean, found.deviation, found.majority) == (4, 0, 4)
    assert found.cells == pytest.approx(1e-4)
    assert found.classes == (0.0, 1.0)


def test_wrong_inputs_are_named(raster: Path, tmp_path: Path) -> None:
    with pytest.raises(QueryError) as caught:
        _one(raster, box(107, -7, 108, -6), breaks=(3, 1))
    assert caught.value.where == "batas_kelas"
    with pytest.raises(QueryError):
        _one(raster, box(107, -7, 108, -6), band=2)
    with pytest.raises(ProtocolError):
        _one(tmp_path / "none.tif", box(107, -7, 108, -6))
