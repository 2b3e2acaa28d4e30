"""Types of text columns, decided after seeing every value; what can not be told stays text.

Codes stay text: a column named as a code, or with a leading zero. `1.234` may be a number with three
decimals or one thousand two hundred thirty-four: decided by other values or columns of the same
table, else left as text and noted, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any, Literal

from catalog.model import FieldType

type Mark = Literal[".", ","]
type Parse = Callable[[str], Any]

EMPTY = frozenset({"", "-", "NA", "N/A", "#N/A", "NULL", "null", "nan", "NaN", "None"})
"""Texts that mean "no value" in a column of numbers or dates."""
_CODE_NAME = re.compile(
    r"(?:^|[_\s.-])(?:kode|kd|code|id|nik|nip|npsn|npwp|no|nomor|telp|telepon|hp)(?:$|[_\s.-])"
    r"|^k(?:d|ode)[a-z]*",
    re.IGNORECASE,
)
_AMOUNT_NAME = re.compile(r"jumlah|jml|total|persen|luas|nilai|rata", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_LEADING_ZERO = re.compile(r"0\d+")
_PLAIN = {
    ".": re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+(?:[eE][-+]?\d+)"),
    ",": re.compile(r"[-+]?\d*,\d+"),
}
_GROUPED = {
    ".": re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+"),
    ",": re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+"),
}
_BOTH = {  # grouped by one mark, decimals after the other; keyed by the decimal mark
    ",": re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+,\d+"),
    ".": re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+\.\d+"),
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_TRUTH = {"true": True, "false": False}


class Column:
    """What the values of one column have shown so far."""

    __slots__ = ("code", "kinds", "name", "some")

    def __init__(self, name: str) -> None:
        self.name = name
        self.code = bool(_CODE_NAME.search(name)) and not _AMOUNT_NAME.search(name)
        self.kinds: set[str] = set()
        self.some = False

    def see(self, value: object) -> None:
        """Take one more value into account: a stripped text, or a typed cell of a spreadsheet."""
        if value is None or (isinstance(value, str) and value in EMPTY):
            return
        self.some = True
        if "text" not in self.kinds:
            self.kinds.add(_kind(value) if isinstance(value, str) else _native_kind(value))

    def numeric(self) -> bool:
        """Tell whether only numbers were seen, and no code."""
        return self.some and not self.code and not self.kinds & {"text", "date", "moment", "truth", "zero"}

    def evidence(self) -> Mark | None:
        """Return the decimal mark that this column proves."""
        if not self.numeric():
            return None
        dot = self.kinds & {"real.", "both.", "groups,"}
        comma = self.kinds & {"real,", "both,", "groups."}
        if bool(dot) == bool(comma):
            return None
        return "." if dot else ","


def _kind(value: str) -> str:
    if _INTEGER.fullmatch(value):
        return "integer"
    if _LEADING_ZERO.fullmatch(value):
        return "zero"
    for mark in (".", ","):
        if _GROUPED[mark].fullmatch(value):
            return f"groups{mark}" if value.count(mark) > 1 else f"either{mark}"
        if _BOTH[mark].fullmatch(value):
            return f"both{mark}"
        if _PLAIN[mark].fullmatch(value):
            return f"real{mark}"
    if _DATE.fullmatch(value):
        return "date" if _is(date.fromisoformat, value) else "text"
    if _MOMENT.fullmatch(value):
        return "moment" if _is(datetime.fromisoformat, value) else "text"
    return "truth" if value.lower() in _TRUTH else "text"


def _native_kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, (int, float)):
        return "integer" if float(value).is_integer() and abs(value) < 2**53 else "native"
    if isinstance(value, datetime):
        return "date" if value.time() == time() else "moment"
    return "date" if isinstance(value, date) else "text"


def _is(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def decimal_mark(columns: Sequence[Column], given: Mark | None) -> Mark | None:
    """Return the table's decimal mark: given, or proved by columns that do not contradict each other."""
    if given is not None:
        return given
    proofs = {mark for column in columns if (mark := column.evidence())}
    return proofs.pop() if len(proofs) == 1 else None


def native(value: object, kind: FieldType) -> Any:
    """Return a typed cell as the column's type."""
    if kind is FieldType.TEXT:
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
    if kind is FieldType.REAL and isinstance(value, (int, float)):
        return float(value)
    if kind is FieldType.INTEGER and isinstance(value, float):
        return int(value)
    return value.date() if kind is FieldType.DATE and isinstance(value, datetime) else value


def decide(column: Column, mark: Mark | None) -> tuple[FieldType, Parse, str]:
    """Return type, parser of a stripped non-empty text, and a note when something was unclear."""
    kinds = column.kinds
    if not column.some or column.code or kinds & {"text", "zero"}:
        return FieldType.TEXT, str, ""
    if kinds <= {"date"}:
        return FieldType.DATE, date.fromisoformat, ""
    if kinds <= {"moment", "date"}:
        return FieldType.DATETIME, datetime.fromisoformat, ""
    if kinds <= {"truth"}:
        return FieldType.BOOLEAN, lambda text: _TRUTH[text.lower()], ""
    return _number(column, mark) if column.numeric() else (FieldType.TEXT, str, "")


def _number(column: Column, mark: Mark | None) -> tuple[FieldType, Parse, str]:
    kinds = column.kinds
    if kinds <= {"integer"}:
        return FieldType.INTEGER, int, ""
    if kinds <= {"integer", "native"}:
        return FieldType.REAL, float, ""
    mark = column.evidence() or mark
    if mark is None:
        return FieldType.TEXT, str, "thousands or decimals? set the layer's options.decimal"
    other = "," if mark == "." else "."
    if kinds & {f"real{other}", f"both{other}", f"groups{mark}"}:
        return FieldType.TEXT, str, "decimal marks are mixed"
    whole = kinds <= {"integer", f"either{other}", f"groups{other}"}
    if whole:
        return FieldType.INTEGER, lambda text: int(text.replace(other, "")), ""
    return FieldType.REAL, lambda text: float(text.replace(other, "").replace(mark, ".")), ""
