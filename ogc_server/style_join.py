"""A table joined to areas by code: which area has which value, in which class, of which colour.

Codes are compared without their dots, because BPS and Kemendagri write the same code both ways. What
is written of it, a MapLibre style or a QGIS file, is `choropleth`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.model import FieldType, LayerSchema
from layers.contract import LayerReader
from layers.style.drawn import Drawn, classify
from layers.style.rule import StyleRule
from layers.tiles.plan import FID, name_column
from ogc_server.errors import ParameterError

_NUMERIC = (FieldType.INTEGER, FieldType.REAL)


@dataclass(frozen=True, slots=True)
class Join:
    """A table's values at the codes of areas: `values` by the code as the tiles spell it."""

    drawn: Drawn
    key: str
    values: dict[str, Any]
    unmatched: int


def join(asked: Mapping[str, Any], table: LayerReader, areas: LayerReader) -> Join:
    """Work out classes, and which area has which value; ParameterError names what was `asked` wrongly."""
    schema = table.info.schema or LayerSchema(())
    column = asked.get("column")
    kind = next((f.type for f in schema.fields if f.name == column), None)
    if column is None or kind is None:
        raise ParameterError("query.style-column", "column")
    rule = _rule(asked, column)
    own = _code_column(schema, asked.get("code"), "code")
    there = _code_column(areas.info.schema or LayerSchema(()), asked.get("geometry-code"), "geometry-code")
    spelled = {_bare(code): code for code, _ in _column(areas, there, None)}
    said = {_bare(code): value for code, value in _column(table, own, column) if value is not None}
    classes, other = classify(list(said.values()), rule, numeric=kind in _NUMERIC)
    shape = areas.info.schema or LayerSchema(())
    drawn = Drawn(areas.info.layer_id, "polygon", rule, column, kind, classes, name_column(shape), other)
    values = {spelled[code]: value for code, value in said.items() if code in spelled}
    return Join(drawn, there or FID, values, len(said) - len(values))


def _rule(given: Mapping[str, Any], column: str) -> StyleRule:
    classes = given.get("classes", 5)
    if not 2 <= classes <= 9:
        raise ParameterError("query.class-count", "classes")
    return StyleRule(
        column=column, classes=classes, method=given.get("method", "jenks"), palette=given.get("palette")
    )


def _code_column(schema: LayerSchema, given: str | None, where: str) -> str | None:
    """Return the column of the codes, None for the feature's id."""
    if given == FID:
        return None
    if given is not None:
        if given not in schema.names():
            raise ParameterError("query.style-column", where)
        return given
    return schema.region_code.field if schema.region_code else None


def _column(reader: LayerReader, code: str | None, value: str | None) -> list[tuple[str, Any]]:
    """Return (code, value) of all rows that have a code."""
    names = [name for name in dict.fromkeys((code, value)) if name is not None]
    found = []
    for batch in reader.batches(names, geometry=False):
        for feature_id, row in zip(batch.ids, batch.rows, strict=True):
            spelled = feature_id if code is None else row[code]
            if spelled is not None:
                found.append((str(spelled), None if value is None else row[value]))
    return found


def _bare(code: str) -> str:
    return code.replace(".", "").strip()


def class_numbers(joined: Join) -> dict[str, int]:
    """Return code -> number of its class; codes whose value has no colour are left out."""
    drawn = joined.drawn
    numbers: dict[str, int] = {}
    for code, value in joined.values.items():
        number = _class_number(drawn, value)
        if number is not None:
            numbers[code] = number
    return numbers


def _class_number(drawn: Drawn, value: Any) -> int | None:
    if drawn.categorical:
        found = next((n for n, one in enumerate(drawn.classes) if one.value == value), None)
        return len(drawn.classes) if found is None and drawn.other else found
    return next(
        (n for n, one in reversed(list(enumerate(drawn.classes))) if one.low is None or value >= one.low),
        None,
    )


def joined_colour(joined: Join) -> Any:
    """Return `match` from the areas' codes to colours, one branch per class: 83,402 desa are 1.4 MB."""
    drawn = joined.drawn
    colours = [one.colour for one in drawn.classes] + [drawn.other]
    branches: dict[int, list[str]] = {}
    for code, number in class_numbers(joined).items():
        branches.setdefault(number, []).append(code)
    parts = [part for number in sorted(branches) for part in (branches[number], colours[number])]
    if not parts:
        return drawn.rule.no_data
    return ["match", ["get", joined.key], *parts, drawn.rule.no_data]
