"""A register of recipients that do not exist, with the troubles that registers have, in any number.

Rows are made in blocks by numpy and Arrow and written as they come, so memory does not grow with them.
Every row says `SINTETIS` in the column `keterangan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from catalog.errors import QueryError
from harvesters.sample.land import Floats
from harvesters.sample.persons import personal_columns
from harvesters.sample.surface import Ints, Surface

Trouble = Literal[
    "tertukar", "nol", "kosong", "koma_desimal", "derajat_menit", "kode_lama", "desa_lain", "di_luar",
    "di_batas",
]  # fmt: skip
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
"""Swapped coordinates; 0/0; null; decimal comma; degrees and minutes; a code that is no longer (or never
was); the code of another desa; a point outside of all; a point on a border."""
SHARES: Mapping[Trouble, float] = {
    "tertukar": 0.005, "nol": 0.01, "kosong": 0.02, "koma_desimal": 0.01, "derajat_menit": 0.005,
    "kode_lama": 0.01, "desa_lain": 0.03, "di_luar": 0.005, "di_batas": 0.005,
}  # fmt: skip
BLOCK = 250_000
ROWS_MAX = 1_000_000_000
MARK = "SINTETIS"
_PROGRAMMES = ("PKH", "SEMBAKO", "PBI-JKN", "ATENSI", "RUTILAHU")
_YEARS = (2023, 2024, 2025, 2026)
_OUTSIDE_KM = 40.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. `shares` are parts of 1 per trouble; `old_codes` are used by `kode_lama`."""

    rows: int
    seed: int
    shares: Mapping[Trouble, float] = field(default_factory=lambda: dict(SHARES))
    old_codes: Sequence[str] = ()
    personal: bool = False
    truth: bool = False

    def __post_init__(self) -> None:
        """QueryError for rows or shares out of range."""
        if not 1 <= self.rows <= ROWS_MAX:
            raise QueryError(f"rows must be 1 to {ROWS_MAX:,}", where="rows")
        if unknown := set(self.shares) - set(TROUBLES):
            known = ", ".join(TROUBLES)
            raise QueryError(f"no trouble {sorted(unknown)[0]!r}; there are: {known}", where="trouble")
        if min(self.shares.values(), default=0) < 0 or sum(self.shares.values()) > 1:
            raise QueryError("shares must be 0 or more and 1 together at most", where="trouble")


def write_register(
    plan: Plan, surface: Surface, path: Path, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write the register as `.csv` or `.parquet`; return the rows. QueryError for another suffix.

    `progress` is told the rows of each block.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise QueryError("only .csv or .parquet", where=path.name)
    done = 0
    with ExitStack() as stack:
        writer: Any = None
        for block in blocks(plan, surface):
            if writer is None:
                writer = stack.enter_context(_writer(path, block.schema))
            writer.write_batch(block)
            done += block.num_rows
            progress(block.num_rows)
    return done


def _writer(path: Path, schema: pa.Schema) -> Any:
    if path.suffix == ".csv":
        return pyarrow.csv.CSVWriter(path, schema)
    marked = schema.with_metadata({"keterangan": f"{MARK}: contoh sintetis, bukan data nyata"})
    return pq.ParquetWriter(path, marked, compression="zstd")


def blocks(plan: Plan, surface: Surface) -> Iterator[pa.RecordBatch]:
    """Yield the rows in blocks. The same plan and boundaries give the same rows."""
    for number, start in enumerate(range(0, plan.rows, BLOCK)):
        rng = np.random.default_rng([plan.seed, number])
        yield _block(plan, surface, rng, start, min(BLOCK, plan.rows - start))


def _block(plan: Plan, surface: Surface, rng: np.random.Generator, start: int, count: int) -> pa.RecordBatch:
    trouble = _troubles(plan, rng, count)
    owner, lon, lat = surface.draw(rng, count)
    lon, lat = _moved(rng, surface, trouble, owner, lon, lat)
    columns: dict[str, Any] = {
        "id": pa.array(np.arange(start + 1, start + count + 1)),
        "lon": _written(lon, trouble, "BT", "BB"), "lat": _written(lat, trouble, "LU", "LS"),
        "kode_desa": _codes(plan, rng, surface, trouble, owner),
        "program": _picked(rng, _PROGRAMMES, count), "desil": pa.array(_deciles(rng, count)),
        "tahun": pa.array(rng.choice(np.array(_YEARS, np.int16), count)),
        "jumlah_anggota": pa.array(np.minimum(rng.poisson(2.6, count) + 1, 12).astype(np.int8)),
    }  # fmt: skip
    if plan.personal:
        columns |= personal_columns(rng, surface.areas.codes, owner)
    if plan.truth:
        names = pa.array(["", *TROUBLES])
        columns["masalah"] = names.take(pa.array(trouble))
        columns["kode_sebenarnya"] = pa.array(surface.areas.codes).take(pa.array(owner))
    columns["keterangan"] = pa.repeat(pa.scalar(MARK), count)
    return pa.RecordBatch.from_pydict(columns)


def _troubles(plan: Plan, rng: np.random.Generator, count: int) -> Ints:
    """Return per row 0, or 1 + the number of its trouble."""
    edges = np.cumsum([plan.shares.get(name, 0.0) for name in TROUBLES])
    found = np.searchsorted(edges, rng.random(count), side="right")
    return np.where(found < len(TROUBLES), found + 1, 0)


def _has(trouble: Ints, *names: Trouble) -> Any:
    return np.isin(trouble, [TROUBLES.index(name) + 1 for name in names])


def _moved(
    rng: np.random.Generator, surface: Surface, trouble: Ints, owner: Ints, lon: Floats, lat: Floats
) -> tuple[Floats, Floats]:
    border = _has(trouble, "di_batas")
    if border.any():
        lon[border], lat[border] = surface.on_border(rng, owner[border])
    outside = _has(trouble, "di_luar")
    west, south, east, _ = surface.box
    count, away = int(outside.sum()), _OUTSIDE_KM / 111
    lon[outside] = rng.uniform(west, east, count)
    lat[outside] = south - rng.uniform(0.1, 1, count) * away
    swapped = _has(trouble, "tertukar")
    lon[swapped], lat[swapped] = lat[swapped], lon[swapped].copy()
    zero = _has(trouble, "nol")
    lon[zero] = lat[zero] = 0.0
    return lon, lat


def _written(degrees: Floats, trouble: Ints, positive: str, negative: str) -> pa.Array:
    """Return coordinates as text with six decimals, or as the trouble has them."""
    plain = pc.cast(pa.array(degrees.round(6)), pa.string())
    comma, minutes, none = (_has(trouble, n) for n in ("koma_desimal", "derajat_menit", "kosong"))
    plain = _with(plain, comma, lambda some: pc.replace_substring(some, ".", ","))
    plain = _with(plain, minutes, lambda _: _degrees_minutes(degrees[minutes], positive, negative))
    return pc.if_else(pa.array(none), pa.scalar(None, pa.string()), plain)


def _with(values: pa.Array, mask: Any, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not mask.any():
        return values
    return pc.replace_with_mask(values, pa.array(mask), change(values.filter(pa.array(mask))))


def _degrees_minutes(degrees: Floats, positive: str, negative: str) -> pa.Array:
    whole, rest = np.divmod(np.abs(degrees), 1)
    parts = [pc.cast(pa.array(whole.astype(np.int16)), pa.string()),
             pc.cast(pa.array((rest * 60).round(4)), pa.string())]  # fmt: skip
    side = pc.if_else(pa.array(degrees < 0), negative, positive)
    return pc.binary_join_element_wise(*parts, side, " ")


def _codes(plan: Plan, rng: np.random.Generator, surface: Surface, trouble: Ints, owner: Ints) -> pa.Array:
    codes = pa.array(surface.areas.codes)
    claimed = owner.copy()
    other = _has(trouble, "desa_lain")
    step = rng.integers(1, max(2, len(codes)), int(other.sum()))
    claimed[other] = (claimed[other] + step) % len(codes)
    said = codes.take(pa.array(claimed))
    old = _has(trouble, "kode_lama")
    return _with(said, old, lambda some: _old(plan, rng, some))


def _old(plan: Plan, rng: np.random.Generator, codes: pa.Array) -> pa.Array:
    """Return codes of the given list; without one, codes whose kecamatan is one that nobody has (+70)."""
    if plan.old_codes:
        return pa.array(plan.old_codes).take(pa.array(rng.integers(0, len(plan.old_codes), len(codes))))
    return pc.replace_substring_regex(codes, r"^(.{6}|\d{4})\d", r"\17")


def _picked(rng: np.random.Generator, words: Sequence[str], count: int) -> pa.Array:
    return pa.array(words).take(pa.array(rng.integers(0, len(words), count)))


def _deciles(rng: np.random.Generator, count: int) -> Any:
    """Return deciles 1 to 10, the poor more often, as a register of aid has them."""
    share = np.array([0.24, 0.2, 0.16, 0.13, 0.09, 0.07, 0.05, 0.03, 0.02, 0.01])
    return cast(Any, rng.choice(np.arange(1, 11, dtype=np.int8), count, p=share))
