"""Places with stock, in any number and over any boundaries: for trying out nearest aid and allocation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from shapely.geometry import Point

from catalog.errors import QueryError
from harvesters.sample.surface import Surface
from harvesters.sample.things import Feature, stock

PLACES_MAX = 200_000
_KINDS = (
    ("lumbung-sosial", "Lumbung Sosial", 0.62, 1.0), ("pilar-sosial", "Posko Tagana", 0.25, 0.1),
    ("gudang-logistik", "Gudang Logistik", 0.1, 8.0), ("sentra", "Sentra", 0.03, 3.0),
)  # fmt: skip
"""Kind, label, its share of all places, its size (a lumbung sosial is 1)."""


def stores(rng: np.random.Generator, surface: Surface, count: int) -> Iterator[Feature]:
    """Yield `count` places inside of the areas; QueryError for a count out of 1 to 200,000."""
    if not 1 <= count <= PLACES_MAX:
        raise QueryError(f"count must be 1 to {PLACES_MAX:,}", where="count")
    owner, lon, lat = surface.draw(rng, count)
    kinds = rng.choice(len(_KINDS), count, p=[share for *_, share, _ in _KINDS])
    for n, (kind, area, x, y) in enumerate(
        zip(kinds, owner, lon.round(6), lat.round(6), strict=True), start=1
    ):
        jenis, label, _, scale = _KINDS[kind]
        properties = {
            "id": f"tempat-{n:06d}", "nama": f"{label} {surface.areas.names[area]} {n}", "jenis": jenis,
            "kode_desa": surface.areas.codes[area],
        }  # fmt: skip
        yield Feature({**properties, **stock(rng, jenis, scale)}, Point(x, y))
