"""An island that is a single point, beside one that is not: GEOS gives up, harvests and tiles do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from catalog.model import FieldDef, LayerSchema
from layers.contract import FeatureBatch
from layers.geopackage.store import GeoPackageStore
from layers.tiles.grid import GRIDS
from layers.tiles.request import in_units
from layers.valid import valid

LAND = [(107.0, -7.0), (107.1, -7.0), (107.1, -6.9), (107.0, -6.9), (107.0, -7.0)]
SPECK = shapely.MultiPolygon([[[(107.5, -6.5)] * 4], [LAND]])
BOW = shapely.Polygon([(107, -7), (107.1, -6.9), (107.1, -7), (107, -6.9)])


def test_geos_still_gives_up() -> None:
    """When it no longer does, `valid` can go."""
    with pytest.raises(shapely.GEOSException, match="mixed-dimension"):
        shapely.make_valid(SPECK)


def test_the_land_stays_and_others_are_mended_as_before() -> None:
    assert valid(SPECK).equals(shapely.Polygon(LAND))
    assert valid(BOW).equals(shapely.make_valid(BOW))
    made = valid(np.array([BOW, None, SPECK], object))
    assert made[0].equals(shapely.make_valid(BOW))
    assert made[1] is None
    assert made[2].equals(shapely.Polygon(LAND))


def test_a_harvest_repairs_it(tmp_path: Path) -> None:
    store = GeoPackageStore(tmp_path)
    writer = store.writer("pulau", LayerSchema((FieldDef("nama"),), "MultiPolygon", "EPSG:4326"), "r")
    shapes = np.array([SPECK, shapely.MultiPolygon([shapely.Polygon(LAND)])], object)
    report = writer.write("0", FeatureBatch(["1", "2"], [{"nama": "a"}, {"nama": "b"}], shapes))
    assert (report.written, report.repaired, report.errors) == (2, 1, [])
    writer.finish(1, "r")
    writer.close()


def test_a_tile_of_small_islands_is_drawn() -> None:
    """At zoom 5 a unit is 300 m: rocks of the real desa become single points."""
    rock = shapely.Polygon([(107.5, -6.5), (107.50001, -6.5), (107.50001, -6.49999)])
    desa = shapely.MultiPolygon([rock, shapely.Polygon(LAND)])
    grid = GRIDS["WebMercatorQuad"]
    [drawn] = in_units(np.array([desa], object), grid, grid.bounds(5, 16, 25))
    assert drawn.area > 0
