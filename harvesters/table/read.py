"""Streams the raw rows of text tables and spreadsheets."""

from __future__ import annotations

import csv
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from catalog.errors import ProtocolError
from harvesters.file.unpack import Budget
from harvesters.table.sniff import FIELD_LIMIT, Dialect

_FORMULA = re.compile(rb"<f[\s>/]")
CELL_ERRORS = frozenset({"#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"})


class Uncached:
    """Stands for a formula whose value was never computed."""

    def __repr__(self) -> str:
        return "formula without a value"


UNCACHED = Uncached()


class Rows(Protocol):
    """A source of raw rows: texts, or typed cells."""

    def __iter__(self) -> Iterator[list[Any]]:
        """Stream all rows, empty ones too."""
        ...


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of a CSV or TSV."""

    path: Path
    dialect: Dialect

    def __iter__(self) -> Iterator[list[Any]]:
        csv.field_size_limit(FIELD_LIMIT)
        try:
            with self.path.open(encoding=self.dialect.encoding, newline="") as file:
                yield from csv.reader(file, delimiter=self.dialect.delimiter)
        except UnicodeError as error:
            raise ProtocolError(
                f"not {self.dialect.encoding}: {error}", where=self.path.name, hint="set options.encoding"
            ) from error
        except csv.Error as error:
            raise ProtocolError(f"the table is broken: {error}", where=self.path.name) from error

    def cut(self, last: list[Any], width: int) -> bool:
        """Tell whether the file ends in the middle of its `last` row."""
        if len(last) >= width:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) not in b"\r\n\x00"


@dataclass(frozen=True, slots=True)
class SheetRows:
    """Rows of one sheet of an .xlsx: values as the spreadsheet computed them."""

    path: Path
    sheet: str

    def __iter__(self) -> Iterator[list[Any]]:
        with workbook(self.path, formulas=False) as book:
            rows = _cells(book, self.sheet)
            if not _has_formulas(self.path):
                yield from rows
                return
            with workbook(self.path, formulas=True) as other:
                for values, formulas in zip(rows, _cells(other, self.sheet), strict=False):
                    yield [_value(v, f) for v, f in zip(values, formulas, strict=False)]


def _value(value: Any, formula: Any) -> Any:
    return UNCACHED if value is None and formula is not None else value


def _cells(book: Any, sheet: str) -> Iterator[list[Any]]:
    page = book[sheet]
    page.reset_dimensions()
    for row in page.iter_rows(values_only=True):
        yield list(row)


@contextmanager
def workbook(path: Path, *, formulas: bool) -> Iterator[Any]:
    """Open a workbook for streaming; ProtocolError when it is cut, or a zip bomb."""
    _check_size(path)
    try:
        with path.open("rb") as file:  # by its bytes: given a path, openpyxl goes by the name's ending
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="openpyxl")  # styles and validations we do not read
                book = openpyxl.load_workbook(file, read_only=True, data_only=not formulas, keep_links=False)
            try:
                yield book
            finally:
                book.close()
    except ProtocolError:
        raise
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, EOFError, SyntaxError) as error:
        raise ProtocolError(f"the workbook is cut or broken: {error}", where=path.name) from error


def _check_size(path: Path) -> None:
    """Hold the sizes that the zip states (and zipfile enforces) against the limits."""
    budget = Budget(bytes=8 << 30)
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                budget.take_file(path.name)
                budget.take_bytes(info.file_size, info.file_size, info.compress_size, path.name)
    except zipfile.BadZipFile as error:
        raise ProtocolError(f"the workbook is cut or broken: {error}", where=path.name) from error


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as file:
                    tail = b""
                    while block := file.read(1 << 20):
                        if _FORMULA.search(tail + block):
                            return True
                        tail = block[-4:]
    return False


def sheet_names(path: Path) -> list[str]:
    """Return the visible sheets."""
    with workbook(path, formulas=False) as book:
        return [page.title for page in book.worksheets if page.sheet_state == "visible"]
