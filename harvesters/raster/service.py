"""An ArcGIS ImageServer: `exportImage` tile by tile, merged into one GeoTIFF without holding it in memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyproj
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.windows import Window

from catalog.errors import AuthSourceError, ProtocolError, TransientSourceError
from harvesters.file.shape import bbox_of
from harvesters.http.auth import safe_url
from harvesters.http.client import HttpClient
from harvesters.raster.check import RasterFacts

_TYPES = {
    "U1": "uint8", "U2": "uint8", "U4": "uint8", "U8": "uint8", "S8": "int8", "U16": "uint16", "S16": "int16",
    "U32": "uint32", "S32": "int32", "F32": "float32", "F64": "float64",
}  # fmt: skip
_SMALLEST = 64
_NOISE = 1e-6
"""Cells: what floating point adds or takes."""
_TOKEN = {498, 499, 401, 403}


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells to fetch: upper left corner and cell size in the service's CRS."""

    west: float
    north: float
    cell: tuple[float, float]
    width: int
    height: int

    @property
    def transform(self) -> Any:
        """Affine transform of the grid."""
        return from_origin(self.west, self.north, *self.cell)

    def bounds(self, window: Window | None = None) -> tuple[float, float, float, float]:
        """West, south, east, north of a window (default all)."""
        w = window or Window(0, 0, self.width, self.height)
        west, north = self.west + w.col_off * self.cell[0], self.north - w.row_off * self.cell[1]
        return west, north - w.height * self.cell[1], west + w.width * self.cell[0], north


class ImageService:
    """Reads the service's description once and exports parts of it."""

    def __init__(self, http: HttpClient, url: str, tile: int) -> None:
        self._http, self._url, self._tile = http, url.rstrip("/"), tile

    @cached_property
    def info(self) -> dict[str, Any]:
        """The service's JSON."""
        found = self._http.get(self._url, params={"f": "json"}).json()
        _refuse_error(found, self._url)
        if not isinstance(found, dict) or "extent" not in found or "pixelSizeX" not in found:
            raise ProtocolError("not an image service: no extent or pixel size", where=safe_url(self._url))
        return found

    @property
    def name(self) -> str:
        """The service's name."""
        return str(self.info.get("name") or self._url.split("/")[-2]).rpartition("/")[2]

    @property
    def version(self) -> str:
        """ArcGIS version."""
        return str(self.info.get("currentVersion") or "")

    @property
    def _wkid(self) -> int:
        reference = self.info["extent"].get("spatialReference") or self.info.get("spatialReference") or {}
        wkid = reference.get("latestWkid") or reference.get("wkid")
        if not isinstance(wkid, int):
            raise ProtocolError("the image service names no CRS", where=safe_url(self._url))
        return 3857 if wkid == 102100 else wkid

    @property
    def _dtype(self) -> str:
        kind = _TYPES.get(str(self.info.get("pixelType")))
        if kind is None:
            raise ProtocolError(f"pixel type {self.info.get('pixelType')!r}", where=safe_url(self._url))
        return kind

    def _nodata(self) -> float | None:
        stated = self.info.get("noDataValue")
        if stated is None and self.info.get("noDataValues"):
            stated = self.info["noDataValues"][0]
        return float(stated) if isinstance(stated, (int, float)) else None

    def grid(self, bbox: tuple[float, float, float, float] | None, pixel: float | None) -> Grid:
        """Return the cells of the service, or of a part given in degrees, on the service's own grid."""
        extent = self.info["extent"]
        cell = (pixel or float(self.info["pixelSizeX"]), pixel or float(self.info["pixelSizeY"]))
        west, south, east, north = (float(extent[k]) for k in ("xmin", "ymin", "xmax", "ymax"))
        if bbox is not None:
            move = pyproj.Transformer.from_crs("OGC:CRS84", self._wkid, always_xy=True)
            w, s, e, n = move.transform_bounds(*bbox)
            left = math.floor(max(0.0, (w - west) / cell[0]) + _NOISE)
            top = math.floor(max(0.0, (north - n) / cell[1]) + _NOISE)
            east, south = min(east, e), max(south, s)
            west, north = west + left * cell[0], north - top * cell[1]
        width, height = _cells(east - west, cell[0]), _cells(north - south, cell[1])
        if width <= 0 or height <= 0:
            raise ProtocolError(
                "the part asked for lies outside the image service", where=safe_url(self._url)
            )
        return Grid(west, north, cell, width, height)

    def facts(self, bbox: tuple[float, float, float, float] | None, pixel: float | None) -> RasterFacts:
        """Describe what an export would bring."""
        grid = self.grid(bbox, pixel)
        crs = f"EPSG:{self._wkid}"
        return RasterFacts(
            crs, bbox_of(grid.bounds(), crs), (grid.width, grid.height), grid.cell,
            int(self.info.get("bandCount") or 1), self._dtype, self._nodata(),
        )  # fmt: skip

    def export(
        self,
        folder: Path,
        progress: Callable[[int, int | None], None],
        *,
        bbox: tuple[float, float, float, float] | None = None,
        pixel: float | None = None,
        nodata: float | None = None,
    ) -> Path:
        """Fetch all tiles and return one GeoTIFF in `folder`; a tile that fails is cut in four."""
        grid = self.grid(bbox, pixel)
        nodata = nodata if nodata is not None else self._nodata()
        stamp = hashlib.sha256(orjson.dumps([self.info, repr(grid), nodata, self._tile])).hexdigest()[:12]
        path = folder / f"gabungan-{stamp}.tif"
        windows = list(_tiles(grid, self._side()))
        profile = {
            "driver": "GTiff", "width": grid.width, "height": grid.height, "dtype": self._dtype,
            "count": int(self.info.get("bandCount") or 1), "crs": f"EPSG:{self._wkid}",
            "transform": grid.transform, "nodata": nodata, "tiled": True, "compress": "deflate",
            "BIGTIFF": "IF_SAFER", "SPARSE_OK": True,
        }  # fmt: skip
        tiles = [folder / f"petak-{stamp}-{number:06d}.npy" for number in range(len(windows))]
        self._drop_stale(tiles, grid, windows, nodata)
        with rasterio.open(path, "w", **profile) as sink:
            for done, (tile, window) in enumerate(zip(tiles, windows, strict=True), start=1):
                sink.write(self._kept(tile, grid, window, nodata), window=window)
                progress(done, len(windows))
        return path

    def _drop_stale(self, tiles: list[Path], grid: Grid, windows: list[Window], nodata: float | None) -> None:
        """Ask again for the first and last tile of an interrupted export; if either changed, drop all."""
        there = [number for number, tile in enumerate(tiles) if tile.exists()]
        for number in {*there[:1], *there[-1:]}:
            old = np.load(tiles[number], allow_pickle=False)
            if not np.array_equal(old, self._cells(grid, windows[number], nodata), equal_nan=True):
                for tile in tiles:
                    tile.unlink(missing_ok=True)
                return

    def _side(self) -> int:
        most = [int(self.info[k]) for k in ("maxImageWidth", "maxImageHeight") if self.info.get(k)]
        return min([self._tile, *most])

    def _kept(self, tile: Path, grid: Grid, window: Window, nodata: float | None) -> Any:
        """Return a tile, from an earlier interrupted run if it is there."""
        if tile.exists():
            return np.load(tile, allow_pickle=False)
        cells = self._cells(grid, window, nodata)
        part = tile.with_suffix(".part.npy")
        np.save(part, cells, allow_pickle=False)
        part.rename(tile)
        return cells

    def _cells(self, grid: Grid, window: Window, nodata: float | None) -> Any:
        try:
            return self._ask(grid, window, nodata)
        except AuthSourceError:
            raise
        except (TransientSourceError, ProtocolError):
            if max(window.width, window.height) <= _SMALLEST:
                raise
        rows = [
            np.concatenate([self._cells(grid, part, nodata) for part in row], axis=2)
            for row in _quarters(window)
        ]
        return np.concatenate(rows, axis=1)

    def _ask(self, grid: Grid, window: Window, nodata: float | None) -> Any:
        params = {
            "bbox": ",".join(f"{v:.12g}" for v in grid.bounds(window)),
            "bboxSR": self._wkid, "imageSR": self._wkid, "pixelType": self.info.get("pixelType"),
            "size": f"{window.width},{window.height}", "format": "tiff",
            "interpolation": "RSP_NearestNeighbor", "f": "image",
        }  # fmt: skip
        if nodata is not None:
            params["noData"] = f"{nodata:.12g}"
        answer = self._http.get(f"{self._url}/exportImage", params=params)
        if answer.content[:1] in {b"{", b"<"}:
            _refuse_error(_maybe_json(answer.content), self._url)
            raise ProtocolError("a text instead of an image", where=safe_url(self._url))
        return self._decode(answer.content, window, nodata)

    def _decode(self, content: bytes, window: Window, nodata: float | None) -> Any:
        try:
            with MemoryFile(content) as memory, memory.open() as image:
                if (image.width, image.height) != (window.width, window.height):
                    asked, got = (window.width, window.height), (image.width, image.height)
                    raise ProtocolError(f"asked for {asked} cells, got {got}", where=safe_url(self._url))
                cells = image.read()
                if nodata is not None:
                    cells = np.where(image.read_masks() == 0, np.asarray(nodata).astype(cells.dtype), cells)
        except RasterioError as error:
            raise ProtocolError(f"the tile is cut or broken: {error}", where=safe_url(self._url)) from error
        return cells.astype(self._dtype)


def _cells(length: float, cell: float) -> int:
    return (
        round(length / cell) if abs(length / cell - round(length / cell)) < 0.01 else math.ceil(length / cell)
    )


def _tiles(grid: Grid, side: int) -> Iterator[Window]:
    for row in range(0, grid.height, side):
        for column in range(0, grid.width, side):
            yield Window(column, row, min(side, grid.width - column), min(side, grid.height - row))


def _quarters(window: Window) -> list[list[Window]]:
    """Cut a window in four (or two, when it is a strip), row by row."""
    half_w, half_h = math.ceil(window.width / 2), math.ceil(window.height / 2)
    columns = [(window.col_off, half_w), (window.col_off + half_w, window.width - half_w)]
    rows = [(window.row_off, half_h), (window.row_off + half_h, window.height - half_h)]
    return [[Window(x, y, w, h) for x, w in columns if w] for y, h in rows if h]


def _maybe_json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _refuse_error(answer: Any, url: str) -> None:
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        code, message = answer["error"].get("code"), answer["error"].get("message")
        kind = AuthSourceError if code in _TOKEN else ProtocolError
        raise kind(f"{code}: {message}", where=safe_url(url))
