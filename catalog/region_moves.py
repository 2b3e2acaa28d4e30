"""Finds out, from two vintages of one code list alone, which region became which. Pure functions.

When provinces are split, codes change and names stay (91.01 Merauke became 93.01 Merauke). Nothing
is known here but codes and names, so each pair says how sure it is, and what can not be told is
left out:

* `exact`: the same code and the same name.
* `name`: another code, the same name, and only one such region on either side under the same parent
  (for a kabupaten or kota: in the whole country).
* `weak`: the same code with another name, which may be a new name or another region.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from catalog.codes import LEVELS
from catalog.region_model import CrosswalkRow, Region
from catalog.words import fold

type _Place = tuple[str | None, str]


def moves(old: Iterable[Region], new: Iterable[Region]) -> Iterator[CrosswalkRow]:
    """Yield pairs of codes, provinces first; shares are unknown (None)."""
    before, after = _by_level(old), _by_level(new)
    went: dict[str, str] = {}  # only sure pairs lead further down
    for level in LEVELS:
        for row in _level_moves(level, before[level], after[level], went):
            if row.quality != "weak":
                went[row.from_code] = row.to_code
            yield row


def _level_moves(
    level: str, before: list[Region], after: list[Region], went: dict[str, str]
) -> Iterator[CrosswalkRow]:
    there = {region.code: region for region in after}
    left, taken = [], set()
    for region in before:
        same = there.get(region.code)
        if same is not None and fold(same.name) == fold(region.name):
            taken.add(region.code)
            yield CrosswalkRow(region.code, region.code, None, "exact")
        else:
            left.append(region)
    nationwide = level in {"provinsi", "kabkota"}
    old_places = _unique((None if nationwide else went.get(r.parent or "", "?"), r) for r in left)
    free = [region for region in after if region.code not in taken]
    new_places = _unique((None if nationwide else region.parent, region) for region in free)
    moved = {was: new_places[place] for place, was in old_places.items() if place in new_places}
    for region in left:
        if region.code in moved:
            yield CrosswalkRow(region.code, moved[region.code], None, "name")
        elif region.code in there:
            yield CrosswalkRow(region.code, region.code, None, "weak")


def _unique(placed: Iterable[tuple[str | None, Region]]) -> dict[_Place, str]:
    """Return code by (parent, name), without the names that stand there more than once."""
    found: dict[_Place, list[str]] = defaultdict(list)
    for parent, region in placed:
        found[parent, fold(region.name)].append(region.code)
    return {place: codes[0] for place, codes in found.items() if len(codes) == 1}


def _by_level(regions: Iterable[Region]) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        found[region.level].append(region)
    return found
