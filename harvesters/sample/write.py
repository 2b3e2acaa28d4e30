"""Writes generated features in the formats that upstreams use; equal content gives equal bytes."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fiona
import rasterio
from shapely.geometry import mapping

from harvesters.sample.things import NODATA, Feature, Hazard

_STAMP = "2026-01-01T00:00:00.000Z"
"""The date in every file that wants one, so that the bytes depend on the seed alone."""
_LAYER_OPTIONS: dict[str, dict[str, str]] = {
    "ESRI Shapefile": {"ENCODING": "UTF-8", "DBF_DATE_LAST_UPDATE": "2026-01-01"},
    "GeoJSON": {"COORDINATE_PRECISION": "6", "RFC7946": "YES"},
}


def vector(
    path: Path, driver: str, geometry: str, features: Sequence[Feature], layer: str | None = None
) -> Path:
    """Write features with the fiona `driver`; types come from the first feature."""
    schema = {"geometry": geometry, "properties": _types(features[0].properties)}
    options: dict[str, Any] = dict(_LAYER_OPTIONS.get(driver, {}))
    if layer:
        options["layer"] = layer
    with (
        fiona.Env(OGR_CURRENT_DATE=_STAMP),
        fiona.open(path, "w", driver=driver, crs="EPSG:4326", schema=schema, **options) as sink,
    ):
        sink.writerecords(
            {"type": "Feature", "properties": f.properties, "geometry": mapping(f.geometry)} for f in features
        )
    return path


def _types(row: Mapping[str, Any]) -> dict[str, str]:
    names: dict[type[object], str] = {int: "int", float: "float", str: "str"}
    return {key: names[type(value)] for key, value in row.items()}


def zipped(path: Path, parts: Iterable[Path]) -> Path:
    """Pack files with a fixed date and delete them."""
    with zipfile.ZipFile(path, "w") as archive:
        for part in sorted(parts):
            info = zipfile.ZipInfo(part.name, date_time=(2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, part.read_bytes())
            part.unlink()
    return path


def table(
    path: Path, rows: Sequence[Mapping[str, str]], delimiter: str = ",", encoding: str = "utf-8"
) -> Path:
    """Write rows of text as CSV."""
    with path.open("w", encoding=encoding, newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def geotiff(path: Path, grid: Hazard, title: str = "Indeks bahaya banjir") -> Path:
    """Write the index as a tiled Float32 GeoTIFF with nodata; band and tags say that it is synthetic."""
    height, width = grid.values.shape
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "nodata": NODATA,
        "crs": "EPSG:4326", "transform": grid.transform, "tiled": True, "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as sink:
        sink.write(grid.values, 1)
        sink.set_band_description(1, f"{title} (contoh sintetis)")
        sink.update_tags(KETERANGAN="Contoh sintetis, bukan data nyata")
    return path
