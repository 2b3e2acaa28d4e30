"""respons-cepat (U9): one event answered whole.

Over HTTP it is only answered: nobody is known here, so nothing is published and nobody is told; that
is done by the responder alone (`ogc_server.response`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field

from analysis.earthquake import Gempa
from analysis.places import places_of_codes
from analysis.result import Result
from catalog.errors import NotFoundError
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import ROW, ROWS, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import GeoJson, Inputs
from ogc_server.processes.wilayah_terdampak import GempaMasukan
from ogc_server.response.answer import answer_to, rules_of, watched
from ogc_server.response.drawn import area_of
from ogc_server.response.event import Event, event_of, event_of_area, event_of_quake
from ogc_server.response.tables import summary


class ResponsCepat(Inputs):
    """An event of a collection, an earthquake, or an area."""

    kejadian: str | None = Field(default=None, min_length=1, max_length=200)
    gempa: GempaMasukan | None = None
    area: GeoJson | None = None
    mmi_minimum: float | None = Field(default=None, ge=1, le=10)

    def check(self) -> None:
        """Demand exactly one of the three; an area is shaken by nothing."""
        if self.one_of("kejadian", "gempa", "area") == "area":
            area_of(self.area or {}, "inputs.area")
            if self.mmi_minimum is not None:
                raise ParameterError("process.input.belongs", "inputs.mmi_minimum", names="kejadian, gempa")


def respons_cepat(bench: Bench, inputs: ResponsCepat) -> dict[str, Any]:
    """Return who is hit, what is near, what is sent, and where this is published already."""
    settings = bench.desk.settings
    rules = rules_of(settings)
    if inputs.mmi_minimum is not None:
        rules = replace(rules, least_mmi=inputs.mmi_minimum)
    event = _event(bench, inputs)
    answer, _, _ = answer_to(bench, event, rules=rules, exercise=False)
    found = answer.found
    return {
        "ringkasan": summary(found),
        "desa": [one.as_dict() for one in found.dampak.desa],
        "terdekat": [near.as_dict() for near in found.terdekat()],
        "kiriman": [
            {
                "item": s.item, "kode": s.kode, "gudang": s.warehouse, "jumlah": s.amount,
                "jarak_m": round(s.cost, 1),
            }
            for s in found.rencana.shipments
        ],
        "tidak_terpenuhi": [
            {"item": u.item, "kode": u.kode, "jumlah": u.amount, "alasan": u.reason.value}
            for u in found.rencana.unmet
        ],
        "koleksi": _published(bench, inputs.kejadian),
        "lapisan": {name: f"{info.layer_id} v{info.version}" for name, info in answer.used.items()},
        "sumber_intensitas": found.dampak.sumber_intensitas or None,
        "catatan": list(found.catatan),
    }  # fmt: skip


def _event(bench: Bench, inputs: ResponsCepat) -> Event:
    if inputs.gempa is not None:
        return event_of_quake(Gempa(**inputs.gempa.model_dump()))
    if inputs.area is not None:
        return event_of_area(area_of(inputs.area, "inputs.area"))
    for layer, kind in watched(bench.desk.settings).items():
        feature = bench.desk.feature(bench.snapshot, layer, inputs.kejadian or "")
        event = None if feature is None else event_of(feature, layer, kind)
        if event is not None:
            return event
    raise ParameterError("process.input.no-event", "inputs.kejadian")


def _published(bench: Bench, event_id: str | None) -> list[dict[str, str]]:
    """Return the public collections that the responder made of this event."""
    if event_id is None:
        return []
    try:
        known = bench.desk.catalog.responses.get(event_id)
    except NotFoundError:
        return []
    names = (known.dataset_id, f"{known.dataset_id}-rencana") if known.dataset_id else ()
    base = (bench.desk.settings.server.url or "").rstrip("/")
    visible = bench.snapshot.visible()
    return [{"id": name, "href": f"{base}/collections/{name}"} for name in names if name in visible]


def _show(bench: Bench, value: Any, inputs: ResponsCepat | None) -> Result:
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, [row["kode"] for row in value["desa"]])
    return Result(value, value["desa"], places)


_AREA = (
    '{"type": "Polygon", "coordinates": [[[107.1, -6.9], [107.2, -6.9], [107.2, -6.8], [107.1, -6.8], '
    "[107.1, -6.9]]]}"
)
_SAMPLE_AREA = (
    '{"type": "Polygon", "coordinates": [[[108.28, -8.93], [108.33, -8.93], [108.33, -8.9], [108.28, -8.9], '
    "[108.28, -8.93]]]}"
)
PROCESS = Process(
    "respons-cepat", ResponsCepat, respons_cepat,
    object_of(ringkasan=ROW, desa=ROWS, terdekat=ROWS, kiriman=ROWS, tidak_terpenuhi=ROWS, koleksi=ROWS,
              lapisan=ROW, catatan={"type": "array"}), _show,
    {"gempa": '{"lon": 107.05, "lat": -6.84, "magnitudo": 5.6, "kedalaman_km": 11}', "area": _AREA},
    {"gempa": '{"lon": 108.29, "lat": -8.92, "magnitudo": 5.6, "kedalaman_km": 11}', "area": _SAMPLE_AREA},
    {"gempa": ("gempa", "mmi_minimum"), "kejadian": ("kejadian",), "daerah": ("area",)},
)  # fmt: skip
