"""Curve segments of Esri JSON (`curveRings`, `curvePaths`) turned into vertices.

A segment that is not a vertex is one of `{"c": [end, through]}` (circular arc through a point),
`{"a": [end, centre, minor, clockwise, rotation, axis, ratio]}` (arc by its centre, elliptic when an
axis is given) or `{"b": [end, control, control]}` (cubic Bezier). We ask servers not to send curves;
some do so all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

type Vertex = tuple[float, float]

STEP = math.radians(2.5)
"""Largest turn between two vertices of a densified arc: the sagitta stays below 0.03 % of the radius."""
BEZIER_STEPS = 32


def densify(path: Iterable[Any]) -> list[list[float]]:
    """Return the vertices `[x, y]` of a path or ring that may hold curve segments.

    Raises ValueError on a segment that is none of the three kinds or that starts a path.
    """
    out: list[list[float]] = []
    for part in path:
        if not isinstance(part, dict):
            out.append([float(part[0]), float(part[1])])
            continue
        if not out:
            raise ValueError("a path starts with a curve segment")
        start = (out[-1][0], out[-1][1])
        out.extend([x, y] for x, y in _segment(start, part))
    return out


def _segment(start: Vertex, part: dict[str, Any]) -> Iterator[Vertex]:
    if "c" in part:
        return _through(start, _xy(part["c"][1]), _xy(part["c"][0]))
    if "a" in part:
        return _centred(start, part["a"])
    if "b" in part:
        return _bezier(start, *(_xy(p) for p in (part["b"][1], part["b"][2], part["b"][0])))
    raise ValueError(f"unknown curve segment {sorted(part)}")


def _xy(point: Any) -> Vertex:
    return float(point[0]), float(point[1])


def _through(start: Vertex, middle: Vertex, end: Vertex) -> Iterator[Vertex]:
    """Circular arc from start through middle to end; a straight line when the three are in line."""
    (ax, ay), (bx, by), (cx, cy) = start, middle, end
    if start == end:  # a full circle: the middle lies opposite
        centre = ((ax + bx) / 2, (ay + by) / 2)
        yield from _arc(start, end, centre, 2 * math.pi)
        return
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(d) < 1e-14:
        yield from (middle, end)
        return
    a2, b2, c2 = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    centre = (
        (a2 * (by - cy) + b2 * (cy - ay) + c2 * (ay - by)) / d,
        (a2 * (cx - bx) + b2 * (ax - cx) + c2 * (bx - ax)) / d,
    )
    first, mid, last = (math.atan2(p[1] - centre[1], p[0] - centre[0]) for p in (start, middle, end))
    anticlockwise = (last - first) % (2 * math.pi)
    passes = (mid - first) % (2 * math.pi) <= anticlockwise
    yield from _arc(start, end, centre, anticlockwise if passes else anticlockwise - 2 * math.pi)


def _centred(start: Vertex, spec: list[Any]) -> Iterator[Vertex]:
    end, centre = _xy(spec[0]), _xy(spec[1])
    clockwise = bool(spec[3]) if len(spec) > 3 else False
    rotation, ratio = (float(spec[4]), float(spec[6])) if len(spec) > 6 else (0.0, 1.0)
    ratio = ratio or 1.0

    def unit(p: Vertex) -> Vertex:  # the ellipse as a circle around the origin
        x, y = p[0] - centre[0], p[1] - centre[1]
        cos, sin = math.cos(rotation), math.sin(rotation)
        return x * cos + y * sin, (y * cos - x * sin) / ratio

    s, e = unit(start), unit(end)
    turn = (math.atan2(e[1], e[0]) - math.atan2(s[1], s[0])) % (2 * math.pi)
    if math.isclose(turn, 0, abs_tol=1e-12):
        turn = 2 * math.pi
    for x, y in _arc(s, e, (0.0, 0.0), turn - 2 * math.pi if clockwise and turn < 2 * math.pi else turn):
        cos, sin = math.cos(rotation), math.sin(rotation)
        yield centre[0] + x * cos - y * ratio * sin, centre[1] + x * sin + y * ratio * cos


def _arc(start: Vertex, end: Vertex, centre: Vertex, turn: float) -> Iterator[Vertex]:
    """Vertices after `start` up to and with `end`, along `turn` radians (positive: anticlockwise)."""
    radius = math.hypot(start[0] - centre[0], start[1] - centre[1])
    first = math.atan2(start[1] - centre[1], start[0] - centre[0])
    steps = max(1, math.ceil(abs(turn) / STEP))
    for i in range(1, steps):
        angle = first + turn * i / steps
        yield centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)
    yield end


def _bezier(start: Vertex, one: Vertex, two: Vertex, end: Vertex) -> Iterator[Vertex]:
    for i in range(1, BEZIER_STEPS):
        t = i / BEZIER_STEPS
        w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points = (start, one, two, end)
        yield (
            sum(k * p[0] for k, p in zip(w, points, strict=True)),
            sum(k * p[1] for k, p in zip(w, points, strict=True)),
        )
    yield end
