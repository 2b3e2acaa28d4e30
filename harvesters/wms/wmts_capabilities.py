"""WMTS capabilities (owslib): the layers, each with one tile address in the Web Mercator set if any."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lxml import etree
from owslib.wmts import WebMapTileService

from catalog.errors import ProtocolError
from catalog.metadata.values import WORLD, crs_code, extent, number
from catalog.metadata.xmlsafe import Element, every, first, local, own_text, text_at
from catalog.model import BBox
from harvesters.wfs.service import exception_text

_MERCATOR = {"EPSG:3857", "EPSG:900913"}


@dataclass(frozen=True, slots=True)
class TileLayer:
    """One layer. `template` has places `{y}`, `{x}` and `matrix`; '' when only KVP is offered."""

    name: str
    title: str
    abstract: str
    keywords: tuple[str, ...]
    bbox: BBox | None
    crs: str
    style: str
    format: str
    matrix_set: str
    matrix: str
    template: str
    legend: str = ""


@dataclass(slots=True)
class TileService:
    """What a WMTS says of itself."""

    title: str
    layers: dict[str, TileLayer]


def read_wmts(root: Element, url: str, *, within: BBox = WORLD) -> TileService:
    """Read WMTS 1.0.0 capabilities; layers without a tile matrix set are left out.

    Raises ProtocolError when the document is none.
    """
    if (said := exception_text(root)) is not None:
        raise ProtocolError(f"WMTS exception: {said}", where=url)
    if local(root) != "Capabilities" or "wmts" not in str(root.tag):
        raise ProtocolError(f"<{local(root)}> where WMTS capabilities were expected", where=url)
    title = text_at(root, "ServiceIdentification/Title")
    boxes = {
        own_text(first(layer, "Identifier")): _box(layer, within) for layer in every(root, "Contents/Layer")
    }
    for element in root.findall(".//{*}WGS84BoundingBox") + root.findall(".//{*}BoundingBox"):
        parent = element.getparent()
        if parent is not None:  # owslib stops at corners that are no numbers
            parent.remove(element)
    try:
        service = WebMapTileService(url, xml=etree.tostring(root))
        layers = [_layer(content, service.tilematrixsets, boxes) for content in service.contents.values()]
    except Exception as exc:  # owslib raises whatever its parsing met
        raise ProtocolError(f"unreadable capabilities: {type(exc).__name__}: {exc}", where=url) from exc
    return TileService(title, {layer.name: layer for layer in layers if layer is not None})


def _box(layer: Element, within: BBox) -> BBox | None:
    low = text_at(layer, "WGS84BoundingBox/LowerCorner").split()
    high = text_at(layer, "WGS84BoundingBox/UpperCorner").split()
    if len(low) != 2 or len(high) != 2:
        return None
    return extent(*(number(v) for v in (*low, *high)), within=within)[0]


def _layer(content: Any, sets: dict[str, Any], boxes: dict[str, BBox | None]) -> TileLayer | None:
    offered = [name for name in content.tilematrixsetlinks if name in sets]
    if not offered:
        return None
    mercator = [name for name in offered if crs_code(sets[name].crs) in _MERCATOR]
    chosen = (mercator or offered)[0]
    style = next((n for n, s in content.styles.items() if s.get("isDefault")), next(iter(content.styles), ""))
    formats = [f for f in content.formats if f]
    image = next((f for f in formats if f.startswith("image/png")), formats[0] if formats else "image/png")
    prefix = _prefix(list(sets[chosen].tilematrix))
    matrix = "{TileMatrix}" if prefix is None else prefix + "{z}"
    tile = [r for r in content.resourceURLs if r.get("resourceType") == "tile"]
    fitting = [r for r in tile if r.get("format") == image] or tile
    template = fitting[0]["template"] if fitting else ""
    places = {
        "{Style}": style or "", "{style}": style or "", "{TileMatrixSet}": chosen,
        "{TileMatrix}": matrix, "{TileRow}": "{y}", "{TileCol}": "{x}",
    }  # fmt: skip
    for place, value in places.items():
        template = template.replace(place, value)
    return TileLayer(
        name=content.id,
        title=content.title or "",
        abstract=content.abstract or "",
        keywords=tuple(k for k in content.keywords or [] if k),
        bbox=boxes.get(content.id),
        crs=crs_code(sets[chosen].crs),
        style=style or "",
        format=image,
        matrix_set=chosen,
        matrix=matrix,
        template=template,
        legend=(content.styles.get(style) or {}).get("legend", "") or "",
    )


def _prefix(names: list[str]) -> str | None:
    """Return what stands before the zoom in all matrix names (`EPSG:900913:` + 7); None if no zoom does."""
    prefixes = {re.sub(r"\d+$", "", name) for name in names}
    return prefixes.pop() if len(prefixes) == 1 and all(name[-1:].isdigit() for name in names) else None
