"""Small squares with known answers, and plain references that share no code with what they judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import shapely

from analysis.lookup import DesaIndex
from analysis.lookup_build import Boundaries, build

DEGREE = 0.01
WEST, SOUTH = 107.0, -6.9
REGIONS = {
    "Cianjur": ["32.03"],
    "islands and cities": ["21.71", "31.01"],
    "Papua": ["93.01", "93.02"],
    "on the equator": ["13.09", "61.71"],
}


def square(column: float, row: float, size: float = 1.0) -> shapely.Polygon:
    x, y = WEST + column * DEGREE, SOUTH + row * DEGREE
    return shapely.box(x, y, x + size * DEGREE, y + size * DEGREE)


def village(folder: Path) -> DesaIndex:
    """Desa 1 and 2 share a border; 3 is two islands; 4 has a hole in which 5 lies."""
    shapes = [
        square(0, 0),
        square(1, 0),
        shapely.MultiPolygon([square(5, 5), square(8, 8)]),
        square(0, 10, 3).difference(square(1, 11)),
        square(1, 11),
    ]
    codes = [f"32.03.01.200{n}" for n in range(1, 6)]
    names = ["Satu", "Dua", "Pulau Tiga", "Empat", "Lima"]
    return build(
        [Boundaries(codes, names, np.array(shapes, object))],
        folder,
        skema="kemendagri",
        vintage=2025,
        version="uji",
        cells=True,
    )


def real(path: Path, kabupaten: list[str]) -> Iterator[Boundaries]:
    """Desa of some kabupaten out of the national file."""
    table = pq.read_table(
        path, columns=["KDEPUM", "WADMKD", "geometry"], filters=[("KDPKAB", "in", kabupaten)]
    )
    shapes = shapely.from_wkb(table["geometry"].to_numpy())
    yield Boundaries(table["KDEPUM"].to_pylist(), table["WADMKD"].to_pylist(), shapes)
