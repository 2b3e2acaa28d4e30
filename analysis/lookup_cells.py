"""A fine grid that answers most points of a register without any geometry.

Cells of 0.001 degrees (some 110 m). A cell that no border touches belongs to one desa as a whole; all
others are left to the exact test. Which cells a border touches is found by walking along every segment
in steps of a quarter cell and marking the cells of the square around each step that holds all of the
segment between two steps, so none is missed; whole areas of untouched cells are then asked about once,
at one of their points. Where polygons overlap, cells covered twice count as border.

Cells stand in blocks of 50 x 50, which are the candidate cells of `analysis.lookup`. A cell is one byte:
the position of its desa in the block's list of candidates. Blocks that are all the same hold no cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from analysis.ragged import Bools, Floats, Ints, spans

if TYPE_CHECKING:
    from analysis.lookup import DesaIndex

STEP = 0.001
BLOCK = 50
OUTSIDE, BORDER = -1, -2
"""Answers: in no desa; touched by a border or covered twice. Others are row numbers."""
_OUTSIDE, _BORDER = 254, 255
_TILE = 20
_PAD = STEP / 8 + 1e-9
"""Half of the walk's step, and what rounding may add (a tenth of a millimetre)."""

type Cells = npt.NDArray[np.int32]
type Codes = npt.NDArray[np.uint8]


class CellGrid:
    """The grid of an index, memory-mapped."""

    def __init__(self, index: DesaIndex) -> None:
        """Open `blocks.npy` (number of the block's cells, or -1 - code of all of them) and `cells.npy`."""
        blocks, cells = (np.load(index.folder / f"{name}.npy", mmap_mode="r") for name in ("blocks", "cells"))
        self._blocks: Cells = np.asarray(blocks)
        self._cells: Codes = np.asarray(cells).reshape(-1)
        self._starts, self._rows = index.cell_starts, index.cell_rows
        self._wide, self._tall = index.info.columns, index.info.rows
        self._west, self._south = index.info.bbox[:2]

    def owners(self, lon: Floats, lat: Floats) -> Cells:
        """Return row, OUTSIDE or BORDER for each point (finite degrees)."""
        x = np.floor((lon - self._west) / STEP).astype(np.int64)
        y = np.floor((lat - self._south) / STEP).astype(np.int64)
        known = (x >= 0) & (y >= 0) & (x < self._wide * BLOCK) & (y < self._tall * BLOCK)
        if not known.all():
            x, y = np.where(known, x, 0), np.where(known, y, 0)
        (line, inner_y), (column, inner_x) = np.divmod(y, BLOCK), np.divmod(x, BLOCK)
        block = line * self._wide + column
        number = self._blocks.take(block).astype(np.int64)
        inner = np.maximum(number, 0) * BLOCK**2 + inner_y * BLOCK + inner_x
        code = np.where(number < 0, -1 - number, self._cells.take(inner))
        at = self._starts.take(block) + code
        value = self._rows.take(at, mode="clip")
        value[code == _BORDER] = BORDER
        value[(code == _OUTSIDE) | ~known] = OUTSIDE
        return value


def write_cells(index: DesaIndex) -> None:
    """Add the grid to an index that has its candidate cells."""
    blocks = np.full(index.info.columns * index.info.rows, -1 - _OUTSIDE, np.int32)
    stored: list[Codes] = [np.full((1, BLOCK**2), _OUTSIDE, np.uint8)]  # never empty
    count = 1
    for ty in range(0, index.info.rows, _TILE):
        for tx in range(0, index.info.columns, _TILE):
            tile = _tile(index, tx, ty)
            if tile is None:
                continue
            wide, tall = min(_TILE, index.info.columns - tx), min(_TILE, index.info.rows - ty)
            number = (
                np.arange(ty, ty + tall)[:, None] * index.info.columns + np.arange(tx, tx + wide)
            ).ravel()
            codes = _coded(index, tile, number, wide, tall)
            mixed = (codes != codes[:, :1]).any(axis=1)
            blocks[number] = -1 - codes[:, 0].astype(np.int32)
            blocks[number[mixed]] = count + np.arange(mixed.sum())
            stored.append(codes[mixed])
            count += int(mixed.sum())
    np.save(index.folder / "blocks.npy", blocks)
    np.save(index.folder / "cells.npy", np.concatenate(stored))


def _coded(index: DesaIndex, tile: Cells, number: Ints, wide: int, tall: int) -> Codes:
    """Return the codes of a tile's blocks, one block a line; a row that is no candidate counts as border."""
    blocks = tile[: tall * BLOCK, : wide * BLOCK].reshape(tall, BLOCK, wide, BLOCK)
    cells = blocks.swapaxes(1, 2).reshape(tall * wide, BLOCK**2)
    codes = np.full(cells.shape, _BORDER, np.uint8)
    codes[cells == OUTSIDE] = _OUTSIDE
    position = np.full(len(index) + 1, _BORDER, np.uint8)
    for line, block in enumerate(number):
        rows = index.cell_rows[index.cell_starts[block] : index.cell_starts[block + 1]][:_OUTSIDE]
        position[rows] = np.arange(len(rows))
        owned = cells[line] >= 0
        codes[line, owned] = position[cells[line, owned]]
        position[rows] = _BORDER
    return codes


def _tile(index: DesaIndex, tx: int, ty: int) -> Cells | None:
    """Return the cells of one tile, [line from the south, column]; None when no desa is near."""
    west, south = index.info.bbox[:2]
    side, x0, y0 = _TILE * BLOCK, tx * BLOCK, ty * BLOCK
    box = [west + (x0 - 1) * STEP, south + (y0 - 1) * STEP]
    box += [west + (x0 + side + 1) * STEP, south + (y0 + side + 1) * STEP]
    b = index.boxes
    near = np.flatnonzero(
        (b[:, 0] <= box[2]) & (b[:, 2] >= box[0]) & (b[:, 1] <= box[3]) & (b[:, 3] >= box[1])
    )
    if not len(near):
        return None
    touched = np.zeros((side, side), bool)
    for x, y in _walk(index, near, box):
        columns = [np.floor((x + pad - west) / STEP).astype(np.int64) - x0 for pad in (-_PAD, _PAD)]
        lines = [np.floor((y + pad - south) / STEP).astype(np.int64) - y0 for pad in (-_PAD, _PAD)]
        for column in columns:
            for line in lines:
                keep = (column >= 0) & (line >= 0) & (column < side) & (line < side)
                touched[line[keep], column[keep]] = True
    return _filled(index, touched, west + x0 * STEP, south + y0 * STEP)


def _walk(index: DesaIndex, rows: Ints, box: list[float]) -> Iterator[tuple[Floats, Floats]]:
    """Yield points along all borders of rows near the box, at most two pads apart in either direction."""
    for part in np.array_split(rows, max(1, len(rows) // 500)):
        polygons = index.polygons.take(part)
        starts = np.flatnonzero(~polygons.ring_ends())
        a, b = polygons.coords[starts], polygons.coords[starts + 1]
        low, high = np.minimum(a, b), np.maximum(a, b)
        near = (low <= box[2:]).all(axis=1) & (high >= box[:2]).all(axis=1)
        a, b = a[near], b[near]
        steps = np.ceil(np.abs(b - a).max(axis=1) / (STEP / 4)).astype(np.int64) + 1
        at = np.repeat(np.arange(len(a)), steps)
        share = spans(np.zeros(len(a), np.int64), steps) / np.maximum(steps - 1, 1)[at]
        yield (a[at, 0] + share * (b - a)[at, 0], a[at, 1] + share * (b - a)[at, 1])


def _filled(index: DesaIndex, border: Bools, west: float, south: float) -> Cells:
    """Ask for one point of every area that no border runs through."""
    from scipy import ndimage  # heavy, and only building an index needs it

    areas, count = ndimage.label(~border)
    flat = areas.reshape(-1)
    first = np.zeros(count + 1, np.int64)
    first[flat[::-1]] = np.arange(len(flat) - 1, -1, -1)
    line, column = np.divmod(first[1:], border.shape[1])
    row, covering = index.where(west + (column + 0.5) * STEP, south + (line + 0.5) * STEP)
    value = np.where(covering == 1, row, np.where(covering == 0, OUTSIDE, BORDER))
    return cast(Cells, np.concatenate([[BORDER], value]).astype(np.int32)[areas])
