"""A hazard index as InaRISK publishes them: cells of 0 to 1 in EPSG:4326, no value off the land.

Smooth noise in four octaves (random lattices, each twice as fine and half as strong, between whose
nodes values are interpolated by cubic splines), then ranked to fill the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from rasterio.features import geometry_mask
from scipy.ndimage import zoom

from catalog.errors import QueryError
from harvesters.sample.land import Floats
from harvesters.sample.things import NODATA, Hazard
from harvesters.sample.write import geotiff

CELLS_MAX = 100_000_000
_LATTICE = 6
_OCTAVES = 4


def index_over(
    rng: np.random.Generator,
    bounds: tuple[float, float, float, float],
    cell: float,
    land: Sequence[shapely.Geometry] = (),
) -> Hazard:
    """Return an index over west, south, east, north (degrees) in cells of `cell` degrees.

    NODATA outside of `land` (EPSG:4326; empty: nowhere). QueryError when the bounds are empty or
    make more than 100 million cells.
    """
    west, south, east, north = bounds
    if not (west < east and south < north and cell > 0):
        raise QueryError("bounds must be west,south,east,north with a cell above 0", where="bbox")
    width, height = (int(np.ceil(round(side / cell, 6))) for side in (east - west, north - south))
    if width * height > CELLS_MAX:
        raise QueryError(f"{width} x {height} cells; at most {CELLS_MAX:,}: take a larger cell", where="cell")
    grid = (west, north - height * cell, west + width * cell, north)
    values = _ranked(_noise(rng, height, width)).round(3).astype(np.float32)
    made = Hazard(values, grid)
    if len(land):
        outside = geometry_mask(land, values.shape, made.transform)
        values[outside] = NODATA
    return made


def _noise(rng: np.random.Generator, height: int, width: int) -> Floats:
    total = np.zeros((height, width))
    for octave in range(_OCTAVES):
        nodes = _LATTICE * 2**octave
        lattice = rng.random((max(2, nodes), max(2, nodes)))
        total += zoom(lattice, (height / nodes, width / nodes), order=3)[:height, :width] / 2**octave
    return total


def _ranked(noise: Floats) -> Floats:
    low, high = np.quantile(noise, [0.02, 0.995])
    return cast(Floats, np.clip((noise - low) / (high - low), 0, 1) ** 1.5)


def write_index(path: Path, grid: Hazard, title: str) -> Path:
    """Write the index as a Cloud-Optimised GeoTIFF that says in its metadata that it is invented."""
    plain = geotiff(path.with_name(path.name + ".part"), grid, title)
    try:
        with rasterio.Env(GDAL_PAM_ENABLED=False):
            rasterio.shutil.copy(plain, path, driver="COG", compress="DEFLATE", predictor="YES")
    finally:
        plain.unlink()
    return path
