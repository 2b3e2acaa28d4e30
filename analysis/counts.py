"""Published counts per desa, column by column.

As a table for each of a country's 83,000 desa they take four times the memory (23 MB, not 6, for three
counts), and every answer would pick its numbers out one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan

import numpy as np

from analysis.ragged import Bools, Floats

type Aggregates = Mapping[str, Mapping[str, float]]
"""Desa code (canonical) -> how many of what: `{"jiwa": 3210, "keluarga": 980, "penerima": 120}`."""


class Counts(Mapping[str, Mapping[str, float]]):
    """`Aggregates` as one array: `cells` is (codes, names), NaN where a count is unknown."""

    def __init__(self, codes: Sequence[str], names: Sequence[str], cells: Floats) -> None:
        self.names = tuple(names)
        self.cells = cells
        self._row = {code: row for row, code in enumerate(codes)}

    @classmethod
    def of(cls, counts: Aggregates) -> Counts:
        """Return counts as columns; those that are already as they are."""
        if isinstance(counts, Counts):
            return counts
        names = list(dict.fromkeys(name for one in counts.values() for name in one))
        cells = [[one.get(name, np.nan) for name in names] for one in counts.values()]
        return cls(list(counts), names, np.array(cells, float).reshape(len(counts), len(names)))

    def __getitem__(self, code: str) -> dict[str, float]:
        return said(self.names, self.cells[self._row[code]].tolist())

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def at(self, codes: Sequence[str]) -> tuple[Floats, Bools]:
        """Return the counts of some desa (codes, names), and of which desa there are any at all."""
        rows = np.array([self._row.get(code, -1) for code in codes], np.int64)
        known = rows >= 0
        found = np.full((len(rows), len(self.names)), np.nan)
        found[known] = self.cells[rows[known]]
        return found, known


def said(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Return the counts that are known by name."""
    return {name: value for name, value in zip(names, values, strict=True) if not isnan(value)}
