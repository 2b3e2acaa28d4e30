"""What is said of zooms that leave something out, from an archive's report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from catalog.model import FieldDef
from layers.tiles.grid import GRIDS
from layers.tiles.plan import TilePlan
from layers.tiles.state import GridReport
from ogc_server.tiles_told import generalization

MERCATOR, DEGREES = GRIDS["WebMercatorQuad"], GRIDS["WorldCRS84Quad"]
PLAN = TilePlan("desa", "polygon", (FieldDef("kode"), FieldDef("nama")), "nama", 12)


def report(**thinned: dict[str, int]) -> GridReport:
    found = {name.removeprefix("z"): counts for name, counts in thinned.items()}
    return GridReport(bytes=1, tiles=1, largest_tile=1, max_zoom=12, seconds=1, thinned=found)


def rows(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["tileMatrix"]: row for row in said["tileMatrices"]}


def test_the_nation_at_zoom_5_is_a_picture() -> None:
    """83,402 desa: a handful below a percent is no picture, thousands are."""
    made = report(
        z4={"without_shape": 20_601, "units": 1024}, z5={"without_shape": 1801}, z6={"without_shape": 1}
    )
    said = generalization(PLAN, MERCATOR, made, 83_402, "en")
    assert (said["completeFrom"], said["featureCount"]) == ("7", 83_402)
    assert rows(said)["4"] == {"tileMatrix": "4", "withoutShape": 20_601, "unitsPerTile": 1024}
    assert "Zooms 4-6" in said["note"]
    assert "picture of the larger ones" in said["note"]
    few = generalization(PLAN, MERCATOR, report(z6={"without_shape": 1}), 83_402, "id")
    assert "gambaran" not in few["note"]
    assert "Mulai zum 7" in few["note"]


@pytest.mark.parametrize("made", [None, report(), report(z3={"units": 2048})])
def test_where_all_is_shown_it_is_said(made: GridReport | None) -> None:
    said = generalization(PLAN, DEGREES, made, 10, "en")
    assert said["completeFrom"] == "1"  # the first zoom of that grid
    assert said["note"] == "Every feature is in every zoom."


def test_clusters_and_slim_tiles_are_told_by_zoom() -> None:
    points = replace(PLAN, family="point", clustered=True)
    said = generalization(points, MERCATOR, report(), 5000, "en")
    assert [row["clustered"] for row in said["tileMatrices"]] == [True] * 12
    assert said["completeFrom"] == "12"
    slim = replace(PLAN, slim=("kode",))
    assert [*rows(generalization(slim, MERCATOR, report(), 9, "en"))] == [str(zoom) for zoom in range(7)]
    # the archive of degrees counts one deeper than its grid
    assert [*rows(generalization(slim, DEGREES, report(), 9, "en"))] == [str(zoom) for zoom in range(1, 6)]
    assert rows(generalization(slim, MERCATOR, report(), 9, "en"))["0"]["attributes"] == ["fid", "kode"]


def test_what_tippecanoe_counts_keeps_its_name() -> None:
    made = report(z2={"coalesced_as_needed": 7, "tiny_polygons": 3})
    said = generalization(PLAN, MERCATOR, made, 100, "en")
    assert rows(said)["2"] == {"tileMatrix": "2", "coalesced": 7, "tiny_polygons": 3}
    assert said["completeFrom"] == "3"
