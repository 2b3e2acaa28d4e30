"""The plain data classes of region codes: a region, a crosswalk row, a match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from catalog.codes import Level

Quality = Literal["official", "exact", "name", "geom", "weak"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
"""How sure a crosswalk row is, best first. `weak` is a hint for a person, never a truth."""


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a reference; codes in the scheme's canonical writing (Kemendagri dotted)."""

    code: str
    level: Level
    name: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class CrosswalkRow:
    """`share` is the part of `from_code` that lies in `to_code` (0..1), `share_back` the reverse."""

    from_code: str
    to_code: str
    share: float | None
    quality: Quality
    share_back: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Where a code went. `certain` is False for weak rows: show them, never act on them."""

    code: str
    share: float | None
    quality: Quality

    @property
    def certain(self) -> bool:
        """Tell whether the match may be used without a person's look."""
        return self.quality != "weak"
