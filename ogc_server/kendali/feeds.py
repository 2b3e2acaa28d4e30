"""How old what is shown is: for each source in use its last good harvest, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from catalog.config import load_sources
from catalog.errors import SatuDataError
from catalog.model import RunState
from catalog.runs import GOOD, Run
from catalog.sources import SourceConfig
from harvesters.engine.explain import title_of
from harvesters.schedule.cron import QuietHours, next_time, trigger
from ogc_server.kendali.events import layers as event_layers
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

_GRACE = timedelta(minutes=2)
"""How much later than its schedule (and the scheduler's jitter) a harvest may end before it is late."""
_ROLES = ("boundaries", "facilities", "people", "roads")


def feeds(service: Service, snapshot: Snapshot, lang: str) -> list[dict[str, Any]]:
    """Return the sources of all collections that the page works on, those of events first.

    `keadaan`: `baik`, `terlambat` (against its schedule), `gagal`, `belum` (never harvested), `tetap`
    (not harvested by a schedule: it has an age, and nobody can say whether it is late).
    """
    known = _sources(service.settings.config_dir)
    used: dict[str, dict[str, str]] = {}
    created: dict[str, datetime] = {}
    for layer, role in _layers(service):
        for dataset in snapshot.datasets([layer] if layer in snapshot.visible() else ()):
            used.setdefault(dataset.source_id, {})[layer] = role
            if dataset.version is not None:
                was = created.get(dataset.source_id, dataset.version.created)
                created[dataset.source_id] = max(was, dataset.version.created)
    roles = dict(_layers(service))
    for source in known.values():  # a feed that never came is missed, too
        for one in source.layers if source.enabled else ():
            if one.id in roles:
                used.setdefault(source.id, {})[one.id] = roles[one.id]
    return [
        _feed(service, name, there, known.get(name), created.get(name), lang) for name, there in used.items()
    ]


def _layers(service: Service) -> list[tuple[str, str]]:
    chosen = service.settings.processes
    named = [(name, "events") for name in event_layers(service.settings)]
    return named + [(name, role) for role in _ROLES if (name := str(getattr(chosen, role)))]


def _feed(
    service: Service,
    name: str,
    roles: dict[str, str],
    source: SourceConfig | None,
    created: datetime | None,
    lang: str,
) -> dict[str, Any]:
    runs = service.catalog.runs.list(name, limit=3)
    good = service.catalog.runs.last(name, good=True)
    last = good.finished if good else None
    state, reason = _state(service, source, runs, last, lang)
    title = source.title.get(lang) if source and source.title else ""
    return {
        "id": name, "judul": title or name, "koleksi": sorted(roles), "peran": sorted(set(roles.values())),
        "keadaan": state, "alasan": reason,
        "terakhir_baik": _iso(last or (created if state == "tetap" else None)),
        "dicoba": _iso(next((run.finished for run in runs if run.finished), None)),
        "jadwal": source.schedule if source else None, "data": _iso(created),
    }  # fmt: skip


def _state(
    service: Service, source: SourceConfig | None, runs: Iterable[Run], last: datetime | None, lang: str
) -> tuple[str, str]:
    ended = next((run for run in runs if run.state is not RunState.RUNNING), None)
    if ended is not None and ended.state not in GOOD:
        return "gagal", title_of(ended.code, lang) if ended.code else ended.state.value
    if source is None or not source.enabled:
        return "tetap", ""
    if last is None:
        return "belum", ""
    if not source.schedule:
        return "tetap", ""
    return ("terlambat" if _late(service, source.schedule, last) else "baik"), ""


def _late(service: Service, schedule: str, last: datetime) -> bool:
    """Tell whether a harvest is overdue; in quiet hours none is."""
    chosen, now = service.settings.scheduler, service.now()
    zone = ZoneInfo(chosen.timezone)
    if QuietHours(chosen.quiet_hours, zone).end(now) is not None:
        return False
    due = next_time(trigger(schedule, zone), last)
    return due is not None and now > due + _GRACE + timedelta(seconds=chosen.jitter_seconds)


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _sources(config_dir: Path) -> dict[str, SourceConfig]:
    """Return the sources that are set up; files are read again only when they changed."""
    try:
        files = sorted((config_dir / "sources").glob("*.y*ml"))
        stamp = tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        return _read(config_dir, stamp)
    except (SatuDataError, OSError):
        return {}


@lru_cache(maxsize=1)
def _read(config_dir: Path, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, SourceConfig]:
    return {source.id: source for source in load_sources(config_dir)}
