"""verifikasi-lokasi for many rows at once, on Arrow: `verify(batch) -> batch`, the one expression of the job.

The claimed polygon is asked first (the fine cell grid answers most rows without geometry), the
index only for the misses. The answers are those of `analysis.verify.verify_point`, row by row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analysis.lookup import DesaIndex
from analysis.lookup_cells import BORDER
from analysis.ragged import Bools, Floats, Ints
from analysis.verify import TOLERANSI_M, VERDIK, Klaim, Rujukan, check_tolerance, judge, look_up, outside
from analysis.verify_coordinate import ALASAN, read_coordinate
from catalog.errors import QueryError
from catalog.model import Scheme

_NAMED = pa.dictionary(pa.int32(), pa.string())
RESULT = pa.schema(
    [
        ("verdik", pa.dictionary(pa.int8(), pa.string())), ("kode_nyata", _NAMED),
        ("nama_nyata", _NAMED), ("jarak_m", pa.float64()), ("menjadi", pa.string()),
        ("alasan", pa.dictionary(pa.int8(), pa.string())), ("usulan_lon", pa.float64()),
        ("usulan_lat", pa.float64()),
    ]
)  # fmt: skip
"""Columns that are added; `menjadi` joins several codes with a space."""

_V = {name: np.int8(number) for number, name in enumerate(VERDIK)}
_SEVERAL = -2
_NO_ROW = -1


@dataclass(frozen=True, slots=True)
class Kolom:
    """Which columns of the register hold what. No other column is ever read."""

    lon: str = "lon"
    lat: str = "lat"
    kode: str = "kode"
    keep: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the declared columns, each once."""
        return list(dict.fromkeys([*self.keep, self.lon, self.lat, self.kode]))


@dataclass(slots=True)
class _Places:
    lon: Floats
    lat: Floats
    good: Bools
    alasan: npt.NDArray[np.int8]
    usulan: Floats


@dataclass(slots=True)
class _Work:
    """Row numbers of points in one batch, all arrays as long as the batch."""

    verdik: npt.NDArray[np.int8]
    actual: Ints
    jarak: Floats
    menjadi: dict[int, str] = field(default_factory=dict)


class Verifier:
    """Verifies batches against one index. Holds what is worth keeping between batches."""

    def __init__(
        self,
        index: DesaIndex,
        *,
        skema: Scheme | None = None,
        vintage: int | None = None,
        toleransi_m: float = TOLERANSI_M,
        rujukan: Rujukan | None = None,
        kolom: Kolom | None = None,
    ) -> None:
        """Take the same choices as `verify_point`; QueryError for bad ones."""
        check_tolerance(toleransi_m)
        self._index, self._skema, self._vintage = index, skema, vintage
        self._tolerance, self.rujukan = toleransi_m, rujukan or Rujukan()
        self.kolom = kolom or Kolom()
        self._grid = index.grid
        self._claims: dict[str | None, Klaim] = {None: Klaim(verdik="kode_tidak_dikenal")}
        plain = skema in (None, index.info.skema) and vintage in (None, index.info.vintage)
        self._writings = index.writings if plain else []
        look_up(index, "", skema, vintage, self.rujukan)  # a scheme without crosswalk fails at once

    def verify(self, batch: pa.RecordBatch, toleransi_m: Floats | None = None) -> pa.RecordBatch:
        """Return the declared columns of `batch` and the columns of RESULT.

        `toleransi_m` has metres for each row, where they differ. QueryError names a column that is
        not there or that would be overwritten.
        """
        kolom = self.kolom
        for name in kolom.names():
            if name not in batch.schema.names:
                raise QueryError(f"there is no column {name!r}", where=name)
            if name in RESULT.names:
                raise QueryError(f"the column {name!r} is one of the answer's", where=name)
        places = self._places(batch.column(kolom.lon), batch.column(kolom.lat))
        rows, claims = self._claimed(batch.column(kolom.kode))
        metres = np.full(len(rows), self._tolerance) if toleransi_m is None else toleransi_m
        work = self._verdicts(places, rows, claims, metres)
        arrays = [batch.column(name) for name in kolom.names()] + self._columns(places, work)
        fields = [batch.schema.field(name) for name in kolom.names()] + list(RESULT)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _places(self, lon: pa.Array, lat: pa.Array) -> _Places:
        x, y = _floats(lon), _floats(lat)
        west, south, east, north = self._index.info.bbox
        margin = 0.5  # as `within` has it
        good = (x >= west - margin) & (x <= east + margin) & (y >= south - margin) & (y <= north + margin)
        good &= (x != 0) | (y != 0)
        alasan = np.full(len(x), -1, np.int8)
        usulan = np.full((len(x), 2), np.nan)
        for i in np.flatnonzero(~good):
            place = read_coordinate(lon[i].as_py(), lat[i].as_py(), self._index.info.bbox)
            if place.alasan is None:
                x[i], y[i], good[i] = place.lon, place.lat, True
            else:
                alasan[i] = ALASAN.index(place.alasan)
                usulan[i] = place.usulan or (math.nan, math.nan)
        return _Places(x, y, good, alasan, usulan)

    def _claimed(self, kode: pa.Array) -> tuple[Ints, dict[int, Klaim]]:
        """Return the claimed row of each point, and the claims that mean no or several rows."""
        if pa.types.is_dictionary(kode.type):
            kode = kode.dictionary_decode()
        texts = kode.cast(pa.string())
        rows = np.full(len(texts), _NO_ROW, np.int64)
        for writing in self._writings:
            found = pc.index_in(texts, value_set=writing).fill_null(_NO_ROW).to_numpy(zero_copy_only=False)
            rows = np.where(rows >= 0, rows, found)
            if (rows >= 0).all():
                return rows, {}
        left = np.flatnonzero(rows < 0)
        claims: dict[int, Klaim] = {}
        for i, text in zip(left.tolist(), texts.take(pa.array(left)).to_pylist(), strict=True):
            claim = self._claim(text)
            if claim.verdik is None and len(claim.rows) == 1:
                rows[i] = claim.rows[0]
            else:
                rows[i], claims[i] = _SEVERAL, claim
        return rows, claims

    def _claim(self, text: str | None) -> Klaim:
        claim = self._claims.get(text)
        if claim is None:
            claim = look_up(self._index, text, self._skema, self._vintage, self.rujukan)
            if len(self._claims) < 500_000:  # a column of free text must not fill the memory
                self._claims[text] = claim
        return claim

    def _verdicts(self, places: _Places, rows: Ints, claims: dict[int, Klaim], tolerance: Floats) -> _Work:
        index, x, y = self._index, places.lon, places.lat
        size = len(rows)
        work = _Work(
            np.full(size, _V["koordinat_tidak_sah"]), np.full(size, -1, np.int64), np.full(size, np.nan)
        )
        good = np.flatnonzero(places.good)
        owner = self._owners(x[good], y[good])
        claimed = rows[good]
        inside = (claimed >= 0) & (owner == claimed)
        ask = np.flatnonzero((claimed >= 0) & (owner == BORDER))
        inside[ask] = index.covers(claimed[ask], x[good[ask]], y[good[ask]])
        hit, miss = good[inside], good[~inside]
        work.verdik[hit], work.actual[hit], work.jarak[hit] = _V["sesuai"], rows[hit], 0.0
        work.actual[miss] = self._actual(owner[~inside], x[miss], y[miss])
        alone = miss[rows[miss] >= 0]
        work.jarak[alone] = outside(index.border_distance(rows[alone], x[alone], y[alone]))
        near = work.jarak[alone] <= tolerance[alone]
        away = np.where(work.actual[alone] >= 0, _V["tidak_sesuai"], _V["di_luar_wilayah"])
        work.verdik[alone] = np.where(near, _V["dalam_toleransi"], away)
        for i in np.intersect1d(miss, np.fromiter(claims, np.int64, len(claims))):
            self._several(work, int(i), claims[int(i)], (float(x[i]), float(y[i]), float(tolerance[i])))
        return work

    def _owners(self, x: Floats, y: Floats) -> npt.NDArray[np.int32]:
        return np.full(len(x), BORDER, np.int32) if self._grid is None else self._grid.owners(x, y)

    def _actual(self, owner: npt.NDArray[np.int32], x: Floats, y: Floats) -> Ints:
        """Return where misses really are: what the grid said, or the index where it did not."""
        actual = np.maximum(owner.astype(np.int64), -1)
        ask = np.flatnonzero(owner == BORDER)
        actual[ask] = self._index.where(x[ask], y[ask])[0]
        return actual

    def _several(self, work: _Work, i: int, claim: Klaim, asked: tuple[float, float, float]) -> None:
        """Judge a row (lon, lat, tolerance) whose code means no polygon, or several."""
        work.menjadi[i] = " ".join(claim.menjadi)
        verdik, work.actual[i], jarak = judge(self._index, claim, int(work.actual[i]), *asked)
        work.verdik[i] = _V[verdik]
        work.jarak[i] = math.nan if jarak is None else jarak

    def _columns(self, places: _Places, work: _Work) -> list[pa.Array]:
        name_of, names = self._index.naming
        menjadi: list[str | None] = [None] * len(work.actual)
        for i, text in work.menjadi.items():
            menjadi[i] = text or None
        alasan = pa.array(places.alasan, mask=places.alasan < 0)
        return [
            pa.DictionaryArray.from_arrays(pa.array(work.verdik), pa.array(VERDIK)),
            _encoded(work.actual, self._index.codes),
            _encoded(np.where(work.actual < 0, -1, name_of.take(work.actual)), names),
            _known(work.jarak),
            pa.array(menjadi, pa.string()) if work.menjadi else pa.nulls(len(menjadi), pa.string()),
            pa.DictionaryArray.from_arrays(alasan, pa.array(ALASAN)),
            _known(places.usulan[:, 0]),
            _known(places.usulan[:, 1]),
        ]


def verify_batch(batch: pa.RecordBatch, index: DesaIndex, **choices: Any) -> pa.RecordBatch:
    """Verify one batch; `choices` are those of `Verifier`, which is better kept for many batches."""
    return Verifier(index, **choices).verify(batch)


def _encoded(numbers: Ints, values: pa.StringArray) -> pa.DictionaryArray:
    """Return `values` (each once) by number, -1 for none; the dictionary has only those that occur."""
    there = np.zeros(len(values) + 1, bool)
    there[numbers] = True
    used = np.flatnonzero(there[:-1])
    position = (np.cumsum(there, dtype=np.int32) - 1).astype(np.int32)
    indices = pa.array(position.take(numbers, mode="wrap"), mask=numbers < 0)
    return pa.DictionaryArray.from_arrays(indices, values.take(pa.array(used)))


def _known(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _floats(column: pa.Array) -> Floats:
    """Return a writable float array; what is no plain number becomes NaN (and is looked at singly)."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        plain = pc.match_substring_regex(column, r"^[+-]?[0-9]+(\.[0-9]*)?$")
        column = pc.if_else(plain, column, pa.scalar(None, column.type))
    return cast(
        Floats, column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64, copy=True)
    )
