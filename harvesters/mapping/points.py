"""Two columns of a table become points."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from catalog.errors import ConfigError
from harvesters.mapping.values import BadValueError, to_real
from layers.contract import Geometries

type Note = tuple[int, str, str]
"""Row number, code, message."""


class PointMaker:
    """Makes points from columns `x` (easting, longitude) and `y` (northing, latitude) of `crs`."""

    def __init__(self, x: str, y: str, crs: str) -> None:
        self._x, self._y = x, y
        try:
            self._degrees = CRS.from_user_input(crs).is_geographic
        except CRSError as exc:
            raise ConfigError(f"unknown CRS {crs!r}", where="crs") from exc

    def make(self, rows: list[dict[str, Any]]) -> tuple[Geometries, list[Note]]:
        """Return one point (or None) per row, and notes on rows without a usable place."""
        points: Geometries = np.full(len(rows), None, dtype=object)
        notes: list[Note] = []
        pairs = [self._pair(row, at, notes) for at, row in enumerate(rows)]
        good = [at for at, pair in enumerate(pairs) if pair is not None]
        if good:
            points[good] = shapely.points(np.array([pairs[at] for at in good], dtype=float))
        return points, notes

    def _pair(self, row: dict[str, Any], at: int, notes: list[Note]) -> tuple[float, float] | None:
        try:
            x, y = to_real(row.get(self._x)), to_real(row.get(self._y))
        except BadValueError:
            notes.append((at, "coordinates", "coordinates are not numbers"))
            return None
        if x is None or y is None:
            notes.append((at, "coordinates-missing", "no coordinates"))
            return None
        if not self._degrees:
            return x, y
        if abs(y) > 90 and abs(x) <= 90 and abs(y) <= 180:
            notes.append((at, "coordinates-swapped", "latitude and longitude were swapped: put right"))
            return y, x
        if abs(y) > 90 or abs(x) > 180:
            notes.append((at, "coordinates-outside", "coordinates are not degrees"))
            return None
        return x, y
