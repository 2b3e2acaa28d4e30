"""OGC API - Coverages (draft 19-087): the values of a raster, whole or a part of them.

`/coverage` reads cells (subset, scale, bands, CRS) as GeoTIFF or CoverageJSON; `/cog` is the stored
file itself, Range-readable; `/schema` tells the fields. Answers are bounded: who wants all of a large
raster reads the file.
"""

from __future__ import annotations

from typing import Any

from catalog.messages import LANGS
from catalog.model import VersionInfo
from layers.raster import open_raster
from layers.raster_grid import Grid
from ogc_server.answer import Answer, digest
from ogc_server.ask import Ask
from ogc_server.crs import Crs
from ogc_server.ranges import file_answer
from ogc_server.raster_formats import COVJSON_OFFER, TIFF_OFFER, geotiff, grid_coverage
from ogc_server.raster_layer import REVISION, RasterLayer, bands_of, open_layer
from ogc_server.raster_select import check_size, read, select
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

OFFERS = (TIFF_OFFER, COVJSON_OFFER)
COG_OFFERS = (TIFF_OFFER,)
MOST_TIFF = 8_000_000
"""Values (columns x rows x bands) in one GeoTIFF answer."""
MOST_JSON = 1_000_000
"""Values in one CoverageJSON answer, about 10 MB of text."""


def coverage(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/coverage`."""
    layer = open_layer(service, snapshot, ask)
    bands = layer.bands(ask.values.get("properties"), "properties")
    tag = layer.tag(ask)
    tiff = ask.chosen.name == "tif"
    chosen = select(layer, ask.values)
    check_size(chosen, len(bands), MOST_TIFF if tiff else MOST_JSON)
    ask.check(tag, layer.cache)
    values = read(layer, bands, chosen)
    if tiff:
        body = geotiff(values, chosen.grid, bands, nodata(layer.info))
    else:
        body = grid_coverage(values, chosen.grid, chosen.crs, bands, titles(layer))
    headers = place_headers(chosen.crs, chosen.grid)
    if tiff:
        headers["Content-Disposition"] = f'attachment; filename="{layer.dataset.id}.tif"'
    return Answer(body, ask.chosen.media, tag=tag, cache=layer.cache, headers=headers)


def cog(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/cog`: the stored file, in ranges (GDAL: `/vsicurl/`)."""
    layer = open_layer(service, snapshot, ask)
    info = layer.info
    tag = digest("cog", info.layer_id, info.version, info.checksum, info.size_bytes, REVISION)
    with layer.reading():
        path = open_raster(info, service.settings.data_dir / "layers")
        return file_answer(
            ask,
            path,
            ask.chosen.media,
            tag,
            cache=layer.cache,
            filename=f"{info.layer_id}-v{info.version}.tif",
        )


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


def place_headers(crs: Crs, grid: Grid) -> dict[str, str]:
    """Return Content-Crs and Content-Bbox, the latter in the axis order of the CRS."""
    west, south, east, north = grid.bounds
    box = (south, west, north, east) if crs.swapped else (west, south, east, north)
    headers = {"Content-Bbox": ",".join(f"{one:.10g}" for one in box)}
    if crs.uri:
        headers["Content-Crs"] = f"<{crs.uri}>"
    return headers
