"""How a steward's edits and the source's record become one. Pure functions over plain JSON values.

A record is kept as the dict of its fields that are not the default. The overlay holds the fields a
steward set; of a text in two languages it may hold only one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from catalog.errors import RecordError
from catalog.messages import text
from catalog.model import DatasetRecord, Localized
from catalog.tables import storable

type Fields = dict[str, Any]

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class SourceChange:
    """A field that the source changed after a steward had edited it (`was`, `now` shortened)."""

    field: str
    was: str
    now: str

    def text(self, lang: str = "id") -> str:
        """Say it in one sentence."""
        label = text(f"field.{self.field}", lang)
        return text("notice.source-changed", lang, field=label, was=self.was, now=self.now)


def dump(record: DatasetRecord) -> Fields:
    """Return the fields of a record that are not the default."""
    dumped: Fields = storable(record.model_dump(mode="json", exclude_defaults=True))
    return dumped


def merge(harvested: Fields, overlay: Fields) -> DatasetRecord:
    """Return the record that readers see: the overlay's fields over the harvested ones."""
    return DatasetRecord.model_validate(harvested | joined(harvested, overlay))


def joined(under: Fields, over: Fields) -> Fields:
    """Return `over`, with the languages it leaves open taken from `under`."""
    return {
        name: (under.get(name) or {}) | value if _two_languages(name) else value
        for name, value in over.items()
    }


def checked(changes: Fields) -> Fields:
    """Return a steward's edits as plain JSON; RecordError for an unknown field or a wrong value.

    A plain text for a field in two languages is its Indonesian.
    """
    known(changes)
    given = {
        name: {"id": value} if isinstance(value, str) and _two_languages(name) else value
        for name, value in changes.items()
    }
    try:
        record = DatasetRecord.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    full = record.model_dump(mode="json", exclude_unset=True)
    return {name: storable(full[name]) for name in given}


def known(names: Iterable[str]) -> set[str]:
    """Return the names; RecordError with the nearest right one when a record has no such field."""
    asked = set(names)
    for name in sorted(asked - DatasetRecord.model_fields.keys()):
        near = difflib.get_close_matches(name, DatasetRecord.model_fields, 1)
        hint = f"Did you mean `{near[0]}`?" if near else ""
        raise RecordError(f"a dataset has no field {name!r}", hint=hint)
    return asked


def source_changes(harvested: Fields, overlay: Fields, base: Fields) -> list[SourceChange]:
    """Compare what the source says now with what it said when each field was edited (`base`)."""
    return [
        SourceChange(name, _short(base.get(name)), _short(harvested.get(name)))
        for name in overlay
        if base.get(name) != harvested.get(name)
    ]


def _two_languages(name: str) -> bool:
    return DatasetRecord.model_fields[name].annotation is Localized


def _short(value: Any) -> str:
    shown = value.get("id") or value.get("en") if isinstance(value, dict) else value
    if isinstance(shown, list):
        shown = ", ".join(str(item) for item in shown)
    return "-" if shown in (None, "") else str(shown)[:_LONGEST]
