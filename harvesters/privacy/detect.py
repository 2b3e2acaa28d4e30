"""Finding personal data by what a column holds, whatever its name or type (UU 27/2022).

Only aggregates may be published: never NIK, KK, names, phones, addresses or household points. The
scan reads every value (one NIK in the last row is found) at the speed of a few regular expressions
per column. It errs towards stopping: a steward drops the column, or accepts the version.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from catalog.model import LayerSchema
from harvesters.privacy import words as words
from harvesters.privacy.numbers import (
    BARE_PHONE,
    DIGITS16,
    DIGITS_PHONE,
    EMAIL,
    OFFICE,
    PHONE,
    ascii_digits,
    plausible,
)
from harvesters.privacy.texts import json_keys, personal_text, redact
from layers.contract import FeatureBatch

ID_COLUMN = "(id)"
_RT_RW = re.compile(r"(?i)\brt\b[\s.:/]*\d{1,3}|\brw\b[\s.:/]*\d{1,3}|\brt\s*/\s*rw\b|\bno\.?\s*rumah\b")
_LONG = 100_000_000
"""Numbers below it are too short for a phone or an identity number."""
_SHARE = 0.2
"""Share of look-alikes (16-digit numbers, say) that must be plausible; below it they are other ids."""


_SAMPLE = 500
"""Values per batch that are looked at for names under any header."""
_FEW, _PEOPLE = 4, 0.3
"""Under a header that says nothing: at least so many names with a known given name, and that share."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in one column: what kind, in how many values. Never an example."""

    field: str
    kind: str
    count: int


@dataclass(slots=True)
class _Column:
    """What was counted in one column so far."""

    name: str
    values: int = 0
    nik: int = 0
    digits16: int = 0
    phones: int = 0
    digits_phone: int = 0
    emails: int = 0
    names: int = 0
    given: int = 0
    places: int = 0
    addresses: int = 0
    text_values: int = 0
    sampled: int = 0
    people: int = 0
    keys: set[str] = field(default_factory=set)
    """Keys of JSON inside of the values."""
    header: str = field(default="")


def _plain(name: str) -> str:
    """Return a header as lower-case words joined with `_` (`NamaKRT` and `Nama KRT` are equal)."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def _texts(values: Sequence[Any]) -> list[str]:
    """Return what is to be searched: all text, and numbers long enough to be somebody's."""
    texts = [v for v in values if v.__class__ is str]
    if len(texts) == len(values):
        return texts
    rest = (v for v in values if v.__class__ is not str and not _is_small(v))
    return texts + [t for t in map(_as_text, rest) if t]


def _is_small(value: Any) -> bool:
    kind = value.__class__
    return value is None or kind is bool or ((kind is int or kind is float) and -_LONG < value < _LONG)


def _as_text(value: Any) -> str:
    """Return a value as text to search; whole floats without their `.0`."""
    if isinstance(value, float):
        return str(int(value)) if value < 1e17 and value.is_integer() else ""
    return "" if isinstance(value, date) else str(value)


def told_by_headers(schema: LayerSchema) -> list[Finding]:
    """Return the columns whose name, explanation or codes hold a NIK."""
    return [
        Finding(redact(f.name), "nik", 1)
        for f in schema.fields
        if any(map(personal_text, (f.name, f.title, f.description, *f.codes)))
    ]


class PrivacyScan:
    """Reads batches (after mapping: dropped columns are gone) and tells what personal data is in them."""

    def __init__(self, schema: LayerSchema) -> None:
        self._schema = schema
        self._columns = {n: _Column(n, header=_plain(n)) for n in (*schema.names(), ID_COLUMN)}
        for definition in schema.fields:  # labels of coded values are published too
            self._read(self._columns[definition.name], list(definition.codes.values()))

    def feed(self, batch: FeatureBatch) -> None:
        """Read one batch."""
        self._read(self._columns[ID_COLUMN], batch.ids)
        for name in self._schema.names():
            self._read(self._columns[name], [row.get(name) for row in batch.rows])

    def _read(self, column: _Column, values: list[Any]) -> None:
        column.values += len(values) - values.count(None)
        texts = _texts(values)
        if not texts:
            return
        column.text_values += len(texts)
        joined = "\n".join(texts)
        joined = ascii_digits(joined)
        _count_numbers(column, joined)
        if "@" in joined:
            column.emails += sum(not OFFICE.search(d) for d in EMAIL.findall(joined))
        _count_words(column, joined)
        _count_people(column, joined)
        column.keys |= {_plain(key) for key in json_keys(joined)}

    def findings(self) -> list[Finding]:
        """Return what was found, the columns in order."""
        found = told_by_headers(self._schema)
        found += [f for c in self._columns.values() for f in _judge(c)]
        return found + self._households()

    def _households(self) -> list[Finding]:
        """Points (or lat/lon columns) on rows about households are the homes of people."""
        filled = [c for c in self._columns.values() if c.values]
        household = [c for c in filled if words.HOUSEHOLD.fullmatch(c.header)]
        located = self._schema.geometry_type in {"Point", "MultiPoint"} or any(
            words.POSITION.fullmatch(c.header) for c in filled
        )
        return (
            [Finding(household[0].name, "household-point", household[0].values)]
            if (household and located)
            else []
        )


def _count_numbers(column: _Column, joined: str) -> None:
    for match in DIGITS16.findall(joined):
        column.digits16 += 1
        column.nik += plausible(match)
    if words.PHONE_HEADER.search(column.header):
        bare = len(BARE_PHONE.findall(joined))
        column.phones += bare
        column.digits_phone += bare
    if "08" in joined or "62" in joined:
        phones = len(PHONE.findall(joined))
        if phones:
            column.phones += phones
            column.digits_phone += len(DIGITS_PHONE.findall(joined))


def _count_words(column: _Column, joined: str) -> None:
    column.addresses += len(_RT_RW.findall(joined))
    if "nama" in column.header or "name" in column.header or words.PERSON_HEADER.search(column.header):
        lines = joined.split("\n")
        column.names += sum(bool(words.PERSON_SHAPE.fullmatch(line.strip())) for line in lines)
        column.given += sum(bool(words.GIVEN.search(line)) for line in lines)
        column.places += sum(bool(words.PLACE.search(line)) for line in lines)


def _count_people(column: _Column, joined: str) -> None:
    """Look whether a sample of the values are names of people, whatever the header says."""
    lines = joined.split("\n")
    for line in lines[:: max(1, len(lines) // _SAMPLE)]:
        column.sampled += 1
        column.people += (
            " " in line
            and words.GIVEN.search(line) is not None
            and words.PERSON_SHAPE.fullmatch(line.strip()) is not None
            and words.PLACE.search(line) is None
        )


def _judge(column: _Column) -> list[Finding]:
    """Weigh one column's counts."""
    return [replace(finding, field=redact(finding.field)) for finding in _weighed(column)]


def _weighed(column: _Column) -> list[Finding]:
    found = []
    if column.nik and column.nik >= _SHARE * column.digits16:
        kind = "family-card" if re.search(r"(^|_)(no_?)?kk($|_)|kartu_keluarga", column.header) else "nik"
        found.append(Finding(column.name, kind, column.nik))
    if column.phones and column.phones >= _SHARE * max(column.digits_phone, column.phones):
        found.append(Finding(column.name, "phone", column.phones))
    if column.emails:
        found.append(Finding(column.name, "e-mail", column.emails))
    if column.text_values and _is_person(column):
        found.append(Finding(column.name, "person-name", max(column.names, column.people, 1)))
    if column.addresses and column.addresses >= _SHARE * column.text_values:
        found.append(Finding(column.name, "address", column.addresses))
    elif column.values and words.HOME_HEADER.search(column.header):
        found.append(Finding(column.name, "address", column.values))
    elif any(words.HOME_HEADER.search(key) for key in column.keys):
        found.append(Finding(column.name, "address", column.text_values))
    if (column.values and words.SECRET_HEADER.search(column.header)) or any(
        words.SECRET_HEADER.search(key) for key in column.keys
    ):
        found.append(Finding(column.name, "personal-field", column.values))
    return found


def _is_person(column: _Column) -> bool:
    """Decide by header and content: `nama_krt` with words is enough, plain `nama` needs given names."""
    if column.people >= _FEW and column.people >= _PEOPLE * column.sampled:
        return True
    if any(words.PERSON_HEADER.search(key) for key in column.keys):
        return True
    if column.places * 2 > column.text_values:
        return False
    if words.PERSON_HEADER.search(column.header):
        return column.names * 2 > column.text_values
    if not words.NAME_HEADER.fullmatch(column.header):
        return False
    return column.given >= 0.3 * column.text_values and column.names * 2 > column.text_values
