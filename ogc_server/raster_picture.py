"""Pictures of rasters: PNG with a palette (one byte per pixel), JPEG, and the legend as a picture."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from layers.style.palettes import rgb
from ogc_server.raster_style import Rgb, Style

_QUICK = 2
"""zlib level: a fifth larger than 6 for a tile of classes, at a quarter of the time."""
_TEXT = 13
_ROW = 22
_PAD = 10
_SWATCH = 22
_PLAIN = str.maketrans({"≤": "<=", "–": "-"})
"""Signs that Pillow's built-in font lacks."""


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


def legend_png(doc: dict[str, Any]) -> bytes:
    """Return a legend document (see `raster_style.legend`) as a picture with names."""
    font = ImageFont.load_default(_TEXT)
    unit = f" ({doc['unit']})" if doc["unit"] else ""
    lines = [doc["title"] + unit, *(entry["label"].translate(_PLAIN) for entry in doc["entries"])]
    width = int(max(font.getlength(line) for line in lines)) + 2 * _PAD + _SWATCH + 8
    picture = Image.new("RGB", (width, 2 * _PAD + _ROW * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((_PAD, _PAD), lines[0], "black", font)
    for number, entry in enumerate(doc["entries"], start=1):
        top = _PAD + number * _ROW
        box = (_PAD, top, _PAD + _SWATCH, top + _ROW - 6)
        draw.rectangle(box, rgb(entry["colour"]), "#444444")
        draw.text((_PAD + _SWATCH + 8, top), lines[number], "black", font)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
