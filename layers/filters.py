"""From a CQL2 syntax tree (pygeofilter's nodes) to SQL for either store."""

from __future__ import annotations

from typing import Any

from catalog.errors import QueryError
from catalog.model import LayerSchema
from layers.sql import Dialect, Sql


def translate(node: Any, schema: LayerSchema, dialect: Dialect) -> Sql:
    """Return the condition; QueryError names what does not fit the schema."""
    raise QueryError("filters come in the next slice")
