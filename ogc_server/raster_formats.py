"""Values of rasters as Cloud-Optimised GeoTIFF, CoverageJSON and CSV.

CoverageJSON 1.0 (OGC 21-069r2): cells without data are null; axes are named x and y, and
`coordinates` lists them in the order in which the CRS itself names its axes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from catalog.messages import LANGS
from layers.crs import crs_of
from layers.raster_grid import Grid
from layers.raster_read import Values
from ogc_server.crs import Crs
from ogc_server.negotiation import CSV, Offer
from ogc_server.raster_layer import Band

COVJSON = "application/prs.coverage+json"
TIFF = "image/tiff; application=geotiff"
TIFF_OFFER = Offer("tif", TIFF, ("image/geotiff", "application/geotiff"))
COVJSON_OFFER = Offer("covjson", COVJSON)
COVJSON_OFFERS = (COVJSON_OFFER, Offer("covjson", "application/vnd.cov+json"))
"""CoverageJSON by the media type of EDR, and by that of Coverages 1.0."""
CSV_TABLE_OFFER = Offer("csv", CSV)
_BLOCK = 512
type Places = npt.NDArray[np.float64]
"""(n, 2): x, y of the middle of cells, or of the points asked for."""


def geotiff(values: Values, grid: Grid, bands: Sequence[Band], nodata: float | None) -> bytes:
    """Return the values as a COG with band names and units; `nodata` as the raster declares it."""
    real = values.dtype.kind == "f"
    kept = math.nan if nodata is None and real else nodata
    profile = {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": len(bands),
        "dtype": values.dtype,
        "crs": CRS.from_wkt(crs_of(grid.crs).to_wkt()), "transform": grid.transform, "nodata": kept,
    }  # fmt: skip
    masked = np.ma.getmaskarray(values)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as middle, MemoryFile() as out:
        with middle.open(**profile) as plain:
            plain.write(values.filled(0 if kept is None else kept))
            if kept is None and masked.any():
                plain.write_mask(~masked.any(axis=0))
            for place, band in enumerate(bands, start=1):
                plain.set_band_description(place, band.name)
                plain.set_band_unit(place, band.unit)
        rasterio.shutil.copy(
            middle.name, out.name, driver="COG", compress="DEFLATE", predictor="YES", blocksize=_BLOCK,
            overview_resampling="AVERAGE" if real else "NEAREST",
        )  # fmt: skip
        return bytes(out.read())


def parameters(bands: Sequence[Band], title: Mapping[str, str]) -> dict[str, Any]:
    """Return the CoverageJSON parameters (also EDR's) of the bands, named in both languages."""
    found: dict[str, Any] = {}
    for band in bands:
        label = {lang: f"{title[lang]}: {band.name}" for lang in LANGS}
        said: dict[str, Any] = {"type": "Parameter", "description": label}
        said["observedProperty"] = {"label": label}
        if band.unit:
            said["unit"] = {"label": dict.fromkeys(LANGS, band.unit), "symbol": band.unit}
        found[band.name] = said
    return found


def referencing(crs: Crs) -> list[dict[str, Any]]:
    """Return the CoverageJSON reference system of x and y."""
    system: dict[str, Any] = {"type": "GeographicCRS" if crs.geographic else "ProjectedCRS"}
    system |= {"id": crs.uri} if crs.uri else {"wkt": crs.code}
    return [{"coordinates": ["y", "x"] if crs.swapped else ["x", "y"], "system": system}]


def grid_coverage(
    values: Values,
    grid: Grid,
    crs: Crs,
    bands: Sequence[Band],
    title: Mapping[str, str],
    points: frozenset[str] = frozenset(),
) -> bytes:
    """Return the values of a grid as CoverageJSON.

    Along the axes in `points` one value was asked for: they have one coordinate and are no dimension
    of the values any more (CoverageJSON 1.0, 6.1: an axis with one value may be left out).
    """
    xs, ys = grid.xs(), grid.ys()
    left = [axis for axis in ("y", "x") if axis not in points]
    doc = {
        "type": "Coverage",
        "domain": {
            "type": "Domain", "domainType": "Grid" if left else "Point",
            "axes": {"x": _axis(xs, "x" in points), "y": _axis(ys, "y" in points)},
            "referencing": referencing(crs),
        },
        "parameters": parameters(bands, title),
        "ranges": {
            band.name: _range(band, one.reshape([len(xs) if axis == "x" else len(ys) for axis in left]), left)
            for band, one in zip(bands, values, strict=True)
        },
    }  # fmt: skip
    return dumps(doc)


def _axis(places: npt.NDArray[np.float64], point: bool) -> dict[str, Any]:
    if point:
        return {"values": [float(places[0])]}
    return {"start": float(places[0]), "stop": float(places[-1]), "num": len(places)}


def points_coverage(
    values: Values,
    places: Places,
    crs: Crs,
    bands: Sequence[Band],
    title: Mapping[str, str],
) -> bytes:
    """Return values at places (x, y) as CoverageJSON: one point, or many. `values` is (bands, places)."""
    one = len(places) == 1
    if one:
        axes: dict[str, Any] = {
            name: {"values": [at]} for name, at in zip("xy", places[0].tolist(), strict=True)
        }
    else:
        axes = {
            "composite": {
                "dataType": "tuple",
                "coordinates": ["x", "y"],
                "values": [list(at) for at in places],
            }
        }
    names: list[str] = [] if one else ["composite"]
    doc = {
        "type": "Coverage",
        "domain": {
            "type": "Domain", "domainType": "Point" if one else "MultiPoint", "axes": axes,
            "referencing": referencing(crs),
        },
        "parameters": parameters(bands, title),
        "ranges": {band.name: _range(band, row, names) for band, row in zip(bands, values, strict=True)},
    }  # fmt: skip
    return dumps(doc)


def _range(band: Band, values: Values, axes: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "NdArray", "dataType": "integer" if band.whole else "float"}
    if axes:
        made |= {"axisNames": axes, "shape": list(values.shape)}
    return made | {"values": flat(values)}


def flat(values: Values) -> Any:
    """Return the values in one row for JSON; masked ones become null."""
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values.filled(math.nan)).reshape(-1)  # NaN is null in our JSON
    return values.reshape(-1).tolist()


def dumps(doc: Any) -> bytes:
    """Return JSON of a document that holds numpy arrays."""
    return orjson.dumps(doc, option=orjson.OPT_SERIALIZE_NUMPY)


def table(
    names: Sequence[str], places: Places, values: Values, more: Mapping[str, npt.NDArray[np.float64]]
) -> bytes:
    """Return a CSV of x, y, one column per band and the columns `more`; no value is an empty field.

    `places` is (rows, 2), `values` (bands, rows).
    """
    columns: dict[str, pa.Array] = {"x": pa.array(places[:, 0]), "y": pa.array(places[:, 1])}
    for name, band in zip(names, values, strict=True):
        columns[name] = pa.array(band.data, mask=np.ma.getmaskarray(band))
    columns |= {name: pa.array(column) for name, column in more.items()}
    out = io.BytesIO()
    pacsv.write_csv(pa.table(columns), out)
    return out.getvalue()
