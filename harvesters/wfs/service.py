"""A WFS as it describes itself: version, feature types, formats, page limit, CRS.

owslib reads the capabilities, from bytes that our HTTP client brought. Requests go to the address
that was asked, never to the OnlineResource, which real servers give with a wrong scheme or host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lxml import etree
from owslib.wfs import WebFeatureService

from catalog.errors import ProtocolError, SatuDataError, SourceError
from catalog.metadata.values import crs_code, extent
from catalog.metadata.xmlsafe import Element, attribute, every, local, own_text, parse_xml
from catalog.model import BBox
from harvesters.http.client import HttpClient

VERSIONS = ("2.0.0", "1.1.0", "1.0.0")
_OURS = {"service", "request", "version", "acceptversions", "typename", "typenames", "outputformat"}
_EXCEPTIONS = {"ExceptionReport", "ServiceExceptionReport", "ServiceException"}


@dataclass(frozen=True, slots=True)
class FeatureType:
    """One feature type. `crs` is ours (`EPSG:4326`), `srs_name` the server's own way to write it."""

    name: str
    title: str
    abstract: str
    keywords: tuple[str, ...]
    crs: str
    srs_name: str
    bbox: BBox | None
    metadata_urls: tuple[str, ...] = ()


@dataclass(slots=True)
class Capabilities:
    """What the service says of itself. `count_default` caps a page; `formats` are for GetFeature."""

    version: str
    title: str
    types: dict[str, FeatureType]
    formats: tuple[str, ...] = ()
    count_default: int | None = None
    paging: bool | None = None
    geoserver: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    def json_format(self) -> str | None:
        """Return the GeoJSON output format, when one is offered."""
        fitting = [f for f in self.formats if "json" in f.lower() and "javascript" not in f.lower()]
        fitting.sort(key=lambda f: ("geojson" not in f.lower(), len(f)))
        return next((f for f in fitting if "jsonp" not in f.lower()), None)


def exception_text(root: Element) -> str | None:
    """Return the text of an exceptions report, None when the document is none."""
    if local(root) not in _EXCEPTIONS:
        return None
    codes = [
        value
        for e in root.iter()
        for value in [attribute(e, "exceptionCode") or attribute(e, "code")]
        if value
    ]
    return ": ".join(filter(None, [", ".join(dict.fromkeys(codes)), own_text(root)]))[:300] or "exception"


def bare_url(url: str) -> str:
    """Return `url` without the OGC parameters that we set ourselves; `map=` and the like stay."""
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k.lower() not in _OURS]
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))


class WfsService:
    """Sends KVP requests to one WFS and reads what is not data."""

    def __init__(self, url: str, http: HttpClient, *, version: str = "auto") -> None:
        self.url = bare_url(url)
        self.http = http
        self.asked_version = version
        self._capabilities: Capabilities | None = None

    def get(self, params: dict[str, Any], *, retries: int | None = None) -> bytes:
        """Send a request; raise ProtocolError for an exceptions report inside HTTP 200."""
        content = self.http.get(self.url, params={"service": "WFS", **params}, retries=retries).content
        if content.lstrip()[:1] == b"<" and b"Exception" in content[:4096]:
            said = exception_text(parse_xml(content, where=self.url, huge=True))
            if said is not None:
                raise ProtocolError(f"WFS exception: {said}", where=self.url)
        return content

    def get_xml(self, params: dict[str, Any]) -> Element:
        """Send a request whose answer must be XML."""
        return parse_xml(self.get(params), where=self.url, huge=True)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities, read once."""
        if self._capabilities is None:
            self._capabilities = self._negotiate()
        return self._capabilities

    def _negotiate(self) -> Capabilities:
        versions = VERSIONS if self.asked_version == "auto" else (self.asked_version,)
        trouble: SourceError | None = None
        for url in self._addresses():
            self.url = url
            for version in versions:
                try:
                    return self._read(version)
                except ProtocolError as exc:
                    trouble = trouble or exc
        raise trouble or ProtocolError("no WFS here", where=self.url)

    def _addresses(self) -> list[str]:
        """Return the address asked, and its `/wfs` twin when it is a WMS address in disguise."""
        parts = urlsplit(self.url)
        match = re.fullmatch(r"(.*/)wms/?", parts.path, re.IGNORECASE)
        return [self.url, urlunsplit(parts._replace(path=match[1] + "wfs"))] if match else [self.url]

    def _read(self, version: str) -> Capabilities:
        root = self.get_xml({"request": "GetCapabilities", "version": version})
        if local(root) not in {"WFS_Capabilities", "Capabilities"} or "wms" in str(root.tag).lower():
            raise ProtocolError(f"<{local(root)}> where WFS capabilities were expected", where=self.url)
        return read_capabilities(root, self.url)


def read_capabilities(root: Element, url: str) -> Capabilities:
    """Read a capabilities document of WFS 1.0.0, 1.1.0 or 2.0.x with owslib."""
    version = attribute(root, "version") or "1.0.0"
    family = next((v for v in VERSIONS if version[:3] == v[:3]), None)
    if family is None:
        raise ProtocolError(f"WFS version {version} is not known", where=url)
    try:
        service = WebFeatureService(url, version=family, xml=etree.tostring(root))
        types = {name: _feature_type(name, content) for name, content in service.contents.items()}
    except SatuDataError:
        raise
    except Exception as exc:  # owslib raises whatever its parsing met: None has no attribute, and so on
        raise ProtocolError(f"unreadable capabilities: {type(exc).__name__}: {exc}", where=url) from exc
    identification = getattr(service, "identification", None)
    return Capabilities(
        version=version if family == "2.0.0" else family,
        title=getattr(identification, "title", "") or "",
        types=types,
        formats=tuple(_formats(root)),
        count_default=_count_default(root),
        paging=_paging(root),
        geoserver=b"geoserver" in etree.tostring(root)[:200_000].lower(),
    )


def _feature_type(name: str, content: Any) -> FeatureType:
    options = [str(getattr(c, "id", c)) for c in content.crsOptions or []]
    box = content.boundingBoxWGS84
    return FeatureType(
        name=name,
        title=" ".join((content.title or "").split()),
        abstract=(content.abstract or "").strip(),
        keywords=tuple(k.strip() for k in content.keywords or [] if k and k.strip()),
        crs=next((code for o in options if (code := crs_code(o))), ""),
        srs_name=options[0] if options else "",
        bbox=extent(*map(float, box[:4]))[0] if box else None,
        metadata_urls=tuple(m["url"] for m in content.metadataUrls or [] if m.get("url")),
    )


def _formats(root: Element) -> list[str]:
    found: dict[str, None] = {}
    for operation in every(root, "OperationsMetadata/Operation"):
        if attribute(operation, "name") == "GetFeature":
            for parameter in every(operation, "Parameter"):
                if attribute(parameter, "name").lower() == "outputformat":
                    found |= dict.fromkeys(own_text(v) for v in every(parameter, "**/Value"))
    for element in every(root, "Capability/Request/GetFeature/ResultFormat/*"):
        found[local(element)] = None
    return [f for f in found if f]


def _constraints(root: Element, name: str) -> list[str]:
    return [
        own_text(value)
        for element in every(root, "**/Constraint")
        if attribute(element, "name") == name
        for value in (*every(element, "DefaultValue"), *every(element, "**/Value"))
    ]


def _count_default(root: Element) -> int | None:
    limits = [int(v) for v in _constraints(root, "CountDefault") if v.isdigit() and int(v) > 0]
    limits += [int(v) for v in _constraints(root, "DefaultMaxFeatures") if v.isdigit() and int(v) > 0]
    return min(limits) if limits else None


def _paging(root: Element) -> bool | None:
    told = [v.upper() for v in _constraints(root, "ImplementsResultPaging")]
    return None if not told else "TRUE" in told


def hits(root: Element) -> int | None:
    """Return numberMatched / numberOfFeatures of a collection element, None when not told."""
    for name in ("numberMatched", "numberOfFeatures"):
        value = attribute(root, name)
        if value.isdigit():
            return int(value)
    return None
