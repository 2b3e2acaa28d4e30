"""Stewards' decisions, applied to every later harvest: a cell put right, a region code renamed.

A correction is applied while the source says what it said when the decision was taken (`was`). Where
it says something else the correction is stale: the newer truth stays, and the steward is asked again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from catalog.model import FieldType, LayerSchema
from catalog.reconciliation_model import Correction
from harvesters.mapping.values import CONVERT, BadValueError

type Note = tuple[int, str, str]
"""Row number, code, message."""


class Corrections:
    """The corrections of one layer; `applied` and `stale` are the numbers of those met so far."""

    def __init__(self, entries: Sequence[Correction], schema: LayerSchema) -> None:
        self._types = {field.name: field.type for field in schema.fields}
        self._of: dict[str, list[Correction]] = {}
        # a code goes first: the others name the feature's code, as it was or as it becomes
        for entry in sorted(entries, key=lambda one: one.cell.field != one.cell.code_field):
            self._of.setdefault(entry.cell.feature_id, []).append(entry)
        self.applied: set[int] = set()
        self.stale: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._of)

    def apply(self, ids: Sequence[str], rows: list[dict[str, Any]]) -> list[Note]:
        """Put cells right in place; return a note for each correction that no longer fits."""
        if not self._of:
            return []
        notes: list[Note] = []
        for at, feature_id in enumerate(ids):
            entries = self._of.get(feature_id)
            if entries:
                notes += self._row(at, rows[at], entries)
        return notes

    def _row(self, at: int, row: dict[str, Any], entries: list[Correction]) -> list[Note]:
        notes = []
        codes = {_digits(row.get(entry.cell.code_field)) for entry in entries}
        for entry in entries:
            cell = entry.cell
            if not self._fits(row, entry, codes):
                if not (cell.field in row and _same(row[cell.field], cell.becomes)):
                    self.stale.add(entry.number)
                    text = f"{cell.field}: the source changed what decision {entry.decision} is about"
                    notes.append((at, "correction-stale", text))
                continue
            try:
                row[cell.field] = self._value(row, cell.field, cell.code_field, cell.becomes)
            except BadValueError as exc:
                self.stale.add(entry.number)
                notes.append((at, "correction-stale", f"{cell.field}: {exc}"))
                continue
            self.applied.add(entry.number)
            if cell.field == cell.code_field:
                codes.add(_digits(cell.becomes))
        return notes

    def _fits(self, row: dict[str, Any], entry: Correction, codes: set[str]) -> bool:
        """Tell whether the cell is there, says what it said, and belongs to the same region."""
        cell = entry.cell
        if cell.field not in row:
            return False
        if cell.field == cell.code_field:
            return _digits(row[cell.field]) == _digits(cell.was)
        return _digits(cell.code) in codes and _same(row[cell.field], cell.was)

    def _value(self, row: dict[str, Any], field: str, code_field: str, becomes: Any) -> Any:
        if field == code_field and "." not in str(row[field] or "."):
            becomes = _digits(becomes)  # as this column writes its codes
        return None if becomes is None else CONVERT[self._types.get(field, FieldType.TEXT)](becomes)


def _digits(value: Any) -> str:
    """Return a region code without its dots: one code in any writing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "".join(sign for sign in str("" if value is None else value) if sign.isdigit())


def _same(one: Any, other: Any) -> bool:
    """Tell whether a cell says what was kept as JSON; dates are kept as texts."""
    if one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return float(one) == float(other)
    return _text(one) == _text(other)


def _text(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return unicodedata.normalize("NFC", str(value)).strip()
