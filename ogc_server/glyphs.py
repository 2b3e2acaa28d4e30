"""Glyphs for the labels of maps, made here: no font server of others is asked.

MapLibre takes glyphs as signed distance fields in ranges of 256 characters
(https://github.com/mapbox/node-fontnik: 24 pixels high, 3 pixels of rim, 8 pixels of distance in 256
steps, the outline at 192). They are drawn with the font that Pillow carries (Aileron Regular by Sora
Sagano, CC0), which has the letters of Indonesian, other Latin languages and punctuation.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from layers.style.maplibre import FONT
from ogc_server.answer import Answer, content_tag
from ogc_server.ask import Ask
from ogc_server.negotiation import Offer
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot, missing

OFFERS = (Offer("pbf", "application/x-protobuf", ("application/octet-stream",)),)
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})\.pbf", re.ASCII)
_SIZE, _RIM, _RADIUS, _CUTOFF, _FINER = 24, 3, 8, 0.25, 4
_ASCENDER = 27
"""What MapLibre takes off the height above the baseline (its own `topAdjustment` of local glyphs)."""


def glyphs(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/fonts/{stack}/{first}-{last}.pbf`; any stack gets the one font we have."""
    found = _RANGE.fullmatch(ask.arguments[1])
    first = int(found.group(1)) if found else -1
    if found is None or first % 256 or first > 65_280 or int(found.group(2)) != first + 255:
        raise missing("glyphs", ask.arguments[1])
    body = glyph_range(first)
    tag = content_tag(body)
    cache = "public, max-age=86400"
    ask.check(tag, cache)
    answer = Answer(body, OFFERS[0].media, tag=tag, cache=cache)
    answer.effort = 5  # packed once, for all who come
    return answer


@cache
def glyph_range(first: int) -> bytes:
    """Return the glyphs of 256 characters as a protobuf; those that the font lacks are left out."""
    font = ImageFont.load_default(_SIZE * _FINER)
    lacking = _mask(font, "\uffff")
    made = [
        _glyph(font, code, lacking)
        for code in range(first, first + 256)
        if code >= 32 and not 127 <= code < 160 and not 0xD800 <= code < 0xE000
    ]
    stack = _field(1, FONT.encode()) + _field(2, f"{first}-{first + 255}".encode())
    stack += b"".join(_field(3, one) for one in made if one)
    return _field(1, stack)


def _mask(font: Any, character: str) -> tuple[tuple[int, int, int, int], bytes]:
    box = font.getbbox(character, anchor="ls")
    image = Image.new("L", (max(1, box[2] - box[0]), max(1, box[3] - box[1])))
    ImageDraw.Draw(image).text((-box[0], -box[1]), character, fill=255, font=font, anchor="ls")
    return box, image.tobytes()


def _glyph(font: Any, code: int, lacking: tuple[tuple[int, int, int, int], bytes]) -> bytes:
    """Return one glyph message: id, bitmap, width, height, left, top, advance."""
    character = chr(code)
    drawn = _mask(font, character)
    if drawn == lacking:
        return b""
    advance = round(font.getlength(character) / _FINER)
    left, top, right, bottom = drawn[0]
    head = _number(1, code)
    if right <= left or bottom <= top or character.isspace():
        return head + _number(3, 0) + _number(4, 0) + _signed(5, 0) + _signed(6, 0) + _number(7, advance)
    # whole pixels around the ink, so that the field can be read off at each pixel's middle
    x0, y0, x1, y1 = left // _FINER, top // _FINER, -(-right // _FINER), -(-bottom // _FINER)
    width, height = x1 - x0, y1 - y0
    field = _distances(font, character, x0, y0, width, height)
    return (
        head + _field(2, field.tobytes()) + _number(3, width) + _number(4, height) + _signed(5, x0)
        + _signed(6, -y0 - _ASCENDER) + _number(7, advance)
    )  # fmt: skip


def _distances(font: Any, character: str, x0: int, y0: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the signed distances, 0..255, of a glyph and its rim."""
    from scipy.ndimage import distance_transform_edt  # heavy; glyphs are made once and kept

    shape = ((width + 2 * _RIM) * _FINER, (height + 2 * _RIM) * _FINER)
    image = Image.new("L", shape)
    at = ((_RIM - x0) * _FINER, (_RIM - y0) * _FINER)
    ImageDraw.Draw(image).text(at, character, fill=255, font=font, anchor="ls")
    ink = np.asarray(image) > 127
    signed = distance_transform_edt(~ink) - distance_transform_edt(ink)
    rows, columns = shape[1] // _FINER, shape[0] // _FINER
    small = signed.reshape(rows, _FINER, columns, _FINER).mean(axis=(1, 3)) / _FINER
    levels: npt.NDArray[np.uint8] = np.clip(255 - 255 * (small / _RADIUS + _CUTOFF), 0, 255).astype(np.uint8)
    return levels


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _signed(field: int, value: int) -> bytes:
    return _number(field, value * 2 if value >= 0 else -value * 2 - 1)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
