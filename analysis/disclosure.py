"""Disclosure control for tables of counts: small cells are suppressed, and others so that they stay so.

The table has regions in a hierarchy by categories with a total. Two steps, as in Hundepool et al.,
Statistical Disclosure Control (Wiley 2012), ch. 4-5, and the ESSnet Handbook on SDC:

1. *Minimum frequency rule* (primary): a count of 1 .. threshold - 1 is not published. A threshold of 5
   (at least 5 persons in a published cell) is the common choice named there. Zeros are published.
2. *Complementary suppression*: a table with one hierarchical and one plain dimension is a network
   (Cox & George 1989; Castro 2012, "1H2D"): each cell is an arc between two sums. A suppressed cell is
   safe when a cycle through its arc, over suppressed cells alone, can carry the protection level
   (Gusfield 1988; Kelly, Golden & Assad 1992). The cheapest such cycle is found for each small cell
   (Dijkstra; cells already suppressed cost nothing), and its cells are suppressed too.

An attacker knows all sums, the published cells, and that a suppressed count is at least 1. He then
finds every small cell in an interval at least `protection` wide, and no suppressed cell exactly.
Our tests are that attacker (the audit of a suppression pattern, Hundepool et al., ch. 4): a linear
programme over every published sum and share gives each hidden cell's least and greatest value.

The usual tool, tau-ARGUS, takes a hierarchical table apart and protects the parts by turns (HiTaS, de
Wolf 2002) with its modular or optimal solver; it is a desktop program. Ours is the network heuristic
for this one shape of table, over the whole hierarchy at once, so sums are protected at every level.
Not covered: other tables that share sums (another question to the same register), and what one knows
who reasons from the rule itself (that one cell of each group must be small).
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catalog.errors import QueryError, SatuDataError

LEAST_THRESHOLD = 3
TOTAL = "\x00total"
"""Category of a region's total."""
ROOT = ""
"""Region that holds all others."""

type Cell = tuple[str, str]
"""(region, category)."""
type _Node = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """How a table is protected. `protection` is the least width of an interval (default: threshold).

    `rounding` > 1: what is published is rounded to its nearest multiple (totals too, each by itself).
    """

    threshold: int = 5
    protection: int | None = None
    rounding: int = 1

    def __post_init__(self) -> None:
        if self.threshold < LEAST_THRESHOLD:
            raise QueryError(f"the threshold must be {LEAST_THRESHOLD} or more", where="ambang")
        if self.protection is not None and self.protection < self.threshold:
            raise QueryError("the protection must not be below the threshold", where="perlindungan")
        if self.rounding < 1:
            raise QueryError("the rounding base must be 1 or more", where="pembulatan")

    @property
    def width(self) -> int:
        """Return the least width of an attacker's interval."""
        return self.protection or self.threshold

    def rounded(self, count: int) -> int:
        """Return a count as it is published (halves go up)."""
        return (count + self.rounding // 2) // self.rounding * self.rounding


@dataclass(slots=True)
class CountTable:
    """Counts of the lowest regions by category, and each region's parent (`ROOT` at the top).

    `rows` tells how many rows of the register made each count, where that is another number: a sum
    of 6 persons that is one family is small.
    """

    leaves: Mapping[Cell, int]
    parent: Mapping[str, str]
    rows: Mapping[Cell, int] | None = None
    counts: dict[Cell, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.counts = self._summed(self.leaves)

    def small(self, threshold: int) -> list[Cell]:
        """Return the cells with something in them that too few rows made."""
        made = self._summed(self.rows) if self.rows else self.counts
        return [
            cell for cell, count in self.counts.items() if count and min(count, made.get(cell, 0)) < threshold
        ]

    def _summed(self, leaves: Mapping[Cell, int]) -> dict[Cell, int]:
        sums: dict[Cell, int] = defaultdict(int)
        for (region, category), count in leaves.items():
            at: str | None = region
            while at is not None:
                sums[at, category] += count
                sums[at, TOTAL] += count
                at = self.parent[at] if at != ROOT else None
        return dict(sums)

    def interior(self) -> set[str]:
        """Return the regions that have parts."""
        return set(self.parent.values())


def suppressed(table: CountTable, rules: Disclosure) -> set[Cell]:
    """Return the cells that are not published: the small ones and those that protect them."""
    small = table.small(rules.threshold)
    network = _Network(table, set(small))
    safe: set[Cell] = set()
    # The smallest first: its cycle is the hardest to find, others then use it at no cost.
    for cell in sorted(small, key=lambda c: (table.counts[c], c)):
        if cell not in safe:
            safe |= network.protect(cell, rules.width)
    return network.hidden


class _Network:
    """Cells with a count as arcs between sums; a change of the table is a flow around cycles."""

    def __init__(self, table: CountTable, hidden: set[Cell]) -> None:
        self.hidden = hidden
        self._counts = table.counts
        self._arcs: dict[Cell, tuple[_Node, _Node]] = {}
        self._at: dict[_Node, list[Cell]] = defaultdict(list)
        interior = table.interior()
        for cell, count in table.counts.items():
            if count > 0:
                tail, head = _ends(cell, table.parent, interior)
                self._arcs[cell] = (tail, head)
                self._at[tail].append(cell)
                self._at[head].append(cell)

    def protect(self, cell: Cell, width: int) -> set[Cell]:
        """Hide the cells of the cheapest cycle that lets `cell` be `width` more; return who rises."""
        tail, head = self._arcs[cell]
        came = self._search(head, tail, width, cell)
        raised = {cell}
        at = tail
        while at != head:
            before, by = came[at]
            self.hidden.add(by)
            if self._arcs[by][0] == before:
                raised.add(by)
            at = before
        return raised

    def _search(
        self, start: _Node, goal: _Node, width: int, without: Cell
    ) -> dict[_Node, tuple[_Node, Cell]]:
        cost: dict[_Node, float] = {start: 0.0}
        came: dict[_Node, tuple[_Node, Cell]] = {}
        queue: list[tuple[float, _Node]] = [(0.0, start)]
        done: set[_Node] = set()
        while queue:
            so_far, node = heapq.heappop(queue)
            if node == goal:
                return came
            if node in done:
                continue
            done.add(node)
            for cell in self._at[node]:
                tail, head = self._arcs[cell]
                rises = tail == node
                # Counts are known to be 1 or more: only what is above that can be taken away.
                if cell == without or (not rises and self._counts[cell] - 1 < width):
                    continue
                following = head if rises else tail
                total = so_far + self._price(cell)
                if total < cost.get(following, math.inf):
                    cost[following] = total
                    came[following] = (node, cell)
                    heapq.heappush(queue, (total, following))
        raise SatuDataError("a small cell could not be protected", where="agregasi")

    def _price(self, cell: Cell) -> float:
        """Return what is lost by hiding a cell: nothing if it is hidden, more for larger counts."""
        if cell in self.hidden:
            return 0.0
        return 1.0 + math.log2(self._counts[cell]) + (8.0 if cell[1] == TOTAL else 0.0)


def _ends(cell: Cell, parent: Mapping[str, str], interior: set[str]) -> tuple[_Node, _Node]:
    """Return the two sums a cell stands in; it flows from the sum it feeds to the parts it has.

    For a category: from (parent, category) down to (region, category), which for a lowest region is
    its row. Totals run the other way, so each sum's flows in and out are equal.
    """
    region, category = cell
    above = ("\x00row", ROOT) if region == ROOT else (parent[region], category)
    below = (region, category) if region in interior else ("\x00row", region)
    return (below, above) if category == TOTAL else (above, below)


def protected(table: CountTable, rules: Disclosure) -> dict[Cell, int | None]:
    """Return what is published: the count (rounded when asked), or None where it is suppressed."""
    hidden = suppressed(table, rules)
    return {cell: None if cell in hidden else rules.rounded(count) for cell, count in table.counts.items()}


def categories(table: CountTable) -> Sequence[str]:
    """Return the categories in order, without the total."""
    return sorted({category for _, category in table.leaves})
