"""The situation report on A4 paper, drawn by ReportLab: facts, a small map in vectors, tables."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from babel.numbers import format_decimal
from reportlab.graphics.shapes import Circle, Drawing, Group, Line, Path, Rect, String
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    LongTable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)

from catalog.messages import text
from ogc_server.kendali.drawing import colour, geojson, legend
from ogc_server.kendali.picture import Picture
from ogc_server.kendali.report import Report, Table

_MOST_ROWS = 300
_KM_A_DEGREE = 111.2
"""Along a meridian of a sphere of 6,371 km."""
_SHORT = 5
"""Characters that fit into the narrowest column."""
_PAGE = landscape(A4)
_WIDTH = _PAGE[0] - 30 * mm - 12  # a frame keeps 6 points free on each side
_MAP = (_WIDTH, 92 * mm)
_WAY, _STOCK, _NO_STOCK = (colors.HexColor(one) for one in ("#2f78a8", "#1c6b37", "#8a94a0"))
_INK, _RED = colors.HexColor("#1b2430"), colors.HexColor("#b3191f")
_TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=8, leading=10, textColor=_INK)
_CELL = ParagraphStyle("cell", parent=_TEXT, fontSize=7, leading=8.4)
_HEAD = ParagraphStyle("head", parent=_CELL, fontName="Helvetica-Bold")
_HEAD_NUMBER = ParagraphStyle("head-number", parent=_HEAD, alignment=TA_RIGHT)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName="Helvetica-Bold", fontSize=15, leading=19)
_HEADING = ParagraphStyle("heading", parent=_TEXT, fontName="Helvetica-Bold", fontSize=11, leading=15,
                          spaceBefore=8, spaceAfter=3)  # fmt: skip
_FEW_ROWS = 25 * mm
"""A heading with less room below it than this goes to the next page."""
_MARK = ParagraphStyle("mark", parent=_TITLE, textColor=_RED)


def render(report: Report) -> bytes:
    """Return the PDF. Tables are cut at 300 rows, and say so; the workbook holds all."""
    target = io.BytesIO()
    paper = SimpleDocTemplate(
        target, pagesize=_PAGE, leftMargin=15 * mm, rightMargin=15 * mm, topMargin=16 * mm,
        bottomMargin=15 * mm, title=report.title, author="Satu Data Geo", lang=report.lang,
    )  # fmt: skip
    story: list[Flowable] = [Paragraph(escape(mark), _MARK) for mark in report.marks]
    story += [Paragraph(escape(report.title), _TITLE), Spacer(1, 2 * mm), _facts(report)]
    story += [Paragraph(escape(note), _TEXT) for note in report.notes]
    if len(report.picture.shapes):
        story += [Spacer(1, 3 * mm), _map(report.picture, report.lang)]
    for table in report.tables:
        story += _table(table, report.lang)

    def edge(canvas: Any, _: Any) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.drawString(15 * mm, 8 * mm, f"Satu Data Geo · {report.title}"[:150])
        canvas.drawRightString(_PAGE[0] - 15 * mm, 8 * mm, str(canvas.getPageNumber()))
        if report.marks:
            canvas.setFillColor(_RED)
            canvas.setFont("Helvetica-Bold", 9)
            canvas.drawRightString(_PAGE[0] - 15 * mm, _PAGE[1] - 10 * mm, " · ".join(report.marks))

    paper.build(story, onFirstPage=edge, onLaterPages=edge)
    return target.getvalue()


def _facts(report: Report) -> Flowable:
    pairs = [
        [Paragraph(escape(k), _HEAD), Paragraph(escape(str(_cell_text(v, report.lang))), _CELL)]
        for k, v in report.facts
    ]
    half = (len(pairs) + 1) // 2
    blank = [Paragraph("", _CELL)] * 2
    rows = [left + right for left, right in zip(pairs[:half], [*pairs[half:], blank], strict=False)]
    every = (0, 0), (-1, -1)
    style = TableStyle(
        [
            ("VALIGN", *every, "TOP"), ("LEFTPADDING", *every, 0), ("BOTTOMPADDING", *every, 1),
            ("TOPPADDING", *every, 1),
        ]
    )  # fmt: skip
    return LongTable(rows, colWidths=[_WIDTH * part for part in (0.15, 0.35, 0.2, 0.3)], style=style)


def _table(table: Table, lang: str) -> list[Flowable]:
    found: list[Flowable] = [CondPageBreak(_FEW_ROWS), Paragraph(escape(table.title), _HEADING)]
    if not table.rows:
        return [*found, Paragraph(escape(text("kendali.laporan.kosong", lang)), _TEXT)]
    rows = [
        [
            Paragraph(escape(str(name)), _HEAD_NUMBER if _numbers(table, n) else _HEAD)
            for n, name in enumerate(table.header)
        ]
    ]
    rows += [[_cell(value, lang) for value in row] for row in table.rows[:_MOST_ROWS]]
    style = TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e4eaf0")),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ("LEFTPADDING", (0, 0), (-1, -1), 3), ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("FONT", (0, 1), (-1, -1), "Helvetica", 7, 8.4), ("TEXTCOLOR", (0, 1), (-1, -1), _INK),
            *(("ALIGN", (n, 1), (n, -1), "RIGHT") for n in range(len(table.header)) if _numbers(table, n)),
        ]
    )  # fmt: skip
    found.append(LongTable(rows, colWidths=_widths(table), repeatRows=1, style=style))
    if len(table.rows) > _MOST_ROWS:
        said = text("kendali.laporan.dipotong", lang, n=_MOST_ROWS, semua=len(table.rows))
        found.append(Paragraph(escape(said), _TEXT))
    return found


def _numbers(table: Table, column: int) -> bool:
    return any(isinstance(row[column], int | float) for row in table.rows[:100])


def _widths(table: Table) -> list[float]:
    """Share the page's width by what stands in the columns."""
    wanted = []
    for number, name in enumerate(table.header):
        longest = max((len(str(row[number] or "")) for row in table.rows[:100]), default=0)
        wanted.append(min(34, max(6, longest, min(12, len(str(name))))))
    return [_WIDTH * one / sum(wanted) for one in wanted]


def _cell(value: Any, lang: str) -> Paragraph | str:
    """Return what stands in a cell; only what may need a second line is a paragraph: those take long."""
    said = _cell_text(value, lang)
    number = isinstance(value, int | float)
    return _paragraph(said) if len(said) > _SHORT and not number else said


def _cell_text(value: Any, lang: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, lang)
    return "" if value is None else str(value)


@lru_cache(maxsize=20_000)
def _number(value: float, lang: str) -> str:
    return str(format_decimal(value, locale=lang))


def _paragraph(said: str) -> Paragraph:
    return Paragraph(escape(said), _CELL)


def _map(picture: Picture, lang: str) -> Flowable:
    """Draw desa, warehouses, what is sent, and the epicentre; north is up, longitudes are shortened."""
    width, height = _MAP
    drawing = Drawing(width, height)
    drawing.add(Rect(0, 0, width, height, fillColor=colors.HexColor("#eef3f7"), strokeColor=None))
    west, south, east, north = shapely.total_bounds(picture.shapes)
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = min(width / ((east - west) * squeeze or 1), height / ((north - south) or 1)) * 0.92
    left = (width - (east - west) * squeeze * scale) / 2
    below = (height - (north - south) * scale) / 2

    def at(lon: float, lat: float) -> tuple[float, float]:
        return left + (lon - west) * squeeze * scale, below + (lat - south) * scale

    parts = geojson(picture, picture.near())
    for said, shape in zip(picture.desa.pairs("mmi", "kelas"), picture.shapes, strict=True):
        drawing.add(_polygon(shape, at, fill=colour(*said)))
    if picture.area is not None:
        outline = shapely.clip_by_rect(picture.area, west, south, east, north)
        drawing.add(_polygon(outline, at, stroke="#0b4f7a", width=1.2))
    inside = Group()
    sent = (line["geometry"]["coordinates"] for line in parts["rencana"]["features"])
    ways = [shapely.LineString([at(*end) for end in line]) for line in sent]
    for way in shapely.clip_by_rect(np.array(ways, object), 0, 0, width, height) if ways else ():
        for (a, b), (c, d) in pairwise(shapely.get_coordinates(way).tolist()):  # nothing outside of the map
            inside.add(Line(a, b, c, d, strokeColor=_WAY, strokeWidth=0.2))
    for point in parts["fasilitas"]["features"]:
        x, y = at(*point["geometry"]["coordinates"])
        if 0 <= x <= width and 0 <= y <= height:
            fill = _STOCK if point["properties"]["ada"] else _NO_STOCK
            inside.add(Circle(x, y, 2.2, fillColor=fill, strokeColor=colors.white, strokeWidth=0.5))
    for centre in parts["pusat"]["features"]:
        if centre["geometry"]["type"] == "Point":
            x, y = at(*centre["geometry"]["coordinates"])
            inside.add(Circle(x, y, 4, fillColor=None, strokeColor=_RED, strokeWidth=1.5))
            inside.add(Circle(x, y, 1.2, fillColor=_RED, strokeColor=None))
    drawing.add(inside)
    _legend(drawing, picture, len(parts["rencana"]["features"]), lang)
    _scale_bar(drawing, scale / _KM_A_DEGREE, lang)
    return drawing


def _polygon(
    shape: shapely.Geometry, at: Any, *, fill: str = "", stroke: str = "#55606c", width: float = 0.25
) -> Any:
    if shape.geom_type == "Point":
        x, y = at(shape.x, shape.y)
        return Circle(x, y, 1, fillColor=colors.HexColor(fill), strokeColor=None)
    inside = colors.HexColor(fill) if fill else None
    path = Path(fillColor=inside, strokeColor=colors.HexColor(stroke), strokeWidth=width)
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors) if part.geom_type == "Polygon" else ():
            first, *rest = ((x, y) for x, y in shapely.get_coordinates(ring).tolist())
            path.moveTo(*at(*first))
            for place in rest:
                path.lineTo(*at(*place))
            path.closePath()
    return path


def _legend(drawing: Drawing, picture: Picture, drawn: int, lang: str) -> None:
    signs = list(_signs(picture, drawn, lang))
    wide = max((stringWidth(label, "Helvetica", 7) for label, _ in signs), default=0) + 28
    back = colors.Color(1, 1, 1, 0.85)
    drawing.add(Rect(3, 3, wide, 5 + 11 * len(signs), fillColor=back, strokeColor=None))
    for number, (label, sign) in enumerate(reversed(signs)):
        place = Group(sign, String(17, 1, label, fontName="Helvetica", fontSize=7, fillColor=_INK))
        place.translate(6, 6 + number * 11)
        drawing.add(place)


def _signs(picture: Picture, drawn: int, lang: str) -> Iterator[tuple[str, Any]]:
    """Yield what stands on the map in words, and its sign of at most 12 x 7 points."""
    for label, fill in legend(picture.desa):
        box = Rect(0, 0, 12, 7, fillColor=colors.HexColor(fill), strokeColor=None)
        yield label or text("kendali.tab.desa", lang), box
    for key, fill in (("gudang", _STOCK), ("tanpa", _NO_STOCK)) if len(picture.desa) else ():
        yield text(f"kendali.legenda.{key}", lang), Circle(6, 3.5, 2.2, fillColor=fill, strokeColor=None)
    every = len(picture.shipments())
    if drawn:
        key = "rencana" if drawn >= every else "rencana_terbesar"
        said = text(f"kendali.legenda.{key}", lang, n=_number(drawn, lang), semua=_number(every, lang))
        yield said, Line(0, 3.5, 12, 3.5, strokeColor=_WAY, strokeWidth=0.8)
    if picture.kind == "gempa":
        yield text("kendali.legenda.pusat", lang), Circle(6, 3.5, 3, fillColor=None, strokeColor=_RED)


def _scale_bar(drawing: Drawing, points_a_km: float, lang: str) -> None:
    """Draw the longest bar of 1, 2 or 5 times a power of ten that is no longer than 30 mm."""
    longest = 30 * mm / points_a_km
    power = 10 ** math.floor(math.log10(longest))
    km = max(one * power for one in (1, 2, 5) if one * power <= longest)
    right = drawing.width - 8
    back = colors.Color(1, 1, 1, 0.85)
    drawing.add(
        Rect(right - km * points_a_km - 4, 4, km * points_a_km + 8, 16, fillColor=back, strokeColor=None)
    )
    drawing.add(Line(right - km * points_a_km, 8, right, 8, strokeColor=_INK, strokeWidth=1.5))
    said = f"{_number(km, lang)} km"
    drawing.add(String(right, 11, said, fontName="Helvetica", fontSize=7, fillColor=_INK, textAnchor="end"))
