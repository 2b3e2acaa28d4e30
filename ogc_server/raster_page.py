"""What the page of a raster collection shows: picture, legend, statistics, and where to ask for values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from babel.numbers import format_decimal

from catalog.datasets import Dataset
from catalog.errors import QueryError
from catalog.model import VersionInfo
from layers.raster_grid import Box
from layers.raster_style import Band, Style, bands_of
from ogc_server import maps_tiles
from ogc_server.ask import Ask, segment
from ogc_server.crs import CRS84
from ogc_server.raster_layer import RasterLayer, shown
from ogc_server.raster_style import figure, legend, style_of
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

_PREVIEW = 720
_HIGH = 100
"""Height of a histogram, in its own units."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: from and to (a value, where both are one), cells, height of 100, colour."""

    low: float
    high: float
    cells: int
    height: float
    colour: str


def page(
    service: Service, snapshot: Snapshot, ask: Ask, dataset: Dataset, info: VersionInfo
) -> dict[str, Any]:
    """Return what the template `raster.html` needs; `raster` is None where nothing was measured."""
    bands = bands_of(info)
    if not bands:
        return {"raster": None}
    layer = RasterLayer(service, snapshot, dataset, info, pinned=True)
    here, version = f"/collections/{segment(dataset.id)}", ask.values.get("version")
    style, box = style_of(layer), _box(layer)
    say = partial(figure, lang=ask.lang)
    shape = {"width": _PREVIEW} if box is None or box[2] - box[0] >= box[3] - box[1] else {"height": _PREVIEW}
    picture = {**({"crs": CRS84.uri} if box else {}), **shape, "version": info.version, "f": "png"}
    return {
        "raster": {
            "bands": bands,
            "bars": {band.name: histogram(band, style) for band in bands},
            "grid": layer.grid(),
            "crs": info.extra["crs"] if info.extra["crs"].startswith("EPSG") else None,
            "degrees": layer.crs.geographic,
            "nodata": _nodata(info),
            "dtype": info.extra.get("dtype"),
            "size": info.size_bytes,
            "figure": say,
            "box": None if box is None else shown(box),
            "ends": [format_decimal(end, "0.######", ask.lang) for end in box or ()],
            "preview": ask.href(f"{here}/map", picture),
            "legend": legend(style, layer.title(ask.lang), ask.lang),
            "tiles": ask.href(f"{here}/map/tiles/WebMercatorQuad") + "/{z}/{y}/{x}",
            "archive": maps_tiles.told(layer, ask),
            **{
                name: ask.href(f"{here}/{name}", {"version": version})
                for name in ("coverage", "cog", "schema", "position", "area")
            },
            "stac": ask.href(f"/stac/collections/{segment(dataset.id)}"),
        }
    }


def _nodata(info: VersionInfo) -> str:
    """Return the value that stands for no data as programs write it; "" when there is none."""
    if info.extra.get("nodata_nan"):
        return "NaN"
    value = info.extra.get("nodata")
    return "" if value is None else f"{value:.17g}"


def _box(layer: RasterLayer) -> Box | None:
    """Return the box of the picture, in degrees; None where it can not be said in one."""
    try:
        west, south, east, north = layer.extent(CRS84, "crs")
    except QueryError:
        return None
    return (west, south, east, north) if west >= -180 and east <= 180 else None


def histogram(band: Band, style: Style) -> list[Bar]:
    """Return the bars of a band, in the colours of the map where it is the band that is drawn."""
    said = band.histogram
    if not said:
        return []
    edges = np.linspace(said["min"], said["max"], len(said["counts"]) + 1)
    middles, most = (edges[:-1] + edges[1:]) / 2, max(said["counts"])
    each = band.whole and bool(np.allclose(np.diff(edges), 1))
    kind = np.dtype(band.dtype)
    values = np.rint(middles).astype(kind) if band.whole else middles.astype(kind)
    drawn = style.indexes(np.ma.array(values[np.newaxis]))[0] if style.band.name == band.name else None
    colours = ["" if drawn is None or not one else "#{:02x}{:02x}{:02x}".format(*style.palette[one])
               for one in (np.zeros(len(middles), int) if drawn is None else drawn)]  # fmt: skip
    return [
        Bar(
            float(values[at]) if each else float(edges[at]),
            float(values[at]) if each else float(edges[at + 1]),
            count,
            max(_HIGH * count / most, 1.0 if count else 0.0),
            colours[at],
        )
        for at, count in enumerate(said["counts"])
    ]
