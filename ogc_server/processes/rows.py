"""Rows that stand in a request, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ogc_server.errors import ParameterError


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], where: str) -> pa.Table:
    """Return the declared columns of rows as Arrow; the others are not looked at."""
    there = {name for row in rows for name in row}
    for name in columns:
        if name not in there:
            raise ParameterError("process.input.column", f"inputs.{where}", name=name)
    made: dict[str, pa.Array] = {}
    for name in columns:
        cells = [row.get(name) for row in rows]
        if any(isinstance(cell, dict | list) for cell in cells):
            raise ParameterError("process.input.cells", f"inputs.{where}", name=name)
        try:
            made[name] = pa.array(cells)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # mixed: as texts
            made[name] = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    return pa.table(made)
