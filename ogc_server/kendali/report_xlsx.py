"""The situation report as a workbook: a sheet each, numbers as numbers, no text that runs as a formula."""

from __future__ import annotations

import io
import re
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from catalog.messages import text
from layers.spreadsheet import cell
from ogc_server.kendali.report import Report, Table

_BOLD, _HEAD = Font(bold=True), PatternFill("solid", fgColor="D9E2EC")
_MARK = Font(bold=True, color="B3191F", size=14)
_WIDEST = 48


def render(report: Report) -> bytes:
    """Return the workbook: a summary, then one sheet per table with its first row frozen."""
    book = Workbook(write_only=True)  # rows are written as they come: a tenth of the time and memory
    first: Any = book.create_sheet(_sheet(text("kendali.laporan.ringkasan", report.lang)))
    first.column_dimensions["A"].width, first.column_dimensions["B"].width = 34, 60
    for mark in report.marks:
        first.append([_styled(first, mark, font=_MARK)])
    first.append([_styled(first, report.title, font=Font(bold=True, size=14))])
    for name, value in report.facts:
        first.append([_value(name), _value(value)])
    for note in report.notes:
        first.append([_value(note)])
    for table in report.tables:
        _fill(book.create_sheet(_sheet(table.title)), table)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _styled(sheet: Any, value: Any, **style: Any) -> Any:
    made = WriteOnlyCell(sheet, _value(value))
    for name, one in style.items():
        setattr(made, name, one)
    return made


def _sheet(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", " ", title)[:31]


def _fill(sheet: Any, table: Table) -> None:
    for number, name in enumerate(table.header, 1):  # before the rows: they are written at once
        longest = max((len(str(row[number - 1] or "")) for row in table.rows[:500]), default=0)
        width = min(_WIDEST, max(8, longest, min(len(str(name)), 18)) + 2)
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.header))}{len(table.rows) + 1}"
    head = {"font": _BOLD, "fill": _HEAD, "alignment": Alignment(wrap_text=True, vertical="top")}
    sheet.append([_styled(sheet, name, **head) for name in table.header])
    for row in table.rows:
        sheet.append([_value(value) for value in row])


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return cell(ILLEGAL_CHARACTERS_RE.sub(" ", value))
    return cell(value)
