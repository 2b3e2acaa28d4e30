"""The legend of a raster as a picture."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from layers.style.palettes import rgb

_TEXT = 13
_ROW = 22
_PAD = 10
_SWATCH = 22
_PLAIN = str.maketrans({"≤": "<=", "–": "-"})
"""Signs that Pillow's built-in font lacks."""


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
