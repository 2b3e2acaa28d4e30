"""Finds out how a text table is written: encoding, delimiter, which row holds the names."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from charset_normalizer import from_bytes

from catalog.errors import ConfigError, ProtocolError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_WESTERN = ["cp1252", "latin_1", "mac_roman", "cp850"]
"""What Indonesian texts that are not Unicode are written in."""
_DELIMITERS = ",;\t|"
_BLOCK = 1 << 20
_ROWS = 60
FIELD_LIMIT = 64 << 20
"""The longest cell (a WKT polygon may be long; a quote that never closes must not eat the memory)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV is written."""

    encoding: str
    delimiter: str


def dialect(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """Find encoding and delimiter of a text table (given ones are taken as they are)."""
    found = encoding or find_encoding(path)
    try:
        codecs.lookup(found)
    except LookupError as error:
        raise ConfigError(f"unknown encoding {found!r}", where=path.name) from error
    return Dialect(found, delimiter or find_delimiter(path, found))


def find_encoding(path: Path) -> str:
    """Return the Python name of the encoding: by byte order mark, NULs, valid UTF-8, else by likelihood."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if head[1:2000:2].count(0) > len(head[:2000]) * 0.2:
        return "utf-16-le"
    if head[0:2000:2].count(0) > len(head[:2000]) * 0.2:
        return "utf-16-be"
    bad = _not_utf8(path)
    return "utf-8" if bad is None else _western(path, bad)


def _not_utf8(path: Path) -> int | None:
    """Return about where the file stops being UTF-8, None when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return at
            at += len(block)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return max(0, at - _BLOCK)
    return None


def _western(path: Path, at: int) -> str:
    """Choose among single-byte encodings by the lines that hold other than ASCII."""
    with path.open("rb") as file:
        file.seek(at)
        lines = file.read(_BLOCK).splitlines()
    sample = b"\n".join(islice((line for line in lines if not line.isascii()), 500))
    best = from_bytes(sample, cp_isolation=_WESTERN, threshold=1.0).best()
    name = best.encoding if best is not None else "cp1252"
    try:  # where both read the text alike, Windows wrote it
        same = sample.decode("cp1252") == sample.decode(name)
    except UnicodeDecodeError:
        same = False
    return "cp1252" if same else name


def find_delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter that cuts the first rows most evenly into most columns."""
    scores: list[tuple[float, int, str]] = []
    for candidate in _DELIMITERS:
        widths = [len(row) for row in _first_rows(path, encoding, candidate) if any(row)]
        if not widths:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        even = widths.count(usual) / len(widths)
        scores.append((even if usual > 1 else 0.0, usual, candidate))
    best = max(scores, key=lambda score: (round(score[0], 1), score[1]), default=(0.0, 1, ","))
    return best[2] if best[0] > 0 else ","


def _first_rows(path: Path, encoding: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(FIELD_LIMIT)
    try:
        with path.open(encoding=encoding, newline="", errors="replace") as file:
            return list(islice(csv.reader(file, delimiter=delimiter), _ROWS))
    except (csv.Error, UnicodeError) as error:
        raise ProtocolError(f"not a text table: {error}", where=path.name) from error


@dataclass(frozen=True, slots=True)
class Header:
    """The column names, how many rows stand before the data, and title lines above the names."""

    names: tuple[str, ...]
    skip: int
    title: str = ""
    renamed: tuple[str, ...] = ()


def find_header(rows: Sequence[Sequence[object]], row: int | None, count: int = 1) -> Header:
    """Find the names in the first rows of a table.

    Without a configured `row` (from 1; 0 = no names) it is the first row that fills most of the
    columns and holds texts only: titles above it are kept as `title`.
    """
    width = max((_filled_width(r) for r in rows), default=0)
    if row == 0:
        return Header(tuple(f"kolom_{n}" for n in range(1, width + 1)), 0)
    at = row - 1 if row is not None else _guess_header(rows)
    if at >= len(rows) or not width:
        raise ProtocolError("the table has no row with column names")
    width = _width(rows[at : at + count], rows[at + count :])
    named = [
        _joined([_spread(r) if count > 1 else r for r in rows[at : at + count]], n) for n in range(width)
    ]
    names, renamed = _unique(named)
    above = " ".join(str(c).strip() for r in rows[:at] for c in r if c not in (None, ""))
    return Header(tuple(names), at + count, above, tuple(renamed))


def _width(names: Sequence[Sequence[object]], data: Sequence[Sequence[object]]) -> int:
    """Return how many columns are named; more only when most rows have more."""
    named = max(_filled_width(row) for row in names)
    wider = [width for row in data if (width := _filled_width(row)) > named]
    return max(wider) if len(wider) * 2 > len(data) else named


def _filled_width(row: Sequence[object]) -> int:
    for n in range(len(row), 0, -1):
        if row[n - 1] not in (None, ""):
            return n
    return 0


def _guess_header(rows: Sequence[Sequence[object]]) -> int:
    filled = [sum(cell not in (None, "") for cell in row) for row in rows]
    most = max(filled, default=0)
    for at, (row, count) in enumerate(zip(rows, filled, strict=True)):
        if count >= max(1, 0.6 * most) and all(isinstance(c, str) for c in row if c is not None):
            return at
    return 0


def _spread(row: Sequence[object]) -> list[object]:
    """Repeat a merged cell's text over the empty cells to its right."""
    spread: list[object] = []
    for cell in row:
        spread.append(spread[-1] if cell in (None, "") and spread else cell)
    return spread


def _joined(rows: list[Sequence[object]], column: int) -> str:
    words = [str(row[column]).strip() for row in rows if column < len(row) and row[column] not in (None, "")]
    return "_".join(dict.fromkeys(words))


def _unique(names: list[str]) -> tuple[list[str], list[str]]:
    """Name the nameless and number the doubled, letter case aside; return names and what was changed."""
    taken: set[str] = set()
    unique: list[str] = []
    changed: list[str] = []
    for position, raw in enumerate(names, start=1):
        name = base = " ".join(raw.split()) or f"kolom_{position}"
        number = 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        if name != raw:
            changed.append(f"{raw!r} -> {name!r}")
        taken.add(name.casefold())
        unique.append(name)
    return unique, changed
