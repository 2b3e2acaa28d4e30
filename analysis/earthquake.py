"""Shaking intensity from magnitude, depth and distance, after one published relation.

Allen, T. I., Wald, D. J. and Worden, C. B. (2012): Intensity attenuation for active crustal regions.
Journal of Seismology 16, 409-433, doi:10.1007/s10950-012-9278-7. The form for hypocentral distance,
without site amplification:

    I = c0 + c1 M + c2 ln sqrt(R^2 + RM^2) + [R > 50 km] c4 ln(R / 50),   RM = m1 + m2 exp(M - 5)
    sigma = s1 + s2 / (1 + (R / s3)^2)

R in km, M moment magnitude, I on the Modified Mercalli scale. It was made from crustal earthquakes of
M 5.0 to 7.9 within 300 km; for subduction and deep earthquakes, which Indonesia has many of, it is
used outside of what it was made for, and answers say so. A ShakeMap is better wherever there is one.

Compared (2026-11-22) with GEM's OpenQuake engine, `openquake/hazardlib/gsim/allen_2012_ipe.py`, class
AllenEtAl2012Rhypo: the same form and the same ten coefficients. Of its verification tables, made by an
independent Matlab implementation (`tests/gsim/data/a12ipe/AWW_IPE_RHYPO_{MEAN,SIGMA}.csv`), seven pairs
of mean and sigma stand in our tests and agree to 5e-8; the others are not held by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from analysis.lookup import GEOD
from analysis.ragged import Floats
from catalog.errors import QueryError

SUMBER = (
    "Allen, T. I., Wald, D. J., Worden, C. B. (2012). Intensity attenuation for active crustal regions. "
    "J. Seismol. 16, 409-433. doi:10.1007/s10950-012-9278-7 (hypocentral distance, no site amplification)"
)
_C0, _C1, _C2, _C4 = 2.085, 1.428, -1.402, 0.078
_M1, _M2 = -0.209, 2.042
_S1, _S2, _S3 = 0.82, 0.37, 22.9
MAGNITUDES = (5.0, 7.9)
REACH_KM = 300.0
CRUST_KM = 35.0
"""Below this depth an earthquake is not taken for a crustal one. Ours, not the paper's."""
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


@dataclass(frozen=True, slots=True)
class Gempa:
    """An earthquake: epicentre in degrees, magnitude, depth in km."""

    lon: float
    lat: float
    magnitudo: float
    kedalaman_km: float

    def __post_init__(self) -> None:
        checks = {
            "lon": -180 <= self.lon <= 180,
            "lat": -90 <= self.lat <= 90,
            "magnitudo": 0 < self.magnitudo <= 10,
            "kedalaman_km": 0 <= self.kedalaman_km <= 800,
        }
        for name, good in checks.items():
            if not good:
                raise QueryError(f"{name} can not be {getattr(self, name)!r}", where=name)

    def outside_of_relation(self) -> list[str]:
        """Return which of `magnitudo` and `kedalaman_km` are outside of what the relation was made for."""
        low, high = MAGNITUDES
        found = [] if low <= self.magnitudo <= high else ["magnitudo"]
        return found if self.kedalaman_km <= CRUST_KM else [*found, "kedalaman_km"]


def intensity(magnitude: float, distance_km: Floats) -> Floats:
    """Return mean intensities (MMI, unrounded, not below 1) at hypocentral distances."""
    near = _M1 + _M2 * np.exp(magnitude - 5)
    value = _C0 + _C1 * magnitude + _C2 * np.log(np.hypot(distance_km, near))
    return cast(Floats, np.maximum(value + _C4 * np.log(np.maximum(distance_km, 50) / 50), 1.0))


def sigma(distance_km: Floats) -> Floats:
    """Return the relation's standard deviation, in units of intensity."""
    return _S1 + _S2 / (1 + (distance_km / _S3) ** 2)


def hypocentral_km(quake: Gempa, lon: Floats, lat: Floats) -> Floats:
    """Return distances to the hypocentre: geodesic along the surface, then depth as the other leg."""
    count = len(lon)
    surface = GEOD.inv(np.full(count, quake.lon), np.full(count, quake.lat), lon, lat)[2]
    return cast(Floats, np.hypot(np.asarray(surface) / 1000, quake.kedalaman_km))


def roman(value: float) -> str:
    """Return the degree in Roman numerals: 5.6 is VI; nothing above X is told apart."""
    return _ROMAN[min(max(round(value), 1), len(_ROMAN)) - 1]
