"""WMS capabilities, cut down to what is needed before owslib reads them.

Real documents hold thousands of `<CRS>` lines, empty titles, extents that are no numbers and styles
without names; owslib stops at some and is slow at others. So a clean document is written first: the
named layers, flat, with what they inherit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree
from owslib.wms import WebMapService

from catalog.errors import ProtocolError
from catalog.metadata.values import WORLD, extent, number
from catalog.metadata.xmlsafe import Element, attribute, every, first, local, own_text, text_at
from catalog.model import BBox
from harvesters.wfs.service import exception_text

_WMS = "http://www.opengis.net/wms"
_XLINK = "http://www.w3.org/1999/xlink"
_ROOTS = {"WMS_Capabilities", "WMT_MS_Capabilities"}
_SIDES = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")


@dataclass(frozen=True, slots=True)
class MapLayer:
    """One named layer. `bbox` in degrees, within the plausible area; `legends` by style name."""

    name: str
    title: str
    abstract: str
    keywords: tuple[str, ...]
    bbox: BBox | None
    flaw: str = ""
    queryable: bool = False
    legends: dict[str, str] = field(default_factory=dict)
    metadata_urls: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


@dataclass(slots=True)
class MapService:
    """What a WMS says of itself."""

    version: str
    title: str
    organisation: str
    layers: dict[str, MapLayer]
    formats: tuple[str, ...]
    mercator: bool = False

    @property
    def image_format(self) -> str:
        """PNG where offered."""
        preferred = [f for f in self.formats if f.startswith("image/png")]
        return "image/png" if "image/png" in self.formats or not self.formats else (
            preferred or list(self.formats)
        )[0]  # fmt: skip


def read_wms(root: Element, url: str, *, within: BBox = WORLD) -> MapService:
    """Read capabilities of WMS 1.1.1 or 1.3.0; layers' extents are clamped to `within`.

    Raises ProtocolError when the document is none.
    """
    if (said := exception_text(root)) is not None:
        raise ProtocolError(f"WMS exception: {said}", where=url)
    if local(root) not in _ROOTS:
        raise ProtocolError(f"<{local(root)}> where WMS capabilities were expected", where=url)
    version = "1.3.0" if attribute(root, "version").startswith("1.3") else "1.1.1"
    boxes = dict(_boxes(root, within))
    try:
        service = WebMapService(url, version=version, xml=_clean(root, version))
        layers = {name: _layer(content, *boxes[name]) for name, content in service.contents.items()}
        formats = tuple(f for f in service.getOperationByName("GetMap").formatOptions if f)
    except Exception as exc:  # owslib raises whatever its parsing met
        raise ProtocolError(f"unreadable capabilities: {type(exc).__name__}: {exc}", where=url) from exc
    return MapService(
        version=version,
        title=text_at(root, "Service/Title"),
        organisation=text_at(root, "Service/ContactInformation/ContactPersonPrimary/ContactOrganization"),
        layers=layers,
        formats=formats,
        mercator=any(own_text(e).endswith(":3857") for e in root.iter("{*}CRS", "{*}SRS")),
    )


def _named(root: Element) -> Iterator[tuple[str, Element]]:
    """Yield (name, layer element), each name once: of a group and its twin child, the group."""
    seen: set[str] = set()
    for layer in root.iter("{*}Layer"):
        name = own_text(first(layer, "Name"))
        if name and name not in seen:
            seen.add(name)
            yield name, layer


def _ancestry(layer: Element) -> Iterator[Element]:
    node: Element | None = layer
    while node is not None and local(node) == "Layer":
        yield node
        node = node.getparent()


def _boxes(root: Element, within: BBox) -> Iterator[tuple[str, tuple[BBox | None, str]]]:
    for name, layer in _named(root):
        yield name, next((box for node in _ancestry(layer) if (box := _box(node, within))), (None, ""))


def _box(layer: Element, within: BBox) -> tuple[BBox | None, str] | None:
    modern, old = first(layer, "EX_GeographicBoundingBox"), first(layer, "LatLonBoundingBox")
    if modern is not None:
        sides = [number(text_at(modern, name)) for name in _SIDES]
    elif old is not None:
        sides = [number(attribute(old, name)) for name in ("minx", "miny", "maxx", "maxy")]
    else:
        return None
    return extent(*sides, within=within)


def _clean(root: Element, version: str) -> bytes:
    namespace = f"{{{_WMS}}}" if version == "1.3.0" else ""

    def add(parent: Element, tag: str, value: str | None = None) -> Element:
        element = etree.SubElement(parent, namespace + tag)
        element.text = value
        return element

    top = etree.Element(namespace + ("WMS_Capabilities" if namespace else "WMT_MS_Capabilities"))
    top.set("version", version)
    service = add(top, "Service")
    add(service, "Name", "WMS")
    add(service, "Title", text_at(root, "Service/Title"))
    capability = add(top, "Capability")
    get_map = add(add(capability, "Request"), "GetMap")
    for element in every(root, "Capability/Request/GetMap/Format"):
        add(get_map, "Format", own_text(element))
    holder = add(capability, "Layer")
    add(holder, "Title", "")
    for name, layer in _named(root):
        _copy(add, add(holder, "Layer"), name, layer)
    return etree.tostring(top)


def _copy(add: Any, into: Element, name: str, layer: Element) -> None:
    into.set("queryable", "1" if attribute(layer, "queryable") in {"1", "true"} else "0")
    add(into, "Name", name)
    add(into, "Title", own_text(first(layer, "Title")))
    add(into, "Abstract", own_text(first(layer, "Abstract")))
    words = add(into, "KeywordList")
    for element in every(layer, "KeywordList/Keyword"):
        add(words, "Keyword", own_text(element))
    for element in every(layer, "Dimension"):
        if attribute(element, "name").lower() == "time":
            add(into, "Dimension", own_text(element)).set("name", "time")
    styles: set[str] = set()
    for node in _ancestry(layer):
        for style in every(node, "Style"):
            own = own_text(first(style, "Name"))
            href = (
                attribute(online, "href")
                if (online := first(style, "LegendURL/OnlineResource")) is not None
                else ""
            )
            if own and own not in styles:
                styles.add(own)
                clone = add(into, "Style")
                add(clone, "Name", own)
                add(clone, "Title", own)
                if href:
                    add(add(clone, "LegendURL"), "OnlineResource").set(f"{{{_XLINK}}}href", href)
    for element in every(layer, "MetadataURL"):
        online = first(element, "OnlineResource")
        if online is not None and attribute(online, "href"):
            clone = add(into, "MetadataURL")
            clone.set("type", attribute(element, "type") or "other")
            add(clone, "Format", own_text(first(element, "Format")) or "text/xml")
            add(clone, "OnlineResource").set(f"{{{_XLINK}}}href", attribute(online, "href"))


def _layer(content: Any, bbox: BBox | None, flaw: str) -> MapLayer:
    return MapLayer(
        name=content.id,
        title=" ".join((content.title or "").split()),
        abstract=content.abstract or "",
        keywords=tuple(dict.fromkeys(k for k in content.keywords or [] if k)),
        bbox=bbox,
        flaw=flaw,
        queryable=bool(content.queryable),
        legends={name: style.get("legend", "") for name, style in content.styles.items()},
        metadata_urls=tuple(m["url"] for m in content.metadataUrls if m.get("url")),
        times=tuple(t.strip() for t in content.timepositions or [] if t.strip()),
    )
