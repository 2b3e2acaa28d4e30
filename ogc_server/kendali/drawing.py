"""The picture as GeoJSON and colours: the page's map and the map of the report are drawn from one rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import shapely

from analysis.allocate import RELEASED
from ogc_server.kendali.columns import Columns, Row
from ogc_server.kendali.picture import Picture

MMI = {
    4: "#8fd3c8", 5: "#7bd67b", 6: "#f5e04e", 7: "#ffb52e", 8: "#ff7a1f", 9: "#e8301c", 10: "#a01010",
}  # fmt: skip
"""Colour by degree of MMI, from weak to destructive."""
SEVERITY = {"Minor": "#7bd67b", "Moderate": "#f5e04e", "Severe": "#ff7a1f", "Extreme": "#e8301c"}
AREA = "#ffb52e"
MOST_LINES = 300
"""Shipments drawn, the largest: thousands of lines would hide the map."""
_DIGITS = 5


def colour(mmi: float | None, kelas: str | None) -> str:
    """Return the colour of a desa by its intensity or, where nothing shook, its class."""
    if mmi is not None:
        return MMI[min(10, max(4, round(float(mmi))))]
    return SEVERITY.get(kelas or "", AREA)


def legend(desa: Columns) -> list[tuple[str, str]]:
    """Return (label, colour) of what is drawn, the strongest last."""
    found: dict[str, str] = {}
    each = dict.fromkeys(desa.pairs("mmi", "kelas"))
    for mmi, kelas in sorted(each, key=lambda one: one[0] or 0):
        found.setdefault(f"MMI {round(float(mmi))}" if mmi is not None else kelas or "", colour(mmi, kelas))
    return list(found.items())


def geojson(picture: Picture, near: list[dict[str, Any]]) -> dict[str, Any]:
    """Return desa, facilities (`Picture.near`), largest shipments, epicentre or area: a collection each."""
    targets = picture.targets()
    lines = [
        _feature("LineString", [[row["gudang_lon"], row["gudang_lat"]], list(targets[str(row["kode"])])],
                 {"item": row["item"], "jumlah": row["jumlah"]})
        for row in sorted(picture.shipments(), key=lambda row: -row["jumlah"])[:MOST_LINES]
        if str(row["kode"]) in targets and row["gudang_lon"] is not None
    ]  # fmt: skip
    points = [
        _feature("Point", [one["lon"], one["lat"]], {
            "id": one["id"], "nama": one["nama"], "status": one["status"],
            "ada": _sends(one),
        })
        for one in near
        if "lon" in one
    ]  # fmt: skip
    return {
        "desa": _collection(_desa(picture)), "fasilitas": _collection(points), "rencana": _collection(lines),
        "pusat": _collection(_centre(picture)),
    }  # fmt: skip


def _sends(one: Row) -> bool:
    """Tell whether a facility has stock that may leave it."""
    return one["status"].strip().lower() in {*RELEASED, ""} and any(n > 0 for n in one["stok"].values())


def _desa(picture: Picture) -> list[dict[str, Any]]:
    texts = shapely.to_geojson(shapely.transform(picture.shapes, lambda xy: np.round(xy, _DIGITS)))
    said = picture.desa.pairs("kode", "nama", "mmi", "kelas")
    return [
        {
            "type": "Feature", "geometry": orjson.loads(shape),
            "properties": {"kode": code, "nama": name, "warna": colour(mmi, kelas)},
        }
        for (code, name, mmi, kelas), shape in zip(said, texts, strict=True)
    ]  # fmt: skip


def _centre(picture: Picture) -> list[dict[str, Any]]:
    if picture.area is not None:
        outline = shapely.simplify(picture.area, 0.0005)
        drawn = {"type": "Feature", "geometry": orjson.loads(shapely.to_geojson(outline)), "properties": {}}
        return [drawn]
    if picture.lon is None or picture.kind != "gempa":
        return []
    return [_feature("Point", [picture.lon, picture.lat], {})]


def _feature(kind: str, coordinates: Any, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature", "geometry": {"type": kind, "coordinates": coordinates},
        "properties": dict(properties),
    }  # fmt: skip


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}
