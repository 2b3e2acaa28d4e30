"""Polygons as flat coordinate arrays: small, memory-mappable, made into geometries only when needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

type Ints = npt.NDArray[np.int64]
type Rows = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Bools = npt.NDArray[np.bool_]
type Geometries = npt.NDArray[np.object_]

_PARTS = ("coords", "rings", "polygons", "geometries")


def spans(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Ints:
    """Return the indices `start .. start + length` of all spans, one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    if not len(ends) or not ends[-1]:
        return np.empty(0, np.int64)
    shift = np.repeat(starts.astype(np.int64) - (ends - lengths), lengths)
    found: Ints = np.arange(ends[-1], dtype=np.int64) + shift
    return found


@dataclass(frozen=True, slots=True)
class Ragged:
    """MultiPolygons as GeoArrow has them: vertices (n, 2), then offsets of rings, polygons, geometries.

    Coordinates are degrees, x = longitude. The arrays may be memory maps; nothing is copied until
    geometries are asked for.
    """

    coords: Floats
    rings: Ints
    polygons: Ints
    geometries: Ints

    def __len__(self) -> int:
        return len(self.geometries) - 1

    @classmethod
    def of(cls, shapes: Geometries) -> Ragged:
        """Take polygons and multipolygons (no None) apart."""
        multi = [s if s.geom_type == "MultiPolygon" else shapely.MultiPolygon([s]) for s in shapes]
        _, coords, (rings, polygons, geometries) = shapely.to_ragged_array(np.array(multi, object))
        return cls(coords[:, :2].copy(), *(o.astype(np.int64) for o in (rings, polygons, geometries)))

    @classmethod
    def join(cls, parts: list[Ragged]) -> Ragged:
        """Put several behind one another."""

        def offsets(name: str) -> Ints:
            found, base = [np.zeros(1, np.int64)], 0
            for part in parts:
                own = getattr(part, name)
                found.append(own[1:] + base)
                base += int(own[-1])
            return np.concatenate(found)

        coords = np.concatenate([part.coords for part in parts])
        return cls(coords, *(offsets(name) for name in _PARTS[1:]))

    def take(self, rows: Rows) -> Ragged:
        """Return some of the geometries, in the order asked."""
        polygon_at, geometries = _taken(self.geometries, rows)
        ring_at, polygons = _taken(self.polygons, polygon_at)
        coord_at, rings = _taken(self.rings, ring_at)
        return Ragged(self.coords.take(coord_at, axis=0), rings, polygons, geometries)

    def shapes(self, rows: Rows) -> Geometries:
        """Build shapely MultiPolygons."""
        part = self.take(rows)
        made: Geometries = shapely.from_ragged_array(
            shapely.GeometryType.MULTIPOLYGON, part.coords, (part.rings, part.polygons, part.geometries)
        )
        return made

    def vertex_spans(self, rows: Rows) -> tuple[Ints, Ints]:
        """Return (first, count) of each geometry's vertices in `coords`."""
        first = self.rings[self.polygons[self.geometries[rows]]]
        last = self.rings[self.polygons[self.geometries[rows + 1]]]
        return first, last - first

    def ring_ends(self) -> Bools:
        """Return a mask over `coords`: True for the last vertex of a ring (no segment starts there)."""
        mask = np.zeros(len(self.coords), bool)
        mask[self.rings[1:] - 1] = True
        return mask

    def save(self, folder: Path) -> None:
        """Write the arrays as `.npy` files."""
        for name in _PARTS:
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def open(cls, folder: Path) -> Ragged:
        """Map the arrays."""
        return cls(*(mapped(folder / f"{name}.npy") for name in _PARTS))


def mapped(path: Path) -> npt.NDArray[Any]:
    """Map a `.npy` file, as a plain array: `np.memmap` itself costs time at every use."""
    return np.asarray(np.load(path, mmap_mode="r"))


def _taken(offsets: Ints, rows: Rows) -> tuple[Ints, Ints]:
    lengths = offsets[rows + 1] - offsets[rows]
    return spans(offsets[rows], lengths), np.concatenate([[0], np.cumsum(lengths)])
