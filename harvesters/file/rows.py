"""Pages out of a stream of rows: bounded by count and by bytes, cut at the same rows every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from catalog.model import ItemError
from harvesters.contract import FeaturePage
from layers.contract import FeatureBatch

PAGE_BYTES = 16 << 20
"""A page is closed when its rows take about this much memory."""


@dataclass(slots=True)
class Item:
    """One row of a source: id, attributes, geometry (or None); `errors` are warnings that go with it."""

    id: str
    row: dict[str, Any]
    geometry: shapely.Geometry | None = None
    errors: list[ItemError] = field(default_factory=list)

    def weight(self) -> int:
        """Estimate the bytes this row takes in memory."""
        weight = 200 + sum(len(v) if isinstance(v, str) else 16 for v in self.row.values())
        if self.geometry is not None:
            weight += 24 * int(shapely.get_num_coordinates(self.geometry))
        return weight


def paginate(
    items: Iterable[Item | ItemError], *, spatial: bool, size: int, staged: Set[str] = frozenset()
) -> Iterator[FeaturePage]:
    """Yield pages of up to `size` rows and about PAGE_BYTES; those whose key is in `staged` are left out.

    Keys are `00000000`, `00000001` ...: the same file gives the same pages.
    """
    batch: list[Item] = []
    errors: list[ItemError] = []
    number = weight = 0
    for item in items:
        if isinstance(item, ItemError):
            errors.append(item)
        else:
            batch.append(item)
            errors.extend(item.errors)
            weight += item.weight()
        if len(batch) + len(errors) >= size or weight >= PAGE_BYTES:
            if (key := f"{number:08d}") not in staged:
                yield _page(key, batch, errors, spatial)
            batch, errors, weight, number = [], [], 0, number + 1
    if (batch or errors) and (key := f"{number:08d}") not in staged:
        yield _page(key, batch, errors, spatial)


def _page(key: str, items: list[Item], errors: list[ItemError], spatial: bool) -> FeaturePage:
    geometries = None
    if spatial:
        geometries = np.empty(len(items), dtype=object)
        geometries[:] = [item.geometry for item in items]
    return FeaturePage(key, FeatureBatch([i.id for i in items], [i.row for i in items], geometries), errors)
