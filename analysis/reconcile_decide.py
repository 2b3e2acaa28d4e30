"""What stewards decided about differences: one by one or by rule, explained, undone, applied again.

A book of decisions is a value: each change gives a new book, and nothing is ever deleted. A decision
about one difference holds only while both sides say what they said when it was taken; when one of
them changes, it is `usang` and the row is back in the queue. The newest decision that fits wins, and
one about a single row goes before any rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from analysis.reconcile import Comparison, Row, Verdict
from catalog.errors import NotFoundError, QueryError


class Action(StrEnum):
    """What is done with a difference."""

    TAKE_A = "pakai_a"
    TAKE_B = "pakai_b"
    ACCEPT = "terima"
    WAIT = "tunda"


@dataclass(frozen=True, slots=True)
class Target:
    """One difference, as it stood: codes, class and a fingerprint of what the two sides said."""

    verdict: Verdict
    code_a: str | None
    code_b: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits rows of a class, below a region (digits and dots as the codes have them), in columns.

    `columns`: all that differs is among them. `at_most`: the largest gap between numbers that differ.
    """

    verdict: Verdict
    below: str = ""
    columns: tuple[str, ...] = ()
    at_most: float | None = None

    def fits(self, row: Row) -> bool:
        """Tell whether the rule speaks of this row."""
        code = row.code_a or row.code_b or ""
        if row.verdict != self.verdict or not code.startswith(self.below):
            return False
        if self.columns and not set(row.differs) <= set(self.columns):
            return False
        return self.at_most is None or all(gap <= self.at_most for gap in _gaps(row))


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, when and why; `undone_*` when it was taken back."""

    number: int
    action: Action
    what: Target | Rule
    by: str
    at: datetime
    reason: str
    undone_by: str = ""
    undone_at: datetime | None = None
    undone_reason: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A row with the decision that holds for it, or the older one that no longer does (`stale`)."""

    row: Row
    decision: Decision | None = None
    stale: Decision | None = None

    @property
    def open(self) -> bool:
        """Tell whether a steward still has to look at it."""
        waiting = self.decision is None or self.decision.action == Action.WAIT
        return self.row.verdict != Verdict.SAME and waiting


@dataclass(frozen=True, slots=True)
class DecisionBook:
    """All decisions ever taken, oldest first."""

    decisions: tuple[Decision, ...] = ()

    def decide(self, what: Row | Rule, action: Action, *, by: str, at: datetime, reason: str) -> DecisionBook:
        """Add a decision about a row or by rule. QueryError without a reason or an aware time."""
        if not reason.strip() or not by:
            raise QueryError("a decision says who took it and why", where="alasan")
        if at.tzinfo is None:
            raise QueryError("a decision's time needs a zone", where="waktu")
        target = target_of(what) if isinstance(what, Row) else what
        entry = Decision(len(self.decisions) + 1, action, target, by, at, reason.strip())
        return DecisionBook((*self.decisions, entry))

    def undo(self, number: int, *, by: str, at: datetime, reason: str) -> DecisionBook:
        """Take a decision back; what held before it holds again. NotFoundError when there is none."""
        found = [d for d in self.decisions if d.number == number and d.undone_at is None]
        if not found:
            raise NotFoundError(f"no decision {number} that holds", where="putusan")
        mark = replace(found[0], undone_by=by, undone_at=at, undone_reason=reason)
        return DecisionBook(tuple(mark if d.number == number else d for d in self.decisions))

    def apply(self, comparison: Comparison) -> list[Decided]:
        """Return every row with what was decided about it."""
        holding = [d for d in reversed(self.decisions) if d.undone_at is None]
        single: dict[tuple[str | None, str | None], list[Decision]] = {}
        rules = [(d, d.what) for d in holding if isinstance(d.what, Rule)]
        for decision in holding:
            if isinstance(decision.what, Target):
                single.setdefault((decision.what.code_a, decision.what.code_b), []).append(decision)
        return [_decided(row, single.get((row.code_a, row.code_b), []), rules) for row in comparison.rows]


def target_of(row: Row) -> Target:
    """Return a row's identity and fingerprint."""
    said = orjson.dumps(
        [row.verdict, row.move, row.also, row.differs, row.values, row.name_a, row.name_b], default=str
    )
    return Target(row.verdict, row.code_a, row.code_b, hashlib.sha256(said).hexdigest())


def _decided(row: Row, single: list[Decision], rules: Iterable[tuple[Decision, Rule]]) -> Decided:
    if row.verdict == Verdict.SAME and not single:
        return Decided(row)
    mine = target_of(row) if single else None
    for decision in single:
        if decision.what == mine:
            return Decided(row, decision)
    stale = single[0] if single else None
    for decision, rule in rules:
        if rule.fits(row):
            return Decided(row, decision, stale)
    return Decided(row, None, stale)


def _gaps(row: Row) -> Iterable[float]:
    for one, other in row.values:
        if one != other:
            numbers = isinstance(one, int | float) and isinstance(other, int | float)
            yield abs(float(one) - float(other)) if numbers else float("inf")


def to_json(book: DecisionBook) -> bytes:
    """Write a book; `from_json` reads it back equal."""
    rows = [{**asdict(d), "kind": type(d.what).__name__} for d in book.decisions]
    return orjson.dumps(rows)


def from_json(text: bytes) -> DecisionBook:
    """Read a book that `to_json` wrote."""
    return DecisionBook(tuple(_decision(row) for row in orjson.loads(text)))


def _decision(row: Mapping[str, Any]) -> Decision:
    what = {**row["what"], "verdict": Verdict(row["what"]["verdict"])}
    if row["kind"] == "Rule":
        what["columns"] = tuple(what["columns"])
    rest = {key: value for key, value in row.items() if key not in ("kind", "what", "action")}
    rest["at"] = datetime.fromisoformat(row["at"])
    rest["undone_at"] = datetime.fromisoformat(row["undone_at"]) if row["undone_at"] else None
    made = Rule(**what) if row["kind"] == "Rule" else Target(**what)
    return Decision(action=Action(row["action"]), what=made, **rest)
