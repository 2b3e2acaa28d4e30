"""Is the server alive, ready, and how are the sources: for operators, probes and the page."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from catalog.config import load_sources
from catalog.errors import SatuDataError
from harvesters.engine.explain import title_of
from ogc_server.answer import NEVER, Answer, to_json
from ogc_server.ask import Ask
from ogc_server.negotiation import HTML_OFFER, JSON_OFFER
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot

OFFERS = (JSON_OFFER, HTML_OFFER)
PLAIN = (JSON_OFFER,)


def live(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/health/live`: the process answers."""
    return Answer(to_json({"status": "ok"}), cache=NEVER)


def ready(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/health/ready`: a snapshot is served; 503 only when the catalog was never read."""
    doc = {"status": "degraded" if service.live.trouble else "ok", "collections": len(snapshot.visible())}
    return Answer(to_json(doc), cache=NEVER)


def health(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/health`. It is 200 while data is served; `status` says `ok` or `degraded`."""
    sources = _sources(service, ask.lang)
    broken = [
        {"id": key, "reason": reason.split(":")[0]} for key, reason in sorted(snapshot.broken.items())
    ]  # the whole reason, which may hold paths, stands in the log
    bad = [one for one in sources if one["state"] in ("failed", "incomplete", "held")]
    responses = _responses(service)
    doc = {
        "status": "degraded" if broken or bad or service.live.trouble or any(responses.values()) else "ok",
        "generation": snapshot.generation,
        "collections": len(snapshot.visible()),
        "catalog": {
            "status": "unreachable" if service.live.trouble else "ok",
            "checked": service.live.checked,
        },
        "broken": broken,
        "sources": sources,
        **({"responses": responses} if responses else {}),
    }
    return document(ask, doc, "health.html", {"now": service.now()}, cache=NEVER)


def _responses(service: Service) -> dict[str, int]:
    """Return how many events and notices of the last day are in trouble; nothing when none are answered."""
    if not service.settings.response.enabled:
        return {}
    since, catalog = service.now() - timedelta(days=1), service.catalog
    return {"events": catalog.responses.trouble(since), "notices": catalog.outbox.trouble(since)}


def _enabled(config_dir: Path) -> tuple[str, ...]:
    """Return the ids of the sources that are switched on; files are read again only when they changed."""
    try:
        files = sorted((config_dir / "sources").glob("*.y*ml"))
        stamp = tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        return _read(config_dir, stamp)
    except (SatuDataError, OSError):
        return ()


@lru_cache(maxsize=1)
def _read(config_dir: Path, stamp: tuple[tuple[str, int, int], ...]) -> tuple[str, ...]:
    return tuple(source.id for source in load_sources(config_dir) if source.enabled)


def _sources(service: Service, lang: str) -> list[dict[str, Any]]:
    described = []
    for source_id in _enabled(service.settings.config_dir):
        run = service.catalog.runs.last(source_id)
        if run is None:
            continue
        good = service.catalog.runs.last(source_id, good=True)
        described.append(
            {
                "id": source_id, "state": run.state.value, "started": run.started, "finished": run.finished,
                "code": run.code or "", "reason": title_of(run.code, lang) if run.code else "",
                "last_good": good.finished if good else None,
            }
        )  # fmt: skip
    return described
