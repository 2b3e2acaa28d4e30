"""The processes in one table: id, inputs, work. Descriptions are made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.messages import Lang, text
from ogc_server.processes import work
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NoSuchProcessError
from ogc_server.processes.inputs import (
    Agregasi,
    AlokasiBantuan,
    BantuanTerdekat,
    Inputs,
    Rekonsiliasi,
    StatistikZonal,
    VerifikasiLokasi,
    WilayahTerdampak,
    schema_of,
)

VERSION = "1.0.0"
OUTPUT = "hasil"
CONTROL = ("sync-execute", "async-execute", "dismiss")

_ROW = {"type": "object"}
_ROWS = {"type": "array", "items": _ROW}
_NUMBER = {"type": "number", "nullable": True}
_TEXT = {"type": "string", "nullable": True}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_VERDICT = _object(
    verdik={"type": "string"}, kode_nyata=_TEXT, nama_nyata=_TEXT, jarak_m=_NUMBER
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its inputs (a model), its work, the schema of its one output, examples for the form."""

    id: str
    model: type[Inputs]
    run: Callable[[Bench, Any], Any]
    output: Mapping[str, Any]
    examples: Mapping[str, str] = field(default_factory=dict)

    def title(self, lang: Lang) -> str:
        """Return its name for people."""
        return text(f"process.{self.id}.title", lang)

    def summary(self, base: str, lang: Lang) -> dict[str, Any]:
        """Return what the list of processes says of it."""
        return {
            "id": self.id, "title": self.title(lang), "description": text(f"process.{self.id}.text", lang),
            "version": VERSION, "jobControlOptions": list(CONTROL), "outputTransmission": ["value"],
        }  # fmt: skip

    def inputs(self, lang: Lang) -> dict[str, Any]:
        """Return the description of every input."""
        schema = schema_of(self.model)
        required = set(schema.get("required", ()))
        described = {}
        for name, one in schema["properties"].items():
            title, _, more = text(f"process.{self.id}.in.{name}", lang).partition(": ")
            described[name] = {
                "title": title, "description": more or title, "schema": one,
                "minOccurs": int(name in required), "maxOccurs": 1,
            }  # fmt: skip
        return described

    def outputs(self, lang: Lang) -> dict[str, Any]:
        """Return the description of the output."""
        said = text(f"process.{self.id}.out", lang)
        title = text("process.output", lang)
        return {OUTPUT: {"title": title, "description": said, "schema": dict(self.output)}}


_AREA = (
    '{"type": "Polygon", "coordinates": [[[107.1, -6.9], [107.2, -6.9], [107.2, -6.8], [107.1, -6.8], '
    "[107.1, -6.9]]]}"
)
_RECONCILE = {
    "a": '[{"kode": "32.03.01.2001", "nilai": 10}]',
    "b": '[{"kode": "32.03.01.2001", "nilai": 12}]',
    "kunci": "kode",
    "nilai": '["nilai"]',
}
_ALLOCATE = {
    "kebutuhan": '[{"kode": "32.03.01.2001", "item": "beras", "jumlah": 10, "lon": 107.13, "lat": -6.82}]',
    "stok": '[{"gudang": "A", "item": "beras", "jumlah": 8, "lon": 107.1, "lat": -6.8}]',
}

PROCESSES = {
    one.id: one
    for one in (
        Process(
            "verifikasi-lokasi", VerifikasiLokasi, work.verifikasi_lokasi,
            {"type": "array", "items": _VERDICT},
            {"lon": "107.139", "lat": "-6.822", "kode": "32.03.01.2001"},
        ),
        Process(
            "wilayah-terdampak", WilayahTerdampak, work.wilayah_terdampak,
            _object(desa=_ROWS, wilayah=_ROW, metode_luas={"type": "string"}, catatan={"type": "array"}),
            {"area": _AREA, "gempa": '{"lon": 107.05, "lat": -6.86, "magnitudo": 5.6, "kedalaman_km": 11}'},
        ),
        Process(
            "bantuan-terdekat", BantuanTerdekat, work.bantuan_terdekat, _ROWS,
            {"asal": '{"type": "Point", "coordinates": [107.139, -6.822]}'},
        ),
        Process(
            "alokasi-bantuan", AlokasiBantuan, work.alokasi_bantuan,
            _object(kiriman=_ROWS, tidak_terpenuhi=_ROWS, ringkasan=_ROWS), _ALLOCATE,
        ),
        Process(
            "rekonsiliasi", Rekonsiliasi, work.rekonsiliasi, _object(jumlah=_ROW, baris=_ROWS), _RECONCILE
        ),
        Process(
            "agregasi", Agregasi, work.agregasi, _object(baris=_ROWS, dibaca={"type": "integer"}),
            {"data": '[{"kode": "32.03.01.2001", "program": "PKH"}]', "menurut": '["program"]'},
        ),
        Process(
            "statistik-zonal", StatistikZonal, work.statistik_zonal, _ROWS,
            {"batas_kelas": "[0, 0.5, 1]"},
        ),
    )
}  # fmt: skip


def find(process_id: str) -> Process:
    """Return a process; NoSuchProcessError when there is none of this id."""
    found = PROCESSES.get(process_id)
    if found is None:
        raise NoSuchProcessError
    return found
