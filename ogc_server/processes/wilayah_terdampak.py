"""wilayah-terdampak (U5): which desa an area, an event or an earthquake hits, and who is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from analysis.affected import Dampak, affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.inputs import hazards_of
from analysis.places import places_of_codes
from analysis.result import Result
from catalog.errors import QueryError
from ogc_server.processes.definition import ROW, ROWS, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import GeoJson, Inputs


class GempaMasukan(BaseModel):
    """An earthquake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    magnitudo: float = Field(gt=0, le=10)
    kedalaman_km: float = Field(ge=0, le=800)


class WilayahTerdampak(Inputs):
    """An area, an event or an earthquake."""

    area: GeoJson | None = None
    kejadian: str | None = Field(default=None, min_length=1, max_length=200)
    gempa: GempaMasukan | None = None
    mmi_minimum: float = Field(default=5, ge=1, le=10)

    def check(self) -> None:
        """Demand exactly one of the three."""
        self.one_of("area", "kejadian", "gempa")


def wilayah_terdampak(bench: Bench, inputs: WilayahTerdampak) -> dict[str, Any]:
    """Return the desa that are hit, the larger regions, and how it was found out."""
    people = bench.desk.people(bench.snapshot)
    area: Mapping[str, Any] | None = inputs.area
    quake: Gempa | None = None
    if inputs.gempa is not None:
        quake = Gempa(**inputs.gempa.model_dump())
    elif inputs.kejadian is not None:
        area, quake = _event(bench.desk.event(bench.snapshot, inputs.kejadian))
    with bench.desk.desa(bench.snapshot, "area") as index:
        if quake is not None:
            found = affected_by_earthquake(index, quake, least_mmi=inputs.mmi_minimum, aggregates=people)
        else:
            found = affected_by_area(index, hazards_of(area or {}), aggregates=people)
    return _impact(found)


def _event(feature: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Gempa | None]:
    said, geometry = feature.get("properties") or {}, feature.get("geometry") or {}
    magnitude, depth = said.get("magnitudo"), said.get("kedalaman_km")
    if geometry.get("type") == "Point" and magnitude is not None and depth is not None:
        lon, lat = geometry["coordinates"][:2]
        return None, Gempa(float(lon), float(lat), float(magnitude), float(depth))
    if geometry.get("type") in {"Polygon", "MultiPolygon"}:
        return feature, None
    raise QueryError("the event has neither an area nor magnitude and depth", where="kejadian")


def _impact(found: Dampak) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "desa": [one.as_dict() for one in found.desa],
        "wilayah": {level: [one.as_dict() for one in rows] for level, rows in found.wilayah.items()},
        "metode_luas": found.metode_luas,
    }
    if found.sumber_intensitas:
        answer["sumber_intensitas"] = found.sumber_intensitas
    return answer | {"catatan": list(found.catatan)}


def _show(bench: Bench, value: Any, inputs: WilayahTerdampak | None) -> Result:
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, [row["kode"] for row in value["desa"]])
    return Result(value, value["desa"], places)


_AREA = (
    '{"type": "Polygon", "coordinates": [[[107.1, -6.9], [107.2, -6.9], [107.2, -6.8], [107.1, -6.8], '
    "[107.1, -6.9]]]}"
)
PROCESS = Process(
    "wilayah-terdampak", WilayahTerdampak, wilayah_terdampak,
    object_of(desa=ROWS, wilayah=ROW, metode_luas={"type": "string"}, catatan={"type": "array"}), _show,
    {"area": _AREA, "gempa": '{"lon": 107.05, "lat": -6.86, "magnitudo": 5.6, "kedalaman_km": 11}'},
)  # fmt: skip
