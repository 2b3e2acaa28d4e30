"""Single values as metadata writes them: dates, CRS, languages, extents, links, access."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from urllib.parse import urlsplit, urlunsplit

from catalog.model import Access, BBox

INDONESIA: BBox = (92.0, -15.0, 145.0, 12.0)
"""Land, territorial sea and EEZ with some room; extents beyond it are a server's default."""
WORLD: BBox = (-180.0, -90.0, 180.0, 90.0)

_EPSG = re.compile(r"(?:epsg|EPSG)(?:[:/#]|\.xml#|%3A)+(?:[\d.]*[:/])?(\d{4,6})\b")
_LANGUAGES = {"ind": "id", "indonesian": "id", "indonesia": "id", "eng": "en", "english": "en"}
_CLASSIFIED: dict[str, Access] = {
    "restricted": "terbatas", "limiteddistribution": "terbatas", "sensitivebutunclassified": "terbatas",
    "confidential": "internal", "secret": "internal", "topsecret": "internal", "protected": "internal",
}  # fmt: skip


def moment(value: str) -> datetime | None:
    """Read an ISO 8601 year, month, day or instant (no offset: UTC); None when it is none."""
    value = value.strip()
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?Z?", value)
    try:
        if match:
            year, month, day = (int(part or 1) for part in match.groups())
            return datetime.combine(date(year, month, day), time(), UTC)
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def crs_code(value: str, space: str = "") -> str:
    """Return `EPSG:n` / `OGC:CRS84` for any way of writing it, '' when it is not told."""
    if re.search(r"CRS:?84\b", value):
        return "OGC:CRS84"
    match = _EPSG.search(value)
    if match:
        return f"EPSG:{match[1]}"
    bare = value.strip()
    if re.fullmatch(r"\d{4,6}", bare) and space.upper() in {"", "EPSG"}:
        return f"EPSG:{bare}"
    return ""


def language_code(value: str) -> str:
    """Return the two-letter code; Indonesian when nothing is said."""
    value = value.strip().casefold().split(";")[0].split("-")[0]
    return _LANGUAGES.get(value, value[:2] if len(value) in (2, 3) else "id")


def access_of(*codes: str) -> Access:
    """Return the strictest access that the classification codes ask for."""
    found = {_CLASSIFIED.get(code.replace(" ", "").casefold(), "publik") for code in codes}
    return "internal" if "internal" in found else "terbatas" if "terbatas" in found else "publik"


def number(value: str) -> float | None:
    """Read a finite number; a decimal comma is one."""
    try:
        result = float(value.strip().replace(",", "."))
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def extent(
    west: float | None, south: float | None, east: float | None, north: float | None, *, within: BBox = WORLD
) -> tuple[BBox | None, str]:
    """Return a usable box in degrees and the flaw that was mended ('' for none).

    Swapped sides and swapped axes are put right, what lies outside `within` is cut off. A box that
    does not touch `within` is cut to the world instead; one that says nothing (missing, all zero,
    metres) is None.
    """
    if west is None or south is None or east is None or north is None:
        return None, "extent-missing"
    if not any((west, south, east, north)):
        return None, "extent-zero"
    flaw = ""
    if max(abs(south), abs(north)) > 90 and max(abs(west), abs(east)) <= 90 and max(south, north) <= 180:
        west, south, east, north = south, west, north, east
        flaw = "extent-axes-swapped"
    if south > north or (west > east and not 180 >= west > 0 > east >= -180):
        west, east = sorted((west, east))
        south, north = sorted((south, north))
        flaw = flaw or "extent-sides-swapped"
    if min(abs(west), abs(east)) > 360 or min(abs(south), abs(north)) > 180:
        return None, "extent-not-degrees"
    box: BBox = (west, south, east, north)
    clipped = _cut(box, within) or _cut(box, WORLD)
    if clipped != box:
        flaw = flaw or "extent-clamped"
    return clipped, flaw


def _cut(box: BBox, to: BBox) -> BBox | None:
    west, south, east, north = box
    if west > east:  # crosses the antimeridian: nothing of it is cut but the latitudes
        cut = (west, max(south, to[1]), east, min(north, to[3]))
        return cut if to == WORLD and cut[1] <= cut[3] else None
    cut = (max(west, to[0]), max(south, to[1]), min(east, to[2]), min(north, to[3]))
    return cut if cut[0] <= cut[2] and cut[1] <= cut[3] else None


_DOWNLOADS = (".zip", ".gpkg", ".geojson", ".kml", ".kmz", ".fgb", ".csv", ".xlsx", ".shp", ".tif", ".tiff")


def link_protocol(declared: str, href: str) -> str:
    """Return the protocol as ISO 19115 catalogues write it, guessed from the address when absent."""
    name = declared.strip().upper().replace(" ", "")
    for key in ("WMTS", "WMS", "WFS", "WCS", "CSW"):
        if key in name:
            return f"OGC:{key}"
    if "ESRI" in name or "ARCGIS" in name:
        return "ESRI:REST"
    if name and ("DOWNLOAD" in name or name == "FILE"):
        return "WWW:DOWNLOAD"
    parts = urlsplit(href)
    path, query = parts.path.rstrip("/").lower(), parts.query.lower()
    if re.search(r"/(?:map|feature|image)server(?:/\d+)?$", path):
        return "ESRI:REST"
    for key in ("wmts", "wms", "wfs", "wcs", "csw"):
        if path.endswith(f"/{key}") or f"service={key}" in query:
            return f"OGC:{key.upper()}"
    if path.endswith(_DOWNLOADS):
        return "WWW:DOWNLOAD"
    return declared.strip() or "WWW:LINK"


def link_address(href: str, protocol: str) -> tuple[str, str]:
    """Return a usable http(s)/ftp address ('' when there is none) and the flaw that was mended."""
    href = "".join(href.split())
    flaw = ""
    if href.startswith("//"):
        href = "https:" + href
    elif re.match(r"^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:[:/]|$)", href, re.IGNORECASE):
        href, flaw = "https://" + href, "link-without-scheme"
    try:
        parts = urlsplit(href)
        if parts.scheme.lower() not in {"http", "https", "ftp"} or not parts.hostname:
            return "", "link-unusable"
    except ValueError:
        return "", "link-unusable"
    if protocol == "OGC:WFS" and parts.path.rstrip("/").lower().endswith("/wms"):
        path = parts.path.rstrip("/")[:-3] + "wfs"
        return urlunsplit(parts._replace(path=path)), "wfs-link-is-wms"
    return href, flaw
