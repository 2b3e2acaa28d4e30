"""Earthquakes that never happened, in the files that BMKG's open feeds are made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from harvesters.sample.land import CENTRE
from harvesters.sample.things import MARK

_WIB = timezone(timedelta(hours=7))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des")
_NEWEST = datetime(2026, 1, 1, 2, 30, 15, tzinfo=UTC)


def quake_feeds(rng: np.random.Generator, folder: Path, count: int = 8) -> list[Path]:
    """Write `autogempa.json`, `gempaterkini.json` and `gempadirasakan.json` into `folder`.

    The newest is shallow, strong and under the land, so that desa are hit; the others lie around it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    events = [
        _event(
            _NEWEST, CENTRE[0] + 0.05, CENTRE[1] + 0.04, 6.2, 12, felt="VI Contoh Anggrek, V Contoh Teratai"
        )
    ]
    for n in range(1, count):
        time = _NEWEST - timedelta(hours=float(rng.uniform(5, 20)) + 24 * n)
        lon, lat = CENTRE[0] + float(rng.uniform(-2, 2)), CENTRE[1] + float(rng.uniform(-1.2, 0.6))
        felt = "II Contoh Melati" if n % 3 == 0 else ""
        events.append(
            _event(time, lon, lat, float(rng.uniform(5, 5.9)), int(rng.integers(10, 90)), felt=felt)
        )
    feeds = {
        "autogempa": events[0],
        "gempaterkini": [{k: v for k, v in e.items() if k != "Dirasakan"} for e in events],
        "gempadirasakan": [e for e in events if e["Dirasakan"]],
    }
    return [_write(folder / f"{name}.json", feed) for name, feed in feeds.items()]


def _event(
    time: datetime, lon: float, lat: float, magnitude: float, depth: int, *, felt: str
) -> dict[str, str]:
    local = time.astimezone(_WIB)
    return {
        "Tanggal": f"{local.day:02d} {_MONTHS[local.month - 1]} {local.year}", "Jam": f"{local:%H:%M:%S} WIB",
        "DateTime": f"{time:%Y-%m-%dT%H:%M:%S}+00:00", "Coordinates": f"{lat:.2f},{lon:.2f}",
        "Lintang": f"{abs(lat):.2f} LS", "Bujur": f"{lon:.2f} BT", "Magnitude": f"{magnitude:.1f}",
        "Kedalaman": f"{depth} km", "Wilayah": f"Laut selatan Jawa. {MARK}",
        "Potensi": f"Tidak berpotensi tsunami ({MARK.lower()})", "Dirasakan": felt,
    }  # fmt: skip


def _write(path: Path, feed: Any) -> Path:
    path.write_text(json.dumps({"Infogempa": {"gempa": feed}}, ensure_ascii=False, indent=1), "utf-8")
    return path
