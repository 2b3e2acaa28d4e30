"""Which part of a layer: all of it, one region by its code, or what meets a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pygeofilter import ast

from catalog.codes import Code, parse
from catalog.errors import QueryError
from catalog.model import BBox, FieldType, LayerSchema
from layers.contract import Query
from layers.crs import CRS84, transform_bounds


@dataclass(frozen=True, slots=True)
class Extract:
    """A part: `region` is a provinsi, kabupaten, kecamatan or desa; `bbox` is in CRS84 degrees."""

    region: Code | None = None
    bbox: BBox | None = None

    @property
    def whole(self) -> bool:
        """Tell whether nothing is left out."""
        return self.region is None and self.bbox is None

    def label(self) -> str:
        """Return what stands in the file's name: "", "-32.03" or "-107_-7_108_-6"."""
        region = f"-{self.region}" if self.region else ""
        box = "-" + "_".join(f"{edge:.6g}" for edge in self.bbox) if self.bbox else ""
        return region + box


WHOLE = Extract()


def read_extract(schema: LayerSchema, region: str | None, bbox: BBox | None) -> Extract:
    """Return the part that is asked for; QueryError (where: `wilayah` or `bbox`) when it can not be."""
    if region is not None and not by_region(schema):
        raise QueryError("the layer declares no text column with region codes", where="wilayah")
    if bbox is not None and schema.geometry_type is None:
        raise QueryError("a table has no places to choose by", where="bbox")
    declared = schema.region_code
    code = parse(region, declared.scheme) if region is not None and declared is not None else None
    return Extract(code, bbox)


def by_region(schema: LayerSchema) -> bool:
    """Tell whether features can be chosen by region."""
    declared = schema.region_code
    kinds = {one.name: one.type for one in schema.fields}
    return declared is not None and kinds.get(declared.field) is FieldType.TEXT


def where(schema: LayerSchema, extract: Extract) -> Query | None:
    """Return the condition of a part, None for the whole."""
    if extract.whole:
        return None
    box = extract.bbox
    if box is not None:
        box = transform_bounds(box, CRS84, schema.crs)
    chosen = _below(schema, extract.region) if extract.region is not None else None
    return Query(bbox=box, filter=chosen)


def _below(schema: LayerSchema, region: Code) -> Any:
    """Return the condition for a region and all below it: parts have fixed widths, so a prefix tells."""
    column = ast.Attribute(schema.region_code.field if schema.region_code else "")
    plain, *dotted = dict.fromkeys([region.digits, str(region)])  # codes are stored with dots or without
    found: Any = _starts(column, plain)
    return ast.Or(found, _starts(column, dotted[0])) if dotted else found


def _starts(column: Any, text: str) -> Any:
    return ast.Like(column, f"{text}%", False, "%", "_", "\\", False)
