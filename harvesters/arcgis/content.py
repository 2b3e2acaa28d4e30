"""The features of one ArcGIS layer: what it lists, and its pages by ranges of object ids.

Ids and the count come first. Every page asks `oid >= lo AND oid <= hi` in order of the object id
and is judged by which of the listed ids it brought, never by its length. A page that fails is
halved until the feature that fails alone is found: an item error. Ids that a whole page left out
are asked for by `objectIds` once. A server that lists no ids is paged by the last object id seen,
and then only its count can be held against what came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catalog.errors import ProtocolError, SourceError, TransientSourceError
from catalog.model import FieldDef, ItemError, LayerSchema, RegionCode
from harvesters.arcgis.client import ArcGISClient
from harvesters.arcgis.geometry import TYPES, parse_geometries
from harvesters.arcgis.layer import Attributes, LayerInfo
from harvesters.arcgis.paging import Ids, Sizer, page_key, prefetch, remaining
from harvesters.contract import FeaturePage, Listing
from layers.contract import FeatureBatch

BATCH = 100
"""Ids in one `objectIds` question."""
MIN_FAILURES = 25
"""So many features may fail alone (or 1 % of the layer) before the source itself counts as broken."""
type Features = dict[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """How a layer is asked: address, filter, output CRS, page size and the attributes' case."""

    url: str
    where: str = ""
    out_sr: int = 4326
    page_size: int = 1000
    precision: int | None = None
    feature_id: str = ""
    time_field: str | None = None
    region_code: RegionCode | None = None


@dataclass(slots=True)
class _Failures:
    allowed: int
    count: int = 0

    def add(self, error: SourceError) -> None:
        self.count += 1
        if self.count > self.allowed:
            raise ProtocolError(
                f"{self.count} features failed one by one; the last: {error}", where=error.where
            )


@dataclass(slots=True)
class _Answer:
    """The wanted features that a question brought, and whether the server says there is more."""

    features: Features = field(default_factory=dict)
    exceeded: bool = False
    repeated: set[int] = field(default_factory=set)

    def add(self, oid: int, feature: dict[str, Any]) -> None:
        """Keep the first of features with one object id; note when a second one differs."""
        if oid not in self.features:
            self.features[oid] = feature
        elif self.features[oid] != feature:
            self.repeated.add(oid)


class ArcGISContent:
    """Implements `FeatureContent` for one layer or table of a MapServer or FeatureServer."""

    def __init__(
        self, client: ArcGISClient, info: LayerInfo, attributes: Attributes, question: Question
    ) -> None:
        self._client, self._info, self._attributes, self._q = client, info, attributes, question
        self._oids: dict[str, int] = {}  # feature id -> object id, only where the two differ

    def schema(self) -> LayerSchema:
        """Return the shape; names are the source's (in the configured case)."""
        kind = self._info.geometry_type
        if kind is not None and kind not in TYPES:
            raise ProtocolError(f"unknown geometry type {kind}", where=self._q.url)
        return LayerSchema(
            fields=self._attributes.fields,
            geometry_type=TYPES[kind] if kind else None,
            crs=f"EPSG:{self._q.out_sr}",
            time_field=self._q.time_field,
            region_code=self._q.region_code,
            integer_ids=not self._renamed,
        )

    @property
    def fields(self) -> tuple[FieldDef, ...]:
        """The attributes."""
        return self._attributes.fields

    @property
    def _renamed(self) -> bool:
        wanted = self._q.feature_id
        return bool(wanted) and wanted.upper() != self._info.oid.upper()

    # -- listing ------------------------------------------------------------------------------

    def listing(self) -> Listing:
        """Return count, sorted ids and a stamp of the content's state."""
        try:
            count, ids = self._count(), self._list_ids()
        except ProtocolError:  # an old server that lists no ids: then only the count can be held against it
            return Listing(count=self._count())
        if count != len(ids):  # it may be changing just now: ask once more before judging
            count, ids = self._count(), self._list_ids()
        stage = self._stage(ids)
        if self._renamed:
            return Listing(count=count, ids=self._feature_ids(ids), stage=stage)
        names = tuple(map(str, ids.tolist()))
        return Listing(count=count, ids=names, stage=stage, certain=bool(self._info.stamp))

    def _count(self) -> int:
        count = self._query({"where": self._where(), "returnCountOnly": True}).get("count")
        if not isinstance(count, int):
            raise ProtocolError("no count in the answer to returnCountOnly", where=self._q.url)
        return count

    def _list_ids(self) -> Ids:
        """Return all object ids, sorted; a server that cuts the list is asked for the rest."""
        ids = self._ids_where(self._where())
        while len(ids):
            more = self._ids_where(self._where(f"{self._info.oid} > {ids[-1]}"))
            more = more[more > ids[-1]]
            if not len(more):
                break
            ids = np.concatenate((ids, more))
        return ids

    def _ids_where(self, where: str) -> Ids:
        answer = self._query({"where": where, "returnIdsOnly": True})
        if "objectIds" not in answer:
            raise ProtocolError("no objectIds in the answer to returnIdsOnly", where=self._q.url)
        return np.unique(np.array(answer["objectIds"] or [], dtype=np.int64))

    def _feature_ids(self, ids: Ids) -> tuple[str, ...]:
        """Read the configured id field of all features; duplicates stay, for the engine to report."""
        found: dict[int, str] = {}
        sizer, rest = self._sizer(), ids
        only = {"outFields": f"{self._info.oid},{self._q.feature_id}", "returnGeometry": False}
        while len(rest):
            chunk = rest[: sizer.size]
            try:
                answer = self._range(chunk, only)
                covered = self._covered(chunk, answer, sizer)
            except (ProtocolError, TransientSourceError):
                if len(chunk) == 1:
                    raise
                sizer.failed(len(chunk))
                continue
            rest = rest[len(covered) :]
            for oid, feature in answer.features.items():
                found[oid] = self._feature_id(oid, self._attributes.row(dict(feature["attributes"])))
        self._oids = {name: oid for oid, name in reversed(found.items())}
        return tuple(found.get(oid, f"oid:{oid}") for oid in ids.tolist())

    def _feature_id(self, oid: int, row: dict[str, Any]) -> str:
        if not self._renamed:
            return str(oid)
        value = row.get(self._attributes.cased(self._q.feature_id))
        return f"oid:{oid}" if value is None or value == "" else str(value)

    def _stage(self, ids: Ids) -> str:
        """Name the content's state: ids, the question, and the edit date.

        A server that keeps no edit date could change attributes under equal ids: then the pages of
        an interrupted run are good for the same day (by the server's clock) only.
        """
        parts = (
            self._info.stamp or self._client.server_day,
            self._q,
            [(f.name, f.type) for f in self.fields],
        )
        return hashlib.sha256(ids.tobytes() + repr(parts).encode()).hexdigest()[:20]

    # -- pages --------------------------------------------------------------------------------

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the pages that are not staged, the next one being fetched while one is used."""
        if listing.ids is None:
            return prefetch(self._walk_blind())
        ids = np.array(sorted(self._oid(name) for name in listing.ids), dtype=np.int64)
        return prefetch(self._walk(ids, staged))

    def _sizer(self) -> Sizer:
        return Sizer(min(self._info.max_records, self._q.page_size))

    def _oid(self, name: str) -> int:
        return self._oids[name] if name in self._oids else int(name.removeprefix("oid:"))

    def _walk(self, ids: Ids, staged: Set[str]) -> Iterator[FeaturePage]:
        todo = remaining(ids, staged)
        sizer = self._sizer()
        failures = _Failures(max(MIN_FAILURES, len(ids) // 100))
        while todo:
            stretch = todo.popleft()
            chunk, rest = stretch[: sizer.size], stretch[sizer.size :]
            if len(rest):
                todo.appendleft(rest)
            try:
                answer = self._range(chunk)
                covered = self._covered(chunk, answer, sizer)
            except (ProtocolError, TransientSourceError) as e:
                self._alive(e)
                if len(chunk) == 1:
                    yield self._alone(chunk, e, failures)
                    continue
                sizer.failed(len(chunk))
                middle = len(chunk) // 2
                todo.extendleft((chunk[middle:], chunk[:middle]))
                continue
            if len(covered) < len(chunk):
                todo.appendleft(chunk[len(covered) :])
            else:
                sizer.good(len(chunk), self._client.last_bytes)
            yield self._page(page_key(covered), answer)

    def _walk_blind(self) -> Iterator[FeaturePage]:
        """Page without a list of ids: each page starts above the last object id of the one before."""
        sizer, last = self._sizer(), None
        while True:
            try:
                answer = self._above(last, sizer.size)
            except (ProtocolError, TransientSourceError) as e:
                self._alive(e)
                if sizer.size == 1:
                    raise
                sizer.failed(sizer.size)
                continue
            if not answer.features:
                return
            ids = np.array(list(answer.features), dtype=np.int64)
            last = int(ids[-1])
            sizer.good(len(ids), self._client.last_bytes)
            yield self._page(page_key(ids), answer)

    def _above(self, last: int | None, size: int) -> _Answer:
        """Ask for the first features above `last`; the server must put them in order of the object id."""
        where = self._where() if last is None else self._where(f"{self._info.oid} > {last}")
        able = self._info.raw.get("advancedQueryCapabilities") or {}
        limit = {"resultRecordCount": size} if able.get("supportsPagination") else {}
        answer = self._features(None, {"where": where, "orderByFields": self._info.oid, **limit})
        ids = list(answer.features)
        if ids != sorted(ids) or (ids and last is not None and ids[0] <= last):
            raise ProtocolError("the server ignores orderByFields and lists no ids", where=self._q.url)
        return answer

    def _covered(self, chunk: Ids, answer: _Answer, sizer: Sizer) -> Ids:
        """Return the leading part of `chunk` that the answer settles; ask for single ids it left out.

        When the answer is the beginning of the chunk, the server cut it (its own limit, or a short
        page): the rest is asked for next. Holes are asked for by id; what does not come then is gone.
        """
        there = np.fromiter((i in answer.features for i in chunk.tolist()), dtype=bool, count=len(chunk))
        if there.all():
            return chunk
        got = int(there.sum())
        if got and there[:got].all():
            sizer.capped(got, firm=answer.exceeded)
            return chunk[:got]
        missing = chunk[~there]
        for start in range(0, len(missing), BATCH):
            answer.features.update(self._by_ids(missing[start : start + BATCH]).features)
        return chunk

    def _alive(self, error: SourceError) -> None:
        """Raise when it is the server that is gone, not one page that it can not make."""
        if isinstance(error, TransientSourceError):
            self._count()

    def _alone(self, chunk: Ids, error: SourceError, failures: _Failures) -> FeaturePage:
        """Make the item error of a feature that fails alone."""
        failures.add(error)
        item = ItemError(error.code, error.detail or str(error), str(chunk[0]), error.where or self._q.url)
        return FeaturePage(page_key(chunk), self._batch([], [], None), [item])

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Ask for single features by their ids; those that do not come are simply not in the pages."""
        wanted = np.array(sorted({self._oid(name) for name in ids}), dtype=np.int64)
        todo = [wanted[i : i + BATCH] for i in range(0, len(wanted), BATCH)][::-1]
        failures = _Failures(max(MIN_FAILURES, len(wanted) // 100))
        while todo:
            chunk = todo.pop()
            try:
                answer = self._by_ids(chunk)
            except (ProtocolError, TransientSourceError) as e:
                self._alive(e)
                if len(chunk) > 1:
                    todo += [chunk[len(chunk) // 2 :], chunk[: len(chunk) // 2]]
                else:
                    yield self._alone(chunk, e, failures)
                continue
            yield self._page(f"again {page_key(chunk)}", answer)

    # -- one question -------------------------------------------------------------------------

    def _where(self, *more: str) -> str:
        own = [f"({self._q.where})"] if self._q.where else []
        return " AND ".join([*own, *more]) or "1=1"

    def _query(self, params: dict[str, Any], retries: int | None = None) -> dict[str, Any]:
        return self._client.ask(f"{self._q.url}/query", params, retries=retries)

    def _range(self, chunk: Ids, params: dict[str, Any] | None = None) -> _Answer:
        oid = self._info.oid
        between = (f"{oid} >= {chunk[0]}", f"{oid} <= {chunk[-1]}")
        return self._features(chunk, {"where": self._where(*between), "orderByFields": oid, **(params or {})})

    def _by_ids(self, chunk: Ids) -> _Answer:
        names = [str(i) for i in chunk.tolist()]
        if self._client.fits_get(names):
            return self._features(chunk, {"objectIds": ",".join(names)})
        half = len(chunk) // 2
        return _Answer({**self._by_ids(chunk[:half]).features, **self._by_ids(chunk[half:]).features})

    def _features(self, chunk: Ids | None, params: dict[str, Any]) -> _Answer:
        """Ask for features; keep those of `chunk` (None: all). A large page is halved, not often retried."""
        shape = {
            "outFields": "*", "returnGeometry": self._info.geometry_type is not None, "outSR": self._q.out_sr,
            "returnZ": False, "returnM": False, "returnTrueCurves": False,
            "geometryPrecision": self._q.precision,
        }  # fmt: skip
        answer = self._patient({**shape, **params}, retries=1 if chunk is None or len(chunk) > 1 else None)
        features = answer.get("features")
        if not isinstance(features, list):
            raise ProtocolError("no features in the answer", where=self._q.url)
        wanted = None if chunk is None else set(chunk.tolist())
        found = _Answer(exceeded=bool(answer.get("exceededTransferLimit")))
        for feature in features:
            oid = self._object_id(feature)
            if wanted is None or oid in wanted:
                found.add(oid, feature)
        return found

    def _patient(self, params: dict[str, Any], retries: int | None) -> dict[str, Any]:
        try:
            return self._query(params, retries)
        except TransientSourceError as e:
            if e.params.get("status") != 429 or retries is None:
                raise
        return self._query(params)  # "too many requests" says nothing of the page's size

    def _object_id(self, feature: Any) -> int:
        attributes = feature.get("attributes") if isinstance(feature, dict) else None
        if not isinstance(attributes, dict):
            raise ProtocolError("a feature without attributes", where=self._q.url)
        oid = attributes.get(self._info.oid)
        if oid is None:
            folded = {k.rpartition(".")[2].upper(): v for k, v in attributes.items()}
            oid = folded.get(self._info.oid.rpartition(".")[2].upper())
        if not isinstance(oid, int):
            raise ProtocolError(f"a feature without {self._info.oid}", where=self._q.url)
        return oid

    def _page(self, key: str, answer: _Answer) -> FeaturePage:
        oids = sorted(answer.features)
        ordered = [answer.features[oid] for oid in oids]
        rows = [self._attributes.row(f["attributes"]) for f in ordered]
        ids = [self._feature_id(oid, row) for oid, row in zip(oids, rows, strict=True)]
        errors = [
            ItemError(
                "duplicate-id", "the source has several features of this id; the first is kept", str(oid)
            )
            for oid in sorted(answer.repeated)
        ]
        if self._info.geometry_type is None:
            return FeaturePage(key, FeatureBatch(ids, rows, None), errors)
        shapes, bad = parse_geometries(self._info.geometry_type, [f.get("geometry") for f in ordered])
        errors += [ItemError("geometry-unreadable", why, ids[i], self._q.url) for i, why in bad.items()]
        good = [i for i in range(len(ids)) if i not in bad]
        if bad:
            ids, rows, shapes = [ids[i] for i in good], [rows[i] for i in good], shapes[good]
        return FeaturePage(key, FeatureBatch(ids, rows, shapes), errors)

    def _batch(self, ids: list[str], rows: list[dict[str, Any]], shapes: Any) -> FeatureBatch:
        if self._info.geometry_type is not None and shapes is None:
            shapes = np.empty(0, dtype=object)
        return FeatureBatch(ids, rows, shapes)
