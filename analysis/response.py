"""respons-cepat (U9): one event answered whole: who is hit, what is near, who sends what.

Runs wilayah-terdampak, bantuan-terdekat and alokasi-bantuan one after the other. Needs come from a
rule per item: so much a day for each one that a published count of the desa counts. An event that
hits very many desa is planned by kecamatan, kabupaten/kota or provinsi: that is how aid travels
then, and the plan stays a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.affected import Bahaya, affected_by_area, affected_by_earthquake, nothing
from analysis.allocate import Need, Plan, Stock, allocate
from analysis.counts import Aggregates
from analysis.earthquake import Gempa
from analysis.impact import Dampak, DesaTerdampak, regions_of, width_of
from analysis.lookup import DesaIndex
from analysis.nearest import FacilityIndex, Terdekat
from analysis.ragged import Floats, Ints
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


@dataclass(frozen=True, slots=True, eq=False)
class Tanggapan:
    """The answer: who is hit, the k nearest facilities of each desa, and the plan.

    `jarak_m` and `nomor` (desa, k) are the distances and numbers in `fasilitas` of the facilities
    nearest to each desa that is hit. `tingkat` is the level that the plan is made for (`desa` unless
    more than `Aturan.sasaran` are in need); needs and shipments name regions of that level. `catatan`
    are keys of warnings.
    """

    dampak: Dampak
    fasilitas: FacilityIndex
    jarak_m: Floats
    nomor: Ints
    kebutuhan: list[Need]
    rencana: Plan
    tingkat: Level = "desa"
    catatan: tuple[str, ...] = ()

    def terdekat(self) -> Iterator[Terdekat]:
        """Yield the facilities nearest to each desa, by desa."""
        for code, *found in zip(self.dampak.desa.kode, self.jarak_m, self.nomor, strict=True):
            yield from self.fasilitas.named(code, *found)


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
    places = index.points[hit.desa.rows]
    metres, numbers = facilities.ranked(places[:, 0], places[:, 1], rules.k, rules.jenis)
    needs, notes = _needs(hit.desa, people, rules)
    level, targets = _planned(index, hit.desa, places, needs, rules.sasaran)
    items = {rule.item for rule in rules.kebutuhan}
    stocks = _stocks(facilities, items)
    notes += [f"tanpa_stok.{item}" for item in sorted(items - {stock.item for stock in stocks})]
    plan = allocate(stocks, targets, max_cost=rules.max_m)
    return Tanggapan(hit, facilities, metres, numbers, targets, plan, level, (*hit.catatan, *notes))


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
        return nothing(index, people)
    return affected_by_area(index, hazard, aggregates=people, names=names)


def _needs(
    desa: DesaTerdampak, people: Aggregates | None, rules: Aturan
) -> tuple[dict[str, Ints], list[str]]:
    """Return what each desa needs of each item, all its rules together.

    Where the people of a desa are unknown, so is its need: it is left out (0).
    """
    if not rules.kebutuhan:
        return {}, ["tanpa_aturan_kebutuhan"]
    if people is None:
        return {}, ["tanpa_penduduk"]
    needs = {rule.item: np.zeros(len(desa), np.int64) for rule in rules.kebutuhan}
    for rule in rules.kebutuhan:
        estimate = np.nan_to_num(desa.perkiraan[:, _column(desa.hitungan, rule.per)])
        amounts = np.ceil(np.round(estimate * rule.amount * rule.days, 6)).astype(np.int64)
        if desa.mmi is not None:
            amounts[desa.mmi < rule.least_mmi] = 0
        needs[rule.item] += np.maximum(amounts, 0)
    return needs, []


def _column(columns: Sequence[str], per: str) -> int:
    for name in (per, f"jumlah_{per}"):
        if name in columns:
            return list(columns).index(name)
    there = ", ".join(sorted(columns)) or "-"
    raise QueryError(f"nothing is counted as {per!r}; there are: {there}", where="response.needs")


def _planned(
    index: DesaIndex, desa: DesaTerdampak, places: Floats, needs: Mapping[str, Ints], most: int
) -> tuple[Level, list[Need]]:
    """Return the finest level at which no more than `most` regions are in need, and their needs."""
    needy = np.zeros(len(desa), bool)
    for amounts in needs.values():
        needy |= amounts > 0
    for level in _FINEST_FIRST:
        codes, starts = (
            (desa.kode, np.arange(len(desa)))
            if level == "desa"
            else regions_of(desa.kode, width_of(index, level))
        )
        if not needy.any() or np.count_nonzero(np.logical_or.reduceat(needy, starts)) <= most:
            break
    each = [one for item, amounts in needs.items() for one in _summed(codes, starts, places, item, amounts)]
    return level, each if level == "desa" else sorted(each, key=lambda need: (need.kode, need.item))


def _summed(codes: list[str], starts: Ints, places: Floats, item: str, amounts: Ints) -> Iterator[Need]:
    """Sum needs up to regions; a region's place is that of its desa with the largest need."""
    total = np.add.reduceat(amounts, starts) if len(starts) else starts
    ends = np.append(starts[1:], len(amounts))
    for n in np.flatnonzero(total).tolist():
        largest = starts[n] + amounts[starts[n] : ends[n]].argmax()
        yield Need(codes[n], item, int(total[n]), *places[largest].tolist())


def _stocks(facilities: FacilityIndex, items: set[str]) -> list[Stock]:
    """Return what the facilities hold of the items that are asked for, in whole units."""
    return [
        Stock(one.id, item, int(amount), one.lon, one.lat, one.status.strip().lower() or "dirilis")
        for one in facilities.facilities
        for item, amount in one.stok.items()
        if item in items and amount >= 1
    ]
