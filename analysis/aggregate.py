"""Agregasi (U1): a register extract becomes counts and shares per region, protected when published.

Only the declared columns are read, batch by batch; the register may be larger than memory. What is
public always goes through disclosure control (`analysis.disclosure`), which can not be switched off
for it. Each `slice` (a year) is a table of its own: stocks of two years are not added up.

Regions are those of a code column, or points become regions: the desa they lie in, or H3 cells.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.aggregate_read import batches_of
from analysis.cells import (
    FINEST_PUBLIC,
    cells_of,
    check_resolutions,
    degrees_of,
    desa_of_points,
    name_of,
    outlines,
    parents_of,
    resolution_of,
)
from analysis.disclosure import ROOT, TOTAL, Cell, CountTable, Disclosure, protected
from analysis.lookup import DesaIndex
from catalog.codes import LEVELS, Level, parse
from catalog.errors import AccessError, QueryError, RecordError
from catalog.model import Access, Scheme

ALL_LEVELS: tuple[Level, ...] = LEVELS
_MOST_VALUES = 1000
_PERSON_DIGITS = 16
_JOIN = "\x1f"
_PLACE = "\x1fplace"
type _Part = tuple[Counter[Cell], Counter[Cell]]
OTHER = "lainnya"
"""Category of the values that too few rows of the whole register have: a rare value may name a person."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted: rows by region (`code`, at `levels`) and by the columns `by`, per `slice`.

    `weight` names a column of whole numbers that are added up (families in a row) instead of rows.
    With `lon` and `lat` the region is found from the point, and `code` is not read: the desa it lies
    in, or, with `cells` (H3 resolutions), the cell of the finest and those of the others above it.
    """

    code: str = ""
    by: tuple[str, ...] = ()
    slice: str | None = None
    weight: str | None = None
    scheme: Scheme = "kemendagri"
    levels: tuple[Level, ...] = ALL_LEVELS
    lon: str | None = None
    lat: str | None = None
    cells: tuple[int, ...] = ()

    def columns(self) -> list[str]:
        """Return the columns that are read; no other is."""
        place = [self.lon, self.lat] if self.lon or self.lat else [self.code]
        return list(dict.fromkeys(name for name in [*place, *self.by, self.slice, self.weight] if name))

    def above(self, region: str) -> list[str]:
        """Return the regions that are shown and hold `region`, the largest first; itself is the last."""
        if self.cells:
            return parents_of(region, sorted(self.cells))
        code = parse(region, self.scheme)
        return [str(code.at(level)) for level in sorted(self.levels, key=LEVELS.index)]

    def level_of(self, region: str) -> str:
        """Return what a region of the answer is."""
        if not region:
            return "semua"
        return f"h3-{resolution_of(region)}" if self.cells else parse(region, self.scheme).level


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The counts, how many rows were read, and how many had no usable region code (not counted)."""

    table: pa.Table
    rows: int
    without_region: int
    suppressed: int
    disclosure: Disclosure | None
    cells: bool = False
    closed: bool = False
    """It must never be public: without disclosure control, or cells so fine that they show houses."""

    def geometries(self) -> Any:
        """Return the polygon of each row in lon/lat: H3 cells have one of themselves, others None."""
        codes = self.table["kode"].to_pylist()
        return outlines(codes if self.cells else [""] * len(codes))


def aggregate(
    register: Path | pa.Table,
    question: Question,
    *,
    access: Access = "publik",
    disclosure: Disclosure | None = None,
    unprotected: bool = False,
    progress: Callable[[int], None] | None = None,
    index: DesaIndex | None = None,
) -> Aggregate:
    """Count a register (a table, Parquet or CSV file).

    Returns rows `tingkat, kode, <slice>, <by...>, jumlah, bagian, ditekan`: `by` columns are null in
    a region's total; `bagian` is the part of that total; suppressed cells have nulls. `kode` is empty
    for all regions together. `unprotected` (never for `publik`: AccessError) leaves out the control.
    `index` is needed for points without `cells`. Values of `by` and `slice` that fewer rows than the
    threshold have are put together as `lainnya`, so that none of them is told. QueryError for missing
    columns, and for a `by` column that looks like it names persons.
    """
    if unprotected and access == "publik":
        raise AccessError("disclosure control can not be switched off for what is public", where="access")
    rules = None if unprotected else disclosure or Disclosure()
    _check(question, index, public=access == "publik")
    counter = _Counter(question, index)
    for batch in batches_of(register, question.columns()):
        counter.add(batch)
        if progress:
            progress(counter.rows)
    made = list(_rows(counter, question, rules))
    hidden = sum(row["ditekan"] is True for row in made)
    return Aggregate(
        pa.Table.from_pylist(made, _schema(question)), counter.rows, counter.without_region, hidden, rules,
        bool(question.cells), rules is None or max(question.cells, default=0) > FINEST_PUBLIC,
    )  # fmt: skip


def _check(question: Question, index: DesaIndex | None, *, public: bool) -> None:
    check_resolutions(question.cells, public=public)
    for name, other in (("lon", question.lat), ("lat", question.lon)):
        if not getattr(question, name) and (other or question.cells):
            raise QueryError("points need both columns, lon and lat", where=name)
    if not (question.code or question.lon):
        raise QueryError("name the column of the region code", where="kode")
    if question.lon and not question.cells and index is None:
        raise QueryError("points need boundaries, or H3 resolutions", where="lon")
    if {question.lon, question.lat} & {*question.by, question.slice, question.weight} - {None}:
        raise QueryError("coordinates are no groups", where="by")
    if not question.levels or set(question.levels) - set(LEVELS):
        raise QueryError(f"levels are some of {', '.join(LEVELS)}", where="tingkat")
    taken = {"tingkat", "kode", "jumlah", "bagian", "ditekan"} & {*question.by, question.slice}
    if taken:
        raise QueryError(f"the answer has columns of these names: {', '.join(map(str, taken))}", where="by")


class _Counter:
    """Adds up batches: (slice, region, category) -> count."""

    def __init__(self, question: Question, index: DesaIndex | None) -> None:
        self._question = question
        self._index = index
        self._place = _PLACE if question.lon else question.code
        self._lowest = max(question.levels, key=LEVELS.index)
        self._codes: dict[str, str] = {}
        self._values: dict[str, set[str]] = defaultdict(set)
        self.counts: dict[str, Counter[Cell]] = defaultdict(Counter)
        self.made_of: dict[str, Counter[Cell]] = defaultdict(Counter)
        self.rows = 0
        self.without_region = 0

    def add(self, batch: pa.Table) -> None:
        q = self._question
        self.rows += batch.num_rows
        names = list(dict.fromkeys(name for name in [self._place, *q.by, q.slice] if name))
        if q.lon and q.lat:
            batch = batch.append_column(_PLACE, self._placed(batch, q.lon, q.lat))
        if q.weight:
            batch = _numbers(batch, q.weight)
        what = (q.weight, "sum") if q.weight else ([], "count_all")
        found = batch.group_by(names).aggregate([what, ([], "count_all")] if q.weight else [what])
        weights = found[f"{q.weight}_sum"] if q.weight else found["count_all"]
        columns = {name: found[name].to_pylist() for name in names}
        many = zip(weights.to_pylist(), found["count_all"].to_pylist(), strict=True)
        for number, (count, rows) in enumerate(many):
            region = self._region(columns[self._place][number])
            if region is None:
                self.without_region += rows
                continue
            category = _JOIN.join(self._value(name, columns[name][number]) for name in q.by)
            part = self._value(q.slice, columns[q.slice][number]) if q.slice else ""
            self.counts[part][region, category] += count or 0
            self.made_of[part][region, category] += rows

    def parts(self) -> dict[str, _Part]:
        """Return the counts of each slice, and how many rows made each."""
        return {part: (counts, self.made_of[part]) for part, counts in self.counts.items()}

    def _value(self, column: str, value: object) -> str:
        text = "" if value is None else str(value).strip()
        seen = self._values[column]
        if text not in seen:
            seen.add(text)
            if len(seen) > _MOST_VALUES or (len(text) >= _PERSON_DIGITS and text.isdecimal()):
                raise QueryError(
                    "the column looks like it names persons, not groups", where=column
                )  # the value itself is never repeated
        return text.replace(_JOIN, " ")

    def _placed(self, batch: pa.Table, lon: str, lat: str) -> pa.Array:
        x, y = degrees_of(batch, lon), degrees_of(batch, lat)
        if self._question.cells:
            return cells_of(x, y, max(self._question.cells))
        return desa_of_points(self._index, x, y) if self._index else pa.nulls(len(x), pa.string())

    def _region(self, text: str | int | None) -> str | None:
        if isinstance(text, int):
            return name_of(text)
        known = self._codes.get(text or "")
        if known is None:
            try:
                known = str(parse(text or "", self._question.scheme).at(self._lowest))
            except (RecordError, ValueError):
                return None  # and not remembered: it may be anything, also a person's number
            self._codes[text or ""] = known
        return known


def _numbers(batch: pa.Table, column: str) -> pa.Table:
    """Return the batch with whole numbers in `column` (texts in a CSV). QueryError if they are none."""
    try:
        numbers = pc.cast(batch[column], pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # without the cause: Arrow's message repeats the cell
        raise QueryError("only whole numbers, 0 or more, can be counted", where=column) from None
    if (pc.min(numbers).as_py() or 0) < 0:
        raise QueryError("only whole numbers, 0 or more, can be counted", where=column)
    return batch.set_column(batch.column_names.index(column), column, numbers)


def _rows(counter: _Counter, question: Question, rules: Disclosure | None) -> Iterator[dict[str, object]]:
    parts = _recoded(counter, question, rules.threshold) if rules else counter.parts()
    for part in sorted(parts):
        leaves, made_of = parts[part]
        parents = _parents({region for region, _ in leaves}, question)
        table = CountTable(leaves, parents, made_of if question.weight else None)
        shown: Mapping[Cell, int | None] = protected(table, rules) if rules else table.counts
        for region, category in sorted(shown):
            yield {
                "tingkat": question.level_of(region),
                "kode": region,
                **({question.slice: part} if question.slice else {}),
                **_categories(question.by, category),
                **_figures(shown, (region, category)),
            }


def _recoded(counter: _Counter, question: Question, threshold: int) -> dict[str, _Part]:
    """Put values that too few rows have together (redesign of a table: Hundepool et al. 2012, ch. 5)."""
    slices: Counter[str] = Counter()
    values: dict[int, Counter[str]] = defaultdict(Counter)
    for part, (_, rows) in counter.parts().items():
        for (_, category), many in rows.items():
            slices[part] += many
            for number, value in enumerate(_values(category, question)):
                values[number][value] += many
    made: dict[str, _Part] = defaultdict(lambda: (Counter(), Counter()))
    for part, both in counter.parts().items():
        goal = part if slices[part] >= threshold else OTHER
        for to, counts in zip(made[goal], both, strict=True):
            for (region, category), many in counts.items():
                kept = (
                    value if not value or values[number][value] >= threshold else OTHER
                    for number, value in enumerate(_values(category, question))
                )  # fmt: skip
                to[region, _JOIN.join(kept)] += many
    return dict(made)


def _values(category: str, question: Question) -> list[str]:
    return category.split(_JOIN) if question.by else []


def _figures(shown: Mapping[Cell, int | None], cell: Cell) -> dict[str, object]:
    """A share is told only where count and total both are: with one of them it gives the other."""
    count, total = shown[cell], shown[cell[0], TOTAL]
    share = None if count is None or not total else round(count / total, 6)
    return {"jumlah": count, "bagian": share, "ditekan": count is None}


def _categories(by: Sequence[str], category: str) -> dict[str, str | None]:
    if category == TOTAL:
        return dict.fromkeys(by)
    return dict(zip(by, category.split(_JOIN), strict=True)) if by else {}


def _parents(regions: set[str], question: Question) -> dict[str, str]:
    parent: dict[str, str] = {}
    for region in regions:
        chain = [ROOT, *question.above(region)]
        parent.update(zip(chain[1:], chain[:-1], strict=True))
    return parent


def _schema(question: Question) -> pa.Schema:
    texts = ["tingkat", "kode", *([question.slice] if question.slice else []), *question.by]
    fields = [pa.field(name, pa.string()) for name in texts]
    figures = [("jumlah", pa.int64()), ("bagian", pa.float64()), ("ditekan", pa.bool_())]
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in figures)])
