"""Stocks, needs and costs from tables, and the plan as tables: the same for every door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.allocate import Costs, Need, Plan, Stock
from analysis.places import lines_of, points_of
from catalog.errors import QueryError
from layers.contract import Geometries

STOCK_COLUMNS = ("gudang", "item", "jumlah", "lon", "lat", "status")
NEED_COLUMNS = ("kode", "item", "jumlah", "lon", "lat", "bobot")
COST_COLUMNS = ("gudang", "kode", "biaya")


def stocks_of(rows: Sequence[Mapping[str, Any]]) -> list[Stock]:
    """Read `gudang, item, jumlah` and, where there are, `lon, lat, status` (default `dirilis`)."""
    return [
        Stock(
            _text(row, "gudang", f"stok[{number}]"),
            _text(row, "item", f"stok[{number}]"),
            _whole(row, "jumlah", f"stok[{number}]"),
            _number(row, "lon", f"stok[{number}]"),
            _number(row, "lat", f"stok[{number}]"),
            str(row.get("status") or "dirilis").strip().lower(),
        )
        for number, row in enumerate(rows)
    ]


def needs_of(rows: Sequence[Mapping[str, Any]]) -> list[Need]:
    """Read `kode, item, jumlah` and, where there are, `lon, lat, bobot` (default 1)."""
    found = []
    for number, row in enumerate(rows):
        where = f"kebutuhan[{number}]"
        weight = _number(row, "bobot", where)
        found.append(
            Need(
                _text(row, "kode", where),
                _text(row, "item", where),
                _whole(row, "jumlah", where),
                _number(row, "lon", where),
                _number(row, "lat", where),
                1.0 if weight is None else weight,
            )
        )
    return found


def costs_of(rows: Sequence[Mapping[str, Any]]) -> Costs:
    """Read `gudang, kode, biaya`."""
    found: dict[tuple[str, str], float] = {}
    for number, row in enumerate(rows):
        where = f"biaya[{number}]"
        cost = _number(row, "biaya", where)
        if cost is None:
            raise QueryError("a number is missing", where=f"{where}.biaya")
        found[_text(row, "gudang", where), _text(row, "kode", where)] = cost
    return found


def plan_table(plan: Plan) -> pa.Table:
    """Return `item, kode, gudang, jumlah, biaya, alasan`: what is sent, then (no gudang) what is not."""
    rows = [
        {"item": s.item, "kode": s.kode, "gudang": s.warehouse, "jumlah": s.amount, "biaya": s.cost}
        for s in plan.shipments
    ] + [{"item": u.item, "kode": u.kode, "jumlah": u.amount, "alasan": u.reason.value} for u in plan.unmet]
    texts = [pa.field(name, pa.string()) for name in ("item", "kode", "gudang")]
    figures = [pa.field("jumlah", pa.int64()), pa.field("biaya", pa.float64())]
    return pa.Table.from_pylist(rows, pa.schema([*texts, *figures, pa.field("alasan", pa.string())]))


def placed_plan(
    rows: Sequence[Mapping[str, Any]], stocks: Sequence[Stock], needs: Sequence[Need]
) -> list[dict[str, Any]]:
    """Add to the rows of a plan where they are: `gudang_lon, gudang_lat` and, of the desa, `lon, lat`."""
    begin = {one.warehouse: (one.lon, one.lat) for one in reversed(stocks)}
    end = {one.kode: (one.lon, one.lat) for one in reversed(needs)}
    found = []
    for row in rows:
        lon, lat = begin.get(row["gudang"], (None, None))
        to_lon, to_lat = end.get(row["kode"], (None, None))
        found.append({**row, "gudang_lon": lon, "gudang_lat": lat, "lon": to_lon, "lat": to_lat})
    return found


def plan_places(rows: Sequence[Mapping[str, Any]]) -> Geometries:
    """Return a line from warehouse to desa for what is sent, the desa's point for what is not."""
    lines = lines_of(rows, ("gudang_lon", "gudang_lat"), ("lon", "lat"))
    points = points_of(rows)
    sent = np.array([bool(row.get("gudang")) for row in rows], bool)
    return np.where(sent, lines, points)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None or not str(value).strip():
        raise QueryError("a value is missing", where=f"{where}.{name}")
    return str(value).strip()


def _number(row: Mapping[str, Any], name: str, where: str) -> float | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise QueryError("not a number", where=f"{where}.{name}") from None


def _whole(row: Mapping[str, Any], name: str, where: str) -> int:
    value = _number(row, name, where)
    if value is None or value != value or not value.is_integer():
        raise QueryError("a whole number is needed", where=f"{where}.{name}")
    return int(value)
