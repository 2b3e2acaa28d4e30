"""From a CKAN package, as agencies really fill it in, to a dataset record. Never raises for odd values."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from shapely.geometry import shape

from catalog.model import BBox, Contact, DatasetRecord, Link, Localized

FIVE = {
    "frekuensi_penerbitan": "frekuensi",
    "level_penyajian": "tingkat_penyajian",
    "tahun": "tahun",
    "cakupan": "cakupan",
    "rujukan": "rujukan",
}
"""The extras of ckanext-metadata that regional Satu Data portals use -> our fields."""

_TIMES = {"temporal_start": "time_start", "temporal_end": "time_end"}
_PROTOCOLS = {
    "wms": "OGC:WMS",
    "wfs": "OGC:WFS",
    "wmts": "OGC:WMTS",
    "esri rest": "ESRI:REST",
    "arcgis geoservices rest api": "ESRI:REST",
}
_CORNERS = ("bbox-west-long", "bbox-south-lat", "bbox-east-long", "bbox-north-lat")


def record_of(package: dict[str, Any], base: str) -> DatasetRecord:
    """Describe `package`; `base` is the CKAN's address.

    Extras that are no field of ours are kept in `extras` as texts; so are ours when unreadable.
    """
    extras = dict(_extras(package))
    fields: dict[str, Any] = {field: extras.pop(key) for key, field in FIVE.items() if key in extras}
    for key, field in _TIMES.items():
        if when := instant(extras.get(key)):
            fields[field] = when
            extras.pop(key)
    if bbox := _bbox(extras):
        fields["bbox"] = bbox
        for key in ("spatial", *_CORNERS):
            extras.pop(key, None)
    return DatasetRecord(
        title=Localized(id=_text(package.get("title")) or _text(package.get("name"))),
        description=Localized(id=_text(package.get("notes"))),
        keywords=_names(package.get("tags")),
        topic=_names(package.get("groups")),
        produsen_data=_organisation(package),
        contact=_contact(package),
        access="terbatas" if package.get("private") is True else "publik",
        licence=_text(package.get("license_title")) or _text(package.get("license_id")),
        created=instant(package.get("metadata_created")),
        modified=instant(package.get("metadata_modified")),
        links=_links(package, base),
        extras=extras,
        **fields,
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _extras(package: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the free-form extras; a key used twice keeps both values."""
    seen: dict[str, str] = {}
    for item in _dicts(package.get("extras")):
        key, value = _text(item.get("key")), _text(item.get("value"))
        if key and value and value not in seen.get(key, "").split("; "):
            seen[key] = f"{seen[key]}; {value}" if key in seen else value
    yield from seen.items()


def _names(value: object) -> list[str]:
    """Return display names of tags or groups, each once, in order."""
    names = (_text(d.get("display_name")) or _text(d.get("title")) or _text(d.get("name"))
             for d in _dicts(value))  # fmt: skip
    return list(dict.fromkeys(name for name in names if name))


def _organisation(package: dict[str, Any]) -> str:
    organisation = package.get("organization")
    if not isinstance(organisation, dict):
        return ""
    return _text(organisation.get("title")) or _text(organisation.get("name"))


def _contact(package: dict[str, Any]) -> Contact:
    """Name the office and its address for mail; persons named as author stay out."""
    email = _text(package.get("maintainer_email")) or _text(package.get("author_email"))
    return Contact(organisation=_organisation(package), email=email)


def instant(value: object) -> datetime | None:
    """Read CKAN's time (UTC without saying so) as an aware instant; None when it is none."""
    try:
        found = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _bbox(extras: dict[str, str]) -> BBox | None:
    """Read the extent: GeoJSON, four numbers, or the four corner extras; None unless it is on Earth."""
    box = _spatial(extras.get("spatial", "")) or _numbers([extras.get(key) for key in _CORNERS])
    if box is None:
        return None
    west, south, east, north = box
    fits = -180 <= west <= east <= 180 and -90 <= south <= north <= 90
    return box if fits else None


def _spatial(value: str) -> BBox | None:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return _numbers(value.replace(",", " ").split())
    if isinstance(found, list):
        return _numbers(found)
    try:
        west, south, east, north = shape(found).bounds
    except Exception:  # shapely raises whatever broken GeoJSON leads it to
        return None
    return _numbers([west, south, east, north])


def _numbers(values: list[Any]) -> BBox | None:
    try:
        west, south, east, north = (float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return (west, south, east, north)


def _links(package: dict[str, Any], base: str) -> list[Link]:
    name = _text(package.get("name")) or _text(package.get("id"))
    own = [Link(href=f"{base.rstrip('/')}/dataset/{name}", rel="canonical", type="text/html")] if name else []
    landing = _text(package.get("url"))
    if landing.startswith(("http://", "https://")):
        own.append(Link(href=landing, rel="related"))
    return own + [link for r in _dicts(package.get("resources")) if (link := link_of(r, base))]


def address_of(resource: dict[str, Any], base: str) -> str:
    """Return the web address of a resource (a relative one from the CKAN), "" if it has none."""
    stated = _text(resource.get("url"))
    try:
        url = urljoin(base.rstrip("/") + "/", stated)
        host = urlsplit(url).hostname
    except ValueError:  # "http://[x"
        return ""
    return url if stated and host and url.startswith(("http://", "https://")) else ""


def link_of(resource: dict[str, Any], base: str) -> Link | None:
    """Return the link of a resource, or None when it has no web address."""
    url = address_of(resource, base)
    if not url:
        return None
    title = _text(resource.get("name")) or _text(resource.get("description"))
    protocol = _PROTOCOLS.get(_text(resource.get("format")).lower(), "")
    return Link(
        href=url, rel="related" if protocol else "enclosure", title=title, type=_media(resource, url),
        protocol=protocol or "WWW:DOWNLOAD",
    )  # fmt: skip


def _media(resource: dict[str, Any], url: str) -> str:
    """Guess the media type: what the address ends in outweighs what was typed into the form."""
    stated = _text(resource.get("mimetype"))
    return mimetypes.guess_type(urlsplit(url).path)[0] or (stated if "/" in stated else "")
