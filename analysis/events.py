"""What an event of a layer is: an earthquake (a point with magnitude and depth) or an area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.earthquake import Gempa
from catalog.errors import QueryError

ONLY_A_PICTURE = "shakemap_hanya_gambar"
"""Note: BMKG publishes its shakemap as a picture, so the relation stands in."""
CANCELLED = "peringatan_dibatalkan"
"""Note: the warning has been cancelled."""


def hazard_of_event(
    feature: Mapping[str, Any],
) -> tuple[Mapping[str, Any] | None, Gempa | None, tuple[str, ...]]:
    """Return the area (GeoJSON) or the earthquake of a GeoJSON feature, and notes for the answer.

    QueryError (`kejadian`) for a feature that is neither.
    """
    said, geometry = feature.get("properties") or {}, feature.get("geometry") or {}
    magnitude, depth = said.get("magnitudo"), said.get("kedalaman_km")
    if geometry.get("type") == "Point" and magnitude is not None and depth is not None:
        lon, lat = geometry["coordinates"][:2]
        notes = (ONLY_A_PICTURE,) if said.get("shakemap") else ()
        return None, Gempa(float(lon), float(lat), float(magnitude), float(depth)), notes
    if geometry.get("type") in {"Polygon", "MultiPolygon"}:
        cancelled = str(said.get("jenis") or "").lower() == "cancel"
        return feature, None, (CANCELLED,) if cancelled else ()
    raise QueryError("the event has neither an area nor magnitude and depth", where="kejadian")
