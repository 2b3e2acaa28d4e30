"""What the pages of tiles show beside their documents: how far archives are, and what to do with them."""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.model import VersionInfo
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.plan import TilePlan
from layers.tiles.state import TileState
from ogc_server.ask import Ask, segment
from ogc_server.tiles_desk import zooms
from ogc_server.tiles_told import generalization

MERCATOR = "WebMercatorQuad"


def layer(ask: Ask, dataset: Dataset, info: VersionInfo, plan: TilePlan, state: TileState) -> dict[str, Any]:
    """Return what the page of a layer's tilesets needs; addresses keep the version that was asked for."""
    here = f"/collections/{segment(dataset.id)}"
    version = {"version": ask.values.get("version")}
    sets = []
    for grid in GRIDS.values():
        report = state.grids.get(grid.id)
        first, last = zooms(grid)
        sets.append({
            "grid": grid.id, "report": report, "first": first, "last": last,
            "page": ask.href(f"{here}/tiles/{grid.id}", {**version, "lang": ask.lang}),
            "json": ask.href(f"{here}/tiles/{grid.id}", {**version, "f": "json"}),
        })  # fmt: skip
    ready = state.grids.get(MERCATOR)
    return {
        "dataset": dataset, "info": info, "state": state, "sets": sets, "maxzoom": plan.max_zoom,
        "left": generalization(plan, GRIDS[MERCATOR], ready, info.count, ask.lang),
        "archive": ask.href(f"{here}/tiles.pmtiles", version) if ready else None,
        **_addresses(ask, dataset, MERCATOR),
    }  # fmt: skip


def _addresses(ask: Ask, dataset: Dataset, grid: str) -> dict[str, str]:
    here = f"/collections/{segment(dataset.id)}"
    version = {"version": ask.values.get("version")}
    return {
        "tilejson": ask.href(f"{here}/tiles/{grid}", {**version, "f": "tilejson"}),
        "style": ask.href(f"{here}/styles/default", {"f": "mapbox"}),
        "styles": ask.href(f"{here}/styles"),
        "qlr": ask.href(f"{here}/downloads/{segment(dataset.id)}.qlr"),
        "xyz": ask.href(f"{here}/tiles/{grid}/") + "{z}/{y}/{x}",
    }


def one(ask: Ask, dataset: Dataset, info: VersionInfo, state: TileState, grid: Grid) -> dict[str, Any]:
    """Return what the page of one tileset needs beside its metadata."""
    return {
        "dataset": dataset, "info": info, "state": state, "grid": grid, "report": state.grids.get(grid.id),
        **_addresses(ask, dataset, grid.id),
    }  # fmt: skip
