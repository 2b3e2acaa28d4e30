"""The legend of a style as data: one entry per class, in the order in which it is read."""

from __future__ import annotations

from typing import Any

from layers.style.drawn import Drawn


def legend(drawn: Drawn, *, name: str, lang: str, plain: str, no_data: str, other: str) -> dict[str, Any]:
    """Return title and entries; `plain`, `no_data` and `other` are the words of such entries."""
    shape = {"polygon": "fill", "line": "line", "point": "circle", "mixed": "fill"}[drawn.family]
    entries = []
    for one in drawn.classes:
        entry: dict[str, Any] = {"label": one.label(lang) if drawn.column else plain, "color": one.colour}
        if one.value is not None:
            entry["value"] = one.value
        elif drawn.column:
            entry |= {"min": one.low, "max": one.high}
        entries.append({**entry, "shape": shape})
    if drawn.other:
        entries.append({"label": other, "color": drawn.other, "shape": shape})
    if drawn.column:
        entries.append({"label": no_data, "color": drawn.rule.no_data, "shape": shape, "noData": True})
    return {
        "title": name, "column": drawn.column, "method": drawn.rule.method if drawn.column else None,
        "opacity": drawn.rule.opacity, "entries": entries,
    }  # fmt: skip
