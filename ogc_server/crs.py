"""The coordinate reference systems that we speak (Features Part 2), and their axis order.

Inside, geometry is always x, y (easting / longitude first). At the door, coordinates follow the
order that the CRS itself defines: latitude first for EPSG:4326, longitude first for CRS84.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pyproj

from layers.crs import crs_of, latitude_first

_OGC = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"

# WGS 84, web maps, DGN95 / Indonesia TM-3 zone 46.2, and the UTM zones 46-54 that Indonesia spans.
_EPSG_CODES = (4326, 3857, 23830, *range(32646, 32655), *range(32746, 32755))


@dataclass(frozen=True, slots=True)
class Crs:
    """One CRS. `code` is what pyproj reads with x, y order; `swapped` when the door has y, x."""

    uri: str
    code: str
    swapped: bool
    geographic: bool


CRS84 = Crs(_OGC, "OGC:CRS84", swapped=False, geographic=True)


@cache
def from_code(code: str) -> Crs:
    """Return the CRS of an `EPSG:` or `OGC:` code as layers name it."""
    if code.upper() in ("OGC:CRS84", "CRS84"):
        return CRS84
    number = code.rpartition(":")[2]
    geographic = bool(crs_of(code).is_geographic)
    return Crs(_EPSG + number, f"EPSG:{number}", swapped=latitude_first(code), geographic=geographic)


@cache
def supported() -> dict[str, Crs]:
    """Return uri -> CRS of all that every collection is offered in."""
    known = [CRS84, *(from_code(f"EPSG:{code}") for code in _EPSG_CODES)]
    return {crs.uri: crs for crs in known}


def storage(code: str) -> Crs:
    """Return the CRS to name as storageCrs: EPSG:4326 is kept x, y, which is CRS84."""
    return CRS84 if code.upper() in ("EPSG:4326", "OGC:CRS84") else from_code(code)


def offered(code: str) -> dict[str, Crs]:
    """Return uri -> CRS for a layer stored in `code`: ours and its own."""
    own = storage(code)
    return {**supported(), own.uri: own}


@cache
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return a cached x, y transformer between two codes."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
