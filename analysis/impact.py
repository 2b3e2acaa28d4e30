"""What a hazard hit: the desa column by column, and the regions above them.

An earthquake under Java hits ten thousand desa. Their numbers stay in arrays until somebody asks for
one of them (`Terdampak`), so that sums and tables of all take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, overload

import numpy as np

from analysis.counts import Aggregates, Counts, said
from analysis.lookup import DesaIndex
from analysis.ragged import Bools, Floats, Ints
from catalog.codes import LEVELS, Level, parse

METODE_LUAS = "EPSG:6933"


@dataclass(frozen=True, slots=True)
class Terdampak:
    """One desa or larger region that is hit.

    `bagian` is the share of its area (0..1), `luas_m2` the area hit, `kelas` the highest class there
    and `bagian_kelas` the share of each class. `jumlah` counts all who live in the desa that are hit,
    `perkiraan` the share of them; None when no aggregate of a desa is published (`tanpa_data` counts
    such desa in a larger region). `mmi` is the intensity of an earthquake and `sigma` its deviation.
    Of a raster: `bagian_tanpa_data` is the share without data and `maksimum` the highest value there.
    """

    kode: str
    nama: str
    tingkat: Level
    bagian: float
    luas_m2: float
    kelas: str = ""
    bagian_kelas: Mapping[str, float] = field(default_factory=dict)
    jumlah: Mapping[str, float] | None = None
    perkiraan: Mapping[str, float] | None = None
    desa: int = 1
    tanpa_data: int = 0
    mmi: float | None = None
    sigma: float | None = None
    bagian_tanpa_data: float | None = None
    maksimum: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values without what is not known."""
        found = {
            "kode": self.kode, "nama": self.nama, "tingkat": self.tingkat, "kelas": self.kelas,
            "bagian": round(self.bagian, 6), "luas_m2": round(self.luas_m2, 1), "desa": self.desa,
            "tanpa_data": self.tanpa_data,
            "bagian_kelas": {k: round(v, 6) for k, v in self.bagian_kelas.items()},
        }  # fmt: skip
        for name in ("jumlah", "perkiraan"):
            if (values := getattr(self, name)) is not None:
                found[name] = {k: round(v, 1) for k, v in values.items()}
        for name, digits in (("mmi", 2), ("sigma", 2), ("bagian_tanpa_data", 6), ("maksimum", 6)):
            if (number := getattr(self, name)) is not None:
                found[name] = round(number, digits)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class DesaTerdampak(Sequence[Terdampak]):
    """The desa that are hit, in the order of codes; as a sequence, one `Terdampak` each.

    `rows` are those of the index. `kelas` is the number of the highest of `classes` (ascending; -1:
    none), `bagian_kelas` the share of each, 0 where a class is not (desa, classes). `jumlah` holds the
    counts by `hitungan`, NaN where one is unknown (desa, counts), `dikenal` where there are any.
    """

    rows: Ints
    kode: list[str]
    nama: list[str]
    bagian: Floats
    luas_m2: Floats
    classes: Sequence[str]
    kelas: Ints
    bagian_kelas: Floats
    hitungan: Sequence[str]
    jumlah: Floats
    dikenal: Bools
    mmi: Floats | None = None
    sigma: Floats | None = None
    bagian_tanpa_data: Floats | None = None
    maksimum: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, number: int) -> Terdampak: ...
    @overload
    def __getitem__(self, number: slice) -> list[Terdampak]: ...
    def __getitem__(self, number: int | slice) -> Terdampak | list[Terdampak]:
        if isinstance(number, slice):
            return [self._one(n) for n in range(*number.indices(len(self)))]
        return self._one(range(len(self))[number])

    def __iter__(self) -> Iterator[Terdampak]:
        return map(self._one, range(len(self)))

    @property
    def perkiraan(self) -> Floats:
        """Return the counts of the share of each desa that is hit, as if people were evenly spread."""
        estimated: Floats = self.jumlah * self.bagian[:, None]
        return estimated

    def named_classes(self) -> list[str]:
        """Return the name of the highest class of each desa."""
        names = [*self.classes, ""]  # number -1: none
        return [names[number] for number in self.kelas.tolist()]

    def _one(self, n: int) -> Terdampak:
        counted = said(self.hitungan, self.jumlah[n].tolist()) if self.dikenal[n] else None
        share = float(self.bagian[n])
        return Terdampak(
            self.kode[n], self.nama[n], "desa", share, float(self.luas_m2[n]),
            self.classes[self.kelas[n]] if self.kelas[n] >= 0 else "",
            _there(self.classes, self.bagian_kelas[n].tolist()),
            counted, None if counted is None else {name: value * share for name, value in counted.items()},
            1, int(not self.dikenal[n]),
            *(None if c is None else float(c[n])
              for c in (self.mmi, self.sigma, self.bagian_tanpa_data, self.maksimum)),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Dampak:
    """All that is hit: desa by code, and the larger regions by level. `catatan` are keys of warnings.

    `tanpa_data` names desa of which a raster says nothing: they are unknown, not safe.
    """

    desa: DesaTerdampak
    wilayah: Mapping[Level, list[Terdampak]]
    metode_luas: str = METODE_LUAS
    sumber_intensitas: str = ""
    catatan: tuple[str, ...] = ()
    tanpa_data: tuple[str, ...] = ()


def desa_of(
    index: DesaIndex,
    rows: Ints,
    share: Floats,
    classes: Sequence[str],
    kelas: Ints,
    per_class: Floats,
    aggregates: Aggregates | None,
) -> DesaTerdampak:
    """Return the desa in ascending `rows` that are hit by `share` of their area, with their people."""
    codes, names = ([of(row) for row in rows.tolist()] for of in (index.code, index.name))
    counts = Counts.of(aggregates or {})
    return DesaTerdampak(
        rows, codes, names, share, share * index.areas[rows], classes, kelas,
        per_class, counts.names, *counts.at(codes),
    )  # fmt: skip


def highest(per_class: Floats) -> Ints:
    """Return the number of the last class with a share; -1 where none has (desa, classes)."""
    numbers = np.arange(1, per_class.shape[1] + 1) * (per_class > 0)
    found: Ints = numbers.max(axis=1, initial=0) - 1
    return found


def roll_up(index: DesaIndex, desa: DesaTerdampak, names: Mapping[str, str]) -> dict[Level, list[Terdampak]]:
    """Sum desa up to kecamatan, kabkota and provinsi; shares are of the area of all their desa."""
    return {level: _regions(index, desa, level, names) for level in reversed(LEVELS[:-1])}


def regions_of(codes: Sequence[str], width: int) -> tuple[list[str], Ints]:
    """Return the regions above ascending codes, and where each begins; `width` as `width_of` has it."""
    above = [code[:width] for code in codes]
    starts = [n for n, code in enumerate(above) if not n or code != above[n - 1]]
    return [above[n] for n in starts], np.array(starts, np.int64)


def width_of(index: DesaIndex, level: Level) -> int:
    """Return how many characters of a canonical desa code name the region above it."""
    return len(str(parse(index.code(0), index.info.skema).at(level)))


def _regions(
    index: DesaIndex, desa: DesaTerdampak, level: Level, names: Mapping[str, str]
) -> list[Terdampak]:
    if not len(desa):
        return []
    codes, starts = regions_of(desa.kode, width_of(index, level))
    ends = [*starts.tolist(), len(desa)]
    many = np.diff(ends)
    area = np.array([_whole(index, code) for code in codes])
    hit = np.add.reduceat(desa.luas_m2, starts)
    weight = index.areas[desa.rows] / np.repeat(area, many)
    per_class = np.add.reduceat(desa.bagian_kelas * weight[:, None], starts).tolist()
    counted, known = _sums(desa.jumlah, starts), np.logical_or.reduceat(desa.dikenal, starts)
    estimated = _sums(desa.perkiraan, starts)
    unknown = np.add.reduceat(~desa.dikenal, starts, dtype=np.int64).tolist()
    most = None if desa.maksimum is None else np.maximum.reduceat(desa.maksimum, starts).tolist()
    strongest = None if desa.mmi is None else [
        low + int(desa.mmi[low:high].argmax()) for low, high in pairwise(ends)
    ]  # fmt: skip
    found = []
    for n, code in enumerate(codes):
        shares = _there(desa.classes, per_class[n])
        found.append(
            Terdampak(
                code, names.get(code, ""), level, float(hit[n] / area[n]), float(hit[n]),
                next(reversed(shares), ""), shares,
                said(desa.hitungan, counted[n]) if known[n] else None,
                said(desa.hitungan, estimated[n]) if known[n] else None,
                int(many[n]), unknown[n],
                _at(desa.mmi, strongest, n), _at(desa.sigma, strongest, n),
                maksimum=None if most is None else most[n],
            )
        )  # fmt: skip
    return found


def _sums(values: Floats, starts: Ints) -> list[list[float]]:
    """Return the sums of what is known; NaN where nothing of a column is."""
    known = ~np.isnan(values)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    total[~np.logical_or.reduceat(known, starts)] = np.nan
    found: list[list[float]] = total.tolist()
    return found


def _there(classes: Sequence[str], shares: Sequence[float]) -> dict[str, float]:
    return {name: share for name, share in zip(classes, shares, strict=True) if share > 0}


def _at(column: Floats | None, rows: list[int] | None, n: int) -> float | None:
    return None if column is None or rows is None else float(column[rows[n]])


def _whole(index: DesaIndex, code: str) -> float:
    """Return the area of all desa below a code: they stand together in the order of codes."""
    low, high = index.below(code)
    return float(index.areas[low:high].sum())
