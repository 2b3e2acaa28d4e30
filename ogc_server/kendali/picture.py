"""One answer as operators see it: who is hit, what is near with its stock, the plan, what stays unmet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import shapely

from analysis.nearest import Fasilitas
from analysis.ragged import Floats
from layers.contract import Geometries
from ogc_server.kendali.columns import Columns, Row

MOST_SHAPES = 3000
_NEAR = re.compile(r"bantuan_\d+_id")
_COUNTED = ("jumlah_", "perkiraan_")


@dataclass(frozen=True, slots=True)
class Picture:
    """`desa` are those that are hit (as respons-cepat has them), `shapes` theirs in lon/lat, `plan` its rows.

    `id` is the collection, empty for what is not published. `titles` by language; `used` are the
    versions that it was made from. `facilities` stand by id, with the stock of now.
    """

    id: str
    version: int
    kind: str
    event_id: str
    titles: Mapping[str, str]
    at: datetime | None
    made: datetime
    lon: float | None
    lat: float | None
    revision: int
    exercise: bool
    synthetic: bool
    cancelled: bool
    desa: Columns
    shapes: Geometries
    plan: list[Row]
    used: list[tuple[str, int]]
    facilities: Mapping[str, Fasilitas] = field(default_factory=dict)
    area: shapely.Geometry | None = None
    notes: Mapping[str, list[str]] = field(default_factory=dict)

    def shipments(self) -> list[Row]:
        """Return what is sent."""
        return [row for row in self.plan if row["gudang"]]

    def unmet(self) -> list[Row]:
        """Return what stays unmet, the largest first within an item."""
        return sorted(
            (row for row in self.plan if not row["gudang"]), key=lambda row: (row["item"], -row["jumlah"])
        )

    def summary(self) -> dict[str, Any]:
        """Return how many are hit, how strongly, and the sums of each item."""
        levels = {
            level: len(set(self.desa.pairs(*above)))
            for level, above in (
                ("kecamatan", ("provinsi", "kabkota", "kecamatan")), ("kabkota", ("provinsi", "kabkota")),
                ("provinsi", ("provinsi",)),
            )
        }  # fmt: skip
        return {
            "desa": len(self.desa), **levels, "mmi_tertinggi": highest(self.desa), **totals(self.desa),
            "desa_tanpa_data": self._unknown(), "item": self.items(),
        }  # fmt: skip

    def _unknown(self) -> int:
        """Return of how many desa nothing is counted."""
        counted = self.desa.beginning("perkiraan_").values()
        if not counted:
            return len(self.desa)
        return len(set.intersection(*({n for n, one in enumerate(c) if one is None} for c in counted)))

    def items(self) -> list[dict[str, Any]]:
        """Return need, what is sent and what is short, per item."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.plan:
            one = found.setdefault(
                row["item"],
                {"item": row["item"], "satuan": row.get("satuan") or "", "butuh": 0, "kirim": 0, "kurang": 0},
            )
            one["kirim" if row["gudang"] else "kurang"] += row["jumlah"]
            one["butuh"] += row["jumlah"]
        return [found[name] for name in sorted(found)]

    def regions(self) -> list[dict[str, Any]]:
        """Return the kabupaten and kota that are hit, with what is counted in them."""
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, region in enumerate(self.desa.pairs("provinsi", "kabkota")):
            groups[region].append(number)
        counted = Columns({n: c for n, c in self.desa.values.items() if n == "mmi" or n.startswith(_COUNTED)})
        parts = ((region, counted.part(numbers)) for region, numbers in sorted(groups.items()))
        return [
            {"provinsi": province, "kabkota": name, "desa": len(groups[province, name]),
             "mmi_tertinggi": highest(part), **totals(part)}
            for (province, name), part in parts
        ]  # fmt: skip

    def near(self) -> list[dict[str, Any]]:
        """Return the facilities named for a desa or in the plan: the nearest first, with their stock."""
        found: dict[str, dict[str, Any]] = {}
        for start in (name.removesuffix("id") for name in self.desa.values if _NEAR.fullmatch(name)):
            for first, many, metres in _grouped(self.desa.pairs(f"{start}id", f"{start}jarak_m")):
                said = {name: self.desa[start + name][first] for name in ("id", "nama", "jenis", "status")}
                _add(found, said, metres, desa=many)
        for row in self.shipments():
            _add(
                found, {"id": row["gudang"], "nama": row["gudang_nama"]}, row["jarak_m"], kirim=row["jumlah"]
            )
        for one in found.values():
            if known := self.facilities.get(one["id"]):
                one |= {"lon": known.lon, "lat": known.lat, "stok": dict(known.stok)}
                one |= {"jenis": known.jenis, "status": known.status}
        return sorted(found.values(), key=lambda one: (one["jarak_m"], one["id"]))

    def targets(self) -> dict[str, tuple[float, float]]:
        """Return a place for each region that the plan names, inside of a desa of it."""
        codes = {str(row["kode"]) for row in self.plan}
        inside: dict[str, list[int]] = defaultdict(list)
        for width in {len(code) for code in codes}:
            for number, code in enumerate(self.desa["kode"]):
                if (region := code[:width]) in codes:
                    inside[region].append(number)
        places = shapely.get_coordinates(shapely.point_on_surface(self.shapes))
        return {code: _middle(places[inside[code]]) for code in sorted(inside)}


def _middle(places: Floats) -> tuple[float, float]:
    """Return the place that is nearest to the mean of all."""
    apart = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    lon, lat = places[apart.argmin()].tolist()
    return lon, lat


def _grouped(pairs: Iterable[tuple[str | None, float]]) -> Iterable[tuple[int, int, float]]:
    """Return for each id its first row, how many rows name it, and the least metres to it."""
    found: dict[str, tuple[int, int, float]] = {}
    for number, (key, metres) in enumerate(pairs):
        if key:
            first, many, least = found.get(key, (number, 0, metres))
            found[key] = first, many + 1, min(least, metres)
    return found.values()


def _add(
    found: dict[str, dict[str, Any]], said: Row, metres: float, *, desa: int = 0, kirim: int = 0
) -> None:
    one = found.setdefault(
        str(said["id"]), {"jenis": "", "status": "", **said, "jarak_m": metres, "desa": 0, "kirim": 0}
    )
    one["jarak_m"] = min(one["jarak_m"], metres)
    one["desa"] += desa
    one["kirim"] += kirim


def simplified(shapes: Geometries) -> Geometries:
    """Return shapes good for one screen: some 1,500 steps across; as points when there are too many."""
    if not len(shapes):
        return shapes
    if len(shapes) > MOST_SHAPES:
        return np.asarray(shapely.point_on_surface(shapes), object)
    west, south, east, north = shapely.total_bounds(shapes)
    drawn = np.asarray(shapely.simplify(shapes, max(east - west, north - south) / 1500), object)
    empty = shapely.is_empty(drawn)
    drawn[empty] = shapes[empty]
    return drawn


def totals(desa: Columns) -> dict[str, dict[str, int]]:
    """Return the sums of the counts (`jumlah`) and estimates (`perkiraan`); unknown ones are left out."""
    found: dict[str, dict[str, int]] = {}
    for kind in ("jumlah", "perkiraan"):
        known = {what: [int(one) for one in column if one is not None]
                 for what, column in desa.beginning(f"{kind}_").items()}  # fmt: skip
        found[kind] = {what: sum(numbers) for what, numbers in known.items() if numbers}
    return found


def highest(desa: Columns) -> float | None:
    """Return the highest intensity."""
    return max((mmi for mmi in desa["mmi"] if mmi is not None), default=None)
