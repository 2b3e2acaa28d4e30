"""Agregasi (U1): a register extract becomes counts and shares per region, protected when published.

Only the declared columns are read, batch by batch; the register may be larger than memory. What is
public always goes through disclosure control (`analysis.disclosure`), which can not be switched off
for it. Each `slice` (a year) is a table of its own: stocks of two years are not added up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.aggregate_read import batches_of
from analysis.disclosure import ROOT, TOTAL, Cell, CountTable, Disclosure, protected
from catalog.codes import LEVELS, Level, parse
from catalog.errors import AccessError, QueryError, RecordError
from catalog.model import Access, Scheme

ALL_LEVELS: tuple[Level, ...] = LEVELS
_MOST_VALUES = 1000
_PERSON_DIGITS = 16
_JOIN = "\x1f"


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted: rows by region (`code`, at `levels`) and by the columns `by`, per `slice`.

    `weight` names a column of whole numbers that are added up (families in a row) instead of rows.
    """

    code: str
    by: tuple[str, ...] = ()
    slice: str | None = None
    weight: str | None = None
    scheme: Scheme = "kemendagri"
    levels: tuple[Level, ...] = ALL_LEVELS

    def columns(self) -> list[str]:
        """Return the columns that are read; no other is."""
        named = [self.code, *self.by, self.slice, self.weight]
        return list(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The counts, how many rows were read, and how many had no usable region code (not counted)."""

    table: pa.Table
    rows: int
    without_region: int
    suppressed: int
    disclosure: Disclosure | None


def aggregate(
    register: Path | pa.Table,
    question: Question,
    *,
    access: Access = "publik",
    disclosure: Disclosure | None = None,
    unprotected: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Aggregate:
    """Count a register (a table, Parquet or CSV file).

    Returns rows `tingkat, kode, <slice>, <by...>, jumlah, bagian, ditekan`: `by` columns are null in
    a region's total; `bagian` is the part of that total; suppressed cells have nulls. `kode` is empty
    for all regions together. `unprotected` (never for `publik`: AccessError) leaves out the control.
    QueryError for missing columns, and for a `by` column that looks like it names persons.
    """
    if unprotected and access == "publik":
        raise AccessError("disclosure control can not be switched off for what is public", where="access")
    rules = None if unprotected else disclosure or Disclosure()
    _check(question)
    counter = _Counter(question)
    for batch in batches_of(register, question.columns()):
        counter.add(batch)
        if progress:
            progress(counter.rows)
    made = list(_rows(counter, question, rules))
    hidden = sum(row["ditekan"] is True for row in made)
    return Aggregate(
        pa.Table.from_pylist(made, _schema(question)), counter.rows, counter.without_region, hidden, rules
    )


def _check(question: Question) -> None:
    if not question.levels or set(question.levels) - set(LEVELS):
        raise QueryError(f"levels are some of {', '.join(LEVELS)}", where="tingkat")
    taken = {"tingkat", "kode", "jumlah", "bagian", "ditekan"} & {*question.by, question.slice}
    if taken:
        raise QueryError(f"the answer has columns of these names: {', '.join(map(str, taken))}", where="by")


class _Counter:
    """Adds up batches: (slice, region, category) -> count."""

    def __init__(self, question: Question) -> None:
        self._question = question
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
        names = list(dict.fromkeys(name for name in [q.code, *q.by, q.slice] if name))
        if q.weight:
            batch = _numbers(batch, q.weight)
        what = (q.weight, "sum") if q.weight else ([], "count_all")
        found = batch.group_by(names).aggregate([what, ([], "count_all")] if q.weight else [what])
        weights = found[f"{q.weight}_sum"] if q.weight else found["count_all"]
        columns = {name: found[name].to_pylist() for name in names}
        many = zip(weights.to_pylist(), found["count_all"].to_pylist(), strict=True)
        for number, (count, rows) in enumerate(many):
            region = self._region(columns[q.code][number])
            if region is None:
                self.without_region += rows
                continue
            category = _JOIN.join(self._value(name, columns[name][number]) for name in q.by)
            part = self._value(q.slice, columns[q.slice][number]) if q.slice else ""
            self.counts[part][region, category] += count or 0
            if q.weight:
                self.made_of[part][region, category] += rows

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

    def _region(self, text: str | None) -> str | None:
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
    for part in sorted(counter.counts):
        leaves = counter.counts[part]
        table = CountTable(
            leaves, _parents({region for region, _ in leaves}, question), counter.made_of.get(part)
        )
        shown: Mapping[Cell, int | None] = protected(table, rules) if rules else table.counts
        for region, category in sorted(shown):
            yield {
                "tingkat": parse(region, question.scheme).level if region else "semua",
                "kode": region,
                **({question.slice: part} if question.slice else {}),
                **_categories(question.by, category),
                **_figures(shown, (region, category)),
            }


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
    levels = sorted(question.levels, key=LEVELS.index)
    parent: dict[str, str] = {}
    for region in regions:
        code = parse(region, question.scheme)
        chain = [ROOT, *(str(code.at(level)) for level in levels)]
        parent.update(zip(chain[1:], chain[:-1], strict=True))
    return parent


def _schema(question: Question) -> pa.Schema:
    texts = ["tingkat", "kode", *([question.slice] if question.slice else []), *question.by]
    fields = [pa.field(name, pa.string()) for name in texts]
    figures = [("jumlah", pa.int64()), ("bagian", pa.float64()), ("ditekan", pa.bool_())]
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in figures)])
