"""One CAP 1.2 document (an alert) read into a row and a MultiPolygon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from lxml import etree

from catalog.errors import ProtocolError, RecordError
from catalog.model import FieldDef, FieldType

FIELDS = (
    FieldDef("peristiwa", FieldType.TEXT, "Peristiwa"),
    FieldDef("judul", FieldType.TEXT, "Judul"),
    FieldDef("wilayah", FieldType.TEXT, "Wilayah"),
    FieldDef("tingkat", FieldType.TEXT, "Tingkat (severity)"),
    FieldDef("kemendesakan", FieldType.TEXT, "Kemendesakan (urgency)"),
    FieldDef("kepastian", FieldType.TEXT, "Kepastian (certainty)"),
    FieldDef("dikirim", FieldType.DATETIME, "Dikirim (UTC)"),
    FieldDef("berlaku", FieldType.DATETIME, "Mulai berlaku (UTC)"),
    FieldDef("kedaluwarsa", FieldType.DATETIME, "Berlaku sampai (UTC)"),
    FieldDef("status", FieldType.TEXT, "Status"),
    FieldDef("jenis", FieldType.TEXT, "Jenis pesan (msgType)"),
    FieldDef("rujukan", FieldType.TEXT, "Peringatan yang diperbarui atau dibatalkan"),
    FieldDef("kode_peristiwa", FieldType.TEXT, "Kode peristiwa"),
    FieldDef("uraian", FieldType.TEXT, "Uraian"),
    FieldDef("petunjuk", FieldType.TEXT, "Petunjuk"),
    FieldDef("pengirim", FieldType.TEXT, "Pengirim"),
    FieldDef("tautan", FieldType.TEXT, "Tautan"),
    FieldDef("poligon_asal", FieldType.INTEGER, "Jumlah poligon asal"),
    FieldDef("poligon_serpihan", FieldType.INTEGER, "Poligon serpihan yang dibuang"),
    FieldDef("poligon_ganda", FieldType.INTEGER, "Poligon ganda yang dibuang"),
    FieldDef("poligon_rusak", FieldType.INTEGER, "Poligon yang tidak terbaca"),
)
KM_PER_DEGREE = 111.32


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `shape` is a MultiPolygon in EPSG:4326 (x = longitude), None when none could be read."""

    id: str
    row: dict[str, Any]
    shape: Any


def parse_xml(content: bytes, where: str) -> Any:
    """Parse XML from a stranger: no entities, no DTD, no network; ProtocolError when it is broken."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as e:
        raise ProtocolError(f"not well-formed XML: {e}", where=where) from e
    if root.getroottree().docinfo.doctype:
        raise ProtocolError("the document has a DOCTYPE: refused", where=where)
    return root


def read_alert(root: Any, language: str, sliver_km2: float) -> Alert:
    """Read an alert document. RecordError when it is none, or has no identifier or no info."""
    if root.tag.rpartition("}")[2] != "alert":
        raise RecordError(f"not a CAP alert but <{root.tag}>")
    identifier = _text(root, "identifier")
    info = _info(root, language)
    if not identifier or info is None:
        raise RecordError("an alert without identifier or info")
    shape, counts = join([p.text or "" for p in info.iterfind("{*}area/{*}polygon")], sliver_km2)
    row = {
        "peristiwa": _text(info, "event"),
        "judul": _text(info, "headline"),
        "wilayah": "; ".join(filter(None, (_text(a, "areaDesc") for a in info.iterfind("{*}area")))) or None,
        "tingkat": _text(info, "severity"),
        "kemendesakan": _text(info, "urgency"),
        "kepastian": _text(info, "certainty"),
        "dikirim": _time(root, "sent"),
        "berlaku": _time(info, "onset") or _time(info, "effective") or _time(root, "sent"),
        "kedaluwarsa": _time(info, "expires"),
        "status": _text(root, "status"),
        "jenis": _text(root, "msgType"),
        "rujukan": _text(root, "references"),
        "kode_peristiwa": "; ".join(filter(None, (_text(c, "value") for c in info.iterfind("{*}eventCode"))))
        or None,
        "uraian": _text(info, "description"),
        "petunjuk": _text(info, "instruction"),
        "pengirim": _text(info, "senderName") or _text(root, "sender"),
        "tautan": _text(info, "web"),
        **counts,
    }
    return Alert(identifier, row, shape)


def _info(root: Any, language: str) -> Any:
    """Return the info block in the language (`id`, `id-ID`), else the first one."""
    blocks = root.findall("{*}info")
    for block in blocks:
        if (_text(block, "language") or "").lower().split("-")[0] == language.lower():
            return block
    return blocks[0] if blocks else None


def _text(element: Any, name: str) -> str | None:
    return " ".join((element.findtext(f"{{*}}{name}") or "").split()) or None


def _time(element: Any, name: str) -> str | None:
    """Return a time with its offset as UTC; RecordError when it is no time or has no offset."""
    text = _text(element, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise RecordError(f"{name}: {text!r} is not a time") from e
    if moment.tzinfo is None:
        raise RecordError(f"{name}: {text!r} has no offset from UTC")
    return moment.astimezone(UTC).isoformat()


def join(texts: list[str], sliver_km2: float) -> tuple[Any, dict[str, int]]:
    """Join polygons "lat,lon lat,lon ..." into one MultiPolygon and count what was left out.

    When all are slivers they are kept: a small warning is still a warning.
    """
    shapes = [s for s in map(_polygon, texts) if s is not None]
    distinct = list({shapely.to_wkb(shapely.normalize(s)): s for s in shapes}.values())
    large = [s for s in distinct if _km2(s) >= sliver_km2]
    kept = large or distinct
    counts = {
        "poligon_asal": len(texts),
        "poligon_serpihan": len(distinct) - len(kept),
        "poligon_ganda": len(shapes) - len(distinct),
        "poligon_rusak": len(texts) - len(shapes),
    }
    if not kept:
        return None, counts
    union = shapely.union_all(shapely.make_valid(np.array(kept, dtype=object), method="structure"))
    parts = [p for p in shapely.get_parts(union) if p.geom_type == "Polygon"]
    return (shapely.MultiPolygon(parts) if parts else None), counts


def _polygon(text: str) -> Any:
    """Read one ring; None when it is not at least a triangle of places on Earth."""
    try:
        points = [(float(lon), float(lat)) for lat, lon in (pair.split(",") for pair in text.split())]
    except ValueError:
        return None
    on_earth = all(abs(x) <= 180 and abs(y) <= 90 for x, y in points)  # False for NaN as well
    if len(set(points)) < 3 or not on_earth:
        return None
    return shapely.Polygon(points)


def _km2(shape: Any) -> float:
    """Return the approximate area: enough to tell a sliver."""
    return (
        float(shape.area) * KM_PER_DEGREE**2 * math.cos(math.radians(shape.centroid.y if shape.area else 0.0))
    )
