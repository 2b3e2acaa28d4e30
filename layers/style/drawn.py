"""A rule worked out on a layer's data: the classes with colours, ready to be written in any language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from babel.numbers import format_decimal

from catalog.errors import QueryError
from catalog.model import FieldType, LayerSchema
from layers.contract import LayerReader
from layers.style.classes import class_breaks
from layers.style.palettes import OKABE_ITO, colours
from layers.style.rule import StyleRule
from layers.tiles.plan import Family, family_of, name_column

_NUMERIC = (FieldType.INTEGER, FieldType.REAL)


@dataclass(frozen=True, slots=True)
class StyleClass:
    """One class: numbers `low` <= value < `high` (None: no end on that side), or one `value`."""

    colour: str
    low: float | None = None
    high: float | None = None
    value: str | int | bool | None = None

    def label(self, lang: str) -> str:
        """Say in words what the class holds."""
        if self.value is not None:
            return str(self.value)
        low, high = (None if n is None else format_decimal(n, locale=lang) for n in (self.low, self.high))
        if low is None:
            return f"< {high}" if high is not None else "—"
        return f"≥ {low}" if high is None else f"{low} – < {high}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A layer's style: `classes` by the values of `column`, one plain class without it."""

    layer_id: str
    family: Family
    rule: StyleRule
    column: str | None
    kind: FieldType | None
    classes: tuple[StyleClass, ...]
    label: str | None
    other: str | None = None
    """Colour of categories beyond the eight that have their own; None: there are none."""

    @property
    def categorical(self) -> bool:
        """Tell whether classes are values, not ranges."""
        return any(one.value is not None for one in self.classes)


@dataclass(frozen=True, slots=True)
class Codes:
    """Which class each code of areas belongs to, where the values stand in another table.

    `key` is the areas' column of codes; `classes` has the number of a code's class, len(classes of the
    style) for a category without a colour of its own.
    """

    key: str
    classes: dict[str, int]

    def of(self, number: int) -> list[str]:
        """Return the codes of a class."""
        return [code for code, one in self.classes.items() if one == number]


def draw(reader: LayerReader, rule: StyleRule) -> Drawn:
    """Work a rule out on a version; QueryError when it does not fit the layer."""
    schema = reader.info.schema or LayerSchema(())
    family = family_of(schema.geometry_type) if schema.geometry_type else "mixed"
    label = name_column(schema) if rule.labels else None
    layer_id = reader.info.layer_id
    if rule.column is None:
        return Drawn(layer_id, family, rule, None, None, (StyleClass(rule.color),), label)
    kind = next((f.type for f in schema.fields if f.name == rule.column), None)
    if kind is None:
        raise QueryError(f"the style's column {rule.column!r} is not in the layer", where=layer_id)
    values = [
        row[rule.column] for batch in reader.batches([rule.column], geometry=False) for row in batch.rows
    ]
    classes, other = classify(values, rule, numeric=kind in _NUMERIC)
    return Drawn(layer_id, family, rule, rule.column, kind, classes, label, other)


def classify(
    values: Sequence[Any], rule: StyleRule, *, numeric: bool
) -> tuple[tuple[StyleClass, ...], str | None]:
    """Return the classes of values and the colour of what has no class of its own (categories)."""
    if rule.method == "categories" or not numeric:
        return _categories(values, rule)
    numbers = np.array([np.nan if v is None else float(v) for v in values], dtype=float)
    limits = rule.breaks if rule.method == "breaks" else class_breaks(numbers, rule.method, rule.classes)
    shades = colours(rule.palette or "viridis", len(limits) + 1)
    edges = [None, *limits, None]
    return tuple(
        StyleClass(shade, low, high) for shade, low, high in zip(shades, edges, edges[1:], strict=False)
    ), None


def _categories(values: Sequence[Any], rule: StyleRule) -> tuple[tuple[StyleClass, ...], str | None]:
    """The most frequent values get a colour of their own, as many as can be told apart."""
    counted = Counter(_shown(value) for value in values if value is not None)
    most = len(OKABE_ITO) - 1
    chosen = sorted((value for value, _ in counted.most_common(most)), key=lambda v: (str(type(v)), str(v)))
    palette = rule.palette or "okabe-ito"
    shades = colours(palette, len(chosen))
    other = OKABE_ITO[-1] if len(counted) > most else None
    return tuple(StyleClass(c, value=v) for c, v in zip(shades, chosen, strict=True)), other


def _shown(value: Any) -> str | int | bool:
    return value if isinstance(value, (str, int, bool)) else str(value)
