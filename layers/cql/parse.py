"""Read CQL2 filters safely, and move their geometries to another CRS."""

from __future__ import annotations

import copy
from typing import Any

import shapely
from pygeofilter import ast, values

from catalog.errors import QueryError
from layers.cql.json import parse_json
from layers.cql.nodes import MAX_DEPTH, MAX_LENGTH, nesting
from layers.cql.text import parse_text
from layers.crs import crs_of, latitude_first, transform

LANGUAGES = {"cql2-text": parse_text, "cql2-json": parse_json}


def parse_filter(text: str, lang: str = "cql2-text") -> Any:
    """Return pygeofilter's syntax tree of a filter (`cql2-text` or `cql2-json`).

    QueryError for an unknown language, a filter that is too long, too deep or wrong (with the place).
    """
    if lang not in LANGUAGES:
        raise QueryError(f"filter-lang {lang!r} is not one of {', '.join(LANGUAGES)}")
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the filter is longer than {MAX_LENGTH} characters")
    if "\0" in text:
        raise QueryError("the filter holds a NUL character")
    if nesting(text) > MAX_DEPTH:
        raise QueryError(f"the filter nests deeper than {MAX_DEPTH}")
    return LANGUAGES[lang](text)


def transform_filter(node: Any, source: str, target: str) -> Any:
    """Return the filter with its geometries moved from CRS `source` to x, y of CRS `target`.

    `source` is what the client named in `filter-crs`: its coordinates follow that CRS's own axis
    order (latitude first for the URI of EPSG:4326, longitude first for CRS84).
    """
    crs_of(source), crs_of(target)
    swap = latitude_first(source)
    if not swap and source == target:
        return node

    def move(found: values.Geometry) -> values.Geometry:
        shape = shapely.geometry.shape(found.geometry)
        if swap:
            shape = shapely.transform(shape, lambda xy: xy[:, ::-1])
        moved = transform(shape, source, target)
        if not shapely.is_empty(moved) and not _finite(moved):
            raise QueryError(f"a geometry of the filter does not lie in the world of {source}")
        return values.Geometry(shapely.geometry.mapping(moved))

    return _map(node, move)


def _finite(shape: shapely.Geometry) -> bool:
    coordinates = shapely.get_coordinates(shape)
    return bool((abs(coordinates) < float("inf")).all())


def _map(node: Any, move: Any) -> Any:
    if isinstance(node, values.Geometry):
        return move(node)
    if isinstance(node, values.Envelope):
        return move(values.Geometry(node.geometry))
    if isinstance(node, list):
        return [_map(item, move) for item in node]
    if not isinstance(node, ast.Node):
        return node
    changed = copy.copy(node)
    for name, value in vars(node).items():
        setattr(changed, name, _map(value, move))
    return changed
