"""Which formats there are, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.model import LayerSchema
from layers.geometry import type_name


@dataclass(frozen=True, slots=True)
class Format:
    """One format: `name` is also the key of its text, `suffix` ends the file name."""

    name: str
    suffix: str
    media: str
    tables: bool = True
    """Whether a layer without geometry can be written."""
    mixed: bool = True
    """Whether geometries of several types can stand in one layer."""

    def holds(self, schema: LayerSchema) -> bool:
        """Tell whether a layer of this schema can be written."""
        if schema.geometry_type is None:
            return self.tables
        mixed = type_name(schema.geometry_type) in ("Geometry", "GeometryCollection")
        return self.mixed or not mixed


FORMATS = {
    one.name: one
    for one in (
        Format("gpkg", "gpkg", "application/geopackage+sqlite3"),
        Format("geoparquet", "parquet", "application/vnd.apache.parquet"),
        Format("flatgeobuf", "fgb", "application/flatgeobuf", tables=False),
        Format("shapefile", "shp.zip", "application/zip", tables=False, mixed=False),
        Format("geojson", "geojson", "application/geo+json", tables=False),
        Format("csv", "csv", "text/csv; charset=utf-8; header=present"),
        Format("csvw", "csv.zip", "application/zip"),
        Format("kml", "kml", "application/vnd.google-earth.kml+xml", tables=False),
    )
}


def by_suffix(suffix: str) -> Format | None:
    """Return the format whose files end so."""
    return next((one for one in FORMATS.values() if one.suffix == suffix), None)


def fitting(schema: LayerSchema) -> list[Format]:
    """Return the formats in which a layer of this schema can be written."""
    return [one for one in FORMATS.values() if one.holds(schema)]
