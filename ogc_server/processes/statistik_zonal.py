"""statistik-zonal: statistics of a raster in each desa."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from analysis.lookup import DesaIndex
from analysis.places import places_of_codes
from analysis.result import Result
from analysis.zonal import Zone, zonal, zonal_table
from catalog.codes import parse
from catalog.errors import RecordError
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import ROWS, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_POINTS, Inputs


class StatistikZonal(Inputs):
    """A raster collection, which desa, and the breaks of the classes."""

    raster: str = Field(min_length=1)
    kode: list[str] = Field(default_factory=list, max_length=MAX_POINTS)
    band: int = Field(default=1, ge=1)
    batas_kelas: list[float] = Field(default_factory=list, max_length=50)


def statistik_zonal(bench: Bench, inputs: StatistikZonal) -> list[dict[str, Any]]:
    """Return the statistics of a raster in each desa, all of them unless codes are named."""
    path = bench.desk.raster(bench.snapshot, inputs.raster)
    with bench.desk.desa(bench.snapshot, "area") as opened:
        index = opened  # a national raster takes long, and others may ask meanwhile
    rows = _chosen(index, inputs.kode)
    zones = (
        Zone(index.code(row), shape)
        for part in np.array_split(np.array(rows), max(1, len(rows) // 256))
        for row, shape in zip(part.tolist(), index.polygons.shapes(part), strict=True)
    )
    found = []
    for one in zonal(zones, path, band=inputs.band, breaks=inputs.batas_kelas):
        found.append(one)
        bench.report(len(found), len(rows))
    table: list[dict[str, Any]] = zonal_table(found, inputs.batas_kelas).to_pylist()
    return table


def _chosen(index: DesaIndex, codes: Sequence[str]) -> list[int]:
    if not codes:
        return list(range(len(index)))
    rows: dict[int, None] = {}
    for number, text in enumerate(codes):
        try:
            low, high = index.below(str(parse(text, index.info.skema)))
        except RecordError:
            low = high = 0
        if low == high:
            raise ParameterError("process.input.no-desa", f"inputs.kode.{number}")
        rows.update(dict.fromkeys(range(low, high)))
    return list(rows)


def _show(bench: Bench, value: Any, inputs: StatistikZonal | None) -> Result:
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, [row["kode"] for row in value])
    return Result(value, value, places)


PROCESS = Process(
    "statistik-zonal", StatistikZonal, statistik_zonal, ROWS, _show, {"batas_kelas": "[0, 0.5, 1]"},
    {"raster": "contoh-indeks-bahaya", "kode": "99.01.01", "batas_kelas": "0; 0.5; 1"},
)  # fmt: skip
