"""A map tile of a raster: 256 pixels a side, coloured, as PNG; the same on request and in an archive.

Everything that decides its bytes goes into one tag: the version, the rule of colours, the programs that
read and pack it. An archive holds the tag that it was drawn by, and a tile's validator is made of it, so
that nobody can tell where a tile came from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import PIL
import pyproj
import rasterio
from PIL import features

from catalog.model import VersionInfo
from layers.crs import CRS84
from layers.raster_grid import Grid, over
from layers.raster_picture import empty_png, png
from layers.raster_read import RasterPool, read_painted
from layers.raster_style import Style
from layers.tiles import grid as tiles

TILE = 256
"""Pixels along the side of a tile."""
REVISION = 1
"""Raised when the same values and colours give other bytes than before."""
CRS_OF = {"WebMercatorQuad": "EPSG:3857", "WorldCRS84Quad": CRS84}


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the tiles of one version are drawn now. `tag`: 16 hex digits of all that decides their bytes."""

    info: VersionInfo
    style: Style
    tag: str

    @classmethod
    def of(cls, info: VersionInfo, style: Style) -> Drawing:
        """Return the drawing of a version in a style. Names in the legend do not count."""
        look = (style.band.index, style.kind, style.palette, style.bounds)
        said = repr((REVISION, _programs(), info.layer_id, info.version, info.checksum, look))
        return cls(info, style, hashlib.blake2b(said.encode(), digest_size=8).hexdigest())

    def validator(self, grid: str, zoom: int, row: int, column: int) -> str:
        """Return the strong validator of a tile."""
        return validator(self.tag, grid, zoom, row, column)

    def png(self, pool: RasterPool, grid: tiles.Grid, zoom: int, row: int, column: int) -> bytes:
        """Draw a tile. Errors are those of `RasterPool.lease`."""
        place = pixels(grid, zoom, row, column)
        indexes = read_painted(pool, self.info, self.style.band.index, place, self.style.indexes)
        return png(indexes, self.style, None) if indexes.any() else empty()


def pixels(grid: tiles.Grid, zoom: int, row: int, column: int) -> Grid:
    """Return the grid of a tile's pixels."""
    return over(CRS_OF[grid.id], grid.bounds(zoom, row, column), TILE, TILE)


def validator(tag: str, grid: str, zoom: int, row: int, column: int) -> str:
    """Return the strong validator of a tile of the drawing that has this tag."""
    return f"{tag}.{grid[:6]}.{zoom:x}.{row:x}.{column:x}"


def empty() -> bytes:
    """Return the tile that shows nothing."""
    return empty_png(TILE, TILE)


@cache
def _programs() -> tuple[str, ...]:
    """Return the versions of what reads, moves and packs: with another one bytes may differ."""
    zlib = features.version("zlib") or ""
    return PIL.__version__, str(zlib), rasterio.__gdal_version__, pyproj.proj_version_str
