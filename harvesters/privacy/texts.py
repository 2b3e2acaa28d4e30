"""Free texts: what is said of a dataset, error messages, log lines. Personal data is masked, not judged.

A title or a message has no mapping that could drop a column, so what looks like a NIK, a family card
number, a mobile phone or a private e-mail address is replaced by a mark. Names in free text can not
be told from the names of places and offices; see docs/privacy.md.
"""

from __future__ import annotations

import re
import traceback
from typing import Any

from catalog.model import DatasetRecord
from harvesters.privacy.numbers import DIGITS16, EMAIL, OFFICE, PHONE, ascii_digits, plausible

HIDDEN = "[disembunyikan]"
"""Stands where personal data was."""
_TEXTS = {"title", "description", "keywords", "lineage", "purpose", "credit", "cakupan", "rujukan"}
"""Fields of a record where a phone or a private address is nobody's official contact."""


def personal_text(text: str) -> bool:
    """Tell whether a text holds a NIK or family card number, in whatever digits and separators."""
    return any(plausible(m) for m in DIGITS16.findall(ascii_digits(text)))


def without_numbers(text: str) -> str:
    """Return the text with NIK and family card numbers masked; the same object when there are none."""
    plain = ascii_digits(text)
    masked = DIGITS16.sub(lambda m: HIDDEN if plausible(m.group()) else m.group(), plain)
    return text if masked == plain else masked


def redact(text: str) -> str:
    """Return the text without NIK, family card numbers, mobile phones and private e-mail addresses."""
    text = without_numbers(text)
    plain = ascii_digits(text)
    masked = PHONE.sub(HIDDEN, plain)
    masked = EMAIL.sub(lambda m: m.group() if OFFICE.search(m.group(1)) else HIDDEN, masked)
    return text if masked == plain else masked


def redacted(value: Any) -> Any:
    """Return nested plain data with every text in it redacted, keys too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redacted(k): redacted(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redacted(v) for v in value)
    return redact(str(value)) if isinstance(value, int) and personal_text(str(value)) else value


def traced(error: BaseException) -> str:
    """Return the traceback as text for a log, redacted: exceptions like to quote the value they choke on."""
    return redact("".join(traceback.format_exception(error)))


def clean_record(record: DatasetRecord) -> tuple[DatasetRecord, list[str]]:
    """Return what may be said of a dataset, and the names of the fields that had to be masked.

    Numbers are masked everywhere, phones and private addresses where no contact belongs: `contact` and
    `extras` keep the office's, which metadata standards ask for.
    """
    before = record.model_dump()
    after = {
        name: _each(redact if name in _TEXTS else without_numbers, value) for name, value in before.items()
    }
    for link in after["links"]:
        link["title"] = redact(link["title"])
    changed = [name for name, value in after.items() if value != before[name]]
    return (DatasetRecord.model_validate(after), changed) if changed else (record, [])


def _each(mask: Any, value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(k): _each(mask, v) for k, v in value.items()}
    return [_each(mask, v) for v in value] if isinstance(value, list) else value


_JSON_KEY = re.compile(r"""["']([A-Za-z][\w ]{1,40})["']\s*:""")


def json_keys(text: str) -> set[str]:
    """Return the keys of JSON (or of a printed dict) inside of a text."""
    return set(_JSON_KEY.findall(text)) if ":" in text and ("{" in text) else set()
