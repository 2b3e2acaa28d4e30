"""What both stores' readers share: planning, paging, splicing of ready texts, other CRSs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import orjson

from catalog.errors import PublishError
from catalog.model import FieldType, LayerSchema, VersionInfo
from layers.columns import FID, ID, quote
from layers.contract import FeatureBatch, Geometries, Page, Query
from layers.crs import to_geojson
from layers.fold import text_of
from layers.lookup import field_of
from layers.query.plan import Plan, beyond, make_plan
from layers.query.sql import Dialect, Sql, join
from layers.query.tokens import Token, decode, encode
from layers.texts import feature_text
from layers.values import stored_form

type Parts = tuple[bytes, bytes, bytes]
"""Texts before the geometry, of the geometry, of the properties."""


class VersionReader(ABC):
    """Answers queries; a store adds how its rows, texts and geometries are fetched."""

    COUNTS_KEPT: ClassVar[int] = 512

    def __init__(self, info: VersionInfo, dialect: Dialect) -> None:
        if info.schema is None:
            raise PublishError("a version without schema is not a vector layer", where=info.layer_id)
        self.info = info
        self.schema: LayerSchema = info.schema
        self._dialect = dialect
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    # -- what a store gives ------------------------------------------------------------------

    @abstractmethod
    def _select(self, columns: Sequence[str], where: Sql, tail: Sql) -> list[tuple[Any, ...]]:
        """Run `SELECT columns FROM layer WHERE where tail` and return all rows."""

    @abstractmethod
    def _features(self, fids: Sequence[int]) -> list[bytes]:
        """Return whole Features; `fids` may be a range."""

    @abstractmethod
    def _parts(self, fids: Sequence[int]) -> list[Parts]:
        """Return the Features' texts in parts."""

    @abstractmethod
    def _shapes(self, fids: Sequence[int]) -> Geometries:
        """Return stored geometries."""

    @abstractmethod
    def _fid_before(self, feature_id: str) -> int:
        """Return the last fid whose id is not after `feature_id` in id order, 0 for none."""

    @abstractmethod
    def _batch(self, fids: Sequence[int], names: Sequence[str], *, geometry: bool) -> FeatureBatch:
        """Return features as values; `fids` may be a range."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    # -- what the contract asks ---------------------------------------------------------------

    def page(self, query: Query) -> Page:
        """Answer a query; QueryError when it does not fit the schema."""
        plan = make_plan(self.schema, query, self._dialect)
        token = decode(query.after, plan.sort) if query.after else None
        values: tuple[Any, ...] = ()
        if not plan.where and not plan.sort:
            fids, more = self._run_of(query, token)
        else:
            rows = self._rows_of(query, plan, token)
            more, rows = len(rows) > query.limit, rows[: query.limit]
            fids = [row[0] for row in rows]
            values = self._plain(plan, rows[-1][1:]) if rows else ()
        alone = not more and token is None and query.offset == 0
        matched = self._matched(plan.where, len(fids) if alone else None)
        last = fids[-1] if fids else 0
        following = encode(plan.sort, Token(values, self._id_of(last))) if more and last else None
        return Page(self._texts(fids, query), matched, following)

    def count(self, query: Query) -> int:
        """Count what a query matches."""
        return self._matched(make_plan(self.schema, query, self._dialect).where)

    def count_rows(self) -> int:
        """Count the stored rows, whatever was recorded of them."""
        return int(self._select(["count(*)"], Sql(""), Sql(""))[0][0])

    def feature(self, feature_id: str, crs: str | None = None) -> bytes | None:
        """Return one Feature, or None; QueryError when the id is no text that could be stored."""
        known = Sql(f"{quote(ID)} = ?", (text_of(feature_id),))
        found = self._select([quote(FID)], known, Sql(""))
        if not found:
            return None
        return self._texts([found[0][0]], Query(crs=crs))[0]

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        size: int = 5000,
        geometry: bool = True,
        where: Query | None = None,
    ) -> Iterator[FeatureBatch]:
        """Stream the version in id order; dates are dates, times aware, geometries in the stored CRS."""
        names = columns_or_all(self.schema, columns)
        fids: Sequence[int] = range(1, self.info.count + 1)
        condition = make_plan(self.schema, where, self._dialect).where if where else Sql("")
        if condition:
            found = self._select([quote(FID)], condition, Sql(f"ORDER BY {quote(FID)}"))
            fids = [row[0] for row in found]
        for first in range(0, len(fids), size):
            yield self._batch(fids[first : first + size], names, geometry=geometry)

    # -- paging -------------------------------------------------------------------------------

    def _run_of(self, query: Query, token: Token | None) -> tuple[Sequence[int], bool]:
        """Return the fids of a page of everything: fids are dense, so it is a range."""
        first = (self._fid_before(token.feature_id) if token else 0) + query.offset + 1
        stop = min(first + query.limit, self.info.count + 1)
        return range(first, max(first, stop)), stop <= self.info.count and query.limit > 0

    def _rows_of(self, query: Query, plan: Plan, token: Token | None) -> list[tuple[Any, ...]]:
        where = plan.where
        if token is not None:
            after = beyond(plan, token, self._fid_before(token.feature_id), self.schema, self._dialect)
            where = join([where, after], "AND")
        columns = [quote(FID), *(self._dialect.column(name) for name, _ in plan.sort)]
        tail = Sql(f"ORDER BY {plan.order} LIMIT ? OFFSET ?", (query.limit + 1, query.offset))
        return self._select(columns, where, tail)

    def _plain(self, plan: Plan, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return sort values in stored form, as a token's JSON can hold them."""
        kinds = [field_of(self.schema, name).type for name, _ in plan.sort]
        return tuple(
            bool(value) if kind is FieldType.BOOLEAN and value is not None else stored_form(value)
            for kind, value in zip(kinds, values, strict=True)
        )

    def _id_of(self, fid: int) -> str:
        start = self._parts([fid])[0][0] if fid else b""
        if not start:
            return ""
        found = orjson.loads(start.removesuffix(b',"geometry":') + b"}")["id"]
        return str(found)

    def _matched(self, where: Sql, known: int | None = None) -> int:
        """Count what a condition matches, once; `known` when the first page already held it all."""
        if not where:
            return self.info.count
        key = sha256(repr(where).encode()).digest()  # a filter may hold a large geometry
        with self._lock:
            if key in self._counts:
                self._counts.move_to_end(key)
                return self._counts[key]
        found = int(self._select(["count(*)"], where, Sql(""))[0][0]) if known is None else known
        with self._lock:
            self._counts[key] = found
            while len(self._counts) > self.COUNTS_KEPT:
                self._counts.popitem(last=False)
        return found

    # -- texts --------------------------------------------------------------------------------

    def _texts(self, fids: Sequence[int], query: Query) -> list[bytes]:
        if not fids:
            return []
        other = query.crs is not None and query.crs.upper() not in ("OGC:CRS84", "CRS84")
        if query.properties is None and not query.skip_geometry and not other:
            return self._features(fids)
        parts = self._parts(fids)
        if query.skip_geometry:
            shown = [b"null"] * len(parts)
        elif other and self.schema.geometry_type is not None:
            shown = to_geojson(self._shapes(fids), self.schema.crs, query.crs)
        else:
            shown = [geometry for _, geometry, _ in parts]
        chosen = [properties for _, _, properties in parts]
        if query.properties is not None:
            chosen = [self._subset(text, query.properties) for text in chosen]
        starts = (start for start, _, _ in parts)
        return [feature_text(*three) for three in zip(starts, shown, chosen, strict=True)]

    def _subset(self, properties: bytes, names: tuple[str, ...]) -> bytes:
        if not names:
            return b"{}"
        wanted = set(names)
        return orjson.dumps({k: v for k, v in orjson.loads(properties).items() if k in wanted})


def columns_or_all(schema: LayerSchema, columns: Sequence[str] | None) -> list[str]:
    """Return the asked attributes, checked, or all."""
    return list(schema.names()) if columns is None else [field_of(schema, name).name for name in columns]


def empty_shapes(count: int) -> Geometries:
    """Return `count` absent geometries."""
    return np.full(count, None, dtype=object)


__all__ = ["Parts", "VersionReader", "columns_or_all", "empty_shapes"]
