"""Distances over roads: a network of lines becomes a graph, Dijkstra (scipy.sparse.csgraph) does the rest.

Lines join where they share a vertex: at their ends, or where they pass through the same point. Lines that
only cross (a bridge) do not join. Lengths are geodesic metres (WGS84), so no way is shorter than the
geodesic. Places stand on the nearest point of the nearest road, not at its next junction; the way to
it, straight, is part of the distance. In Mercator (EPSG:3395, conformal) the nearest road is nearest in
metres, too. A road may be one-way, and may have a speed, which gives the minutes of the shortest way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from pyproj import Transformer
from scipy.sparse import csr_array

from analysis.lookup import GEOD
from analysis.ragged import Floats, Geometries, Ints, spans
from catalog.errors import QueryError

_GRID = 1e-7
"""Degrees within which vertices are the same: a centimetre."""
_LEAST_M = 1e-3


@dataclass(frozen=True, slots=True)
class Snapped:
    """Places on the network: edge, part of its length from its beginning, metres to it (NaN: no network)."""

    edge: Ints
    part: Floats
    access_m: Floats


class RoadNetwork:
    """Edges between nodes. Read only once made, so safe for threads."""

    def __init__(self, lines: Geometries, *, kmh: Floats | None = None, oneway: Ints | None = None) -> None:
        """Take lines in lon/lat; `kmh` (NaN: unknown) and `oneway` (1 along, -1 against, 0 both) per line.

        QueryError when there is no line, or a coordinate is not in degrees.
        """
        parts, of = shapely.get_parts(shapely.force_2d(lines), return_index=True)
        good = shapely.get_type_id(parts) == 1
        parts, of = parts[good & ~shapely.is_empty(parts)], of[good & ~shapely.is_empty(parts)]
        if not len(parts):
            raise QueryError("the network has no lines", where="roads")
        xy, part = shapely.get_coordinates(parts, return_index=True)
        if not (np.abs(xy) <= [180, 85]).all():
            raise QueryError("the network is not in degrees of longitude and latitude", where="roads")
        nodes, at = _nodes(xy, part)
        self._edges(xy, part, nodes, at)
        line = of[part[self._starts]]
        self.oneway = np.zeros(len(self.tail), np.int8) if oneway is None else oneway[line].astype(np.int8)
        self.seconds = None if kmh is None else self.metres * 3.6 / _speeds(kmh)[line]
        self._tree = shapely.STRtree(self._lines(xy))

    def __len__(self) -> int:
        return len(self.tail)

    def _edges(self, xy: Floats, part: Ints, nodes: Ints, at: Ints) -> None:
        """Cut lines at nodes: `nodes` numbers the vertices that are one (else -1), `at` where they stand."""
        step = GEOD.inv(*xy[:-1].T, *xy[1:].T)[2]
        along = np.concatenate([[0.0], np.cumsum(np.where(part[1:] == part[:-1], step, 0.0))])
        same = part[at[1:]] == part[at[:-1]]
        starts, ends = at[:-1][same], at[1:][same]
        metres = along[ends] - along[starts]
        keep = (nodes[starts] != nodes[ends]) | (metres > _LEAST_M)
        self._starts, self._ends = starts[keep], ends[keep]
        self.tail, self.head = nodes[self._starts], nodes[self._ends]
        self.metres = np.maximum(metres[keep], _LEAST_M)
        self.nodes = int(nodes.max()) + 1

    def _lines(self, xy: Floats) -> Geometries:
        """Return the edges in Mercator."""
        to = Transformer.from_crs("EPSG:4326", "EPSG:3395", always_xy=True)
        flat = np.column_stack(to.transform(*xy.T))
        lengths = self._ends - self._starts + 1
        return cast(
            Geometries,
            shapely.linestrings(
                flat[spans(self._starts, lengths)], indices=np.repeat(np.arange(len(lengths)), lengths)
            ),
        )

    def snap(self, lon: Floats, lat: Floats) -> Snapped:
        """Return the nearest place on a road for each point."""
        to = Transformer.from_crs("EPSG:4326", "EPSG:3395", always_xy=True)
        points = shapely.points(*to.transform(np.asarray(lon, float), np.asarray(lat, float)))
        edge = np.zeros(len(points), np.int64)
        number, near = self._tree.query_nearest(points, all_matches=False)
        edge[number] = near
        shapes = self._tree.geometries[edge]
        part = shapely.line_locate_point(shapes, points, normalized=True)
        there = shapely.line_interpolate_point(shapes, part, normalized=True)
        x, y = to.transform(shapely.get_x(there), shapely.get_y(there), direction="INVERSE")
        access = np.asarray(GEOD.inv(lon, lat, x, y)[2])
        return Snapped(edge, np.nan_to_num(part), access)


def _nodes(xy: Floats, part: Ints) -> tuple[Ints, Ints]:
    """Return the number of each vertex that is a node (-1: none), and where nodes stand.

    A node is the end of a line, or a place that occurs more than once.
    """
    grid = np.rint(xy / _GRID).astype(np.int64)
    key = (grid[:, 0] << 32) + grid[:, 1]
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    end = np.ones(len(xy), bool)
    inner = part[1:-1]
    end[1:-1] = (inner != part[:-2]) | (inner != part[2:])
    is_node = np.zeros(len(counts), bool)
    is_node[inverse[end]] = True
    is_node |= counts > 1
    number = np.where(is_node, np.cumsum(is_node) - 1, -1)
    nodes = number[inverse]
    return nodes, np.flatnonzero(nodes >= 0)


def _speeds(kmh: Floats) -> Floats:
    """Return speeds; an unknown one is the median of those that are known."""
    known = kmh[np.isfinite(kmh) & (kmh > 0)]
    if not len(known):
        raise QueryError("no road has a speed", where="roads_speed")
    return np.where(np.isfinite(kmh) & (kmh > 0), kmh, np.median(known))


class RoadGraph:
    """The network with places standing on it as nodes of their own, and a last node for who asks.

    Not safe for threads: the arcs of the last node are written anew for each origin.
    """

    def __init__(self, network: RoadNetwork, places: Snapped) -> None:
        """Cut the edges at the places; place number `i` is node `network.nodes + i`."""
        self.network = network
        order = np.lexsort((places.part, places.edge))
        self._edge, self._part = places.edge[order], places.part[order]
        self._node = network.nodes + order
        self.source = network.nodes + len(order)
        tail, head, edge, share = self._pieces()
        self._matrix(tail, head, edge, share)

    def _pieces(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Return the edges cut at the places: tail, head, which edge it was, its share of that one."""
        network, count = self.network, len(self.network)
        edge = np.concatenate([np.arange(count), self._edge])
        part = np.concatenate([np.zeros(count), self._part])
        begin = np.concatenate([network.tail, self._node])
        order = np.lexsort((np.arange(len(edge)), part, edge))
        edge, part, begin = edge[order], part[order], begin[order]
        last = np.append(edge[1:] != edge[:-1], True)
        finish = np.where(last, network.head[edge], np.append(begin[1:], 0))
        upto = np.where(last, 1.0, np.append(part[1:], 1.0))
        return begin, finish, edge, upto - part

    def _matrix(self, tail: Ints, head: Ints, edge: Ints, share: Floats) -> None:
        network = self.network
        forth, back = network.oneway[edge] >= 0, network.oneway[edge] <= 0
        begin, finish = np.concatenate([tail[forth], head[back]]), np.concatenate([head[forth], tail[back]])
        which = np.concatenate([edge[forth], edge[back]])
        part = np.concatenate([share[forth], share[back]])
        metres = np.maximum(network.metres[which] * part, _LEAST_M)
        order = np.lexsort((metres, finish, begin))
        begin, finish = begin[order], finish[order]
        first = np.ones(len(begin), bool)  # of parallel arcs the shortest
        first[1:] = (begin[1:] != begin[:-1]) | (finish[1:] != finish[:-1])
        begin, finish, order = begin[first], finish[first], order[first]
        size = self.source + 1
        starts = np.concatenate([[0], np.cumsum(np.bincount(begin, minlength=size))])
        starts[-1] += 2
        data = np.concatenate([metres[order], [np.inf, np.inf]])
        indices = np.concatenate([finish, [0, 0]]).astype(np.int32)
        self.matrix = csr_array((data, indices, starts.astype(np.int32)), shape=(size, size))
        self.seconds = None
        if network.seconds is not None:
            self.seconds = np.concatenate([(network.seconds[which] * part)[order], [0.0, 0.0]])

    def stand(self, edge: int, part: float) -> None:
        """Put who asks on an edge: two arcs, to the next node on either side where one may drive so."""
        network = self.network
        low = int(np.searchsorted(self._edge, edge, "left"))
        high = int(np.searchsorted(self._edge, edge, "right"))
        cut = low + int(np.searchsorted(self._part[low:high], part, "left"))
        behind = (
            (int(self._node[cut - 1]), float(self._part[cut - 1]))
            if cut > low
            else (int(network.tail[edge]), 0.0)
        )
        ahead = (
            (int(self._node[cut]), float(self._part[cut])) if cut < high else (int(network.head[edge]), 1.0)
        )
        for slot, (node, at), may in (
            (-2, behind, network.oneway[edge] <= 0 or behind[1] == part),
            (-1, ahead, network.oneway[edge] >= 0 or ahead[1] == part),
        ):
            share = abs(at - part)
            self.matrix.indices[slot] = node
            self.matrix.data[slot] = max(share * network.metres[edge], _LEAST_M) if may else np.inf
            if self.seconds is not None and network.seconds is not None:
                self.seconds[slot] = share * network.seconds[edge]

    def minutes(self, before: Ints, node: int) -> float | None:
        """Return the minutes of the way that leads to `node`; None where speeds are not known."""
        if self.seconds is None:
            return None
        total = 0.0
        starts, heads = self.matrix.indptr, self.matrix.indices
        while node != self.source:
            come = int(before[node])
            low, high = int(starts[come]), int(starts[come + 1])
            arcs = low + np.flatnonzero(heads[low:high] == node)
            total += float(self.seconds[arcs[self.matrix.data[arcs].argmin()]])
            node = come
        return total / 60


def directions(values: Sequence[Any]) -> Ints:
    """Return 1 (yes, 1, F, FT), -1 (-1, T, TF) or 0 (all else) for how road layers write one-way."""
    along, against = {"yes", "true", "1", "1.0", "f", "ft", "ya"}, {"-1", "-1.0", "t", "tf", "reverse"}
    texts = [str(value).strip().lower() for value in values]
    return np.array([1 if text in along else -1 if text in against else 0 for text in texts], np.int64)
