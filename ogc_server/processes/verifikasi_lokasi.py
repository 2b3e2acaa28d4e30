"""verifikasi-lokasi (U8): does a point lie in the desa of its claimed code."""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from analysis.places import places_of_codes, points_of
from analysis.result import Result
from analysis.verify import verify_point
from analysis.verify_points import verify_points
from catalog.model import Scheme
from catalog.settings import Settings
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import NUMBER, TEXT, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_POINTS, Inputs, Year
from ogc_server.processes.register import Register, register_path, verified

_WAYS = "berkas_register, koleksi, titik, lon + lat + kode"


class Titik(BaseModel):
    """One point and what is claimed of it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    lon: float | str | None
    lat: float | str | None
    kode: str | int
    skema: Scheme | None = None
    vintage: Year | None = None
    toleransi_m: float = Field(default=100, ge=0, le=100_000)


class VerifikasiLokasi(Inputs):
    """One point, or a list of points."""

    lon: float | str | None = None
    lat: float | str | None = None
    kode: str | int | None = None
    skema: Scheme | None = None
    vintage: Year | None = None
    toleransi_m: float = Field(default=100, ge=0, le=100_000)
    titik: list[Titik] | None = Field(default=None, min_length=1, max_length=MAX_POINTS)
    koleksi: str | None = Field(default=None, min_length=1, max_length=200)
    kolom_kode: str = ""
    berkas_register: Register | None = None

    def check_here(self, settings: Settings, *, later: bool) -> None:
        """Take a register only as a job, and only one that is there."""
        if self.berkas_register is not None:
            if not later:
                raise ParameterError("process.input.job", "inputs.berkas_register")
            register_path(settings.processes.registers, self.berkas_register.berkas)

    def check(self) -> None:
        """Demand the fields of one point, or `titik`, `koleksi` or `berkas_register` alone."""
        single = self.model_fields_set & {"lon", "lat", "kode"}
        ways = ("berkas_register", "koleksi", "titik")
        several = [name for name in ways if getattr(self, name) is not None]
        if len(several) > 1 or (several and single):
            raise ParameterError("process.input.one", f"inputs.{several[0]}", names=_WAYS)
        if self.kolom_kode and self.koleksi is None:
            raise ParameterError("process.input.missing", "inputs.koleksi")
        if not several:
            for name in ("lon", "lat", "kode"):
                if name not in self.model_fields_set:
                    raise ParameterError("process.input.missing", f"inputs.{name}")
            if self.kode is None:
                raise ParameterError("process.input.missing", "inputs.kode")

    def points(self) -> list[Titik]:
        """Return the points; what stands beside `titik` is the default of each."""
        if self.titik is not None:
            shared = {name: getattr(self, name) for name in ("skema", "vintage", "toleransi_m")}
            return [
                one.model_copy(update={k: v for k, v in shared.items() if k not in one.model_fields_set})
                for one in self.titik
            ]
        return [Titik(**{name: getattr(self, name) for name in Titik.model_fields})]


def verifikasi_lokasi(bench: Bench, inputs: VerifikasiLokasi) -> list[dict[str, Any]]:
    """Return one verdict per point, in their order."""
    if inputs.berkas_register is not None:
        return verified(bench, inputs.berkas_register, inputs.skema, inputs.vintage, inputs.toleransi_m)
    if inputs.koleksi is not None:
        return _of_collection(bench, inputs, inputs.koleksi)
    points = inputs.points()
    if len(points) > 1:
        return _many(bench, points)
    [one] = points
    with bench.desk.desa(bench.snapshot, "point") as index:
        rules = bench.desk.rules(bench.snapshot, index, one.skema, one.vintage)
        verdict = verify_point(
            index, one.lon, one.lat, one.kode, skema=one.skema, vintage=one.vintage,
            toleransi_m=one.toleransi_m, rujukan=rules,
        )  # fmt: skip
    return [verdict.as_dict()]


def _many(bench: Bench, points: list[Titik]) -> list[dict[str, Any]]:
    asked = [{name: getattr(one, name) for name in Titik.model_fields} for one in points]
    with bench.desk.desa(bench.snapshot, "area") as index:
        rules = partial(bench.desk.rules, bench.snapshot, index)
        return verify_points(index, asked, rules=rules)


def _of_collection(bench: Bench, inputs: VerifikasiLokasi, name: str) -> list[dict[str, Any]]:
    """Verify the points of a public collection (addresses, facilities) against the code each one names."""
    known = bench.desk.claims(bench.snapshot, name, inputs.kolom_kode)
    said = inputs.skema or known.scheme, inputs.vintage or known.vintage
    found: list[dict[str, Any]] = []
    with bench.desk.desa(bench.snapshot, "area") as index:
        rules = partial(bench.desk.rules, bench.snapshot, index)
        for first in range(0, len(known.rows), MAX_POINTS):
            some = known.rows[first : first + MAX_POINTS]
            asked = [
                {"lon": lon, "lat": lat, "kode": kode, "skema": said[0], "vintage": said[1],
                 "toleransi_m": inputs.toleransi_m}
                for _, lon, lat, kode in some
            ]  # fmt: skip
            verdicts = verify_points(index, asked, rules=rules)
            found += [
                {"id": row[0], "lon": row[1], "lat": row[2], **verdict}
                for row, verdict in zip(some, verdicts, strict=True)
            ]
            bench.report(len(found), len(known.rows))
    return found


_VERDICT = object_of(verdik={"type": "string"}, kode_nyata=TEXT, nama_nyata=TEXT, jarak_m=NUMBER)


def _show(bench: Bench, value: Any, inputs: VerifikasiLokasi | None) -> Result:
    """Verdicts are at their points, unless these are forgotten with the job; sums are at their region."""
    if value and "verdik" not in value[0]:
        with bench.desk.desa(bench.snapshot, "area") as index:
            return Result(value, value, places_of_codes(index, [row["kode"] for row in value]))
    if value and "lon" in value[0]:  # points of a public collection
        return Result(value, value, points_of(value))
    places = None if inputs is None else points_of(one.model_dump() for one in inputs.points())
    return Result(value, value, places)


_SUMS = object_of(kode=TEXT, jumlah={"type": "integer"})

PROCESS = Process(
    "verifikasi-lokasi", VerifikasiLokasi, verifikasi_lokasi,
    {"type": "array", "items": {"oneOf": [_VERDICT, _SUMS]}}, _show,
    {"lon": "107.139", "lat": "-6.822", "kode": "32.03.01.2001"},
    {"lon": "108.2917", "lat": "-8.9210", "kode": "99.01.01.1001"},
    {
        "titik": ("lon", "lat", "kode"), "daftar": ("titik",), "koleksi": ("koleksi", "kolom_kode"),
        "register": ("berkas_register",),
    },
)  # fmt: skip
