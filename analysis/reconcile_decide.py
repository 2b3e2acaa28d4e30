"""Decisions about differences: what a rule fits, and which cells a decision changes. Pure functions.

The books that keep them are `catalog.reconciliation`, `catalog.decisions` and `catalog.corrections`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from analysis.reconcile import Comparison, Move, Row, Verdict
from catalog.codes import parse
from catalog.errors import QueryError
from catalog.reconciliation_model import Action, Cell, Choice, Definition, Difference, QueueItem, SideSpec

_MANY = (Verdict.BAD_CODE, Verdict.DOUBLED)
"""Classes of which one code may have several rows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits rows of a class; every further condition that is given must hold too.

    `below`: how the code begins, with its dots. `columns`: all that differs is among them. `at_most`:
    the largest gap between numbers that differ. `alike`: the least likeness of the names (0..1).
    `qualities`: how sure the pair is. `moves`: how the code moved.
    """

    verdict: Verdict
    below: str = ""
    columns: tuple[str, ...] = ()
    at_most: float | None = None
    alike: float | None = None
    qualities: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()

    def fits(self, row: Row) -> bool:
        """Tell whether the rule speaks of this row."""
        code = row.code_a or row.code_b or ""
        return (
            row.verdict == self.verdict
            and code.startswith(self.below)
            and (not self.columns or set(row.differs) <= set(self.columns))
            and (self.at_most is None or all(gap <= self.at_most for gap in _gaps(row)))
            and (self.alike is None or (row.likeness is not None and row.likeness >= self.alike))
            and (not self.qualities or row.quality in self.qualities)
            and (not self.moves or row.move in self.moves)
        )

    def dump(self) -> dict[str, Any]:
        """Return it as plain data; `rule_of` reads it back."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), None)}


def rule_of(data: Mapping[str, Any]) -> Rule:
    """Read what `Rule.dump` wrote."""
    lists = {name: tuple(data[name]) for name in ("columns", "qualities", "moves") if name in data}
    return Rule(**{**data, **lists, "verdict": Verdict(data["verdict"])})


def _gaps(row: Row) -> Iterable[float]:
    for one, other in row.values:
        if one != other:
            numbers = isinstance(one, int | float) and isinstance(other, int | float)
            yield abs(float(one) - float(other)) if numbers else float("inf")


# -- rows as they are kept ----------------------------------------------------------------------------


def differences(comparison: Comparison) -> list[Difference]:
    """Return all rows but those that agree, each under a key that is the same in every run."""
    often: Counter[str] = Counter()
    found = []
    for row in comparison.rows:
        if row.verdict == Verdict.SAME:
            continue
        key = f"{row.code_a or ''}>{row.code_b or ''}"
        if row.verdict in _MANY:
            key = f"{key}#{row.verdict}"
            often[key] += 1
            key = f"{key}-{often[key]}"
        code = row.code_a or row.code_b or ""
        found.append(Difference(key, row.verdict.value, code, facts_of(row), fingerprint(row)))
    return found


def fingerprint(row: Row) -> str:
    """Return a digest of all that the two sides say: classes, move, values, names."""
    said = [row.verdict, row.move, row.also, row.differs, row.values, row.name_a, row.name_b]
    return hashlib.sha256(orjson.dumps(said, default=str)).hexdigest()[:32]


def facts_of(row: Row) -> dict[str, Any]:
    """Return a row as plain data, without what is empty; `row_of` reads it back."""
    told = {one.name: getattr(row, one.name) for one in fields(row)}
    kept = {name: value for name, value in told.items() if value not in (None, "", ())}
    plain: dict[str, Any] = orjson.loads(orjson.dumps(kept, default=str))
    return plain


def row_of(facts: Mapping[str, Any]) -> Row:
    """Read what `facts_of` wrote."""
    made = dict(facts)
    made["verdict"] = Verdict(facts["verdict"])
    if "move" in facts:
        made["move"] = Move(facts["move"])
    made["differs"] = tuple(facts.get("differs", ()))
    made["values"] = tuple(tuple(pair) for pair in facts.get("values", ()))
    made["also"] = tuple(Verdict(one) for one in facts.get("also", ()))
    return Row(**made)


# -- decisions ----------------------------------------------------------------------------------------


def choice_of(
    definition: Definition, item: QueueItem, action: Action, details: Mapping[str, Any] | None = None
) -> Choice:
    """Return the decision with the cells it changes; QueryError when it does not suit the difference.

    `details`: for `isi` a value per column (`nama` is the name), for `kode_menjadi` and a lone code's
    `wilayah_sama` the `code` on the other side.
    """
    row, given = row_of(item.facts), dict(details or {})
    if action == "abaikan":
        return Choice(item.key, action, {}, ())
    if action == "wilayah_sama":
        return _link(definition, item, row, given)
    if action == "kode_menjadi":
        return Choice(item.key, action, given, _cells(_recoded(definition, row, given)))
    if row.code_a is None or row.code_b is None or row.move not in (None, Move.RENUMBERED):
        raise QueryError("a value is taken over only where one row meets one row", where="action")
    if action == "isi":
        return Choice(item.key, action, given, _cells(_filled(definition, row, given)))
    return Choice(item.key, action, {}, _cells(_taken(definition, row, to_b=action == "pakai_a")))


def _link(definition: Definition, item: QueueItem, row: Row, given: Mapping[str, Any]) -> Choice:
    if row.verdict in _MANY:
        raise QueryError("a code that is none or stands twice is no region", where="action")
    if row.code_a and row.code_b:
        return Choice(item.key, "wilayah_sama")
    other = definition.b if row.code_b is None else definition.a
    return Choice(item.key, "wilayah_sama", {"code": _code(given, other)})


def _code(given: Mapping[str, Any], side: SideSpec) -> str:
    """Return the given code in canonical writing; RecordError when it is none of the side's scheme."""
    text = str(given.get("code") or "")
    if not text:
        raise QueryError("name the code", where="code")
    return str(parse(text, side.scheme or "kemendagri"))


type _Change = tuple[SideSpec, str | None, str | None, str, Any, Any]
"""Side, feature id, region code, column, what it says, what it becomes."""


def _taken(definition: Definition, row: Row, *, to_b: bool) -> Iterable[_Change]:
    """Every cell of one side that says something else than the other side."""
    side = definition.b if to_b else definition.a
    id_, code = (row.id_b, row.code_b) if to_b else (row.id_a, row.code_a)
    for pair, (one, other) in zip(definition.values, row.values, strict=False):
        if pair.a in row.differs:
            column, was, becomes = (pair.b, other, one) if to_b else (pair.a, one, other)
            yield side, id_, code, column, was, becomes
    if side.name and Verdict.NAME in (row.verdict, *row.also):
        was, becomes = (row.name_b, row.name_a) if to_b else (row.name_a, row.name_b)
        yield side, id_, code, side.name, was, becomes
    if row.move == Move.RENUMBERED:
        yield side, id_, code, side.key, code, row.code_a if to_b else row.code_b


def _filled(definition: Definition, row: Row, given: Mapping[str, Any]) -> Iterable[_Change]:
    if not given:
        raise QueryError("name a column and its value", where="set")
    known = {pair.a: number for number, pair in enumerate(definition.values)}
    for name, value in given.items():
        if name == "nama" and definition.a.name and definition.b.name:
            columns, said = (definition.a.name, definition.b.name), (row.name_a, row.name_b)
        elif name in known:
            pair = definition.values[known[name]]
            columns, said = (pair.a, pair.b), row.values[known[name]]
        else:
            raise QueryError(f"{name!r} is none of the compared columns", where="set")
        if said[0] != value:
            yield definition.a, row.id_a, row.code_a, columns[0], said[0], value
        if said[1] != value:
            yield definition.b, row.id_b, row.code_b, columns[1], said[1], value


def _recoded(definition: Definition, row: Row, given: Mapping[str, Any]) -> Iterable[_Change]:
    if row.code_a and row.code_b:
        raise QueryError("this code has its partner already", where="action")
    side, id_, was = (
        (definition.a, row.id_a, row.code_a) if row.code_b is None else (definition.b, row.id_b, row.code_b)
    )
    if was == "…":
        raise QueryError("what stands there is not kept, so it can not be put right here", where="action")
    yield side, id_, was, side.key, was, _code(given, side)


def _cells(changes: Iterable[_Change]) -> tuple[Cell, ...]:
    """Keep what lies in datasets: a file is not harvested, so it can not be put right."""
    return tuple(
        Cell(side.dataset, id_, column, side.key, code or "", was, becomes)
        for side, id_, code, column, was, becomes in changes
        if side.dataset is not None and id_ is not None
    )


def would_decide(
    rule: Rule, action: Action, items: Sequence[QueueItem], definition: Definition
) -> tuple[list[Choice], list[str]]:
    """Return what a rule decides about open items, and the keys that it fits but can not decide."""
    choices, refused = [], []
    for item in items:
        if rule.fits(row_of(item.facts)):
            try:
                choices.append(choice_of(definition, item, action))
            except QueryError:
                refused.append(item.key)
    return choices, refused
