"""Reads `subset`, `resolution` and the scaling parameters: axis names with values in brackets.

Grammar: OGC API - Coverages 1.0 (19-087, release candidate 4), "Spatial Subsetting" and "Spatial
Scaling"; OGC API - Maps 1.0 (20-058), requirements `spatial-subsetting/subset-definition` and
`datetime/subset-definition`. `subset` may be given several times: `split_query` joins the values.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from ogc_server.crs import Crs
from ogc_server.errors import ParameterError
from ogc_server.parameters import NUMBER, positive
from ogc_server.raster_time import Period, coordinate

_GEOGRAPHIC = dict.fromkeys(("lon", "long", "longitude"), "x") | dict.fromkeys(("lat", "latitude"), "y")
_PROJECTED = dict.fromkeys(("e", "easting"), "x") | dict.fromkeys(("n", "northing"), "y")
AXES = {"x": "x", "y": "y"} | _GEOGRAPHIC | _PROJECTED
"""Names of axes (in small letters) and which of ours they mean; `x` and `y` fit any CRS."""
_TIME = ("time", "t")
_PART = re.compile(r'\s*([A-Za-z_]{1,20})\s*\(((?:"[^"]{0,60}"|[^()"]){0,120})\)\s*')
_SIDE = re.compile(r'\s*("[^"]*"|\*|[^":*]*)\s*')


class Span(NamedTuple):
    """From `low` to `high` along an axis; None is the data's own end. `point`: one value, a slice."""

    low: float | None
    high: float | None
    point: bool = False


@dataclass(frozen=True, slots=True)
class Subset:
    """What `subset` asks of each axis, and the axis names as they were written."""

    x: Span | None = None
    y: Span | None = None
    time: Period | None = None
    names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def spatial(self) -> bool:
        """Tell whether a part of the area is asked for."""
        return self.x is not None or self.y is not None

    @property
    def points(self) -> frozenset[str]:
        """Return the axes on which one value is asked for."""
        spans = {"x": self.x, "y": self.y}
        return frozenset(axis for axis, span in spans.items() if span is not None and span.point)


def fits(names: tuple[str, ...], crs: Crs, where: str) -> None:
    """Refuse names of axes that this kind of CRS does not have (Lat of a projected one)."""
    foreign = _PROJECTED if crs.geographic else _GEOGRAPHIC
    for name in names:
        if name.lower() in foreign:
            raise ParameterError("query.axis-of-crs", where, value=name)


def number(name: str, value: str) -> float:
    """Read one finite number."""
    read = float(value) if NUMBER.fullmatch(value.strip()) else math.nan
    if not math.isfinite(read):
        raise ParameterError("query.number", name, value=value[:40])
    return read


def above_zero(name: str, value: str) -> float:
    """Read one finite number greater than 0."""
    read = number(name, value)
    if read <= 0:
        raise ParameterError("query.above-zero", name, value=value[:40])
    return read


def subset(name: str, value: str) -> Subset:
    """Read `Lat(-7:-6),Lon(106:107)`, `time("2024-01-01":*)`; `*` is the data's own end."""
    found: dict[str, Span] = {}
    time: Period | None = None
    parts = _parts(name, value, _TIME)
    for axis, (_, inside) in parts.items():
        sides = _sides(name, value, inside)
        if axis == "time":
            time = coordinate(name, *sides)
        elif len(sides) == 1 and sides[0] == "*":
            raise ParameterError("query.axes", name, value=value[:80])
        else:
            low, high = (None if side == "*" else number(name, side) for side in (sides[0], sides[-1]))
            found[axis] = Span(low, high, len(sides) == 1)
    names = tuple(said for axis, (said, _) in parts.items() if axis != "time")
    return Subset(found.get("x"), found.get("y"), time, names)


@dataclass(frozen=True, slots=True)
class PerAxis:
    """A number per axis (`x`, `y`; None: the data's own), and the names as they were written."""

    values: dict[str, float | None]
    names: tuple[str, ...] = field(default=(), compare=False)


def resolution(name: str, value: str) -> PerAxis:
    """Read `Lat(0.01),Lon(0.01)` in units of the answer's CRS; nothing at all, or `Lat()`: the data's own."""
    if not value.strip():
        return PerAxis({})
    parts = _parts(name, value)
    read = {axis: above_zero(name, inside) if inside.strip() else None for axis, (_, inside) in parts.items()}
    return PerAxis(read, tuple(said for said, _ in parts.values()))


def axis_factors(name: str, value: str) -> dict[str, float]:
    """Read `x(2),y(4)`: by how much fewer columns and rows."""
    return {axis: above_zero(name, inside) for axis, (_, inside) in _parts(name, value).items()}


def axis_sizes(name: str, value: str) -> dict[str, int]:
    """Read `x(400),y(200)`: how many columns and rows."""
    return {axis: positive(name, inside) for axis, (_, inside) in _parts(name, value).items()}


def _parts(name: str, value: str, time: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    """Read `Lat(...),Lon(...)` as axis -> its name as written, and the text between the brackets."""
    found: dict[str, tuple[str, str]] = {}
    at = 0
    while at <= len(value):
        part = _PART.match(value, at)
        if not part:
            raise ParameterError("query.axes", name, value=value[:80])
        said = part.group(1)
        axis = "time" if said.lower() in time else AXES.get(said.lower())
        if axis is None:
            raise ParameterError("query.axis", name, value=said)
        if axis in found:
            raise ParameterError("query.axis-twice", name, value=said)
        found[axis] = (said, part.group(2))
        if part.end() == len(value):
            return found
        if value[part.end()] != ",":
            break
        at = part.end() + 1
    raise ParameterError("query.axes", name, value=value[:80])


def _sides(name: str, value: str, inside: str) -> tuple[str, ...]:
    """Return the one or two coordinates between the brackets; text in quotes may hold colons."""
    first = _SIDE.match(inside)
    rest = inside[first.end() :] if first else inside
    sides = [first.group(1).strip()] if first else []
    if rest.startswith(":"):
        second = _SIDE.fullmatch(rest[1:])
        sides, rest = ([*sides, second.group(1).strip()], "") if second else (sides, rest)
    if rest or not all(sides):
        raise ParameterError("query.axes", name, value=value[:80])
    return tuple(sides)
