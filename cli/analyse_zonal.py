"""`satudata analyse zonal`: a raster summed up per polygon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fiona
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import shapely.geometry

from analysis.result import form_of, table_result
from analysis.zonal import Zone, zonal, zonal_table
from catalog.errors import QueryError
from cli.analyse_boundaries import reader_of
from cli.analyse_out import Origin, Taking, give, taking_options
from cli.analyse_raster import raster_of
from cli.analyse_read import SOURCE, demand
from cli.app import App, Command, json_option, pass_app
from layers.contract import Geometries
from layers.crs import CRS84, transform


@click.command("zonal", cls=Command)
@click.option("--raster", required=True, metavar=SOURCE)
@click.option("--zones", required=True, metavar=SOURCE)
@click.option("--layer")
@click.option("--code", default="kode", show_default=True)
@click.option("--band", type=int, default=1, show_default=True)
@click.option("--break", "breaks", multiple=True, type=float)
@taking_options
@json_option
@pass_app
def zonal_command(
    app: App,
    raster: str,
    zones: str,
    layer: str | None,
    code: str,
    band: int,
    breaks: tuple[float, ...],
    taking: Taking,
) -> None:
    """Sum a raster up per polygon."""
    taking.check(app)
    path = raster_of(app, raster)
    found, crs = _zones(app, zones, code, layer)
    shapes: dict[str, Any] = {}
    wanted = taking.publish is not None or (taking.out and form_of(taking.out) in ("geojson", "parquet"))
    kept = _kept(found, shapes) if wanted else found
    table = zonal_table(zonal(kept, path, band=band, crs=crs, breaks=breaks), breaks)
    origin = Origin("satudata analyse zonal; exactextract", [raster, zones], {"band": band, "breaks": breaks})
    where = _where(table, shapes, crs) if wanted else None
    give(app, table_result(table, where), table.column_names, taking, origin)


def _kept(zones: Iterator[Zone], shapes: dict[str, Any]) -> Iterator[Zone]:
    for zone in zones:
        shapes[zone.code] = zone.geometry
        yield zone


def _where(table: pa.Table, shapes: dict[str, Any], crs: str) -> Geometries:
    found = np.array([shapes[kode] for kode in table["kode"].to_pylist()], object)
    moved: Geometries = transform(found, crs, CRS84)
    return moved


def _zones(app: App, source: str, code: str, name: str | None) -> tuple[Iterator[Zone], str]:
    path = Path(source)
    if not path.is_file():
        reader = reader_of(app, source)
        schema = reader.info.schema
        crs = schema.crs if schema else "EPSG:4326"
        batches = reader.batches([code], size=256)
        pairs = (
            (row[code], geometry)
            for batch in batches
            for row, geometry in zip(
                batch.rows, [] if batch.geometries is None else batch.geometries, strict=True
            )
        )
        return (Zone(str(kode), geometry) for kode, geometry in pairs if geometry is not None), crs
    if path.suffix.lower() == ".parquet":
        return _parquet_zones(path, code), "EPSG:4326"
    with fiona.open(path, layer=name) as layer:
        crs = layer.crs.to_wkt() or "EPSG:4326"
        if code not in layer.schema["properties"]:
            raise QueryError(f"there is no column {code!r}", where=path.name)
    return _file_zones(path, code, name), crs


def _file_zones(path: Path, code: str, name: str | None) -> Iterator[Zone]:
    with fiona.open(path, layer=name) as layer:
        for feature in layer:
            if feature.geometry is not None:
                yield Zone(str(feature.properties[code]), shapely.geometry.shape(feature.geometry))


def _parquet_zones(path: Path, code: str) -> Iterator[Zone]:
    with pq.ParquetFile(path) as file:
        demand([code, "geometry"], file.schema_arrow.names, path.name)
        for batch in file.iter_batches(256, columns=[code, "geometry"]):
            shapes = shapely.from_wkb(batch["geometry"].to_pylist())
            for kode, geometry in zip(batch[code].to_pylist(), shapes, strict=True):
                if geometry is not None:
                    yield Zone(str(kode), geometry)
