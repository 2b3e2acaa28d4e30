"""The two tile grids we serve: WebMercatorQuad and WorldCRS84Quad (OGC 17-083r4, annex D).

Tiles are addressed by zoom (tile matrix), row from the top and column from the left. tippecanoe
knows the Mercator grid only. WorldCRS84Quad is its grid, too, once degrees are scaled to "metres" so
that 360 degrees span the Mercator world: its zoom z is then zoom z + 1 of the scaled world, shifted
down by a quarter of the rows, exactly for every z from 1 on. At zoom 0 the two do not fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.model import BBox
from layers.crs import Coordinates

type GridId = Literal["WebMercatorQuad", "WorldCRS84Quad"]

EXTENT = 4096
"""Units along the side of a tile."""
HALF = 20_037_508.342789244
"""Half the Mercator world's width in metres (EPSG:3857)."""
_PIXEL = 0.000_28
"""Metres of the standardised rendering pixel (OGC 17-083r4, 6.1)."""
_METRES_PER_DEGREE = math.pi * 6_378_137 / 180
_MERCATOR_LATITUDE = math.degrees(2 * math.atan(math.exp(math.pi)) - math.pi / 2)


@dataclass(frozen=True, slots=True)
class Grid:
    """One tile matrix set. `crs` as the address that OGC gives it; x before y in our arithmetic."""

    id: GridId
    crs: str
    uri: str
    half: float
    """Half the width of the world in the grid's own units."""
    wide: int
    """Columns of zoom 0; it has one row."""
    first_zoom: int
    """First zoom of which we have tiles."""

    def columns(self, zoom: int) -> int:
        """Return how many columns a zoom has."""
        return self.wide << zoom

    def rows(self, zoom: int) -> int:
        """Return how many rows a zoom has."""
        return 1 << zoom

    def side(self, zoom: int) -> float:
        """Return the side of a tile in the grid's units."""
        return 2 * self.half / self.columns(zoom)

    @property
    def top(self) -> float:
        """The northern edge in the grid's units."""
        return self.side(0) / 2

    def holds(self, zoom: int, row: int, column: int) -> bool:
        """Tell whether there is such a place in the grid."""
        return (
            0 <= zoom <= _LAST_ZOOM[self.id]
            and 0 <= row < self.rows(zoom)
            and 0 <= column < self.columns(zoom)
        )

    def bounds(self, zoom: int, row: int, column: int) -> BBox:
        """Return west, south, east, north of a tile in the grid's units."""
        side = self.side(zoom)
        west, north = -self.half + column * side, self.top - row * side
        return west, north - side, west + side, north

    def lonlat(self, bounds: BBox) -> BBox:
        """Return a box of the grid's units in degrees."""
        west, south, east, north = bounds
        if self.id == "WorldCRS84Quad":
            return bounds

        def latitude(y: float) -> float:
            return math.degrees(2 * math.atan(math.exp(y / HALF * math.pi)) - math.pi / 2)

        return west / HALF * 180, latitude(south), east / HALF * 180, latitude(north)

    def project(self, lonlat: Coordinates) -> Coordinates:
        """Return degrees (n x 2) in the grid's units; latitudes beyond Mercator's world are cut to it."""
        if self.id == "WorldCRS84Quad":
            return lonlat
        made = np.empty_like(lonlat)
        made[:, 0] = lonlat[:, 0] * (HALF / 180)
        latitude = np.clip(lonlat[:, 1], -_MERCATOR_LATITUDE, _MERCATOR_LATITUDE)
        made[:, 1] = np.log(np.tan(np.radians(latitude) / 2 + math.pi / 4)) * (HALF / math.pi)
        return made

    def limits(self, box: BBox, zoom: int) -> tuple[int, int, int, int]:
        """Return first and last row, first and last column that a box in degrees touches."""
        corners = self.project(np.array([[box[0], box[3]], [box[2], box[1]]], dtype=float))
        side = self.side(zoom)
        columns = np.floor((corners[:, 0] + self.half) / side)
        rows = np.floor((self.top - corners[:, 1]) / side)
        low, high = np.clip(rows, 0, self.rows(zoom) - 1), np.clip(columns, 0, self.columns(zoom) - 1)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def stored(self, zoom: int, row: int, column: int) -> tuple[int, int, int]:
        """Return zoom, x, y under which an archive of ours holds a tile (see the module's text)."""
        if self.id == "WebMercatorQuad":
            return zoom, column, row
        return zoom + 1, column, row + (1 << zoom) // 2

    def definition(self) -> dict[str, object]:
        """Return the tile matrix set as OGC 17-083r4, annex D, registers it (JSON, version 2.0)."""
        return {
            "id": self.id, "title": self.id, "uri": self.uri, "crs": self.crs,
            "orderedAxes": ["Lon", "Lat"] if self.id == "WorldCRS84Quad" else ["X", "Y"],
            "wellKnownScaleSet": _SCALE_SETS[self.id],
            "tileMatrices": [self._matrix(zoom) for zoom in range(_LAST_ZOOM[self.id] + 1)],
        }  # fmt: skip

    def _matrix(self, zoom: int) -> dict[str, object]:
        cell = self.side(zoom) / 256
        metres = cell * (_METRES_PER_DEGREE if self.id == "WorldCRS84Quad" else 1)
        return {
            "id": str(zoom), "scaleDenominator": metres / _PIXEL, "cellSize": cell,
            "cornerOfOrigin": "topLeft", "pointOfOrigin": [-self.half, self.top],
            "tileWidth": 256, "tileHeight": 256,
            "matrixWidth": self.columns(zoom), "matrixHeight": self.rows(zoom),
        }  # fmt: skip


_WKSS = "http://www.opengis.net/def/wkss/OGC/1.0/"
_SCALE_SETS = {
    "WebMercatorQuad": f"{_WKSS}GoogleMapsCompatible", "WorldCRS84Quad": f"{_WKSS}GoogleCRS84Quad",
}  # fmt: skip
_LAST_ZOOM = {"WebMercatorQuad": 24, "WorldCRS84Quad": 23}
"""Last zooms of the registered definitions."""
_TMS = "http://www.opengis.net/def/tilematrixset/OGC/1.0/"

GRIDS: dict[str, Grid] = {
    "WebMercatorQuad": Grid(
        "WebMercatorQuad", "http://www.opengis.net/def/crs/EPSG/0/3857", f"{_TMS}WebMercatorQuad", HALF, 1, 0
    ),
    "WorldCRS84Quad": Grid(
        "WorldCRS84Quad", "http://www.opengis.net/def/crs/OGC/1.3/CRS84", f"{_TMS}WorldCRS84Quad", 180.0, 2, 1
    ),
}
