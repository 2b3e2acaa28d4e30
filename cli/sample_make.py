"""`satudata sample register|facilities|hazard`: synthetic data in any size, over any boundaries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import shapely

from catalog.errors import QueryError
from cli.app import App, Command, json_option, pass_app

if TYPE_CHECKING:
    from harvesters.sample.register import Trouble
    from harvesters.sample.surface import Areas

_SOURCE = "DATASET|FILE"
_TITLE = "Indeks bahaya"
_VECTOR = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".fgb": "FlatGeobuf"}


def areas_of(app: App, boundaries: str | None) -> Areas:
    """Return the polygons of a dataset, a GeoParquet or a GDAL file; without a name the sample's desa."""
    from harvesters.sample.land import make_land
    from harvesters.sample.surface import Areas

    if boundaries is None:
        desa = make_land(np.random.default_rng(2026)).desa
        shapes = np.array([d.geometry for d in desa], dtype=object)
        return Areas([d.code for d in desa], [d.name for d in desa], shapes)
    codes: list[str] = []
    names: list[str] = []
    parts: list[Any] = []
    for more_codes, more_names, shapes in _read(app, boundaries):
        there = ~shapely.is_missing(shapes)
        codes += [code for code, good in zip(more_codes, there, strict=True) if good]
        names += [name for name, good in zip(more_names, there, strict=True) if good]
        parts.append(shapes[there])
    return Areas(codes, names, np.concatenate(parts) if parts else np.array([], dtype=object))


def _read(app: App, boundaries: str) -> Iterator[tuple[list[str], list[str], Any]]:
    import pyarrow.parquet as pq

    from analysis.inputs import boundary_columns
    from analysis.lookup_build import from_parquet, from_reader
    from cli.analyse_boundaries import reader_of

    path = Path(boundaries)
    if path.suffix == ".parquet":
        code, name = boundary_columns(pq.read_schema(path).names)
        read = from_parquet(path, code=code, name=name)
    elif path.is_file():
        yield _from_gdal(path)
        return
    else:
        reader = reader_of(app, boundaries)
        schema = reader.info.schema
        code, name = boundary_columns(schema.names() if schema else ())
        read = from_reader(reader, code=code, name=name)
    for some in read:
        yield some.codes, some.names, some.shapes


def _from_gdal(path: Path) -> tuple[list[str], list[str], Any]:
    """Read the layer with the most features: of desa, kecamatan and kabupaten in one file, the desa."""
    import fiona
    from shapely.geometry import shape

    from analysis.inputs import boundary_columns
    from analysis.lookup_build import in_degrees

    layers = fiona.listlayers(path)
    counts: dict[str, int] = {}
    for layer in layers:
        with fiona.open(path, layer=layer) as source:
            counts[layer] = len(source)
    with fiona.open(path, layer=max(counts, key=lambda layer: counts[layer])) as source:
        code, name = boundary_columns(source.schema["properties"])
        rows = [(f["properties"], shape(f["geometry"]) if f["geometry"] else None) for f in source]
        crs = source.crs.to_string() or "EPSG:4326"
    shapes = in_degrees(np.array([s for _, s in rows], dtype=object), crs)
    return [str(p[code]) for p, _ in rows], [str(p[name]) for p, _ in rows], shapes


@click.command("register", cls=Command)
@click.option("--rows", type=int, required=True)
@click.option("--boundaries", metavar=_SOURCE)
@click.option("--seed", default=2026, show_default=True)
@click.option("--trouble", multiple=True, metavar="NAME=SHARE")
@click.option("--old-codes", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--truth", is_flag=True)
@click.option("--with-personal", is_flag=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
@pass_app
def register(
    app: App,
    rows: int,
    boundaries: str | None,
    seed: int,
    trouble: tuple[str, ...],
    old_codes: Path | None,
    truth: bool,
    with_personal: bool,
    out: Path,
) -> None:
    """Write a synthetic register with the troubles of real ones."""
    from harvesters.sample.register import Plan, write_register
    from harvesters.sample.surface import Surface

    old = old_codes.read_text("utf-8").split() if old_codes else []
    plan = Plan(rows, seed, _shares(trouble), old, personal=with_personal, truth=truth)
    surface = Surface(np.random.default_rng(seed), areas_of(app, boundaries))
    with click.progressbar(length=rows, file=sys.stderr) as bar:
        written = write_register(plan, surface, out, bar.update)
    _told(app, out, written)
    if with_personal:
        app.say("cli.sample.personal")


def _shares(given: tuple[str, ...]) -> dict[Trouble, float]:
    """Return the shares: the usual ones, changed by what is given; `semua=0` sets all."""
    from harvesters.sample.register import SHARES

    shares: dict[Any, float] = dict(SHARES)
    for one in given:
        name, _, share = one.partition("=")
        try:
            value = float(share)
        except ValueError:
            raise QueryError("write it as NAME=SHARE, kosong=0.02", where="trouble") from None
        if name == "semua":
            shares = dict.fromkeys(shares, value)
        else:
            shares[name] = value
    return shares


@click.command("facilities", cls=Command)
@click.option("--count", type=int, default=200, show_default=True)
@click.option("--boundaries", metavar=_SOURCE)
@click.option("--seed", default=2026, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
@pass_app
def facilities(app: App, count: int, boundaries: str | None, seed: int, out: Path) -> None:
    """Write synthetic places with stock, status and opening hours."""
    from harvesters.sample.stores import stores
    from harvesters.sample.surface import Surface
    from harvesters.sample.write import vector

    driver = _driver(out)
    rng = np.random.default_rng(seed)
    found = list(stores(rng, Surface(rng, areas_of(app, boundaries)), count))
    out.unlink(missing_ok=True)
    _told(app, vector(out, driver, "Point", found), len(found))


@click.command("hazard", cls=Command)
@click.option("--bbox", metavar="W,S,E,N")
@click.option("--boundaries", metavar=_SOURCE)
@click.option("--cell", type=float, default=0.001, show_default=True)
@click.option("--zones", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=2026, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
@pass_app
def hazard(
    app: App, bbox: str | None, boundaries: str | None, cell: float, zones: Path | None, seed: int, out: Path
) -> None:
    """Write a synthetic hazard index as a raster, and its classes as polygons."""
    from harvesters.sample.hazard import index_over, write_index
    from harvesters.sample.surface import bounds_of
    from harvesters.sample.things import zones as classes
    from harvesters.sample.write import vector

    if out.suffix != ".tif":
        raise QueryError("only .tif", where=out.name)
    driver = _driver(zones) if zones else ""
    land = [] if bbox else list(areas_of(app, boundaries).shapes)
    grid = index_over(np.random.default_rng(seed), _box(bbox) if bbox else bounds_of(land), cell, land)
    write_index(out, grid, _TITLE)
    _told(app, out, grid.values.size)
    if zones:
        zones.unlink(missing_ok=True)
        found = classes(grid)
        _told(app, vector(zones, driver, "Polygon", found), len(found))


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise QueryError("write it as west,south,east,north in degrees", where="bbox") from None
    return west, south, east, north


def _driver(path: Path) -> str:
    if path.suffix not in _VECTOR:
        raise QueryError(f"only {', '.join(_VECTOR)}", where=path.name)
    return _VECTOR[path.suffix]


def _told(app: App, path: Path, count: int) -> None:
    if app.as_json:
        app.dump({"file": str(path), "count": count, "synthetic": True})
    else:
        app.say("cli.sample.made", file=path, count=f"{count:,}")
