"""wilayah-terdampak (U5): which desa an area, a raster, an event or an earthquake hits, and who is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from analysis.affected import affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa
from analysis.events import hazard_of_event
from analysis.hazard_raster import affected_by_raster, thresholds_of
from analysis.impact import Dampak
from analysis.inputs import hazards_of
from analysis.lookup import DesaIndex
from analysis.places import places_of_codes
from analysis.result import Result
from analysis.shakemap import affected_by_shakemap, read_grid_xml
from catalog.errors import NotFoundError
from ogc_server.errors import ParameterError
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
    """An area, a raster with thresholds, an event, an earthquake or its ShakeMap."""

    area: GeoJson | None = None
    kejadian: str | None = Field(default=None, min_length=1, max_length=200)
    koleksi: str | None = Field(default=None, min_length=1, max_length=200)
    versi: int | None = Field(default=None, ge=1)
    gempa: GempaMasukan | None = None
    shakemap: str | None = Field(
        default=None, min_length=1, json_schema_extra={"contentMediaType": "application/xml"}
    )
    mmi_minimum: float = Field(default=5, ge=1, le=10)
    raster: str | None = Field(default=None, min_length=1, max_length=200)
    ambang: list[float] = Field(default_factory=list, max_length=50)
    kelas: list[str] = Field(default_factory=list, max_length=50)
    kelas_desa: Literal["tertinggi", "terbanyak"] = "tertinggi"
    band: int = Field(default=1, ge=1)

    def check(self) -> None:
        """Demand exactly one kind of hazard, and what belongs to it."""
        chosen = self.one_of("area", "kejadian", "gempa", "shakemap", "raster")
        if chosen == "raster" and not self.ambang:
            raise ParameterError("process.input.missing", "inputs.ambang")
        for name, owners in (
            ("ambang", ["raster"]), ("kelas", ["raster"]), ("kelas_desa", ["raster"]),
            ("band", ["raster", "shakemap"]), ("koleksi", ["kejadian"]), ("versi", ["kejadian"]),
        ):  # fmt: skip
            if name in self.model_fields_set and getattr(self, name) and chosen not in owners:
                raise ParameterError("process.input.belongs", f"inputs.{name}", names=", ".join(owners))


def wilayah_terdampak(bench: Bench, inputs: WilayahTerdampak) -> dict[str, Any]:
    """Return the desa that are hit, the larger regions, and how it was found out."""
    if inputs.raster is not None:
        return _impact(_raster(bench, inputs, inputs.raster))
    if inputs.shakemap is not None:
        return _impact(_shakemap(bench, inputs, inputs.shakemap))
    area: Mapping[str, Any] | None = inputs.area
    quake: Gempa | None = None
    notes: tuple[str, ...] = ()
    if inputs.gempa is not None:
        quake = Gempa(**inputs.gempa.model_dump())
    elif inputs.kejadian is not None:
        area, quake, notes = hazard_of_event(_feature(bench, inputs, inputs.kejadian))
    people = bench.desk.people(bench.snapshot)
    with bench.desk.desa(bench.snapshot, "area") as index:
        names = bench.desk.names(bench.snapshot, index)
        if quake is not None:
            found = affected_by_earthquake(
                index, quake, least_mmi=inputs.mmi_minimum, aggregates=people, names=names
            )
        else:
            found = affected_by_area(index, hazards_of(area or {}), aggregates=people, names=names)
    return _impact(replace(found, catatan=(*found.catatan, *notes)))


def _index(bench: Bench) -> DesaIndex:
    """Return the index without holding on to it: a national raster takes long, others may ask meanwhile."""
    with bench.desk.desa(bench.snapshot, "area") as index:
        return index


def _raster(bench: Bench, inputs: WilayahTerdampak, name: str) -> Dampak:
    index = _index(bench)
    return affected_by_raster(
        index,
        bench.desk.raster(bench.snapshot, name),
        thresholds_of(inputs.ambang, inputs.kelas),
        band=inputs.band,
        rule=inputs.kelas_desa,
        aggregates=bench.desk.people(bench.snapshot),
        names=bench.desk.names(bench.snapshot, index),
        progress=bench.report,
    )


def _shakemap(bench: Bench, inputs: WilayahTerdampak, given: str) -> Dampak:
    """Take the text of a grid.xml, or the name of a raster of MMI. Nothing is fetched."""
    inline = given.lstrip("\ufeff \r\n\t").startswith("<")
    chosen = read_grid_xml(given) if inline else bench.desk.raster(bench.snapshot, given, "shakemap")
    index = _index(bench)
    found = affected_by_shakemap(
        index,
        chosen,
        least_mmi=inputs.mmi_minimum,
        band=inputs.band,
        aggregates=bench.desk.people(bench.snapshot),
        names=bench.desk.names(bench.snapshot, index),
    )
    return found if inline else replace(found, sumber_intensitas=f"MMI: {given}")


def _feature(bench: Bench, inputs: WilayahTerdampak, event_id: str) -> Mapping[str, Any]:
    try:
        return bench.desk.event(bench.snapshot, event_id, inputs.koleksi, inputs.versi)
    except NotFoundError as error:
        raise ParameterError("process.input.no-event", f"inputs.{error.where}") from None


def _impact(found: Dampak) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "desa": [one.as_dict() for one in found.desa],
        "wilayah": {level: [one.as_dict() for one in rows] for level, rows in found.wilayah.items()},
        "metode_luas": found.metode_luas,
    }
    if found.sumber_intensitas:
        answer["sumber_intensitas"] = found.sumber_intensitas
    if found.tanpa_data:
        answer["tanpa_data"] = list(found.tanpa_data)
    return answer | {"catatan": list(found.catatan)}


def _show(bench: Bench, value: Any, inputs: WilayahTerdampak | None) -> Result:
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, [row["kode"] for row in value["desa"]])
    return Result(value, value["desa"], places)


_AREA = (
    '{"type": "Polygon", "coordinates": [[[107.1, -6.9], [107.2, -6.9], [107.2, -6.8], [107.1, -6.8], '
    "[107.1, -6.9]]]}"
)
_SAMPLE_AREA = (
    '{"type": "Polygon", "coordinates": '
    "[[[108.28, -8.93], [108.33, -8.93], [108.33, -8.9], [108.28, -8.9], [108.28, -8.93]]]}"
)

PROCESS = Process(
    "wilayah-terdampak", WilayahTerdampak, wilayah_terdampak,
    object_of(desa=ROWS, wilayah=ROW, metode_luas={"type": "string"}, catatan={"type": "array"}), _show,
    {
        "area": _AREA, "gempa": '{"lon": 107.05, "lat": -6.86, "magnitudo": 5.6, "kedalaman_km": 11}',
        "ambang": "[0.33, 0.66]", "kelas": '["sedang", "tinggi"]',
    },
    {
        "area": _SAMPLE_AREA, "gempa": '{"lon": 108.29, "lat": -8.92, "magnitudo": 5.6, "kedalaman_km": 11}',
        "raster": "contoh-indeks-bahaya", "ambang": "0.33; 0.66", "kelas": "sedang, tinggi",
    },
    {
        "daerah": ("area",), "gempa": ("gempa", "mmi_minimum"), "kejadian": ("kejadian", "koleksi", "versi"),
        "raster": ("raster", "ambang", "kelas", "band"), "shakemap": ("shakemap",),
    },
)  # fmt: skip
