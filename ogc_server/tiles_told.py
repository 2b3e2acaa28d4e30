"""What a layer's tiles leave out, zoom by zoom: for machines (tileset metadata, TileJSON) and in words.

The counts are those of the archive's build (`layers.tiles.state.GridReport.thinned`); tiles that are made
on request leave nothing out.
"""

from __future__ import annotations

from typing import Any

from catalog.messages import text
from layers.tiles.grid import Grid
from layers.tiles.plan import SLIM, TilePlan
from layers.tiles.state import GridReport

_NAMES = {
    "merged": "merged", "without_shape": "withoutShape", "units": "unitsPerTile",
    "coalesced_as_needed": "coalesced", "dropped_as_needed": "dropped",
}  # fmt: skip
"""How we call what the archive's report counts; the rest is named as tippecanoe does."""
_HIDING = ("withoutShape", "merged", "clustered", "coalesced", "dropped")
"""What keeps features from being seen by themselves."""


def generalization(
    plan: TilePlan, grid: Grid, report: GridReport | None, count: int, lang: str
) -> dict[str, Any]:
    """Return per zoom (tile matrix) what is not there as in the layer, and a note that says it in words.

    `completeFrom` is the first tile matrix from which each of the `featureCount` features is shown by itself.
    """
    first = grid.first_zoom
    rows = [] if report is None else [_row(plan, grid, report, zoom) for zoom in _zooms(plan, first)]
    hidden = [row for row in rows if any(row.get(name) for name in _HIDING)]
    complete = int(hidden[-1]["tileMatrix"]) + 1 if hidden else first
    return {
        "featureCount": count,
        "completeFrom": str(complete),
        "note": " ".join(_note(hidden, complete, count, lang)),
        "tileMatrices": [row for row in rows if len(row) > 1],
    }


def _zooms(plan: TilePlan, first: int) -> range:
    return range(first, plan.max_zoom + 1)


def _row(plan: TilePlan, grid: Grid, report: GridReport, zoom: int) -> dict[str, Any]:
    row: dict[str, Any] = {"tileMatrix": str(zoom)}
    row |= {_NAMES.get(name, name): number for name, number in report.thinned.get(str(zoom), {}).items()}
    if plan.clustered and zoom < report.max_zoom:
        row["clustered"] = True
    if plan.slim is not None and zoom + grid.first_zoom < SLIM:  # the plan counts as the archive does
        row["attributes"] = ["fid", *plan.slim]
    return row


def _note(hidden: list[dict[str, Any]], complete: int, count: int, lang: str) -> list[str]:
    if not hidden:
        return [text("tiles.note.complete", lang)]
    said = []
    for name in _HIDING:
        rows = [row for row in hidden if row.get(name)]
        if rows:
            zooms = f"{rows[0]['tileMatrix']}-{rows[-1]['tileMatrix']}"
            said.append(text(f"tiles.note.{name.lower()}", lang, zooms=zooms))
    if any(row.get("withoutShape", 0) + row.get("merged", 0) > count / 100 for row in hidden):
        said.append(text("tiles.note.picture", lang))
    return [*said, text("tiles.note.from", lang, zoom=complete)]
