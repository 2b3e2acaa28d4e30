"""Region codes (kode wilayah) of Kemendagri and BPS: parse, normalise, levels, parents. Pure functions.

Kemendagri: `PP.KK.CC.DDDD`, 2, 4, 6 or 10 digits, with or without dots. BPS: 2, 4, 7 or 10 digits,
never dotted. Ten digits alone fit both, and so do two and four: without a scheme they are refused
(`AmbiguousCodeError`), never guessed. Kecamatan and desa numbers of the two schemes differ, and so
do the provinces of Papua.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

from catalog.errors import AmbiguousCodeError, RecordError
from catalog.model import Scheme

Level = Literal["provinsi", "kabkota", "kecamatan", "desa"]
LEVELS: tuple[Level, ...] = get_args(Level)

_WIDTHS: dict[Scheme, tuple[int, ...]] = {"kemendagri": (2, 2, 2, 4), "bps": (2, 2, 3, 3)}
_LENGTHS: dict[Scheme, tuple[int, ...]] = {"kemendagri": (2, 4, 6, 10), "bps": (2, 4, 7, 10)}
_FIRST_KOTA = 71
# Provinces start at 11, and no level's own number is zero.
_PROVINCE = "(?:1[1-9]|[2-9][0-9])"
_VALID: dict[Scheme, re.Pattern[str]] = {
    "kemendagri": re.compile(_PROVINCE + "(?:(?!00)[0-9]{2}(?:(?!00)[0-9]{2}(?:(?!0000)[0-9]{4})?)?)?"),
    "bps": re.compile(_PROVINCE + "(?:(?!00)[0-9]{2}(?:(?!000)[0-9]{3}(?:(?!000)[0-9]{3})?)?)?"),
}
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_PLACEHOLDER = re.compile(r"[-/_xX*?]")
_CANONICAL = re.compile(_PROVINCE + r"(?:\.(?!00)[0-9]{2}(?:\.(?!00)[0-9]{2}(?:\.(?!0000)[0-9]{4})?)?)?")


@dataclass(frozen=True, slots=True, order=True)
class Code:
    """A region code whose scheme is known. `digits` is the code without dots."""

    scheme: Scheme
    digits: str

    @property
    def level(self) -> Level:
        """Return the level, told by the number of digits."""
        return LEVELS[_LENGTHS[self.scheme].index(len(self.digits))]

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the code cut into its levels: `("32", "03", "01", "1006")`."""
        cut = (0, *_LENGTHS[self.scheme])
        depth = LEVELS.index(self.level) + 1
        return tuple(self.digits[cut[i] : cut[i + 1]] for i in range(depth))

    @property
    def parent(self) -> Code | None:
        """Return the code one level up; None for a provinsi."""
        parts = self.parts
        return Code(self.scheme, "".join(parts[:-1])) if len(parts) > 1 else None

    def at(self, level: Level) -> Code:
        """Return the region of a higher (or the same) level that holds this one."""
        depth = LEVELS.index(level) + 1
        if depth > len(self.parts):
            raise ValueError(f"{self} is a {self.level}, above {level}")
        return Code(self.scheme, "".join(self.parts[:depth]))

    @property
    def is_kota(self) -> bool | None:
        """Tell a kota (True) from a kabupaten (False) by its number; None for a provinsi."""
        return int(self.parts[1]) >= _FIRST_KOTA if len(self.parts) > 1 else None

    @property
    def is_kelurahan(self) -> bool | None:
        """Tell a kelurahan (True, `1xxx`) from a desa (False, `2xxx`); None where codes do not say.

        Only Kemendagri numbers carry it, and `3xxx` (desa adat) counts as desa.
        """
        if self.scheme != "kemendagri" or self.level != "desa":
            return None
        return self.parts[3][0] == "1"

    def __str__(self) -> str:
        return ".".join(self.parts) if self.scheme == "kemendagri" else self.digits


def is_canonical(text: str) -> bool:
    """Tell whether `text` is a Kemendagri code as `str(Code)` writes it: quick, for millions of rows."""
    return _CANONICAL.fullmatch(text) is not None


def canonical(text: str | int, scheme: Scheme, level: Level) -> str:
    """Return a code of a level as `str(Code)` writes it: at once where it is written so, as nearly all are.

    Raises what `parse` raises.
    """
    width = sum(_WIDTHS["kemendagri"][: LEVELS.index(level) + 1]) + LEVELS.index(level)
    if scheme == "kemendagri" and isinstance(text, str) and len(text) == width and is_canonical(text):
        return text
    return str(parse(text, scheme, level=level))


def parse(text: str | int, scheme: Scheme | None = None, *, level: Level | None = None) -> Code:
    """Read a code in any of its writings.

    Mends only what has one reading: dots left out, zeros lost inside a code of three or more dotted
    parts (`32.3.1.1006`), the `.0` of a spreadsheet. Raises AmbiguousCodeError when scheme or region
    can not be told, RecordError for a placeholder, a wrong length, a number that can not be, or
    another level than `level`.
    """
    raw = str(text)
    if scheme != "bps" and "." in raw and is_canonical(raw):  # nearly all of them: be quick
        code = Code("kemendagri", raw.replace(".", ""))
    else:
        raw = _cleaned(raw)
        code = _dotted(raw, scheme) if "." in raw else _plain(raw, scheme)
    if not _VALID[code.scheme].fullmatch(code.digits):
        raise RecordError(f"{raw!r} can not be a region: a part of it is zero or no province")
    if level is not None and code.level != level:
        raise RecordError(f"{raw!r} is the code of a {code.level}, not of a {level}")
    return code


def compose(scheme: Scheme, *parts: str | int) -> Code:
    """Build a code from its levels' own numbers (`32, 3, 1, 1006`): zeros in front are put back."""
    widths = _WIDTHS[scheme]
    if not 1 <= len(parts) <= len(widths):
        raise RecordError(f"a region code has 1 to 4 parts, not {len(parts)}")
    cells = [str(part).strip() for part in parts]
    if not all(re.fullmatch(r"[0-9]+", cell, re.ASCII) for cell in cells):
        raise RecordError(f"{cells!r} are not the parts of a region code")
    padded = "".join(cell.zfill(width) for cell, width in zip(cells, widths, strict=False))
    return parse(padded, scheme, level=LEVELS[len(parts) - 1])


def _cleaned(text: str) -> str:
    raw = unicodedata.normalize("NFKC", text).strip().strip("'\"`").strip()
    if not raw:
        raise RecordError("the region code is empty")
    if _PLACEHOLDER.search(raw):
        raise RecordError(f"the region code {raw!r} is a placeholder")
    raw = _without_spreadsheet_zero(raw)
    if not _NUMBERS.fullmatch(raw):
        raise RecordError(f"{raw!r} is not a region code")
    return raw


def _without_spreadsheet_zero(raw: str) -> str:
    """`3203011006.0` is a number that a spreadsheet wrote; no part of a code is a single 0."""
    head, dot, tail = raw.rpartition(".")
    return head if dot and tail == "0" and "." not in head else raw


def _plain(raw: str, scheme: Scheme | None) -> Code:
    if scheme is None:
        fitting = [name for name, lengths in _LENGTHS.items() if len(raw) in lengths]
        if len(fitting) > 1:
            raise AmbiguousCodeError(f"{raw!r} can be a Kemendagri or a BPS code")
        if not fitting:
            raise RecordError(f"no region code has {len(raw)} digits: {raw!r}")
        scheme = fitting[0]
    if len(raw) not in _LENGTHS[scheme]:
        lengths = ", ".join(map(str, _LENGTHS[scheme]))
        raise RecordError(f"a {scheme} code has {lengths} digits, not {len(raw)}: {raw!r}")
    return Code(scheme, raw)


def _dotted(raw: str, scheme: Scheme | None) -> Code:
    if scheme == "bps":
        raise RecordError(f"a bps code has no dots: {raw!r}")
    parts = raw.split(".")
    widths = _WIDTHS["kemendagri"]
    if len(parts) == 2 and len(parts[0]) == 2 and len(parts[1]) == 1:
        # 32.1 is 32.10 that went through a number, or 32.01 that lost its zero.
        raise AmbiguousCodeError(f"{raw!r} can be {parts[0]}.0{parts[1]} or {parts[0]}.{parts[1]}0")
    if 3 <= len(parts) <= 4 and all(len(p) <= w for p, w in zip(parts[:3], widths, strict=False)):
        parts[:3] = [p.zfill(w) for p, w in zip(parts[:3], widths, strict=False)]
    digits = "".join(parts)
    if len(digits) not in _LENGTHS["kemendagri"] or not _cut_at_levels(parts):
        raise RecordError(f"{raw!r} is not a kemendagri code")
    return Code("kemendagri", digits)


def _cut_at_levels(parts: list[str]) -> bool:
    """Some dots may be missing (`3203.01.1006`), but none may stand where no level ends."""
    ends, at = [], 0
    for part in parts:
        at += len(part)
        ends.append(at)
    return set(ends) <= set(_LENGTHS["kemendagri"])
