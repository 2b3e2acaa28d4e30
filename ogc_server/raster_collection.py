"""What the description of a raster collection says beyond those of any collection."""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.messages import LANGS, text
from catalog.model import VersionInfo
from layers.raster_grid import Grid, grid_of
from ogc_server.ask import Ask, segment
from ogc_server.edr import described
from ogc_server.links import OGC_REL, link
from ogc_server.negotiation import GEOJSON, JSON, SCHEMA
from ogc_server.raster_formats import COVJSON, TIFF
from ogc_server.raster_layer import native_crs, offered_crs
from ogc_server.stac import COG_MEDIA

GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"


def extend(doc: dict[str, Any], ask: Ask, dataset: Dataset, info: VersionInfo) -> None:
    """Add CRS, grid (Common Part 2, uniform dimensions) and EDR queries to a collection's document."""
    if not info.extra.get("bands"):
        return  # a version that nobody measured: described, but nothing can be asked of it
    doc["crs"] = list(offered_crs(info))
    own, grid = native_crs(info), grid_of(info)
    if own is not None and own.uri:
        doc["storageCrs"] = own.uri
    if grid is not None and (spatial := doc.get("extent", {}).get("spatial")):
        spatial["storageCrsBbox"] = [list(grid.bounds)]
        spatial["grid"] = _grid(grid)
    if times := interval(dataset):
        doc.setdefault("extent", {})["temporal"] = {
            "interval": [times], "trs": GREGORIAN, "values": ["/".join(one or ".." for one in times)],
        }  # fmt: skip
    doc["dataType"] = "coverage"
    doc |= described(
        ask, dataset.id, info, {lang: dataset.record.title.get(lang) or dataset.id for lang in LANGS}
    )


def interval(dataset: Dataset) -> list[str | None] | None:
    """Return the period that a raster's record states, open ends as null; None when it states none."""
    ends = (dataset.record.time_start, dataset.record.time_end)
    if ends == (None, None):
        return None
    return [None if one is None else one.isoformat().replace("+00:00", "Z") for one in ends]


def _grid(grid: Grid) -> list[dict[str, Any]]:
    """Return the grid of the x and of the y dimension; the first coordinate is a cell's middle."""
    xs, ys = (grid.west + grid.dx / 2), (grid.north - (grid.height - 0.5) * grid.dy)
    return [
        {"cellsCount": grid.width, "resolution": grid.dx, "firstCoordinate": xs},
        {"cellsCount": grid.height, "resolution": grid.dy, "firstCoordinate": ys},
    ]


def links(ask: Ask, dataset: Dataset, version: int | None) -> list[dict[str, Any]]:
    """Return the links of a raster collection to its data."""
    here, lang = f"/collections/{segment(dataset.id)}", ask.lang

    def to(path: str, rel: str, media: str, key: str, **params: Any) -> dict[str, Any]:
        return link(ask.href(here + path, {**params, "version": version}), rel, media, text(key, lang))

    return [
        to("/coverage", f"{OGC_REL}coverage", TIFF, "link.coverage-tif", f="tif"),
        to("/coverage", f"{OGC_REL}coverage", COVJSON, "link.coverage-json", f="covjson"),
        to("/cog", "enclosure", COG_MEDIA, "link.cog"),
        to("/position", "data", COVJSON, "raster.edr.position"),  # so clients of EDR know their collections
        to("/area", "data", COVJSON, "raster.edr.area"),
        to("/schema", f"{OGC_REL}schema", SCHEMA, "link.raster-schema"),
        to("/map", f"{OGC_REL}map", "image/png", "link.map", f="png"),
        to("/map/tiles", f"{OGC_REL}tilesets-map", JSON, "link.map-tilesets"),
        to("/map/legend", f"{OGC_REL}legend", "image/png", "link.legend", f="png"),
        link(ask.href(f"/stac/collections/{segment(dataset.id)}"), "alternate", JSON, "STAC"),
        *(
            link(
                ask.href(f"/stac/collections/{segment(dataset.id)}/items/{version}"), "item", GEOJSON, "STAC"
            )
            for version in ([version] if version else [])
        ),
    ]
