"""Region codes of a layer, brought to the scheme's canonical writing; what is unclear stays as it is."""

from __future__ import annotations

from typing import Any

from catalog.codes import is_canonical, parse
from catalog.errors import RecordError
from catalog.model import RegionCode

type Note = tuple[int, str, str]
"""Row number, code, message."""
_CACHE = 200_000


class CodeNormaliser:
    """Rewrites one field (`3203011006` and `32.03.01.1006` are one region). Never guesses."""

    def __init__(self, region_code: RegionCode) -> None:
        self.field = region_code.field
        self._scheme = region_code.scheme
        self._known: dict[Any, tuple[str, str, str]] = {}

    def apply(self, rows: list[dict[str, Any]]) -> list[Note]:
        """Rewrite the field in place; return a note for each row whose code is none or unclear."""
        notes: list[Note] = []
        for at, row in enumerate(rows):
            value = row.get(self.field)
            if value is None or value == "":
                continue
            if self._scheme == "kemendagri" and isinstance(value, str) and is_canonical(value):
                continue  # nearly every row of a boundary layer
            text, code, message = self._read(value)
            row[self.field] = text
            if code:
                notes.append((at, code, message))
        return notes

    def _read(self, value: Any) -> tuple[str, str, str]:
        """Return canonical text and, when it could not be read, the error's code and message."""
        found = self._known.get(value)
        if found is None:
            found = self._parse(value)
            if len(self._known) < _CACHE:
                self._known[value] = found
        return found

    def _parse(self, value: Any) -> tuple[str, str, str]:
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
        try:
            return str(parse(text, self._scheme)), "", ""
        except RecordError as exc:
            return text, "region-code" if exc.code == "record" else exc.code, exc.detail
