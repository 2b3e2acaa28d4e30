"""WMS and WMTS: layers registered by reference, with links that work; nothing is copied.

The capabilities are read once per run. Links lead to the address that the source was asked at, since
the OnlineResource of real servers often has the wrong scheme or host.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field

from catalog.metadata.values import INDONESIA, WORLD, moment
from catalog.metadata.xmlsafe import parse_xml
from catalog.model import BBox, Contact, DatasetRecord, ItemError, Link, Localized
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.naming import choose
from harvesters.wms.capabilities import MapLayer, MapService, read_wms
from harvesters.wms.wmts_capabilities import TileLayer, TileService, read_wmts

_OURS = {"service", "request", "version", "acceptversions", "layers", "styles", "format"}
PREVIEW_WIDTH = 600


class MapOptions(Options):
    """Options of `type: wms` and `type: wmts`."""

    extent: Literal["indonesia", "world"] = Field(
        default="indonesia", description="Area that layers' extents are clamped to"
    )

    def within(self) -> BBox:
        """Return the area in degrees."""
        return INDONESIA if self.extent == "indonesia" else WORLD


class WmsOptions(MapOptions):
    """Options of `type: wms`."""

    version: Literal["1.3.0", "1.1.1"] = Field(default="1.3.0", description="WMS version to speak")


class _Referenced(Harvester):
    """What WMS and WMTS share: names in, records with links out."""

    _found: Any = None

    @abstractmethod
    def _names(self) -> list[str]: ...

    @abstractmethod
    def _record(self, name: str) -> DatasetRecord: ...

    def listing(self) -> Listing:
        """List the layer names that the configuration chooses."""
        ids = tuple(choice.remote for choice in choose(self.source, self._names()))
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one record per chosen layer, kind `service`, without content."""
        for choice in choose(self.source, self._names()):
            if not choice.present:
                yield ItemError("not-found", "the service has no such layer", choice.remote, self._url)
                continue
            record = self._record(choice.remote)
            yield RemoteDataset(choice.remote, choice.collection_id, "service", record, choice.layer)

    @property
    def _url(self) -> str:
        return plain(self.source.url)


class WmsHarvester(_Referenced):
    """One WMS."""

    type = "wms"
    options_model = WmsOptions

    def probe(self) -> Probe:
        """Read the capabilities."""
        found = self._service
        return Probe(found.title, found.version, {"layers": len(found.layers)})

    @property
    def _service(self) -> MapService:
        if self._found is None:
            params = {"service": "WMS", "version": self.options.version, "request": "GetCapabilities"}
            content = self.http.get(self._url, params=params).content
            root = parse_xml(content, where=self._url, huge=True)
            self._found = read_wms(root, self._url, within=self.options.within())
        found: MapService = self._found
        return found

    def _names(self) -> list[str]:
        return list(self._service.layers)

    def _record(self, name: str) -> DatasetRecord:
        layer = self._service.layers[name]
        times = sorted(t for part in layer.times for edge in part.split("/")[:2] if (t := moment(edge)))
        return DatasetRecord(
            title=Localized(id=layer.title or name.rsplit(":", 1)[-1].replace("_", " ")),
            description=Localized(id=layer.abstract),
            keywords=list(layer.keywords),
            produsen_data=self._service.organisation,
            contact=Contact(organisation=self._service.organisation),
            bbox=layer.bbox,
            time_start=times[0] if times else None,
            time_end=times[-1] if times else None,
            links=list(self._links(layer)),
            extras={"layer": name} | ({"flaws": layer.flaw} if layer.flaw else {}),
        )

    def _links(self, layer: MapLayer) -> Iterator[Link]:
        service = self._service
        yield Link(href=self._url, rel="service", title=layer.name, protocol="OGC:WMS")
        if layer.bbox is not None:
            href = joined(self._url, get_map(service, layer.name, layer.bbox))
            yield Link(
                href=href, rel="preview", type=service.image_format, title="GetMap", protocol="OGC:WMS"
            )
        if service.mercator:
            yield Link(
                href=joined(self._url, _mercator(service, layer.name)) + "&bbox={bbox-epsg-3857}",
                rel="template", type=service.image_format, title="EPSG:3857", protocol="OGC:WMS",
            )  # fmt: skip
        yield Link(href=self._legend(layer), rel="legend", type="image/png", protocol="OGC:WMS")
        for url in layer.metadata_urls:
            yield Link(href=asked(url, self._url), rel="describedby", protocol="WWW:LINK")

    def _legend(self, layer: MapLayer) -> str:
        href = next((href for href in layer.legends.values() if href), "")
        if href and "getlegendgraphic" not in href.lower():
            return asked(href, self._url)
        style = next(iter(layer.legends), "")
        request = {
            "service": "WMS", "version": self._service.version, "request": "GetLegendGraphic",
            "layer": layer.name, "style": style, "format": "image/png", "sld_version": "1.1.0",
        }  # fmt: skip
        return joined(self._url, request)


class WmtsHarvester(_Referenced):
    """One WMTS."""

    type = "wmts"
    options_model = MapOptions

    def probe(self) -> Probe:
        """Read the capabilities."""
        found = self._service
        return Probe(found.title, "1.0.0", {"layers": len(found.layers)})

    @property
    def _service(self) -> TileService:
        if self._found is None:
            restful = self._url.lower().endswith(".xml")
            params = {"service": "WMTS", "version": "1.0.0", "request": "GetCapabilities"}
            content = self.http.get(self._url, params=None if restful else params).content
            root = parse_xml(content, where=self._url, huge=True)
            self._found = read_wmts(root, self._url, within=self.options.within())
        found: TileService = self._found
        return found

    def _names(self) -> list[str]:
        return list(self._service.layers)

    def _record(self, name: str) -> DatasetRecord:
        layer = self._service.layers[name]
        return DatasetRecord(
            title=Localized(id=layer.title or name.rsplit(":", 1)[-1].replace("_", " ")),
            description=Localized(id=layer.abstract),
            keywords=list(layer.keywords),
            bbox=layer.bbox,
            crs=layer.crs,
            links=list(self._links(layer)),
            extras={"layer": name, "tile_matrix_set": layer.matrix_set},
        )

    def _links(self, layer: TileLayer) -> Iterator[Link]:
        yield Link(href=self._url, rel="service", title=layer.name, protocol="OGC:WMTS")
        template = asked(layer.template, self._url) if layer.template else joined(self._url, {
            "service": "WMTS", "version": "1.0.0", "request": "GetTile", "layer": layer.name,
            "style": layer.style, "format": layer.format, "tilematrixset": layer.matrix_set,
        }) + f"&tilematrix={layer.matrix}&tilerow={{y}}&tilecol={{x}}"  # fmt: skip
        yield Link(
            href=template, rel="template", type=layer.format, title=layer.matrix_set, protocol="OGC:WMTS"
        )
        if layer.legend:
            yield Link(href=asked(layer.legend, self._url), rel="legend", protocol="OGC:WMTS")


def plain(url: str) -> str:
    """Return `url` without the OGC parameters that we set ourselves."""
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k.lower() not in _OURS]
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))


def joined(url: str, params: dict[str, Any]) -> str:
    """Return `url` with `params` added to its query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def asked(href: str, url: str) -> str:
    """Return `href` with the scheme of `url` when both name one host; relative ones are resolved.

    A host without a dot (`geoserver:8080`) is a name inside the provider's network: ours replaces it.
    """
    parts, ours = urlsplit(href), urlsplit(url)
    host = (parts.hostname or "").lower()
    same = host == (ours.hostname or "").lower()
    inside = not host or ("." not in host)
    if same or inside:
        return urlunsplit(parts._replace(scheme=ours.scheme, netloc=ours.netloc))
    return href


def get_map(service: MapService, layer: str, bbox: BBox) -> dict[str, Any]:
    """Return the parameters of a GetMap in degrees, the axis order that the version wants."""
    west, south, east, north = bbox
    if east < west:
        east += 360
    height = max(1, min(2000, round(PREVIEW_WIDTH * (north - south) / max(east - west, 1e-6))))
    modern = service.version == "1.3.0"
    box = (south, west, north, east) if modern else (west, south, east, north)
    return {
        "service": "WMS", "version": service.version, "request": "GetMap", "layers": layer, "styles": "",
        "crs" if modern else "srs": "EPSG:4326", "bbox": ",".join(f"{v:.6f}" for v in box),
        "width": PREVIEW_WIDTH, "height": height, "format": service.image_format, "transparent": "true",
    }  # fmt: skip


def _mercator(service: MapService, layer: str) -> dict[str, Any]:
    return {
        "service": "WMS", "version": service.version, "request": "GetMap", "layers": layer, "styles": "",
        "crs" if service.version == "1.3.0" else "srs": "EPSG:3857", "width": 256, "height": 256,
        "format": service.image_format, "transparent": "true",
    }  # fmt: skip
