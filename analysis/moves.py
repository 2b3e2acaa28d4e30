"""Which code became which, from two lists of (code, name, kecamatan name) alone. Pure functions.

`catalog.region_moves` needs complete references of all levels; a table that is to be reconciled has
only its own rows. A region is told again by its full name inside its provinsi: desa and kecamatan
name, both folded, found once on either side. Quality as in `catalog.region_model`: `exact` same code
and name, `name` another code, `weak` same code with an unlike name (a hint, never a truth).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from catalog.region_model import CrosswalkRow
from catalog.words import words

ALIKE = 0.75
"""From this likeness on, two names are taken for two spellings of one name."""


@dataclass(frozen=True, slots=True)
class Named:
    """A region as a table names it; `above` is the name of its kecamatan."""

    code: str
    name: str
    above: str = ""


def plain_name(name: str) -> str:
    """Return a name without case, accents, spaces and signs, for comparing."""
    return "".join(words(name))


def likeness(one: str, other: str) -> float:
    """Return how alike two names are, 0..1 (1: the same but for case, accents, spaces, signs)."""
    left, right = plain_name(one), plain_name(other)
    return 1.0 if left == right else SequenceMatcher(None, left, right, autojunk=False).ratio()


def derive_moves(old: Iterable[Named], new: Iterable[Named]) -> Iterator[CrosswalkRow]:
    """Yield old code -> new code where it can be told; shares are unknown (None).

    Codes of both sides are of one scheme, in one writing (the first two digits are the provinsi).
    """
    before, after = list(old), list(new)
    there = {region.code: region for region in after}
    was, now = _unique(before), _unique(after)
    taken, left = set(), []
    for region in before:
        same = there.get(region.code)
        if same is not None and plain_name(region.name) in ("", plain_name(same.name)):
            taken.add(region.code)
            yield CrosswalkRow(region.code, region.code, None, "exact")
        else:
            left.append(region)
    stayed = []
    for region in left:  # a whole name elsewhere says more than an alike one at the same code
        place = _place(region)
        goal = now.get(place) if was.get(place) == region.code else None
        if goal is not None and goal not in taken:
            taken.add(goal)
            yield CrosswalkRow(region.code, goal, None, "name")
        elif region.code in there:
            stayed.append(region)
    for region in stayed:
        alike = likeness(region.name, there[region.code].name) >= ALIKE
        sure = alike and region.code not in taken
        yield CrosswalkRow(region.code, region.code, None, "exact" if sure else "weak")


def _place(region: Named) -> tuple[str, str, str]:
    return region.code[:2], plain_name(region.above), plain_name(region.name)


def _unique(regions: list[Named]) -> dict[tuple[str, str, str], str]:
    places = [_place(region) for region in regions]
    often = Counter(places)
    return {
        place: region.code
        for place, region in zip(places, regions, strict=True)
        if often[place] == 1 and place[2]
    }
