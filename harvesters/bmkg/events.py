"""One earthquake as BMKG's open feeds write it, read leniently.

All values are strings. Seen in the field: decimal commas, a null DateTime, Indonesian month names,
WIB/WITA/WIT, "km" behind the depth. There is no event id: UTC time + coordinates is the key
(shared fact of all three feeds), so the same event in two feeds is one feature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urljoin

from catalog.errors import RecordError
from catalog.model import FieldDef, FieldType

FIELDS = (
    FieldDef("waktu", FieldType.DATETIME, "Waktu kejadian (UTC)"),
    FieldDef("magnitudo", FieldType.REAL, "Magnitudo"),
    FieldDef("kedalaman_km", FieldType.REAL, "Kedalaman", unit="km"),
    FieldDef("lintang", FieldType.REAL, "Lintang", unit="derajat"),
    FieldDef("bujur", FieldType.REAL, "Bujur", unit="derajat"),
    FieldDef("wilayah", FieldType.TEXT, "Wilayah"),
    FieldDef("potensi", FieldType.TEXT, "Potensi tsunami"),
    FieldDef("dirasakan", FieldType.TEXT, "Dirasakan (skala MMI)"),
    FieldDef("shakemap", FieldType.TEXT, "Peta guncangan"),
    FieldDef("waktu_setempat", FieldType.TEXT, "Tanggal dan jam setempat"),
    FieldDef("umpan", FieldType.TEXT, "Umpan asal"),
)
_ZONES = {"WIB": 7, "WITA": 8, "WIT": 9, "UTC": 0, "GMT": 0}
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb peb", "mar", "apr", "mei may", "jun", "jul", "agu agt ags aug", "sep", "okt oct",
         "nov nop", "des dec"), start=1,
    )
    for name in names.split()
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class Event:
    """One earthquake: `id` from UTC time and coordinates, `row` with the names of FIELDS."""

    id: str
    lon: float
    lat: float
    row: dict[str, Any]


def read_event(raw: Mapping[str, Any], feed: str, base_url: str) -> Event:
    """Read one entry of a feed. Raises RecordError when time or place can not be told."""
    time, (lat, lon) = _time(raw), _place(raw)
    shakemap = _text(raw.get("Shakemap"))
    row = {
        "waktu": time.isoformat(),
        "magnitudo": number(raw.get("Magnitude")),
        "kedalaman_km": number(raw.get("Kedalaman")),
        "lintang": lat,
        "bujur": lon,
        "wilayah": _text(raw.get("Wilayah")),
        "potensi": _text(raw.get("Potensi")),
        "dirasakan": _text(raw.get("Dirasakan")),
        "shakemap": urljoin(base_url, shakemap) if shakemap else None,
        "waktu_setempat": " ".join(filter(None, (_text(raw.get("Tanggal")), _text(raw.get("Jam"))))) or None,
        "umpan": feed,
    }
    return Event(f"{time:%Y%m%dT%H%M%SZ}_{lat:.2f}_{lon:.2f}", lon, lat, row)


def merge(first: Event, second: Event) -> Event:
    """Join two reports of one event: what the first does not say comes from the second."""
    row = {k: v if v is not None else second.row.get(k) for k, v in first.row.items()}
    feeds = dict.fromkeys([*first.row["umpan"].split(","), *second.row["umpan"].split(",")])
    return Event(first.id, first.lon, first.lat, {**row, "umpan": ",".join(feeds)})


def _text(value: Any) -> str | None:
    text = str(value).strip() if value is not None else ""
    return None if text in {"", "-", "null"} else text


def number(value: Any) -> float | None:
    """Return the first number of a text ("10 km", "5,2"), None when there is none."""
    match = _NUMBER.search(str(value)) if value is not None else None
    return float(match.group().replace(",", ".")) if match else None


def _time(raw: Mapping[str, Any]) -> datetime:
    text = _text(raw.get("DateTime"))
    if text:
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except ValueError:
            pass  # the local date and hour say it too
    return local_time(_text(raw.get("Tanggal")) or "", _text(raw.get("Jam")) or "")


def local_time(day: str, hour: str) -> datetime:
    """Read `23 Agu 2026` and `19:16:56 WIB` as an instant in UTC; RecordError when they are not that."""
    date = re.fullmatch(r"(\d{1,2})[ -]([A-Za-z]+)[ -](\d{4}|\d{2})", day)
    clock = re.fullmatch(r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?\s*([A-Za-z]+)", hour)
    month = _MONTHS.get(date[2][:3].lower()) if date else None
    offset = _ZONES.get(clock[4].upper()) if clock else None
    if date is None or clock is None or month is None or offset is None:
        raise RecordError(f"no time in {day!r} {hour!r}")
    year = int(date[3]) + (2000 if len(date[3]) == 2 else 0)
    zone = timezone(timedelta(hours=offset))
    try:
        local = datetime(
            year, month, int(date[1]), int(clock[1]), int(clock[2]), int(clock[3] or 0), tzinfo=zone
        )
    except ValueError as e:
        raise RecordError(f"no time in {day!r} {hour!r}: {e}") from e
    return local.astimezone(UTC)


def _place(raw: Mapping[str, Any]) -> tuple[float, float]:
    """Return (latitude, longitude) from `Coordinates`, else from `Lintang` and `Bujur`."""
    lat, lon = _pair(_text(raw.get("Coordinates")) or "") or (
        _signed(raw.get("Lintang"), "LS"),
        _signed(raw.get("Bujur"), "BB"),
    )
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180):  # NaN is no place
        raise RecordError(
            f"no place in {raw.get('Coordinates')!r}, {raw.get('Lintang')!r}, {raw.get('Bujur')!r}"
        )
    return lat, lon


def _pair(text: str) -> tuple[float, float] | None:
    """Read "lat,lon", also with decimal commas ("-8,51,123,27" or "-8,51, 123,27")."""
    parts = [p.strip() for p in text.split(",")]
    if len(parts) == 4:
        parts = [f"{parts[0]}.{parts[1]}", f"{parts[2]}.{parts[3]}"]
    try:
        lat, lon = map(float, parts)
    except ValueError:
        return None
    return lat, lon


def _signed(value: Any, negative: str) -> float | None:
    found = number(value)
    return -abs(found) if found is not None and negative in str(value).upper() else found
