"""A fine grid that answers most points of a register without any geometry.

Cells of 0.002 degrees (some 220 m). A cell that no border touches belongs to one desa as a whole;
all others are left to the exact test. Which cells a border touches is found by walking along every
segment in steps of half a cell and marking the eight neighbours too, so none is missed; whole areas
of untouched cells are then asked about once, at one of their points. Where polygons overlap, cells
covered twice count as border. Blocks of 32 x 32 cells are stored only when they are mixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from analysis.ragged import Floats, spans

if TYPE_CHECKING:
    from analysis.lookup import DesaIndex

STEP = 0.002
BLOCK = 32
OUTSIDE, BORDER = -1, -2
"""Cell values: in no desa; touched by a border or covered twice. Others are row numbers."""
_TILE = 1024

type Cells = npt.NDArray[np.int32]


class CellGrid:
    """The grid of an index, memory-mapped."""

    def __init__(self, folder: Path, west: float, south: float) -> None:
        self._blocks: Cells = np.load(folder / "blocks.npy", mmap_mode="r")
        self._cells: Cells = np.load(folder / "cells.npy", mmap_mode="r").reshape(-1)
        self._west, self._south = west, south

    def owners(self, lon: Floats, lat: Floats) -> Cells:
        """Return row, OUTSIDE or BORDER for each point (finite degrees)."""
        x = np.floor((lon - self._west) / STEP).astype(np.int64)
        y = np.floor((lat - self._south) / STEP).astype(np.int64)
        tall, wide = self._blocks.shape
        known = (x >= 0) & (y >= 0) & (x < wide * BLOCK) & (y < tall * BLOCK)
        x, y = np.where(known, x, 0), np.where(known, y, 0)
        value = self._blocks[y // BLOCK, x // BLOCK]
        mixed = np.flatnonzero(value <= -10)
        inner = (y[mixed] % BLOCK) * BLOCK + x[mixed] % BLOCK
        value[mixed] = self._cells[(-10 - value[mixed].astype(np.int64)) * BLOCK**2 + inner]
        value[~known] = OUTSIDE
        return value


def write_cells(index: DesaIndex) -> None:
    """Add the grid to an index: `blocks.npy` (row, OUTSIDE, BORDER or -10 - number) and `cells.npy`."""
    west, south, east, north = index.info.bbox
    tiles_x, tiles_y = (int((b - a) / (STEP * _TILE)) + 1 for a, b in ((west, east), (south, north)))
    per_tile = _TILE // BLOCK
    blocks = np.full((tiles_y * per_tile, tiles_x * per_tile), OUTSIDE, np.int32)
    stored: list[Cells] = []
    count = 0
    for ty in range(tiles_y):
        for tx in range(tiles_x):
            tile = _tile(index, tx * _TILE, ty * _TILE)
            if tile is None:
                continue
            target = blocks[ty * per_tile : (ty + 1) * per_tile, tx * per_tile : (tx + 1) * per_tile]
            mixed = _stored(tile, target, count)
            stored.append(mixed)
            count += len(mixed)
    np.save(index.folder / "blocks.npy", blocks)
    np.save(index.folder / "cells.npy", np.concatenate(stored or [np.empty((0, BLOCK, BLOCK), np.int32)]))


def _stored(tile: Cells, target: Cells, first: int) -> Cells:
    """Write the values of a tile's uniform blocks into `target`; return the mixed blocks."""
    side = _TILE // BLOCK
    blocks = tile.reshape(side, BLOCK, side, BLOCK).swapaxes(1, 2).reshape(side * side, BLOCK, BLOCK)
    low, high = blocks.min(axis=(1, 2)), blocks.max(axis=(1, 2))
    mixed = np.flatnonzero(low != high)
    values = low.copy()
    values[mixed] = -10 - first - np.arange(len(mixed))
    target[:] = values.reshape(side, side)
    return blocks[mixed]


def _tile(index: DesaIndex, x0: int, y0: int) -> Cells | None:
    """Return the cells of one tile, [line from the south, column]; None when no desa is near."""
    west, south = index.info.bbox[:2]
    box = [west + (x0 - 2) * STEP, south + (y0 - 2) * STEP]
    box += [west + (x0 + _TILE + 2) * STEP, south + (y0 + _TILE + 2) * STEP]
    b = index.boxes
    near = np.flatnonzero(
        (b[:, 0] <= box[2]) & (b[:, 2] >= box[0]) & (b[:, 1] <= box[3]) & (b[:, 3] >= box[1])
    )
    if not len(near):
        return None
    touched = np.zeros((_TILE + 4, _TILE + 4), bool)
    for x, y in _walk(index, near):
        column = np.floor((x - west) / STEP).astype(np.int64) - x0 + 2
        line = np.floor((y - south) / STEP).astype(np.int64) - y0 + 2
        keep = (column >= 0) & (line >= 0) & (column < _TILE + 4) & (line < _TILE + 4)
        touched[line[keep], column[keep]] = True
    border = ndimage.binary_dilation(touched, np.ones((3, 3), bool))[2:-2, 2:-2]
    return _filled(index, border, west + x0 * STEP, south + y0 * STEP)


def _walk(index: DesaIndex, rows: npt.NDArray[np.int64]) -> Iterator[tuple[Floats, Floats]]:
    """Yield points along all borders of rows, at most half a cell apart in either direction."""
    for part in np.array_split(rows, max(1, len(rows) // 500)):
        polygons = index.polygons.take(part)
        starts = np.flatnonzero(~polygons.ring_ends())
        a, b = polygons.coords[starts], polygons.coords[starts + 1]
        steps = np.ceil(np.abs(b - a).max(axis=1) / (STEP / 2)).astype(np.int64) + 1
        at = np.repeat(np.arange(len(a)), steps)
        share = spans(np.zeros(len(a), np.int64), steps) / np.maximum(steps - 1, 1)[at]
        yield (a[at, 0] + share * (b - a)[at, 0], a[at, 1] + share * (b - a)[at, 1])


def _filled(index: DesaIndex, border: npt.NDArray[np.bool_], west: float, south: float) -> Cells:
    """Ask for one point of every area that no border runs through."""
    areas, count = ndimage.label(~border)
    flat = areas.reshape(-1)
    first = np.zeros(count + 1, np.int64)
    first[flat[::-1]] = np.arange(len(flat) - 1, -1, -1)
    line, column = np.divmod(first[1:], border.shape[1])
    row, covering = index.where(west + (column + 0.5) * STEP, south + (line + 0.5) * STEP)
    value = np.where(covering == 1, row, np.where(covering == 0, OUTSIDE, BORDER))
    return cast(Cells, np.concatenate([[BORDER], value]).astype(np.int32)[areas])
