"""bantuan-terdekat (U6): the nearest facilities to points, areas or desa."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from analysis.inputs import geometry_of
from analysis.lookup import DesaIndex
from analysis.nearest import Asal, FacilityIndex, Finder, origins_of_codes, origins_of_geometry
from analysis.places import points_of
from analysis.result import Result
from catalog.errors import NotFoundError, QueryError, RecordError
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import ROWS, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_POINTS, GeoJson, Inputs


class BantuanTerdekat(Inputs):
    """From where, which kinds, how many; over roads where there are any, unless told otherwise."""

    asal: GeoJson | Annotated[list[str], Field(min_length=1, max_length=MAX_POINTS)]
    jenis: list[str] = Field(default_factory=list, max_length=100)
    k: int = Field(default=3, ge=1, le=1000)
    jarak_jenis: Literal["jalan", "geodesik"] | None = None


def bantuan_terdekat(bench: Bench, inputs: BantuanTerdekat) -> list[dict[str, Any]]:
    """Return the nearest facilities of each origin, one row each."""
    finder = _finder(bench, inputs)
    if isinstance(inputs.asal, dict):
        origins = origins_of_geometry(geometry_of(inputs.asal, where="asal"))
    else:
        with bench.desk.desa(bench.snapshot, "area") as index:
            origins = [one for number, code in enumerate(inputs.asal) for one in _desa(index, number, code)]
    for one in origins:
        if not (-180 <= one.lon <= 180 and -90 <= one.lat <= 90):
            raise QueryError("the geometry is not in degrees of longitude and latitude", where="asal")
    answers = finder.nearest(origins, k=inputs.k, jenis=inputs.jenis, progress=bench.report)
    return [one.as_dict() for found in answers for one in found]


def _desa(index: DesaIndex, number: int, code: str) -> list[Asal]:
    """Return the place of one desa; ParameterError (which never repeats the code) when there is none."""
    try:
        return origins_of_codes(index, [code])
    except (RecordError, NotFoundError):
        raise ParameterError("process.input.no-desa", f"inputs.asal.{number}") from None


def _finder(bench: Bench, inputs: BantuanTerdekat) -> Finder:
    if inputs.jarak_jenis == "geodesik":
        return bench.desk.facilities(bench.snapshot)
    finder = bench.desk.finder(bench.snapshot)
    if inputs.jarak_jenis == "jalan" and isinstance(finder, FacilityIndex):
        raise ParameterError("process.input.no-roads", "inputs.jarak_jenis")
    return finder


def _show(bench: Bench, value: Any, inputs: BantuanTerdekat | None) -> Result:
    return Result(value, value, points_of(value))


PROCESS = Process(
    "bantuan-terdekat", BantuanTerdekat, bantuan_terdekat, ROWS, _show,
    {"asal": '{"type": "Point", "coordinates": [107.139, -6.822]}'},
    {"asal": '{"type": "Point", "coordinates": [108.29, -8.92]}'},
)  # fmt: skip
