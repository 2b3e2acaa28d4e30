"""No personal data is taken in by a process: what is not accepted can not be repeated, logged or kept.

The same guard as on harvests (`harvesters.privacy`): a NIK or family card number anywhere in the
request, and names, phones, addresses or numbers in the columns of rows, whatever the columns are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catalog.model import FieldDef, LayerSchema
from harvesters.privacy.detect import PrivacyScan
from harvesters.privacy.texts import personal_text, redact
from layers.contract import FeatureBatch
from ogc_server.errors import ParameterError

_DIGITS = 16
_NAME = 60


def refuse_persons(request: dict[str, Any], where: str = "") -> None:
    """Raise ParameterError for the first field that holds personal data; it names the field only."""
    for path, value in _walk(request, [where] if where else []):
        if _is_number_of_person(value):
            raise ParameterError("process.input.personal", _shown(path), kind="nik")
        if isinstance(value, list):
            _refuse_columns(value, path)


def _walk(value: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Yield everything inside of JSON with its path: keys as values too, containers before their parts."""
    yield path, value
    if isinstance(value, dict):
        for key, part in value.items():
            yield path, key
            yield from _walk(part, [*path, str(key)])
    elif isinstance(value, list):
        for number, part in enumerate(value):
            if not isinstance(part, float):  # coordinates: many, and no text
                yield from _walk(part, [*path, str(number)])


def _is_number_of_person(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) >= _DIGITS and personal_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e15 <= value < 1e16:
        return False
    return float(value).is_integer() and personal_text(str(int(value)))


def _refuse_columns(rows: Sequence[Any], path: list[str]) -> None:
    """Judge a list of objects as a table."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return
    names = tuple(dict.fromkeys(str(name) for row in rows for name in row))
    scan = PrivacyScan(LayerSchema(tuple(FieldDef(name) for name in names)))
    scan.feed(FeatureBatch([""] * len(rows), list(rows)))
    for finding in scan.findings():
        raise ParameterError("process.input.personal", _shown([*path, finding.field]), kind=finding.kind)


def _shown(path: Sequence[str]) -> str:
    return ".".join(redact(part)[:_NAME] for part in path)
