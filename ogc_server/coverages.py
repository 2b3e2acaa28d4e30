"""OGC API - Coverages 1.0 (19-087, release candidate 4): the values of a raster, whole or a part of them.

`/coverage` without a question is the stored file (a COG, in ranges), else the cells asked for (part,
size, bands, CRS) as GeoTIFF or CoverageJSON; `/cog` is always the stored file; `/schema` tells the
fields. Answers are bounded: who wants all of a large raster reads the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.messages import LANGS
from catalog.model import VersionInfo
from layers.raster import open_raster
from layers.raster_grid import Grid
from layers.raster_read import Values
from ogc_server import raster_time
from ogc_server.answer import Answer, digest, to_json
from ogc_server.ask import Ask
from ogc_server.crs import Crs
from ogc_server.errors import ParameterError
from ogc_server.negotiation import JSON, JSON_OFFER
from ogc_server.ranges import file_answer
from ogc_server.raster_formats import COVJSON_OFFERS, TIFF_OFFER, geotiff, grid_coverage
from ogc_server.raster_layer import REVISION, Band, RasterLayer, bands_of, open_layer
from ogc_server.raster_prefer import check_preference
from ogc_server.raster_select import Selection, check_size, read, select
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

OFFERS = (TIFF_OFFER, *COVJSON_OFFERS, JSON_OFFER)
COG_OFFERS = (TIFF_OFFER,)
CLOUD_OPTIMISED = "http://www.opengis.net/def/profile/geotiff/cloud-optimized"
MOST_TIFF = 8_000_000
"""Values (columns x rows x bands) in one GeoTIFF answer."""
MOST_JSON = 1_000_000
"""Values in one CoverageJSON answer, about 10 MB of text."""
_PLAIN = frozenset({"f", "lang", "version", "datetime", "bbox-crs", "subset-crs"})
"""Parameters that do not change which values are asked for."""


def coverage(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/coverage`."""
    check_preference(ask)
    layer = open_layer(service, snapshot, ask)
    raster_time.check(layer.dataset, ask.values)
    tiff = ask.chosen.name == "tif"
    if tiff and _whole(ask):
        return _stored(ask, layer, f"{layer.dataset.id}.tif")
    bands = _fields(layer, ask)
    tag = layer.tag(ask)
    chosen = select(layer, ask.values)
    check_size(chosen, len(bands), MOST_TIFF if tiff else MOST_JSON)
    ask.check(tag, layer.cache)
    body = _written(layer, ask, bands, chosen)
    headers = place_headers(chosen.crs, chosen.grid) | raster_time.headers(layer.dataset)
    if tiff:
        headers["Content-Disposition"] = f'attachment; filename="{layer.dataset.id}.tif"'
        headers["Content-Profile"] = f"<{CLOUD_OPTIMISED}>"
    return Answer(body, ask.chosen.media, tag=tag, cache=layer.cache, headers=headers)


def _whole(ask: Ask) -> bool:
    """Tell whether all values are asked for as they are (an empty `resolution` says just that)."""
    asked = ask.values.keys() - _PLAIN
    if "resolution" in asked and not any(ask.values["resolution"].values.values()):
        asked -= {"resolution"}
    if "exclude-properties" in asked and not ask.values["exclude-properties"]:
        asked -= {"exclude-properties"}
    if "subset" in asked and not ask.values["subset"].spatial:
        asked -= {"subset"}
    return not asked


def _fields(layer: RasterLayer, ask: Ask) -> tuple[Band, ...]:
    """Return the bands of `properties` in its order, or all but those of `exclude-properties`."""
    if "exclude-properties" not in ask.values:
        return layer.bands(ask.values.get("properties"), "properties")
    if "properties" in ask.values:
        raise ParameterError("query.sizes", "exclude-properties", value="properties")
    unwanted = ask.values["exclude-properties"]
    out = layer.bands(unwanted, "exclude-properties") if unwanted else ()
    left = tuple(band for band in layer.bands(None, "properties") if band not in out)
    if not left:
        raise ParameterError("query.no-band", "exclude-properties")
    return left


def _written(layer: RasterLayer, ask: Ask, bands: tuple[Band, ...], chosen: Selection) -> bytes:
    values = read(layer, bands, chosen)
    if ask.chosen.name == "tif":
        return geotiff(values, chosen.grid, bands, nodata(layer.info))
    if ask.chosen.media == JSON and chosen.points == {"x", "y"}:
        return to_json(_at_position(values, bands))
    return grid_coverage(values, chosen.grid, chosen.crs, bands, titles(layer), chosen.points)


def _at_position(values: Values, bands: tuple[Band, ...]) -> Any:
    """Return the value of one cell, or field -> value of several fields (Coverages 1.0, Position Query)."""
    found = [None if np.ma.is_masked(one) else one.item() for one in values[:, 0, 0]]
    named = dict(zip((band.name for band in bands), found, strict=True))
    return found[0] if len(found) == 1 else named


def cog(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/cog`: the stored file, in ranges (GDAL: `/vsicurl/`)."""
    layer = open_layer(service, snapshot, ask)
    return _stored(ask, layer, f"{layer.info.layer_id}-v{layer.info.version}.tif", probe=False)


def _stored(ask: Ask, layer: RasterLayer, filename: str, *, probe: bool = True) -> Answer:
    """Return the stored file; `probe` looks first whether it can be read."""
    info = layer.info
    tag = digest("cog", info.layer_id, info.version, info.checksum, info.size_bytes, REVISION)
    with layer.reading():
        path = open_raster(info, layer.service.settings.data_dir / "layers")
        if probe:
            layer.probe()
        answer = file_answer(ask, path, ask.chosen.media, tag, cache=layer.cache, filename=filename)
    answer.headers |= place_headers(layer.crs, layer.grid()) | raster_time.headers(layer.dataset)
    answer.headers["Content-Profile"] = f"<{CLOUD_OPTIMISED}>"
    return answer


def schema_properties(info: VersionInfo, title: str) -> dict[str, Any]:
    """Return the JSON Schema properties of the range: one per band, with unit and statistics."""
    found: dict[str, Any] = {}
    for band in bands_of(info):
        figures = band.statistics
        said: dict[str, Any] = {
            "title": f"{title}: {band.name}", "type": "integer" if band.whole else "number",
            "x-ogc-propertySeq": band.index,
        }  # fmt: skip
        if band.unit:
            said["x-ogc-unit"] = band.unit
        if figures["min"] is not None:
            named = {"min": "min", "max": "max", "avg": "mean", "stdDev": "std"}
            said["x-ogc-statistics"] = {name: figures[ours] for name, ours in named.items()}
        found[band.name] = said
    return found


def titles(layer: RasterLayer) -> dict[str, str]:
    """Return the collection's title in each language."""
    return {lang: layer.title(lang) for lang in LANGS}


def nodata(info: VersionInfo) -> float | None:
    """Return the value that stands for "no data"; None when the raster keeps none."""
    if info.extra.get("nodata_nan"):
        return float("nan")
    value = info.extra.get("nodata")
    return None if value is None else float(value)


def place_headers(crs: Crs, *grids: Grid) -> dict[str, str]:
    """Return Content-Crs and Content-Bbox, the latter in the axis order of the CRS.

    Of grids side by side across the antimeridian the west is greater than the east, and so it is of a
    grid in degrees that goes on beyond 180.
    """
    west, south, _, north = grids[0].bounds
    east = grids[-1].bounds[2]
    if crs.geographic and east > 180 + 1e-9 and west < 180:
        east -= 360
    box = (south, west, north, east) if crs.swapped else (west, south, east, north)
    headers = {"Content-Bbox": ",".join(f"{one:.10g}" for one in box)}
    if crs.uri:
        headers["Content-Crs"] = f"<{crs.uri}>"
    return headers
