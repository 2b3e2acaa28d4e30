"""verifikasi-lokasi for a list of points of a request: each with its own code, scheme, tolerance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from analysis.lookup import DesaIndex
from analysis.verify import TOLERANSI_M, Rujukan
from analysis.verify_batch import RESULT, Verifier
from catalog.errors import QueryError
from catalog.model import Scheme

MOST_POINTS = 10_000

type _Choices = tuple[Scheme | None, int | None, float]
type Rules = Callable[[Scheme | None, int | None], Rujukan]
"""Gives what is known of codes for a claim's scheme and vintage (`analysis.inputs.reference_for`)."""


def verify_points(
    index: DesaIndex, titik: Sequence[Mapping[str, Any]], *, rules: Rules | None = None
) -> list[dict[str, Any]]:
    """Verify up to 10,000 points; answers in their order, as `Hasil.as_dict` has them.

    A point has `lon`, `lat`, `kode` and may have `skema`, `vintage`, `toleransi_m`. `rules` is asked
    once per scheme and vintage. QueryError names what can not be used (`titik[3].skema`).
    """
    if len(titik) > MOST_POINTS:
        raise QueryError(f"{len(titik)} points; at most {MOST_POINTS} in one request", where="titik")
    choices = [_choices(point, number) for number, point in enumerate(titik)]
    found: list[dict[str, Any]] = [{}] * len(titik)
    for (skema, vintage), known, numbers in _groups(choices, index.info.vintage, rules):
        verifier = Verifier(index, skema=skema, vintage=vintage, rujukan=known)
        tolerances = np.array([choices[number][2] for number in numbers])
        answer = verifier.verify(_batch([titik[number] for number in numbers]), tolerances)
        columns = [_values(answer[name]) for name in RESULT.names]
        for number, *row in zip(numbers, *columns, strict=True):
            found[number] = _plain(*row)
    return found


def _groups(
    choices: Sequence[_Choices], current: int, rules: Rules | None
) -> Iterator[tuple[tuple[Scheme | None, int | None], Rujukan | None, list[int]]]:
    """Yield the numbers of points that one verifier can take: same scheme, same knowledge of codes."""
    of_claim = {one[:2]: rules(*one[:2]) if rules else None for one in dict.fromkeys(c[:2] for c in choices)}
    groups: dict[tuple[Scheme | None, bool, int], list[int]] = defaultdict(list)
    for number, (skema, vintage, _) in enumerate(choices):
        older = vintage not in (None, current)  # all that a verifier makes of it beside the rules
        groups[skema, older, id(of_claim[skema, vintage])].append(number)
    for numbers in groups.values():
        claim = choices[numbers[0]][:2]
        yield claim, of_claim[claim], numbers


def _choices(point: Mapping[str, Any], number: int) -> _Choices:
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
    return pa.record_batch(
        {name: _column([point.get(name) for point in points]) for name in ("lon", "lat", "kode")}
    )


def _column(values: list[Any]) -> pa.Array:
    """Return floats as they are; else all as text: numbers, texts and nothing may stand side by side."""
    if set(map(type, values)) == {float}:
        return pa.array(values, pa.float64())
    return pa.array(
        [None if v is None else v if isinstance(v, str) else repr(v) for v in values], pa.string()
    )


def _values(column: pa.Array) -> list[Any]:
    """Return Python values; several times as fast as `to_pylist`."""
    if pa.types.is_dictionary(column.type):
        names = [*column.dictionary.to_pylist(), None]
        return [names[i] for i in column.indices.fill_null(-1).to_pylist()]
    if pa.types.is_floating(column.type):
        return [None if v != v else v for v in column.to_numpy(zero_copy_only=False).tolist()]
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values


def _plain(
    verdik: str,
    kode: str | None,
    nama: str | None,
    jarak: float | None,
    menjadi: str | None,
    alasan: str | None,
    lon: float | None,
    lat: float | None,
) -> dict[str, Any]:
    """Take the columns of RESULT; return what `Hasil.as_dict` would."""
    metres = None if jarak is None else round(jarak, 3)
    found: dict[str, Any] = {"verdik": verdik, "kode_nyata": kode, "nama_nyata": nama, "jarak_m": metres}
    if menjadi:
        found["menjadi"] = menjadi.split()
    if alasan:
        found["alasan"] = alasan
    if lon is not None:
        found["usulan"] = {"lon": lon, "lat": lat}
    return found
