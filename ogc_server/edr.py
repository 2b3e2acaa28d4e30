"""OGC API - EDR 1.1: the values of a raster at a position and within an area.

`coords` are in `crs` (default CRS84), and so is the answer. A position gets the value of the cell it
lies in; an area gets every cell that it covers, if only in part (as `analysis.zonal` counts them),
cells beside it are null. The CSV of an area tells the covered part of each cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from shapely.geometry.base import BaseGeometry

from catalog.messages import text
from catalog.model import VersionInfo
from layers.crs import crs_of, transform_coordinates
from layers.raster_grid import Grid
from layers.raster_read import Values, read_cells
from ogc_server import raster_time
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.coverages import MOST_JSON, titles
from ogc_server.crs import CRS84, Crs
from ogc_server.errors import OutsideError, ParameterError
from ogc_server.negotiation import JSON, Offer
from ogc_server.raster_formats import (
    COVJSON_OFFERS,
    CSV_TABLE_OFFER,
    Places,
    grid_coverage,
    parameters,
    points_coverage,
    table,
)  # fmt: skip
from ogc_server.raster_layer import Band, RasterLayer, bands_of, offered_crs, open_layer, shown
from ogc_server.raster_params import edr_table
from ogc_server.raster_select import check_size, part, read
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

OFFERS = (*COVJSON_OFFERS, Offer("covjson", JSON), CSV_TABLE_OFFER)
POSITION = edr_table("Point", "MultiPoint")
AREA = edr_table("Polygon", "MultiPolygon")
MOST_PLACES = 1000
CSV_MEDIA = "text/csv; charset=utf-8"


def position(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/position`."""
    layer, crs, bands, shape = _asked(service, snapshot, ask)
    places = shapely.get_coordinates(shape)
    if len(places) > MOST_PLACES:
        raise ParameterError("query.places", "coords", most=MOST_PLACES)
    tag = layer.tag(ask)
    ask.check(tag, layer.cache)
    values = _sample(layer, crs, bands, places)
    if ask.chosen.name == "csv":
        body = table([band.name for band in bands], places, values, {})
    else:
        body = points_coverage(values, places, crs, bands, titles(layer))
    return _answer(ask, layer, crs, body, tag)


def area(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/area`."""
    layer, crs, bands, shape = _asked(service, snapshot, ask)
    chosen = part(layer, shape.bounds, crs, crs, "coords")
    check_size(chosen, len(bands), MOST_JSON, "coords")
    tag = layer.tag(ask)
    ask.check(tag, layer.cache)
    values, grid = read(layer, bands, chosen), chosen.grid
    covered = cover(grid, shape)
    if ask.chosen.name == "csv":
        body = _cells_table(values, grid, covered, bands)
    else:
        masked = np.ma.array(values.data, mask=np.ma.getmaskarray(values) | (covered == 0))
        body = grid_coverage(masked, grid, crs, bands, titles(layer))
    return _answer(ask, layer, crs, body, tag)


def _asked(
    service: Service, snapshot: Snapshot, ask: Ask
) -> tuple[RasterLayer, Crs, tuple[Band, ...], BaseGeometry]:
    layer = open_layer(service, snapshot, ask)
    raster_time.check(layer.dataset, ask.values)
    crs = layer.pick(ask.values.get("crs"), "crs", CRS84)
    bands = layer.bands(ask.values.get("parameter-name"), "parameter-name")
    if "coords" not in ask.values:
        raise ParameterError("query.needed", "coords")
    shape: BaseGeometry = ask.values["coords"]
    if crs.swapped:
        shape = shapely.transform(shape, lambda places: places[:, ::-1])
    if crs.geographic:
        west, south, east, north = shape.bounds
        if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 180:
            raise ParameterError("query.coords-range", "coords")
    return layer, crs, bands, shape


def _sample(layer: RasterLayer, crs: Crs, bands: tuple[Band, ...], places: Places) -> Values:
    """Return (bands, places): the value of the cell that each place lies in, masked beside the raster."""
    whole = layer.grid()
    found = np.ma.masked_all((len(bands), len(places)), dtype=bands[0].dtype)
    moved = transform_coordinates(places, crs.code, layer.crs.code)
    cells = [whole.cells((x, y, x, y)) if np.isfinite([x, y]).all() else None for x, y in moved]
    if not any(cells):
        raise OutsideError("query.beside", "coords", value=shown(layer.extent(crs, "crs")))
    indexes = [band.index for band in bands]
    with layer.reading(), layer.service.rasters().lease(layer.info) as source:
        for number, cell in enumerate(cells):
            if cell is not None:
                found[:, number] = read_cells(source, indexes, cell, 1, 1)[:, 0, 0]
    return found


def cover(grid: Grid, shape: BaseGeometry) -> npt.NDArray[np.float64]:
    """Return the part (0 to 1) of each cell of a grid that a polygon covers, by exactextract."""
    numbers = np.arange(grid.width * grid.height, dtype=np.float64).reshape(grid.height, grid.width)
    source = NumPyRasterSource(numbers, *grid.bounds)
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shape)}
    said = exact_extract(source, [feature], ["values", "coverage"])[0]["properties"]
    covered = np.zeros(grid.width * grid.height)
    covered[np.asarray(said["values"], dtype=np.int64)] = said["coverage"]
    return covered.reshape(grid.height, grid.width)


def _cells_table(
    values: Values, grid: Grid, covered: npt.NDArray[np.float64], bands: tuple[Band, ...]
) -> bytes:
    rows, columns = np.nonzero(covered)
    places = np.column_stack([grid.xs()[columns], grid.ys()[rows]])
    parts = np.round(covered[rows, columns], 6)
    return table([band.name for band in bands], places, values[:, rows, columns], {"bagian_sel": parts})


def _answer(ask: Ask, layer: RasterLayer, crs: Crs, body: bytes, tag: str) -> Answer:
    media = CSV_MEDIA if ask.chosen.name == "csv" else ask.chosen.media
    headers = ({"Content-Crs": f"<{crs.uri}>"} if crs.uri else {}) | raster_time.headers(layer.dataset)
    return Answer(body, media, tag=tag, cache=layer.cache, headers=headers)


def described(ask: Ask, collection_id: str, info: VersionInfo, title: dict[str, str]) -> dict[str, Any]:
    """Return what EDR adds to the description of a collection: queries, formats, parameters."""
    formats = list(dict.fromkeys(offer.name for offer in OFFERS))
    own = next(iter(offered_crs(info).values()))
    details = [{"crs": crs.uri, "wkt": str(crs_of(crs.code).to_wkt())} for crs in dict.fromkeys((CRS84, own))]
    queries = {}
    for kind in ("position", "area"):
        href = ask.href(
            f"/collections/{segment(collection_id)}/{kind}", {"version": ask.values.get("version")}
        )
        variables = {
            "title": text(f"raster.edr.{kind}", ask.lang), "query_type": kind, "output_formats": formats,
            "default_output_format": formats[0], "crs_details": details,
        }  # fmt: skip
        queries[kind] = {"link": {"href": href, "rel": "data", "variables": variables}}
    named = {}
    for name, said in parameters(bands_of(info), title).items():
        label = said["observedProperty"]["label"][ask.lang]
        named[name] = {"type": "Parameter", "description": label, "observedProperty": {"label": label}}
        if unit := said.get("unit"):
            named[name]["unit"] = {"label": unit["label"][ask.lang], "symbol": unit["symbol"]}
    return {"data_queries": queries, "output_formats": formats, "parameter_names": named}
