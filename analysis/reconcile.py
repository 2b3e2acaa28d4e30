"""Rekonsiliasi (U2, U3): two tables by region code and vintage; every row comes out classified.

Codes are the only keys. Names are compared and their differences listed, never used to join. A
crosswalk or list of moves says which code of A is which of B; its `weak` rows are shown as candidates
and never taken as truth.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from analysis.moves import ALIKE, Named, derive_moves, likeness
from analysis.reconcile_keys import BadKey, keys_of
from catalog.errors import QueryError
from catalog.model import Scheme
from catalog.region_model import CrosswalkRow, Quality


class Verdict(StrEnum):
    """Class of a row of the comparison."""

    SAME = "cocok"
    ONLY_A = "hanya_di_a"
    ONLY_B = "hanya_di_b"
    VALUE = "nilai_berbeda"
    MOVED = "kode_pindah"
    NAME = "nama_berbeda"
    BAD_CODE = "kode_tidak_sah"
    DOUBLED = "kode_ganda"


class Move(StrEnum):
    """How a code moved, seen from A."""

    RENUMBERED = "nomor_baru"
    SPLIT = "pecah"
    MERGED = "gabung"
    MIXED = "campuran"


@dataclass(frozen=True, slots=True)
class Side:
    """A table and where its region code (`key`) and, if any, its region name stand.

    `above` is the column of the kecamatan's name. `ids` are the rows' feature ids, when they have any.
    """

    table: pa.Table
    key: str
    scheme: Scheme = "kemendagri"
    vintage: int = 0
    name: str | None = None
    above: str | None = None
    ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A value that both tables have; equal when |a - b| <= absolute or <= relative * max(|a|, |b|)."""

    a: str
    b: str
    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One pair, or one row that has no partner.

    `differs` names the values of A that differ; `values` are (a, b) per compared column, only where
    both sides are there. `candidate` is a code a person may look at. `also` lists further classes.
    `quality` says how sure the pair is, where a crosswalk or list of moves made it.
    """

    verdict: Verdict
    code_a: str | None = None
    code_b: str | None = None
    name_a: str | None = None
    name_b: str | None = None
    move: Move | None = None
    differs: tuple[str, ...] = ()
    values: tuple[tuple[Any, Any], ...] = ()
    also: tuple[Verdict, ...] = ()
    candidate: str | None = None
    likeness: float | None = None
    note: str = ""
    quality: Quality | None = None
    id_a: str | None = None
    id_b: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, and what was compared."""

    rows: list[Row]
    compared: tuple[Compared, ...] = ()
    counts: Counter[Verdict] = field(default_factory=Counter)

    def of(self, verdict: Verdict) -> list[Row]:
        """Return the rows of one class."""
        return [row for row in self.rows if row.verdict == verdict]

    def table(self) -> pa.Table:
        """Return one row per pair as Arrow; a compared column `x` becomes `x_a` and `x_b`."""
        rows = self.rows
        columns: dict[str, pa.Array] = {
            "kelas": pa.array([row.verdict.value for row in rows]),
            "kode_a": pa.array([row.code_a for row in rows], pa.string()),
            "kode_b": pa.array([row.code_b for row in rows], pa.string()),
            "nama_a": pa.array([row.name_a for row in rows], pa.string()),
            "nama_b": pa.array([row.name_b for row in rows], pa.string()),
            "perpindahan": pa.array([row.move.value if row.move else None for row in rows], pa.string()),
            "kelas_lain": pa.array([",".join(row.also) for row in rows]),
            "kolom_berbeda": pa.array([",".join(row.differs) for row in rows]),
            "mutu": pa.array([row.quality for row in rows], pa.string()),
            "kandidat": pa.array([row.candidate for row in rows], pa.string()),
            "kemiripan_nama": pa.array([row.likeness for row in rows], pa.float64()),
            "keterangan": pa.array([row.note for row in rows]),
        }
        for number, pair in enumerate(self.compared):
            for side, suffix in enumerate("ab"):
                cells = [row.values[number][side] if row.values else None for row in rows]
                columns[f"{pair.a}_{suffix}"] = pa.array(cells)
        return pa.table(columns)


def reconcile(
    a: Side,
    b: Side,
    compared: Sequence[Compared] = (),
    *,
    moves: Iterable[CrosswalkRow] = (),
    same: Iterable[tuple[str, str]] = (),
) -> Comparison:
    """Compare two tables; `moves` lead from codes of A to codes of B.

    Needed when schemes differ; with the same scheme, a code that no certain move names stays itself.
    `same` are pairs that a steward declared one region: they go before any move of their codes.
    Values are compared only one to one: what was split or merged is listed, not summed. QueryError
    when a column is missing or a different scheme has no crosswalk.
    """
    _check(a, b, compared)
    rows: list[Row] = []
    left, right = (
        _Read(a, [pair.a for pair in compared], rows, "a"),
        _Read(b, [pair.b for pair in compared], rows, "b"),
    )
    known = _declared(list(moves), list(same))
    links = _links(left, right, known, same_scheme=a.scheme == b.scheme)
    if a.scheme != b.scheme and not links.given:
        raise QueryError("tables of two schemes need a crosswalk", where="crosswalk")
    rows += _paired(left, right, links, tuple(compared), a.scheme == b.scheme)
    rows += _alone(left, right, links)
    return Comparison(rows, tuple(compared), Counter(row.verdict for row in rows))


def with_moves_by_name(a: Side, b: Side, crosswalk: Iterable[CrosswalkRow] = ()) -> list[CrosswalkRow]:
    """Return a crosswalk, and where names tell that further codes of A went.

    What the crosswalk is sure of is not asked again. Names tell only between codes of one scheme.
    """
    given = list(crosswalk)
    if a.name is None or b.name is None or a.scheme != b.scheme:
        return given
    sure = [row for row in given if row.quality != "weak"]
    left, right = {row.from_code for row in sure}, {row.to_code for row in sure}
    told = derive_moves(_named(a), _named(b))
    return given + [row for row in told if row.from_code not in left and row.to_code not in right]


def _named(side: Side) -> Iterable[Named]:
    names = side.table[side.name].to_pylist()
    above = side.table[side.above].to_pylist() if side.above else [""] * len(names)
    for code, name, over in zip(keys_of(side.table[side.key], side.scheme), names, above, strict=True):
        if isinstance(code, str):
            yield Named(code, str(name or ""), str(over or ""))


def _declared(moves: list[CrosswalkRow], same: list[tuple[str, str]]) -> list[CrosswalkRow]:
    if not same:
        return moves
    left, right = {pair[0] for pair in same}, {pair[1] for pair in same}
    rest = [m for m in moves if m.from_code not in left and m.to_code not in right]
    return [*(CrosswalkRow(one, other, None, "official") for one, other in same), *rest]


def flipped(rows: Iterable[CrosswalkRow]) -> list[CrosswalkRow]:
    """Return a crosswalk read the other way round."""
    return [CrosswalkRow(r.to_code, r.from_code, r.share_back, r.quality, r.share) for r in rows]


class _Read:
    """The usable rows of one side: index by canonical code; bad and doubled ones are reported."""

    def __init__(self, side: Side, values: Sequence[str], rows: list[Row], letter: str) -> None:
        found = keys_of(side.table[side.key], side.scheme)
        self.at: dict[str, int] = {}
        names = side.table[side.name].to_pylist() if side.name else None
        self._names = names
        self._values = [side.table[name].to_pylist() for name in values]
        self._ids = side.ids
        self.doubled: set[str] = set()
        for index, code in enumerate(found):
            name = names[index] if names else None
            if isinstance(code, BadKey):
                rows.append(
                    _lonely(letter, Verdict.BAD_CODE, code.text, name, self._id(index), note=code.reason)
                )
            elif code in self.at:
                self.doubled.add(code)
                note = "kode ini sudah ada di baris lebih awal"
                rows.append(_lonely(letter, Verdict.DOUBLED, code, name, self._id(index), note=note))
            else:
                self.at[code] = index

    def name(self, code: str) -> str | None:
        return None if self._names is None else (self._names[self.at[code]] or None)

    def values(self, code: str) -> list[Any]:
        index = self.at[code]
        return [column[index] for column in self._values]

    def id(self, code: str) -> str | None:
        return self._id(self.at[code])

    def _id(self, index: int) -> str | None:
        return None if self._ids is None else self._ids[index]


def _lonely(letter: str, verdict: Verdict, code: str, name: str | None, id_: str | None, **more: Any) -> Row:
    if letter == "a":
        return Row(verdict, code_a=code, name_a=name, id_a=id_, **more)
    return Row(verdict, code_b=code, name_b=name, id_b=id_, **more)


@dataclass(slots=True)
class _Links:
    """Certain partners both ways, and weak candidates."""

    forth: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    back: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    quality: dict[tuple[str, str], Quality] = field(default_factory=dict)
    weak: dict[str, str] = field(default_factory=dict)
    weak_back: dict[str, str] = field(default_factory=dict)
    given: bool = False

    def add(self, code_a: str, code_b: str, quality: Quality | None = None) -> None:
        if code_b not in self.forth[code_a]:
            self.forth[code_a].append(code_b)
            self.back[code_b].append(code_a)
            if quality is not None:
                self.quality[code_a, code_b] = quality


def _links(left: _Read, right: _Read, moves: list[CrosswalkRow], *, same_scheme: bool) -> _Links:
    links = _Links(given=bool(moves))
    for move in moves:
        if move.quality == "weak":
            if not same_scheme or move.from_code != move.to_code:
                links.weak.setdefault(move.from_code, move.to_code)
                links.weak_back.setdefault(move.to_code, move.from_code)
        elif move.from_code in left.at and move.to_code in right.at:
            links.add(move.from_code, move.to_code, move.quality)
    if same_scheme:
        for code in left.at:
            if code in right.at and code not in links.forth and code not in links.back:
                links.add(code, code)
    return links


def _paired(
    left: _Read, right: _Read, links: _Links, compared: tuple[Compared, ...], same_scheme: bool
) -> Iterable[Row]:
    for code_a, partners in links.forth.items():
        for code_b in partners:
            names = left.name(code_a), right.name(code_b)
            move = _kind(code_a, code_b, len(partners), len(links.back[code_b]), same_scheme)
            single = move in (None, Move.RENUMBERED)
            values: tuple[tuple[Any, Any], ...] = ()
            if single and compared:
                values = tuple(zip(left.values(code_a), right.values(code_b), strict=True))
            differs = tuple(
                pair.a for pair, both in zip(compared, values, strict=False) if not _equal(*both, pair)
            )
            alike = likeness(names[0], names[1]) if names[0] and names[1] else None
            classes = [
                *([Verdict.MOVED] if move else []),
                *([Verdict.VALUE] if differs else []),
                *([Verdict.NAME] if alike is not None and alike < 1 else []),
            ]
            note = _evidence(code_a, code_b, right, alike, same_scheme)
            first, *others = classes or [Verdict.SAME]
            yield Row(
                first, code_a, code_b, *names, move, differs, values, tuple(others), None, alike, note,
                links.quality.get((code_a, code_b)), left.id(code_a), right.id(code_b),
            )  # fmt: skip


def _evidence(code_a: str, code_b: str, right: _Read, alike: float | None, same_scheme: bool) -> str:
    if alike is not None and alike < ALIKE:
        return "nama sangat berbeda: bisa wilayah lain"
    if same_scheme and code_a != code_b and code_a in right.at:
        return f"di B kode {code_a} milik {right.name(code_a) or 'wilayah lain'}"
    return ""


def _kind(code_a: str, code_b: str, there: int, here: int, same_scheme: bool) -> Move | None:
    if there > 1:
        return Move.MIXED if here > 1 else Move.SPLIT
    if here > 1:
        return Move.MERGED
    return Move.RENUMBERED if same_scheme and code_a != code_b else None


def _alone(left: _Read, right: _Read, links: _Links) -> Iterable[Row]:
    for code in left.at:
        if code not in links.forth:
            near = links.weak.get(code)
            yield _lonely("a", Verdict.ONLY_A, code, left.name(code), left.id(code), candidate=near)
    for code in right.at:
        if code not in links.back:
            near = links.weak_back.get(code)
            yield _lonely("b", Verdict.ONLY_B, code, right.name(code), right.id(code), candidate=near)


def _equal(one: Any, other: Any, rule: Compared) -> bool:
    if one == other:
        return True
    if isinstance(one, bool | str) or isinstance(other, bool | str) or one is None or other is None:
        return False
    gap = abs(float(one) - float(other))
    allowed = max(rule.absolute, rule.relative * max(abs(float(one)), abs(float(other))))
    # 0.1 + 0.2 is not 0.3: a tolerance that is met on paper is met
    return gap <= allowed * (1 + 1e-12) + 1e-15 if allowed else False


def _check(a: Side, b: Side, compared: Sequence[Compared]) -> None:
    for side, letter, names in ((a, "a", [p.a for p in compared]), (b, "b", [p.b for p in compared])):
        for name in [side.key, *filter(None, (side.name, side.above)), *names]:
            if name not in side.table.column_names:
                raise QueryError(f"there is no column {name!r}", where=letter)
    for rule in compared:
        if not (rule.absolute >= 0 and rule.relative >= 0):
            raise QueryError("a tolerance must be 0 or more", where=rule.a)
