"""MapLibre style layers (https://maplibre.org/maplibre-style-spec/) of a drawn style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layers.style.drawn import Drawn
from layers.tiles.plan import LABELS

FONT = "Satu Data Regular"


def colour_of(drawn: Drawn) -> Any:
    """Return the colour as an expression over the feature's attributes."""
    if drawn.column is None:
        return drawn.classes[0].colour
    got = ["get", drawn.column]
    if drawn.categorical:
        pairs = [part for one in drawn.classes for part in (_match_value(one.value), one.colour)]
        rest = drawn.other or drawn.rule.no_data
        by_value: Any = ["match", ["to-string", got], *pairs, rest]
        return ["case", ["has", drawn.column], by_value, drawn.rule.no_data]
    return ["case", ["==", ["typeof", got], "number"], step(got, drawn), drawn.rule.no_data]


def step(value: Any, drawn: Drawn) -> Any:
    """Return the class's colour of a number."""
    if len(drawn.classes) == 1:
        return drawn.classes[0].colour
    rest = [part for one in drawn.classes[1:] for part in (one.low, one.colour)]
    return ["step", value, drawn.classes[0].colour, *rest]


def _match_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def style(
    drawn: Drawn, source: dict[str, Any], *, name: str, glyphs: str | None = None, colour: Any = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a whole style over one vector source; texts only where `glyphs` are served.

    `colour` replaces the expression of the fill (a joined table's).
    """
    made: dict[str, Any] = {"version": 8, "name": name, "sources": {drawn.layer_id: source}}
    if glyphs:
        made["glyphs"] = glyphs
    if metadata:
        made["metadata"] = metadata
    made["layers"] = layers(drawn, colour_of(drawn) if colour is None else colour, texts=glyphs is not None)
    return made


def layers(drawn: Drawn, colour: Any, *, texts: bool) -> list[dict[str, Any]]:
    """Return the style's layers, bottom first."""
    parts: list[dict[str, Any]] = []
    mixed = drawn.family == "mixed"
    if mixed or drawn.family == "polygon":
        parts += _areas(drawn, colour, only="Polygon" if mixed else None)
    if mixed or drawn.family == "line":
        parts.append(_lines(drawn, colour, only="LineString" if mixed else None))
    if mixed or drawn.family == "point":
        parts.append(_points(drawn, colour, only="Point" if mixed else None))
    if texts:
        parts += _texts(drawn)
    return parts


def _layer(drawn: Drawn, kind: str, suffix: str, paint: dict[str, Any], only: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": f"{drawn.layer_id}-{suffix}", "type": kind, "source": drawn.layer_id,
        "source-layer": drawn.layer_id,
    }  # fmt: skip
    if only:
        made["filter"] = ["==", ["geometry-type"], only]
    made["paint"] = paint
    return made


def _areas(drawn: Drawn, colour: Any, only: str | None) -> list[dict[str, Any]]:
    rule = drawn.rule
    fill = {"fill-color": colour, "fill-opacity": rule.opacity, "fill-antialias": False}
    thin = ["interpolate", ["linear"], ["zoom"], 5, rule.width / 8, 10, rule.width / 2, 14, rule.width]
    outline = {"line-color": rule.outline, "line-width": thin}
    return [_layer(drawn, "fill", "fill", fill, only), _layer(drawn, "line", "outline", outline, only)]


def _lines(drawn: Drawn, colour: Any, only: str | None) -> dict[str, Any]:
    width = max(drawn.rule.width, 1.2)
    return _layer(drawn, "line", "line", {"line-color": colour, "line-width": width}, only)


def _points(drawn: Drawn, colour: Any, only: str | None) -> dict[str, Any]:
    """Points; a cluster grows with the number of points it stands for."""
    size = drawn.rule.radius
    grown = ["*", size, ["min", 4, ["+", 1, ["log10", ["coalesce", ["get", "point_count"], 1]]]]]
    paint = {
        "circle-color": colour, "circle-radius": grown, "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 1.2,
    }  # fmt: skip
    return _layer(drawn, "circle", "point", paint, only)


def _texts(drawn: Drawn) -> Sequence[dict[str, Any]]:
    paint = {"text-color": "#1a1a1a", "text-halo-color": "#ffffff", "text-halo-width": 1.4}
    layout: dict[str, Any] = {"text-font": [FONT], "text-size": 12, "text-max-width": 8}
    made = _layer(drawn, "symbol", "label", paint, None)
    if drawn.family == "polygon" and drawn.label:
        made["source-layer"] = drawn.layer_id + LABELS
        layout["text-field"] = ["get", "name"]
    elif drawn.family == "point":
        name = ["get", drawn.label] if drawn.label else ""
        layout["text-field"] = ["case", ["has", "point_count"], ["to-string", ["get", "point_count"]], name]
        layout |= {"text-offset": [0, 1.1], "text-anchor": "top", "text-optional": True}
        made["minzoom"] = 8
    elif drawn.family == "line" and drawn.label:
        layout |= {"text-field": ["get", drawn.label], "symbol-placement": "line"}
    else:
        return []
    made["layout"] = layout
    return [made]
