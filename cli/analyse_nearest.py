"""`satudata analyse nearest`: the nearest facilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from analysis.inputs import facilities_of, geometry_of
from analysis.nearest import Asal, FacilityIndex, Finder, origins_of_codes, origins_of_geometry
from analysis.nearest_road import RoadFinder
from analysis.places import points_of
from analysis.result import table_result
from analysis.roads_read import roads_of
from catalog.errors import QueryError
from cli.analyse_boundaries import boundary_index, reader_of
from cli.analyse_out import Origin, Taking, give, taking_options
from cli.analyse_read import geojson_file, numbers
from cli.app import App, Command, json_option, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = ("asal", "urutan", "jarak_m", "jarak_jenis", "waktu_menit", "id", "nama", "jenis", "status")


@click.command("nearest", cls=Command)
@click.option("--facilities", required=True, metavar="DATASET")
@click.option("--kind", "kinds", multiple=True)
@click.option("-k", "k", type=int, default=3, show_default=True)
@click.option("--point", metavar="LON,LAT")
@click.option("--area", type=_FILE)
@click.option("--desa", multiple=True)
@click.option("--boundaries", metavar="DATASET|FILE.parquet")
@click.option("--roads", metavar="DATASET")
@click.option("--speed", default="")
@click.option("--oneway", default="")
@taking_options
@json_option
@pass_app
def nearest_command(
    app: App,
    facilities: str,
    kinds: tuple[str, ...],
    k: int,
    point: str | None,
    area: Path | None,
    desa: tuple[str, ...],
    boundaries: str | None,
    roads: str | None,
    speed: str,
    oneway: str,
    taking: Taking,
) -> None:
    """List the k nearest facilities to a point, an area or desa."""
    taking.check(app)
    origins = _origins(app, point, area, desa, boundaries)
    known = FacilityIndex(facilities_of(reader_of(app, facilities)))
    finder: Finder = known
    if roads:
        finder = RoadFinder(known, roads_of(reader_of(app, roads), speed, oneway))
    answers = finder.nearest(origins, k=k, jenis=kinds)
    rows = [one.as_dict() for found in answers for one in found]
    used = [name for name in (facilities, boundaries, str(area) if area else "", roads) if name]
    # a point may be somebody's house: it is not told
    origin = Origin("satudata analyse nearest", used, {"k": k, "jenis": kinds, "desa": desa})
    give(app, table_result(rows, points_of(rows)), SHOWN, taking, origin)


def _origins(
    app: App, point: str | None, area: Path | None, desa: Sequence[str], boundaries: str | None
) -> list[Asal]:
    if sum((point is not None, area is not None, bool(desa))) != 1:
        raise QueryError(app.text("cli.analyse.nearest.one"), where="point")
    if point is not None:
        lon, lat = numbers(point, 2, "point")
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise QueryError(app.text("cli.analyse.numbers", names="LON,LAT"), where="point")
        return [Asal("asal", lon, lat)]
    if area is not None:
        return origins_of_geometry(geometry_of(geojson_file(area)))
    if boundaries is None:
        raise QueryError(app.text("cli.analyse.nearest.boundaries"), where="boundaries")
    given = {"boundaries": boundaries, "boundary_code": "", "boundary_name": ""}
    index = boundary_index(app, {**given, "boundary_scheme": None, "boundary_vintage": None})
    return origins_of_codes(index, desa)
