"""Which code became which, from two lists of (code, name, kecamatan name) alone. Pure functions.

`catalog.region_moves` needs complete references of all levels; a table that is to be reconciled has
only its own rows. Names are compared folded. A region is found again, surest way first:

1. the same code with the same name;
2. the same kecamatan and desa name, standing once in the provinsi on either side: renumbered, also
   where its old code now belongs to another desa;
3. the same, standing once in the whole list on either side (the provinsi made of Papua in 2022);
4. the same desa name, standing once in what its kabupaten became: its kecamatan was split or renamed;
5. as 2, for a desa that went to another kabupaten of its provinsi alone.

In 2 and 3 at least `COMPANY` desa must go from one kabupaten to the other: one may be a namesake.

Quality as in `catalog.region_model`: `exact` same code, name the same or alike; `name` another code;
`weak` same code with an unlike name (a hint, never a truth).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from catalog.region_model import CrosswalkRow
from catalog.words import words

ALIKE = 0.75
"""From this likeness on, two names are taken for two spellings of one name."""
COMPANY = 3
"""So many desa must take the same road to another kabupaten: one alone may be a namesake."""
_SIGNS = {number: None for number in range(128) if not chr(number).isalnum()}
_KABKOTA = 5

type _Region = tuple[str, str, str]
"""Code, folded name, folded name of the kecamatan."""
type _Place = tuple[str, str, str]
"""Where in the code list, folded name, folded name of the kecamatan."""


@dataclass(frozen=True, slots=True)
class Named:
    """A region as a table names it; `above` is the name of its kecamatan."""

    code: str
    name: str
    above: str = ""


def plain_name(name: str) -> str:
    """Return a name without case, accents, spaces and signs, for comparing."""
    if not name.isascii():
        return "".join(words(name))
    plain = name.lower().replace(" ", "")
    return plain if plain.isalnum() else plain.translate(_SIGNS)  # which takes ten times as long


def likeness(one: str, other: str) -> float:
    """Return how alike two names are, 0..1 (1: the same but for case, accents, spaces, signs)."""
    left, right = plain_name(one), plain_name(other)
    return 1.0 if left == right else SequenceMatcher(None, left, right, autojunk=False).ratio()


def derive_moves(old: Iterable[Named], new: Iterable[Named]) -> Iterator[CrosswalkRow]:
    """Yield old code -> new code where it can be told; shares are unknown (None).

    Codes of both sides are of one scheme, in one writing (the first two digits are the provinsi).
    """
    search = _Search([_folded(one) for one in old], [_folded(one) for one in new])
    search.keep_same()
    search.follow(search.left, _in_provinsi, company=COMPANY)
    search.follow(search.astray(), _anywhere, company=COMPANY)
    search.follow(search.astray(), _in_kabupaten, became=search.kabupaten())
    search.follow(search.astray(), _in_provinsi)
    for code, goal in search.found.items():
        yield CrosswalkRow(code, goal, None, "exact" if code == goal else "name")
    for region in search.left:
        if region[0] in search.there:
            sure = region[0] not in search.taken and search.alike(region)
            yield CrosswalkRow(region[0], region[0], None, "exact" if sure else "weak")


def _folded(one: Named) -> _Region:
    return one.code, plain_name(one.name), plain_name(one.above)


@dataclass(slots=True)
class _Search:
    """What is found so far; `left` are the old regions that still look for their new code."""

    before: list[_Region]
    after: list[_Region]
    there: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    left: list[_Region] = field(default_factory=list)

    def keep_same(self) -> None:
        """Settle codes whose name is the same (or not told)."""
        self.there = {code: name for code, name, _ in self.after}
        for region in self.before:
            code, name, _ = region
            same = self.there.get(code)
            if same is not None and (not name or name == same):
                self._settle(code, code)
            else:
                self.left.append(region)

    def alike(self, region: _Region) -> bool:
        """Tell whether the same code on the other side has a name that may be a spelling of this one."""
        same = self.there.get(region[0])
        return same is not None and likeness(region[1], same) >= ALIKE

    def astray(self) -> list[_Region]:
        """Return those whose code is gone, or belongs to a region of an unlike name."""
        return [region for region in self.left if not self.alike(region)]

    def follow(
        self,
        regions: list[_Region],
        place: Callable[[_Region], _Place],
        *,
        company: int = 0,
        became: dict[str, str] | None = None,
    ) -> None:
        """Settle regions by a place that stands once on either side.

        `company`: how many must go together into another kabupaten. `became`: where kabupaten are now.
        """
        asked = {region[0]: place(region) for region in regions if region[1]}
        goals = {code: _moved(where, became) for code, where in asked.items()}
        was = _unique(self.before, place, {*asked.values()})
        now = _unique(self.after, place, {*goals.values()})
        pairs = {
            code: now[goal]
            for code, goal in goals.items()
            if was.get(asked[code]) == code and goal in now and now[goal] not in self.taken
        }
        roads = Counter((code[:_KABKOTA], goal[:_KABKOTA]) for code, goal in pairs.items())
        for code, goal in pairs.items():
            road = code[:_KABKOTA], goal[:_KABKOTA]
            if (road[0] == road[1] or roads[road] >= company) and goal not in self.taken:
                self._settle(code, goal)
        self.left = [region for region in self.left if region[0] not in self.found]

    def kabupaten(self) -> dict[str, str]:
        """Return what each old kabupaten became: where most of its desa went."""
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for code, goal in self.found.items():
            votes[code[:_KABKOTA]][goal[:_KABKOTA]] += 1
        return {code: counts.most_common(1)[0][0] for code, counts in votes.items()}

    def _settle(self, code: str, goal: str) -> None:
        self.found[code] = goal
        self.taken.add(goal)


def _in_provinsi(region: _Region) -> _Place:
    """Without the kecamatan's name a desa is looked for in its own kabupaten only."""
    code, name, above = region
    return code[:2] if above else code[:_KABKOTA], name, above


def _anywhere(region: _Region) -> _Place:
    code, name, above = region
    return ("", name, above) if above else (code, name, "")


def _in_kabupaten(region: _Region) -> _Place:
    return region[0][:_KABKOTA], region[1], ""


def _moved(place: _Place, became: dict[str, str] | None) -> _Place:
    return (became.get(place[0], place[0]), *place[1:]) if became else place


def _unique(
    regions: list[_Region], place: Callable[[_Region], _Place], asked: set[_Place]
) -> dict[_Place, str]:
    """Return the code of each place that is asked for and stands once."""
    names = {where[1] for where in asked}
    found: dict[_Place, list[str]] = defaultdict(list)
    for region in regions:
        if region[1] in names and (where := place(region)) in asked:
            found[where].append(region[0])
    return {where: codes[0] for where, codes in found.items() if len(codes) == 1}
