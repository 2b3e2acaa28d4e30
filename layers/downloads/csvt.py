"""What GDAL and QGIS read beside a CSV: types of its columns (`.csvt`) and its CRS (`.prj`).

Without them every column is text to GDAL, and a program that guesses types makes the number 32 of the
code `0032` (https://gdal.org/en/stable/drivers/vector/csv.html).
"""

from __future__ import annotations

from catalog.model import FieldType, LayerSchema
from layers.crs import crs_of

TYPES, SYSTEM = ".csvt", ".prj"
_NAMES = {
    FieldType.TEXT: "String",
    FieldType.INTEGER: "Integer64",
    FieldType.REAL: "Real",
    FieldType.BOOLEAN: "Integer(Boolean)",
    FieldType.DATE: "Date",
    FieldType.DATETIME: "DateTime",
}


def csvt(schema: LayerSchema) -> str:
    """Return the types of a CSV of ours, in its order of columns: id, attributes, geometry."""
    names = ["String", *(_NAMES[one.type] for one in schema.fields)]
    if schema.geometry_type is not None:
        names.append("WKT")
    return ",".join(f'"{name}"' for name in names) + "\n"


def companions(schema: LayerSchema) -> dict[str, str]:
    """Return the texts that stand beside a CSV, by the ending of their names."""
    texts = {TYPES: csvt(schema)}
    if schema.geometry_type is not None:
        texts[SYSTEM] = crs_of("EPSG:4326").to_wkt("WKT1_ESRI")
    return texts
