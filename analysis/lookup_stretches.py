"""Borders in stretches of 16 segments, each with its box: most of a border is too far to be the nearest.

The distance to a border is sought in the stretches only whose box is not farther than the nearest
first vertex of any stretch. That leaves the answer as it is and a fourth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.ragged import Floats, Ints, Ragged, Rows, mapped, spans

_SEGMENTS = 16
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Stretches:
    """`starts`: first vertex of each stretch; `rows`: first stretch of each polygon; both with the end.

    `boxes`: west, south, east, north of the segments that begin in a stretch. `coords` as in Ragged.
    """

    starts: Ints
    rows: Ints
    boxes: Floats
    coords: Floats

    @classmethod
    def open(cls, folder: Path, coords: Floats) -> Stretches:
        """Map what `write_stretches` wrote."""
        starts, rows, boxes = (mapped(folder / f"stretch_{name}.npy") for name in ("starts", "rows", "boxes"))
        return cls(starts, rows, boxes, coords)

    def counts(self, rows: Rows) -> Ints:
        """Return how many stretches each polygon has."""
        found: Ints = self.rows[rows + 1] - self.rows[rows]
        return found

    def near(self, rows: Rows, lon: Floats, lat: Floats, kx: Floats, ky: Floats) -> tuple[Rows, Ints, Ints]:
        """Return (number of the point, first vertex, vertices) of stretches that may hold the nearest point.

        `kx`, `ky`: metres of a degree for each point. By point, then along the border; at least one each.
        """
        counts = self.counts(rows)
        at, owner = spans(self.rows[rows], counts), np.repeat(np.arange(len(rows)), counts)
        px, py, sx, sy = lon[owner], lat[owner], kx[owner], ky[owner]
        vertex, box = self.coords.take(self.starts.take(at), axis=0), self.boxes.take(at, axis=0)
        reached = ((vertex[:, 0] - px) * sx) ** 2 + ((vertex[:, 1] - py) * sy) ** 2
        most = np.minimum.reduceat(reached, np.cumsum(counts) - counts) * _ROUNDING
        x = np.maximum(np.maximum(box[:, 0] - px, px - box[:, 2]), 0.0) * sx
        y = np.maximum(np.maximum(box[:, 1] - py, py - box[:, 3]), 0.0) * sy
        keep = np.flatnonzero(x * x + y * y <= most[owner])
        first = self.starts.take(at[keep])
        return owner[keep], first, self.starts.take(at[keep] + 1) - first


def write_stretches(folder: Path, polygons: Ragged) -> None:
    """Add the stretches of an index's polygons to its folder."""
    firsts = polygons.rings[polygons.polygons[polygons.geometries]]
    counts = -(-np.diff(firsts) // _SEGMENTS)
    rows = np.concatenate([[0], np.cumsum(counts)])
    number = spans(np.zeros(len(counts), np.int64), counts)
    starts = np.append(np.repeat(firsts[:-1], counts) + number * _SEGMENTS, firsts[-1])
    for name, array in (("starts", starts), ("rows", rows), ("boxes", _boxes(polygons, starts))):
        np.save(folder / f"stretch_{name}.npy", array)


def _boxes(polygons: Ragged, starts: Ints) -> Floats:
    ends = polygons.ring_ends()
    boxes = np.empty((len(starts) - 1, 4))
    for axis in (0, 1):
        this = np.ascontiguousarray(polygons.coords[:, axis])
        other = np.where(ends, this, np.append(this[1:], 0.0))
        boxes[:, axis] = np.minimum.reduceat(np.minimum(this, other), starts[:-1])
        boxes[:, axis + 2] = np.maximum.reduceat(np.maximum(this, other), starts[:-1])
    return boxes
