"""The features of one WFS type: counted first, sorted, paged, compared, whatever the server does.

Paging is by startIndex over a sorted result. A server that ignores startIndex shows itself by a page
it gave before; then, as without paging, everything is asked for at once and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.errors import ConfigError, IncompleteError, ProtocolError, SourceError, TransientSourceError
from catalog.model import FieldDef, ItemError, LayerSchema, RegionCode
from harvesters.contract import FeaturePage, Listing
from harvesters.wfs.read import (
    Axis,
    WfsPage,
    content_id,
    impossible_latitude,
    looks_like_degrees,
    read_geojson,
    read_gml,
    swapped,
)
from harvesters.wfs.schema import infer, read_xsd, sort_key
from harvesters.wfs.service import FeatureType, WfsService, hits
from layers.contract import FeatureBatch

log = logging.getLogger(__name__)
_SAMPLES = ((0, 20), (0, 1), (1, 1), (20, 1), (100, 1))
"""(start, count) to try for a sample: one feature that can not be encoded must not hide the layer."""
MAX_BAD_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one feature type."""

    type: FeatureType
    page_size: int
    feature_id: str = ""
    where: str = ""
    sort_by: tuple[str, ...] = ()
    axis: Axis = "declared"
    output_format: str = ""
    crs: str = ""
    time_field: str | None = None
    region_code: RegionCode | None = None


class WfsContent:
    """Feature content of one WFS type."""

    def __init__(self, service: WfsService, question: Question) -> None:
        self._service = service
        self._question = question
        self._schema: LayerSchema | None = None
        self._fields: list[FieldDef] = []
        self._sort: list[str] = []
        capabilities = service.capabilities
        self._format = question.output_format or capabilities.json_format() or ""
        self._page_size = min(question.page_size, capabilities.count_default or question.page_size)
        self._pages = capabilities.version != "1.0.0" and capabilities.paging is not False

    # -- shape --------------------------------------------------------------------------------

    def schema(self) -> LayerSchema:
        """Describe the type: XSD for names and types, a sample for what the XSD leaves open."""
        if self._schema is None:
            self._schema = self._describe()
        return self._schema

    def _describe(self) -> LayerSchema:
        question = self._question
        self._fields, shape, _ = self._xsd()
        sample = self._sample()
        if self._format and not question.output_format and not question.feature_id and not all(sample.ids):
            log.info("GeoJSON of %s has no ids; GML it is", question.type.name)
            self._format = ""
            sample = self._sample()
        sampled = {name for row in sample.rows for name in row}
        if not self._fields or (sampled and not sampled & {f.name for f in self._fields}):
            self._fields = infer(sample.rows)
        if shape is None and any(g is not None for g in sample.geometries):
            shape = "Geometry"
        self._fields = [f for f in self._fields if f.name not in {"bbox", "boundedBy"}]
        names = {f.name for f in self._fields}
        return LayerSchema(
            fields=tuple(self._fields),
            geometry_type=shape,
            crs=self._crs(sample),
            time_field=question.time_field if question.time_field in names else None,
            region_code=question.region_code,
        )

    def _xsd(self) -> tuple[list[FieldDef], str | None, str]:
        name = self._question.type.name
        query = {k: v for k, v in self._query().items() if k.startswith(("type", "version"))}
        try:
            root = self._service.get_xml({**query, "request": "DescribeFeatureType"})
        except ProtocolError as exc:
            log.warning("no schema of %s: %s", name, exc)
            return [], None, ""
        return read_xsd(root, name)

    def _sample(self) -> WfsPage:
        """Ask for a few features; settles whether the server takes our sort keys."""
        question = self._question
        self._sort = list(question.sort_by) or sort_key(self._fields, question.feature_id)
        if self._version == "1.0.0":
            self._sort = []
        trouble: SourceError | None = None
        for sort in [self._sort, []] if self._sort else [[]]:
            self._sort = sort
            for start, count in _SAMPLES:
                try:
                    page = self._fetch(start, min(count, self._page_size), retries=0 if trouble else None)
                    if len(page) or trouble is None:
                        return page
                except (ProtocolError, TransientSourceError) as exc:
                    trouble = trouble or exc
                if not self._pages:
                    break
            log.warning("%s gives no sample sorted by %s", question.type.name, sort)
        raise trouble or ProtocolError("no sample", where=self._service.url)

    def _crs(self, sample: WfsPage) -> str:
        declared = sample.crs or self._question.type.crs or self._question.crs or "EPSG:4326"
        metric = declared not in {"EPSG:4326", "OGC:CRS84"} and self._format and not sample.crs
        present = np.array([g for g in sample.geometries if g is not None], dtype=object)
        if metric and len(present) and looks_like_degrees(present):
            return "OGC:CRS84"  # GeoJSON by RFC 7946, whatever the capabilities declare
        return declared

    # -- what is there ------------------------------------------------------------------------

    def listing(self) -> Listing:
        """Ask for the number of features (`resultType=hits`); unknown is None."""
        if self._version == "1.0.0":
            return Listing()
        try:
            root = self._service.get_xml({**self._query(), "resultType": "hits"})
        except ProtocolError as exc:
            log.warning("%s gives no hits: %s", self._question.type.name, exc)
            return Listing()
        return Listing(count=hits(root))

    # -- pages --------------------------------------------------------------------------------

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield pages by start index; IncompleteError when the server can not be made to give all."""
        self.schema()
        if not self._pages:
            yield from self._whole(listing)
            return
        start, size, bad = 0, self._page_size, 0
        first: frozenset[str] = frozenset()
        previous: frozenset[str] = frozenset()
        done = dict(_span(key) for key in staged if "+" in key)
        while listing.count is None or start < listing.count:
            if start in done:
                start += done[start]
                continue
            try:
                page = self._fetch(start, size, retries=None if size == self._page_size else 0)
            except (ProtocolError, TransientSourceError) as exc:
                if size > 1:
                    size = max(1, size // 2)
                    continue
                bad += 1
                if bad > MAX_BAD_IN_A_ROW:
                    raise
                yield _failed(start, exc, self._question.type.name)
                start += 1
                continue
            if not len(page):
                return
            whole = self._page(f"{start}+{len(page)}", page)
            ids = frozenset(whole.batch.ids)
            if start and ids and (ids <= first or ids <= previous):
                log.warning("%s ignores startIndex", self._question.type.name)
                yield from self._whole(listing)
                return
            self._same_count(listing, page)
            first, previous, bad = first or ids, ids, 0
            yield whole
            start += len(page)
            size = min(self._page_size, size * 2)

    def _whole(self, listing: Listing) -> Iterator[FeaturePage]:
        """Ask for everything at once; slices keep the store's transactions small."""
        page = self._fetch(None, listing.count)
        for lo in range(0, len(page), self._question.page_size):
            hi = lo + self._question.page_size
            part = WfsPage(page.ids[lo:hi], page.rows[lo:hi], page.geometries[lo:hi])
            whole = self._page(f"all:{lo}", part)
            whole.errors += _uncounted(listing, self._question, lo)
            yield whole
        if listing.count is not None and len(page) < listing.count:
            raise IncompleteError(
                f"the server gives at most {len(page)} of {listing.count} features and can not page",
                where=self._service.url,
                hint="ask for another protocol or a file, or split the layer with `where`",
            )

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Ask for single features by the server's own ids."""
        if self._question.feature_id:
            return
        key = "resourceId" if self._version >= "2" else "featureID"
        for lo in range(0, len(ids), 50):
            some = ids[lo : lo + 50]
            page = self._read(self._service.get({**self._query(), **self._form(), key: ",".join(some)}))
            yield self._page(f"ids:{some[0]}", page)

    def _same_count(self, listing: Listing, page: WfsPage) -> None:
        if None not in (page.matched, listing.count) and page.matched != listing.count:
            raise IncompleteError(
                f"the layer changed while it was paged: {listing.count} features, then {page.matched}",
                where=self._service.url,
            )

    # -- requests -----------------------------------------------------------------------------

    @property
    def _version(self) -> str:
        return self._service.capabilities.version

    def _query(self) -> dict[str, Any]:
        name = self._question.type.name
        key = "typeNames" if self._version >= "2" else "typeName"
        query: dict[str, Any] = {"request": "GetFeature", "version": self._version, key: name}
        return query | self._filter()

    def _filter(self) -> dict[str, str]:
        where = self._question.where.strip()
        if not where:
            return {}
        if where.startswith("<"):
            return {"filter": where}
        if not self._service.capabilities.geoserver:
            raise ConfigError(
                "only GeoServer understands a CQL `where`; others ignore it in silence",
                where=self._question.type.name, hint="write `where` as an OGC <Filter> (FES) instead",
            )  # fmt: skip
        return {"cql_filter": where}

    def _form(self) -> dict[str, str]:
        return {"outputFormat": self._format} if self._format else {}

    def _fetch(self, start: int | None, count: int | None, *, retries: int | None = None) -> WfsPage:
        query = self._query() | self._form()
        if count is not None:
            query["count" if self._version >= "2" else "maxFeatures"] = count
        if start is not None and self._pages:
            query["startIndex"] = start
        if self._sort:
            query["sortBy"] = ",".join(self._sort)
        return self._read(self._service.get(query, retries=retries))

    def _read(self, content: bytes) -> WfsPage:
        question, where = self._question, self._service.url
        if self._format and content.lstrip()[:1] in (b"{", b"["):
            page = read_geojson(content, where)
        else:
            page = read_gml(content, self._fields, question.axis, where, question.type.srs_name)
        degrees = (page.crs or question.type.crs) in {"EPSG:4326", "OGC:CRS84", ""}
        if degrees and impossible_latitude(page.geometries):
            log.warning("%s sends latitude first against its declaration", question.type.name)
            page.geometries = swapped(page.geometries)
        return page

    def _page(self, key: str, page: WfsPage) -> FeaturePage:
        """Make a page to store; features without a value in the configured id are item errors."""
        batch = self._batch(page)
        if all(batch.ids):
            return FeaturePage(key, batch)
        said = f"no value in {self._question.feature_id!r}"
        errors = [ItemError("id-missing", said, p) for p, i in zip(page.ids, batch.ids, strict=True) if not i]
        keep = [n for n, own in enumerate(batch.ids) if own]
        shapes = batch.geometries[keep] if batch.geometries is not None else None
        kept = FeatureBatch([batch.ids[n] for n in keep], [batch.rows[n] for n in keep], shapes)
        return FeaturePage(key, kept, errors)

    def _batch(self, page: WfsPage) -> FeatureBatch:
        names = [f.name for f in self._fields]
        rows = [{name: row.get(name) for name in names} for row in page.rows]
        geometries = page.geometries if self.schema().geometry_type else None
        return FeatureBatch(self._ids(page, rows), rows, geometries)

    def _ids(self, page: WfsPage, rows: list[dict[str, Any]]) -> list[str]:
        field = self._question.feature_id
        if field:
            if rows and field not in rows[0]:
                raise ConfigError(f"feature_id {field!r} is no attribute", where=self._question.type.name)
            return ["" if row[field] in (None, "") else _plain(row[field]) for row in rows]
        return [
            content_id(row, geometry) if _unstable(own) else own
            for own, row, geometry in zip(page.ids, rows, page.geometries, strict=True)
        ]


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _unstable(own: str) -> bool:
    """Tell an id that changes at each request: GeoServer's for tables without a key, or none at all."""
    return not own or ".fid-" in own or own.startswith("fid-")


def _uncounted(listing: Listing, question: Question, start: int) -> list[ItemError]:
    """Warn, once, that nobody can tell whether all came: neither hits nor paging."""
    if start or listing.count is not None:
        return []
    said = "the server tells no count and does not page: completeness can not be checked"
    return [ItemError("count-unknown", said, question.type.name, severity="warning")]


def _span(key: str) -> tuple[int, int]:
    start, _, length = key.partition("+")
    return int(start), int(length)


def _failed(start: int, error: SourceError, name: str) -> FeaturePage:
    problem = ItemError(error.code, error.detail, remote_id=f"{name}#{start}", url=error.where)
    return FeaturePage(f"{start}+1", FeatureBatch([], [], None), [problem])
