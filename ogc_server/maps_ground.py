"""What a map shows where it has no data, and where its CRS ends (OGC API - Maps 1.0, "Background").

The void is beyond the area in which a CRS is valid: longitudes past 180 degrees, latitudes past 90,
and places of a projection that lead to no place on the earth and back.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from layers.crs import transform_coordinates
from layers.raster_grid import Grid
from layers.raster_picture import jpeg, png
from layers.raster_style import Rgb, Style
from ogc_server.crs import CRS84, Crs

_WHITE = (255, 255, 255)
_PROBES = 17
"""Places a side at which is looked whether a map reaches into the void at all."""
type Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ground:
    """Colour and transparency without data, and in the void."""

    colour: Rgb
    clear: bool
    void: Rgb
    void_clear: bool

    @property
    def two(self) -> bool:
        """Tell whether the void looks unlike a place without data."""
        return self.void_clear != self.clear or (not self.clear and self.void != self.colour)


def ground(values: Mapping[str, Any]) -> Ground:
    """Read bgcolor, transparent, void-color and void-transparent with their defaults."""
    colour = values.get("bgcolor")
    clear = values.get("transparent", colour is None)
    shown = colour or _WHITE
    return Ground(shown, clear, values.get("void-color") or shown, values.get("void-transparent", clear))


def paint(indexes: npt.NDArray[np.uint8], style: Style, void: Mask | None, look: Ground, form: str) -> bytes:
    """Return the picture of palette indexes as `png` or `jpeg`; in the void no data is shown."""
    two = look.void != look.colour if form == "jpeg" else look.two
    if void is not None and not two:
        indexes, void = np.where(void, 0, indexes).astype(np.uint8), None
    if void is None:
        if form == "jpeg":
            return jpeg(indexes, style, look.colour)
        return png(indexes, style, None if look.clear else look.colour)
    palette = [look.colour, *style.palette[1:], look.void]
    picture = Image.fromarray(np.where(void, len(palette) - 1, indexes).astype(np.uint8))
    picture.putpalette([channel for colour in palette for channel in colour])
    out = io.BytesIO()
    if form == "jpeg":
        picture.convert("RGB").save(out, "JPEG", quality=85)
        return out.getvalue()
    alpha = bytes([0 if look.clear else 255, *[255] * (len(palette) - 2), 0 if look.void_clear else 255])
    picture.save(out, "PNG", compress_level=6, transparency=alpha)
    return out.getvalue()


def beyond(grid: Grid, crs: Crs) -> Mask | None:
    """Return which pixels lie in the void; None when none does."""
    west, south, east, north = grid.bounds
    x, y = grid.dx / 2, grid.dy / 2  # middles of pixels: the very edge of a CRS may be either side
    probes = np.meshgrid(np.linspace(west + x, east - x, _PROBES), np.linspace(north - y, south + y, _PROBES))
    if not _void(*probes, crs, min(grid.dx, grid.dy)).any():
        return None
    rows = max(1, 1_000_000 // grid.width)
    xs, ys = grid.xs(), grid.ys()
    parts = [
        _void(*np.meshgrid(xs, ys[top : top + rows]), crs, min(grid.dx, grid.dy))
        for top in range(0, grid.height, rows)
    ]
    return np.concatenate(parts)


def _void(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], crs: Crs, pixel: float) -> Mask:
    """Return which places (any shape) lie beyond the area of the CRS, to within half a pixel."""
    if crs.geographic:
        return (np.abs(x) > 180) | (np.abs(y) > 90)
    there = transform_coordinates(np.column_stack([x.ravel(), y.ravel()]), crs.code, CRS84.code)
    known = np.isfinite(there).all(axis=1) & (np.abs(there[:, 1]) <= 90)
    back = np.full_like(there, np.inf)
    back[known] = transform_coordinates(there[known], CRS84.code, crs.code)
    near = np.abs(back[:, 0] - x.ravel()) + np.abs(back[:, 1] - y.ravel()) <= max(pixel / 2, 1e-3)
    return (~(known & near)).reshape(x.shape)
