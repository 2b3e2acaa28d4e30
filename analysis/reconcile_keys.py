"""Reads a column of region codes into canonical writing, quickly for the many that are written well."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from catalog.codes import is_canonical, parse
from catalog.errors import RecordError
from catalog.model import Scheme

_SHOWN = 10
_DOTTED = 13


@dataclass(frozen=True, slots=True)
class BadKey:
    """A cell that is no region code. What is longer than a code is not repeated: a NIK, a phone number."""

    text: str
    reason: str


def keys_of(column: pa.ChunkedArray, scheme: Scheme) -> list[str | BadKey]:
    """Return the canonical code of each cell, or why it is none."""
    texts = pc.cast(column, pa.string()).to_pylist()
    return [_key(text, scheme) for text in texts]


def _key(text: str | None, scheme: Scheme) -> str | BadKey:
    if text is None:
        return BadKey("", "kode kosong")
    if scheme == "kemendagri" and is_canonical(text):
        return text
    try:
        return str(parse(text, scheme))
    except RecordError as error:
        if len(text) > (_DOTTED if "." in text else _SHOWN):
            return BadKey("…", f"bukan kode wilayah ({len(text)} karakter)")
        return BadKey(text, error.detail)
