"""Reads coordinates as registers hold them, and names what is wrong with those that are not usable.

A plausible repair is offered (`usulan`), never applied: a person or the register's owner decides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from catalog.model import BBox

Alasan = Literal[
    "kosong", "nol", "tertukar", "derajat_menit", "koma_desimal", "di_luar_rentang", "bukan_angka"
]
ALASAN: tuple[Alasan, ...] = get_args(Alasan)
"""Empty; 0/0; lon and lat swapped; degrees-minutes; decimal comma; beyond 180/90; not a number."""

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_DEGREES = re.compile(
    r"""(?P<sign>[+-]?)\s*(?P<before>[A-Za-z]{0,3})\s*
    (?P<d>\d{1,3})\s*(?:°|º|d|:|\s)\s*
    (?P<m>\d{1,2}(?:[.,]\d+)?)\s*(?:'|′|’|m|:|\s)?\s*
    (?:(?P<s>\d{1,2}(?:[.,]\d+)?)\s*(?:''|"|″|”|s)?)?\s*
    (?P<after>[A-Za-z]{0,3})\.?""",
    re.VERBOSE | re.ASCII,
)
_SOUTH_WEST = {"S", "LS", "W", "BB"}
_NORTH_EAST = {"", "N", "U", "LU", "E", "T", "BT"}

type Usulan = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Koordinat:
    """`lon`, `lat` in degrees when usable; else `alasan` says why not and `usulan` may offer a repair."""

    lon: float = math.nan
    lat: float = math.nan
    alasan: Alasan | None = None
    usulan: Usulan | None = None


def read_coordinate(lon: object, lat: object, bbox: BBox) -> Koordinat:
    """Read a pair; `bbox` (of the country) tells which repairs are plausible."""
    (x, why_x), (y, why_y) = _number(lon), _number(lat)
    if why_x or why_y:
        reasons = {why_x, why_y} - {None}
        worst: Alasan = next(
            r for r in ("kosong", "bukan_angka", "derajat_menit", "koma_desimal") if r in reasons
        )
        if worst in {"kosong", "bukan_angka"}:
            return Koordinat(alasan=worst)
        return Koordinat(alasan=worst, usulan=_plausible(x, y, bbox))
    if x == 0 and y == 0:
        return Koordinat(alasan="nol")
    if not within(x, y, bbox) and within(y, x, bbox):
        return Koordinat(alasan="tertukar", usulan=(y, x))
    if abs(x) > 180 or abs(y) > 90:
        return Koordinat(alasan="di_luar_rentang")
    return Koordinat(x, y)


def within(lon: float, lat: float, bbox: BBox) -> bool:
    """Tell whether a point is in the box or within half a degree of it."""
    return bbox[0] - 0.5 <= lon <= bbox[2] + 0.5 and bbox[1] - 0.5 <= lat <= bbox[3] + 0.5


def _plausible(lon: float, lat: float, bbox: BBox) -> Usulan | None:
    if within(lon, lat, bbox):
        return (lon, lat)
    return (lat, lon) if within(lat, lon, bbox) else None


def _number(value: object) -> tuple[float, Alasan | None]:
    if value is None:
        return math.nan, "kosong"
    if isinstance(value, int | float):
        if math.isnan(value):
            return math.nan, "kosong"
        return (float(value), None) if math.isfinite(value) else (math.nan, "bukan_angka")
    text = str(value).strip()
    if not text or text.lower() in {"null", "none", "nan", "na", "-"}:
        return math.nan, "kosong"
    if _NUMBER.fullmatch(text):
        number = float(text)
        return (number, None) if math.isfinite(number) else (math.nan, "bukan_angka")
    if _COMMA.fullmatch(text):
        return float(text.replace(",", ".")), "koma_desimal"
    degrees = _degrees(text)
    return (math.nan, "bukan_angka") if degrees is None else (degrees, "derajat_menit")


def _degrees(text: str) -> float | None:
    """Read `6°49'30" S`, `6 49.5 LS`, `S 6:49:30`, `107 08 30 BT`."""
    match = _DEGREES.fullmatch(text)
    if match is None:
        return None
    side = (match["before"] + match["after"]).upper()
    minutes, seconds = (float((match[part] or "0").replace(",", ".")) for part in ("m", "s"))
    if side not in _SOUTH_WEST | _NORTH_EAST or minutes >= 60 or seconds >= 60:
        return None
    value = int(match["d"]) + minutes / 60 + seconds / 3600
    return -value if match["sign"] == "-" or side in _SOUTH_WEST else value
