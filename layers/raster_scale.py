"""Rasters that keep packed numbers (GDAL's scale and offset) are stored as the values they mean.

A value is `packed * scale + offset` (GDAL raster data model, "Raster Band": scale and offset). Many
readers do not apply it, so a temperature would be served as 500 degrees: it is done once, on the way in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

_TYPES = {"float32": "Float32", "float64": "Float64"}


def packed(source: Any) -> bool:
    """Tell whether a band of an open dataset has a scale or an offset."""
    return any(scale != 1 for scale in source.scales) or any(offset != 0 for offset in source.offsets)


def unpack(virtual: Path, dtypes: tuple[str, ...]) -> None:
    """Rewrite a VRT so that its bands have real values, NaN where there is no data.

    `dtypes` are those of the packed bands: 8 and 16 bits become float32, which holds them all.
    """
    small = all(np.dtype(one).itemsize <= 2 or one == "float32" for one in dtypes)
    kind = _TYPES["float32" if small else "float64"]
    document = ElementTree.parse(virtual)  # noqa: S314 - GDAL wrote it a moment ago
    for band in document.getroot().findall("VRTRasterBand"):
        scale, offset = (_taken(band, name, default) for name, default in (("Scale", "1"), ("Offset", "0")))
        nodata = _taken(band, "NoDataValue", "")
        band.set("dataType", kind)
        ElementTree.SubElement(band, "NoDataValue").text = "nan"
        for source in [*band.findall("SimpleSource"), *band.findall("ComplexSource")]:
            source.tag = "ComplexSource"
            said = {"ScaleRatio": scale, "ScaleOffset": offset} | ({"NODATA": nodata} if nodata else {})
            for name, value in said.items():
                _taken(source, name, "")
                ElementTree.SubElement(source, name).text = value
    document.write(virtual, encoding="utf-8")


def _taken(parent: Any, name: str, default: str) -> str:
    """Remove a child and return its text."""
    child = parent.find(name)
    if child is None:
        return default
    parent.remove(child)
    return child.text or default
