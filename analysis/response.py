"""respons-cepat (U9): one event answered whole: who is hit, what is near, who sends what.

Runs wilayah-terdampak, bantuan-terdekat and alokasi-bantuan one after the other. Needs come from a
rule per item: so much a day for each one that a published count of the desa counts. An event that
hits very many desa is planned by kecamatan, kabupaten/kota or provinsi: that is how aid travels
then, and the plan stays a matter of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from analysis.affected import (
    Aggregates,
    Bahaya,
    Dampak,
    Terdampak,
    affected_by_area,
    affected_by_earthquake,
)
from analysis.allocate import Need, Plan, Stock, allocate
from analysis.earthquake import Gempa
from analysis.lookup import DesaIndex
from analysis.nearest import Asal, FacilityIndex, Fasilitas, Terdekat
from catalog.codes import LEVELS, Level
from catalog.errors import QueryError

_FINEST_FIRST: tuple[Level, ...] = LEVELS[::-1]


@dataclass(frozen=True, slots=True)
class AturanKebutuhan:
    """`amount` of `item` a day for each one counted in column `per`, for `days`, from `least_mmi` on."""

    item: str
    per: str
    amount: float
    days: float = 1.0
    unit: str = ""
    least_mmi: float = 1.0


@dataclass(frozen=True, slots=True)
class Aturan:
    """The rules of an answer. `max_m` is the farthest (metres) that stock is sent."""

    kebutuhan: tuple[AturanKebutuhan, ...] = ()
    k: int = 3
    jenis: tuple[str, ...] = ()
    least_mmi: float = 5.0
    max_m: float | None = None
    sasaran: int = 500


@dataclass(frozen=True, slots=True)
class Tanggapan:
    """The answer: who is hit, the k nearest facilities of each desa, and the plan.

    `tingkat` is the level that the plan is made for (`desa` unless more than `Aturan.sasaran` are in
    need); needs and shipments name regions of that level. `catatan` are keys of warnings.
    """

    dampak: Dampak
    terdekat: Mapping[str, list[Terdekat]]
    kebutuhan: list[Need]
    rencana: Plan
    tingkat: Level = "desa"
    catatan: tuple[str, ...] = ()
    fasilitas: Mapping[str, Fasilitas] = field(default_factory=dict)


def respond(
    index: DesaIndex,
    hazard: Gempa | Sequence[Bahaya],
    *,
    facilities: FacilityIndex,
    people: Aggregates | None,
    rules: Aturan,
    names: Mapping[str, str] | None = None,
) -> Tanggapan:
    """Answer an earthquake, or areas (none: an event that was called off, which hits nobody).

    QueryError when a rule counts by a column that the people layer does not have.
    """
    hit = _hit(index, hazard, people, rules, names)
    origins = [Asal(one.kode, *index.points[row].tolist()) for one, row in _rows(index, hit.desa)]
    near = facilities.nearest(origins, k=rules.k, jenis=rules.jenis)
    needs, notes = _needs(index, hit.desa, people, rules)
    level, targets = _planned(hit, needs, rules.sasaran)
    items = {rule.item for rule in rules.kebutuhan}
    stocks = _stocks(facilities, items)
    notes += [f"tanpa_stok.{item}" for item in sorted(items - {stock.item for stock in stocks})]
    plan = allocate(stocks, targets, max_cost=rules.max_m)
    return Tanggapan(
        hit, {origin.id: found for origin, found in zip(origins, near, strict=True)}, targets, plan, level,
        (*hit.catatan, *notes), {one.id: one for one in facilities.facilities},
    )  # fmt: skip


def _hit(
    index: DesaIndex,
    hazard: Gempa | Sequence[Bahaya],
    people: Aggregates | None,
    rules: Aturan,
    names: Mapping[str, str] | None,
) -> Dampak:
    if isinstance(hazard, Gempa):
        return affected_by_earthquake(
            index, hazard, least_mmi=rules.least_mmi, aggregates=people, names=names
        )
    if not hazard:
        return Dampak([], {level: [] for level in LEVELS[:-1]})
    return affected_by_area(index, hazard, aggregates=people, names=names)


def _rows(index: DesaIndex, desa: Sequence[Terdampak]) -> list[tuple[Terdampak, int]]:
    return [(one, row) for one in desa if (row := index.row(one.kode)) is not None]


def _needs(
    index: DesaIndex, desa: Sequence[Terdampak], people: Aggregates | None, rules: Aturan
) -> tuple[list[Need], list[str]]:
    """Return the need of each desa; where its people are unknown, so is its need: it is left out."""
    if not rules.kebutuhan:
        return [], ["tanpa_aturan_kebutuhan"]
    if people is None:
        return [], ["tanpa_penduduk"]
    columns = set(chain.from_iterable(people.values()))
    needs, there = [], _rows(index, desa)
    for rule in rules.kebutuhan:
        column = _column(columns, rule.per)
        for one, row in there:
            if (one.mmi is not None and one.mmi < rule.least_mmi) or one.perkiraan is None:
                continue
            amount = math.ceil(round(one.perkiraan.get(column, 0.0) * rule.amount * rule.days, 6))
            if amount > 0:
                lon, lat = index.points[row].tolist()
                needs.append(Need(one.kode, rule.item, amount, lon, lat))
    return needs, []


def _column(columns: set[str], per: str) -> str:
    for name in (per, f"jumlah_{per}"):
        if name in columns:
            return name
    there = ", ".join(sorted(columns)) or "-"
    raise QueryError(f"nothing is counted as {per!r}; there are: {there}", where="response.needs")


def _planned(hit: Dampak, needs: list[Need], most: int) -> tuple[Level, list[Need]]:
    """Return the finest level at which no more than `most` regions are in need, and their needs."""
    for level in _FINEST_FIRST:
        regions = hit.desa if level == "desa" else hit.wilayah.get(level, [])
        if level == "desa" or not regions:
            summed = needs
        else:
            summed = _summed(needs, sorted({one.kode for one in regions}))
        if len({need.kode for need in summed}) <= most:
            return level, summed
    return _FINEST_FIRST[-1], summed


def _summed(needs: list[Need], codes: list[str]) -> list[Need]:
    """Sum needs up to regions; a region's place is that of its desa with the largest need."""
    width = len(codes[0])
    total: dict[tuple[str, str], int] = {}
    place: dict[tuple[str, str], Need] = {}
    for need in needs:
        key = need.kode[:width], need.item
        total[key] = total.get(key, 0) + need.amount
        if key not in place or need.amount > place[key].amount:
            place[key] = need
    return [
        Need(k, item, n, place[k, item].lon, place[k, item].lat) for (k, item), n in sorted(total.items())
    ]


def _stocks(facilities: FacilityIndex, items: set[str]) -> list[Stock]:
    """Return what the facilities hold of the items that are asked for, in whole units."""
    return [
        Stock(one.id, item, int(amount), one.lon, one.lat, one.status.strip().lower() or "dirilis")
        for one in facilities.facilities
        for item, amount in one.stok.items()
        if item in items and amount >= 1
    ]
