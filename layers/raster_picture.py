"""Pictures of rasters: PNG with a palette (one byte per pixel), and JPEG."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from layers.raster_style import Rgb, Style

_QUICK = 2
"""zlib level: a fifth larger than 6 for a tile of classes, at a quarter of the time."""


def png(indexes: npt.NDArray[np.uint8], style: Style, background: Rgb | None) -> bytes:
    """Return palette indexes as PNG; cells without data show `background`, None: are transparent."""
    picture = _picture(indexes, style, background or (255, 255, 255))
    out = io.BytesIO()
    more = {} if background else {"transparency": 0}
    picture.save(out, "PNG", compress_level=_QUICK, **more)
    return out.getvalue()


def jpeg(indexes: npt.NDArray[np.uint8], style: Style, background: Rgb) -> bytes:
    """Return palette indexes as JPEG, which has no transparency."""
    out = io.BytesIO()
    _picture(indexes, style, background).convert("RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


def _picture(indexes: npt.NDArray[np.uint8], style: Style, background: Rgb) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(indexes))
    picture.putpalette([channel for colour in (background, *style.palette[1:]) for channel in colour])
    return picture


@cache
def empty_png(width: int, height: int) -> bytes:
    """Return a wholly transparent PNG of one colour."""
    picture = Image.new("P", (width, height), 0)
    picture.putpalette([255, 255, 255])
    out = io.BytesIO()
    picture.save(out, "PNG", transparency=0, optimize=True)
    return out.getvalue()
