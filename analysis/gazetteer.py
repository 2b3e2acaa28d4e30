"""Finding places by name or region code: desa from the boundary index, larger regions by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.lookup import DesaIndex
from catalog.codes import LEVELS, Level, parse
from catalog.errors import RecordError
from catalog.model import BBox
from layers.fold import folded, unaccented


@dataclass(frozen=True, slots=True)
class Place:
    """One region that was found; `bbox` in CRS84 degrees, `within` the names above it, nearest first."""

    code: str
    name: str
    level: Level
    bbox: BBox
    within: tuple[str, ...]


class Gazetteer:
    """Names of all regions, folded (no case, no accents). Safe for threads."""

    def __init__(self, index: DesaIndex, names: Mapping[str, str]) -> None:
        """Take the boundaries and the names of the regions above desa by canonical code."""
        self._index, self._above = index, dict(names)
        desa = {
            code: str(name)
            for code, name in zip(index.codes.to_pylist(), index.names.to_pylist(), strict=True)
        }
        self._names = {**{c: n for c, n in self._above.items() if c not in desa}, **desa}
        # larger regions first, as most people mean them
        self._ordered = sorted(((len(code), _plain(name), code) for code, name in self._names.items()))

    def search(self, text: str, limit: int = 10) -> list[Place]:
        """Return places whose code begins with `text`, else whose name holds it; the best first."""
        code = self._code(text)
        if code is not None:
            found = [code] if self._box(code) is not None else []
        else:
            wanted = _plain(text)
            ranked = [
                (_rank(name, wanted), length, name, code)
                for length, name, code in self._ordered
                if wanted in name
            ]
            found = [code for *_, code in sorted(ranked)]
        places = (self._place(one) for one in found)
        return [place for place, _ in zip((p for p in places if p is not None), range(limit), strict=False)]

    def _code(self, text: str) -> str | None:
        try:
            return str(parse(text, self._index.info.skema))
        except RecordError:
            return None

    def _box(self, code: str) -> BBox | None:
        first, last = self._index.below(code)
        if first == last:
            return None
        boxes = self._index.boxes[first:last]
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def _place(self, text: str) -> Place | None:
        box = self._box(text)
        if box is None:  # a name without polygons, or an area of the reference that is not drawn
            return None
        code = parse(text, self._index.info.skema)
        above = [str(code.at(level)) for level in reversed(LEVELS[: LEVELS.index(code.level)])]
        within = tuple(self._names[one] for one in above if one in self._names)
        return Place(text, self._names.get(text, text), code.level, box, within)


def _plain(text: str) -> str:
    return unaccented(folded(text)).strip()


def _rank(name: str, wanted: str) -> int:
    """Return 0 for the whole name, 1 for its beginning, 2 for the beginning of a word, 3 else."""
    if name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if f" {wanted}" in name else 3
