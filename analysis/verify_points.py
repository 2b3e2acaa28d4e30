"""verifikasi-lokasi for a list of points of a request: each with its own code, scheme, tolerance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from analysis.lookup import DesaIndex
from analysis.verify import TOLERANSI_M, Rujukan
from analysis.verify_batch import Verifier
from catalog.errors import QueryError
from catalog.model import Scheme

MOST_POINTS = 10_000

type Rules = Callable[[Scheme | None, int | None], Rujukan]
"""Gives what is known of codes for a claim's scheme and vintage (`analysis.inputs.reference_for`)."""


def verify_points(
    index: DesaIndex, titik: Sequence[Mapping[str, Any]], *, rules: Rules | None = None
) -> list[dict[str, Any]]:
    """Verify up to 10,000 points; answers in their order, as `Hasil.as_dict` has them.

    A point has `lon`, `lat`, `kode` and may have `skema`, `vintage`, `toleransi_m`. QueryError names
    what can not be used (`titik[3].skema`).
    """
    if len(titik) > MOST_POINTS:
        raise QueryError(f"{len(titik)} points; at most {MOST_POINTS} in one request", where="titik")
    groups: dict[tuple[Scheme | None, int | None, float], list[int]] = defaultdict(list)
    for number, point in enumerate(titik):
        groups[_choices(point, number)].append(number)
    found: list[dict[str, Any]] = [{}] * len(titik)
    for (skema, vintage, tolerance), numbers in groups.items():
        known = rules(skema, vintage) if rules else None
        verifier = Verifier(index, skema=skema, vintage=vintage, toleransi_m=tolerance, rujukan=known)
        answer = verifier.verify(_batch([titik[number] for number in numbers]))
        for number, row in zip(numbers, answer.to_pylist(), strict=True):
            found[number] = _plain(row)
    return found


def _choices(point: Mapping[str, Any], number: int) -> tuple[Scheme | None, int | None, float]:
    skema, vintage = point.get("skema"), point.get("vintage")
    if skema not in (None, "kemendagri", "bps"):
        raise QueryError(f"unknown scheme {skema!r}", where=f"titik[{number}].skema")
    if vintage is not None and (isinstance(vintage, bool) or not isinstance(vintage, int)):
        raise QueryError("vintage is a year", where=f"titik[{number}].vintage")
    tolerance = point.get("toleransi_m")
    tolerance = TOLERANSI_M if tolerance is None else tolerance
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance <= 100_000:
        raise QueryError("toleransi_m is 0 to 100000 metres", where=f"titik[{number}].toleransi_m")
    return cast("Scheme | None", skema), vintage, float(tolerance)


def _batch(points: list[Mapping[str, Any]]) -> pa.RecordBatch:
    """Write all cells as text: numbers, texts and nothing may stand side by side in a request."""

    def column(name: str) -> pa.Array:
        values = (point.get(name) for point in points)
        return pa.array(
            [None if v is None else v if isinstance(v, str) else repr(v) for v in values], pa.string()
        )

    return pa.record_batch({name: column(name) for name in ("lon", "lat", "kode")})


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    found = {name: row[name] for name in ("verdik", "kode_nyata", "nama_nyata", "jarak_m")}
    if found["jarak_m"] is not None:
        found["jarak_m"] = round(found["jarak_m"], 3)
    if row["menjadi"]:
        found["menjadi"] = row["menjadi"].split()
    if row["alasan"]:
        found["alasan"] = row["alasan"]
    if row["usulan_lon"] is not None:
        found["usulan"] = {"lon": row["usulan_lon"], "lat": row["usulan_lat"]}
    return found
