"""The colour rule of a raster collection as one request sees it, and its legend as a document.

The rule itself is `layers.raster_style`.
"""

from __future__ import annotations

from typing import Any

from babel.numbers import format_decimal

from catalog.messages import text
from layers.raster_style import Entry, Style
from ogc_server.raster_layer import RasterLayer

__all__ = ["Style", "figure", "legend", "shown", "style_of"]


def style_of(layer: RasterLayer) -> Style:
    """Return the colour rule of a raster: that of its source's file, else what fits its values."""
    return layer.service.tiles().maps.drawing(layer.dataset, layer.info).style


def legend(style: Style, title: str, lang: str) -> dict[str, Any]:
    """Return the legend as a document: the entries with their values, colours and names."""
    entries = [
        {"label": shown(entry, style.kind, lang), "min": entry.low, "max": entry.high,
         "colour": entry.colour}
        for entry in style.entries
    ]  # fmt: skip
    return {
        "title": title, "band": style.band.name, "unit": style.band.unit, "type": style.kind,
        "entries": entries, "nodata": text("raster.legend.nodata", lang),
    }  # fmt: skip


def shown(entry: Entry, kind: str, lang: str) -> str:
    """Return how people read one line of the legend."""
    low, high = (None if end is None else figure(end, lang) for end in (entry.low, entry.high))
    if kind == "ramp":
        return entry.label.get(lang) or str(low)
    span = f"≤ {high}" if low is None else f"> {low}" if high is None else f"{low} – {high}"
    name = entry.label.get(lang)
    return f"{name} ({span})" if name else span


def figure(value: float | None, lang: str) -> str:
    """Return a measured value as people read it, with four digits that count."""
    if value is None:
        return "—"
    return str(format_decimal(float(f"{value:.4g}"), format="#,##0.########", locale=lang))
