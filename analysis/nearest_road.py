"""bantuan-terdekat over roads: the k facilities with the shortest ways, proven, not only among candidates.

Dijkstra from the origin goes as far as a limit and thereby meets every facility whose way is shorter.
The limit begins at what the k nearest as the crow flies suggest and doubles until k facilities are met
within it. What no road leads to (another island, too far from any road) comes last, in geodesic metres,
and says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse.csgraph import dijkstra

from analysis.nearest import Asal, FacilityIndex, Terdekat
from analysis.ragged import Floats, Ints
from analysis.roads import RoadGraph, RoadNetwork

MOST_ACCESS_M = 5000.0
_DETOUR = 1.4
"""How much longer than the geodesic ways usually are: where the search begins, not where it ends."""
_DOUBLINGS = 3


class RoadFinder:
    """Facilities on a road network. Origins are asked one after the other, under a lock."""

    def __init__(
        self, facilities: FacilityIndex, network: RoadNetwork, *, most_access_m: float = MOST_ACCESS_M
    ) -> None:
        """Put the facilities on their roads; those farther than `most_access_m` from one have none."""
        self.facilities = facilities
        self.network, self._most = network, most_access_m
        snapped = network.snap(facilities.lon, facilities.lat)
        self._access = np.where(snapped.access_m <= most_access_m, snapped.access_m, np.inf)
        self._graph = RoadGraph(network, snapped)
        self._lock = threading.Lock()

    def nearest(
        self,
        origins: Sequence[Asal],
        *,
        k: int = 1,
        jenis: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Terdekat]]:
        """Return up to `k` facilities for each origin: by road first, then what no road leads to."""
        lon, lat = np.array([(o.lon, o.lat) for o in origins], float).reshape(-1, 2).T
        near, _ = self.facilities.ranked(lon, lat, k, jenis)
        if not origins:
            return []
        chosen = self.facilities.chosen(jenis)
        stood = self.network.snap(lon, lat)
        found = []
        for number, origin in enumerate(origins):
            access = float(stood.access_m[number])
            by_road: list[Terdekat] = []
            if near.shape[1] and access <= self._most:
                place = int(stood.edge[number]), float(stood.part[number])
                by_road = self._by_road(origin, place, access, k, chosen, float(near[number, -1]))
            found.append(by_road + self._others(origin, by_road, k, jenis))
            if progress:
                progress(number + 1, len(origins))
        return found

    def _by_road(
        self, origin: Asal, place: tuple[int, float], access: float, k: int, chosen: Ints, far: float
    ) -> list[Terdekat]:
        nodes = self.network.nodes + chosen
        with self._lock:
            self._graph.stand(*place)
            limit = far * _DETOUR + 1000.0
            for turn in range(_DOUBLINGS + 1):
                way, before = self._search(limit)
                total = way[nodes] + self._access[chosen]
                proven = (
                    np.flatnonzero(total <= limit)
                    if np.isfinite(limit)
                    else np.flatnonzero(np.isfinite(total))
                )
                if len(proven) >= k or not np.isfinite(limit):
                    break
                limit = limit * 2 if turn < _DOUBLINGS - 1 else np.inf
            ranked = sorted(
                (float(total[i]), self.facilities.facilities[int(chosen[i])].id, int(i)) for i in proven
            )[:k]
            return [
                Terdekat(
                    origin.id, n, metres + access, self.facilities.facilities[int(chosen[i])], "jalan",
                    access + float(self._access[chosen[i]]), self._graph.minutes(before, int(nodes[i])),
                )
                for n, (metres, _, i) in enumerate(ranked, 1)
            ]  # fmt: skip

    def _search(self, limit: float) -> tuple[Floats, Ints]:
        way, before = dijkstra(
            self._graph.matrix, indices=self._graph.source, limit=limit, return_predecessors=True
        )
        return way, before

    def _others(
        self, origin: Asal, by_road: Sequence[Terdekat], k: int, jenis: Sequence[str]
    ) -> list[Terdekat]:
        missing = k - len(by_road)
        if missing <= 0:
            return []
        have = {one.fasilitas.id for one in by_road}
        place = np.array([origin.lon]), np.array([origin.lat])
        metres, numbers = self.facilities.ranked(*place, min(k + len(by_road), 1000), jenis)
        every = self.facilities.named(origin.id, metres[0], numbers[0])
        rest = [one for one in every if one.fasilitas.id not in have][:missing]
        return [replace(one, urutan=n) for n, one in enumerate(rest, len(by_road) + 1)]
