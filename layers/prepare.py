"""Turn a page of features into what both stores write: values, WKB, GeoJSON texts, content hash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import shapely

from catalog.errors import RecordError
from catalog.model import ItemError, LayerSchema
from layers.contract import FeatureBatch, Geometries, WriteReport
from layers.crs import to_geojson, transform
from layers.geometry import prepare_geometries, type_id
from layers.values import CHECKS, BadValueError, Scalar, check_row, text_value

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
MAX_ID = 400
"""Longest feature id in characters: it must fit in an index and in an address."""


@dataclass(slots=True)
class Row:
    """One feature as stored: `bounds` in the stored CRS, `lonlat` in degrees; None without geometry."""

    id: str
    values: list[Scalar]
    digest: bytes
    properties: bytes
    ordered: bytes
    geojson: bytes = b"null"
    wkb: bytes | None = None
    bounds: tuple[float, float, float, float] | None = None
    lonlat: tuple[float, float, float, float] | None = None


class Preparer:
    """Prepares the pages of one layer. PublishError when the schema's geometry type is unknown."""

    def __init__(self, schema: LayerSchema) -> None:
        if schema.geometry_type is not None:
            type_id(schema.geometry_type)
        self.schema = schema
        self._names = frozenset(schema.names())
        self._keys = [f.name for f in schema.fields]
        self._checks = [CHECKS[f.type] for f in schema.fields]

    def page(self, batch: FeatureBatch) -> tuple[list[Row], WriteReport]:
        """Return the rows that can be stored, ids unique, and a report of those that can not."""
        if len(batch.ids) != len(batch.rows):
            raise RecordError(f"{len(batch.ids)} ids but {len(batch.rows)} rows")
        report = WriteReport()
        rows = self._rows(batch, report)
        if self.schema.geometry_type is not None:
            rows = self._shapes(rows, batch, report)
        written = [row for row in rows if row is not None]
        report.written = len(written)
        return written, report

    def _rows(self, batch: FeatureBatch, report: WriteReport) -> list[Row | None]:
        rows: list[Row | None] = []
        seen: set[str] = set()
        for raw_id, raw in zip(batch.ids, batch.rows, strict=True):
            try:
                row = self._row(raw_id, raw)
            except BadValueError as error:
                report.errors.append(ItemError("field-value", str(error), remote_id=str(raw_id)[:MAX_ID]))
                rows.append(None)
                continue
            if row.id in seen:
                message = "the id stands twice in one page; the first is kept"
                report.errors.append(ItemError("duplicate-id", message, remote_id=row.id))
                rows.append(None)
                continue
            seen.add(row.id)
            rows.append(row)
        return rows

    def _row(self, raw_id: str, raw: dict[str, Any]) -> Row:
        feature_id = self._id(raw_id)
        if not raw.keys() <= self._names:
            unknown = sorted(str(k) for k in raw.keys() - self._names)
            raise BadValueError(f"field {unknown[0]!r}: not in the layer's schema")
        values = check_row(raw, self.schema.fields, self._checks)
        shown = dict(zip(self._keys, values, strict=True))
        spatial = self.schema.geometry_type is not None
        ordered = sorted_json(shown)
        digest = b"" if spatial else content_hash(feature_id, ordered, None)
        return Row(feature_id, values, digest, orjson.dumps(shown), ordered)

    def _id(self, raw_id: str) -> str:
        try:
            feature_id = text_value(raw_id)
        except BadValueError as error:
            raise BadValueError(f"id: {error}") from None
        if not feature_id or len(feature_id) > MAX_ID:
            raise BadValueError(f"id: must have 1 to {MAX_ID} characters")
        if self.schema.integer_ids and not _INTEGER.fullmatch(feature_id):
            raise BadValueError("id: must be an integer in this layer, written plainly")
        return feature_id

    def _shapes(self, rows: list[Row | None], batch: FeatureBatch, report: WriteReport) -> list[Row | None]:
        keep = [i for i, row in enumerate(rows) if row is not None]
        given: Geometries = np.full(len(rows), None, dtype=object)
        if batch.geometries is not None:
            given = np.asarray(batch.geometries, dtype=object)
        if len(given) != len(rows):
            raise RecordError(f"{len(rows)} rows but {len(given)} geometries")
        good = [row for row in rows if row is not None]
        page = prepare_geometries(
            [row.id for row in good], given[keep], str(self.schema.geometry_type), self.schema.crs
        )
        report.errors += page.errors
        report.repaired += page.repaired
        _attach(good, page.geometries, self.schema.crs)
        _warn_missing(good, page.bad, report)
        return [None if bad else row for row, bad in zip(good, page.bad, strict=True)]


def sorted_json(values: dict[str, Scalar]) -> bytes:
    """Return the attributes as JSON in the order of their names."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def content_hash(feature_id: str, ordered: bytes, wkb: bytes | None) -> bytes:
    """Return the hash (16 bytes) of a feature's id, attributes (`sorted_json`) and geometry.

    Independent of the store and of the order of the fields.
    """
    return blake2b(b"\0".join((feature_id.encode(), ordered, wkb or b"")), digest_size=16).digest()


def _attach(rows: list[Row], shapes: Geometries, crs: str) -> None:
    """Give each row its WKB, GeoJSON, bounds, and a hash that covers the geometry."""
    lonlat = transform(shapes, crs, "OGC:CRS84")
    boxes, degrees = _boxes(shapes), _boxes(lonlat)
    texts = to_geojson(lonlat, "OGC:CRS84")
    for i, wkb in enumerate(shapely.to_wkb(shapes, byte_order=1, output_dimension=2)):
        row = rows[i]
        row.digest = content_hash(row.id, row.ordered, wkb)
        if wkb is not None:
            row.wkb, row.geojson = wkb, texts[i]
            row.bounds, row.lonlat = boxes[i], degrees[i]


def _boxes(shapes: Geometries) -> list[tuple[float, float, float, float]]:
    bounds: npt.NDArray[np.float64] = shapely.bounds(shapes)
    return [(a, b, c, d) for a, b, c, d in bounds.tolist()]


def _warn_missing(rows: list[Row], bad: npt.NDArray[np.bool_], report: WriteReport) -> None:
    empty = [row.id for row, gone in zip(rows, bad, strict=True) if row.wkb is None and not gone]
    if empty:
        message = f"{len(empty)} features without a geometry (the first: {empty[0]})"
        report.errors.append(ItemError("geometry-missing", message, empty[0], severity="warning"))


def refuse_twin(report: WriteReport, feature_id: str, page: str) -> None:
    """Report an id that another page brought before with other content."""
    message = f"the id came before with other content (page {page}); the first is kept"
    report.errors.append(ItemError("duplicate-id", message, remote_id=feature_id))
    report.written -= 1
