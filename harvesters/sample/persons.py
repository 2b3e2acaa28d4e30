"""Columns of persons that can not exist, for tests of the privacy guard and of nothing else.

Numbers are built as NIK and family card numbers are, so that the guard must take them for real, but
nobody can bear one: day 30 or 31 of February (70 or 71 for women), in kecamatan 99, which no kabupaten
has. Names are given names with an invented second name on `Contoh`; phones begin with 0840, a prefix
that no operator of Indonesia uses; addresses are in `Kp. Contoh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harvesters.sample.surface import Ints

_GIVEN = ("Siti", "Budi", "Asep", "Dewi", "Agus", "Rina", "Ahmad", "Nur", "Joko", "Maria", "Umar", "Wahyu")
_SECOND = ("Contohwati", "Contohadi", "Contohsari", "Contohman", "Contohputra", "Contohyani")
_PROVINCES = (11, 32, 33, 35, 51, 73)
"""Used where the boundaries' own province is none (the sample's 99): the guard knows real ones only."""


def personal_columns(rng: np.random.Generator, codes: Sequence[str], owner: Ints) -> dict[str, Any]:
    """Return `nik`, `no_kk`, `nama_krt`, `no_hp` and `alamat_rumah` for rows in these areas."""
    count = len(owner)
    place = np.array([_place(code) for code in codes], np.int64)[owner]
    day = 30 + rng.integers(0, 2, count) + 40 * rng.integers(0, 2, count)
    born = ((place * 100 + day) * 100 + 2) * 100 + rng.integers(0, 100, count)
    issued = ((place * 100 + 30) * 100 + 2) * 100 + rng.integers(10, 26, count)
    number = rng.integers(1, 10_000, (3, count))
    words = [pa.array(w).take(pa.array(rng.integers(0, len(w), count))) for w in (_GIVEN, _SECOND)]
    house = [_padded(rng.integers(1, 20, count), 3) for _ in range(2)]
    return {
        "nik": _text(born * 10_000 + number[0]), "no_kk": _text(issued * 10_000 + number[1]),
        "nama_krt": pc.binary_join_element_wise(*words, " "),
        "no_hp": pc.binary_join_element_wise("0840", _padded(rng.integers(0, 10**8, count), 8), ""),
        "alamat_rumah": pc.binary_join_element_wise("Kp. Contoh RT", house[0], "RW", house[1], " "),
    }  # fmt: skip


def _place(code: str) -> int:
    """Return PPKK99 of a region code: its kabupaten, and the kecamatan that none has."""
    digits = "".join(c for c in code if c.isdigit())
    province = int(digits[:2])
    if province > 97 or province < 11:
        province = _PROVINCES[int(digits[-3:]) % len(_PROVINCES)]
    return (province * 100 + int(digits[2:4])) * 100 + 99


def _text(numbers: Any) -> pa.Array:
    return pc.cast(pa.array(numbers), pa.string())


def _padded(numbers: Any, width: int) -> pa.Array:
    return pc.utf8_lpad(_text(numbers), width, "0")
