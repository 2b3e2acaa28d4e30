"""The state that pusat kendali shows: events, warnings, answers, and how old each feed is.

Nothing in it changes by the mere passing of time but `keadaan` of a feed, so that its ETag and the id
of a change in the stream are made of the bytes. Ages are counted by the page.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

from catalog.responses import Entry
from ogc_server.kendali.events import Seen, layers, quakes, warnings
from ogc_server.kendali.feeds import feeds
from ogc_server.kendali.making import published
from ogc_server.kendali.picture import Picture
from ogc_server.kendali.room import room_of
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

LOGGER = logging.getLogger(__name__)
ANSWERS = 10
_ENTRIES = 60


def state(service: Service, snapshot: Snapshot, lang: str) -> dict[str, Any]:
    """Return the state in a language; the last one, marked so, when the catalog can not be asked."""
    kept = room_of(service).states
    try:
        kept[lang] = _fresh(service, snapshot, lang)
    except Exception as error:  # whatever the database driver raises: the screen must go on
        if lang not in kept:
            raise
        if kept[lang]["katalog"]["terhubung"]:
            LOGGER.exception("the state of pusat kendali is the last one: %s", type(error).__name__)
        return kept[lang] | {"katalog": {"terhubung": False}}
    return kept[lang]


def _fresh(service: Service, snapshot: Snapshot, lang: str) -> dict[str, Any]:
    visible = set(snapshot.visible())
    entries = [
        one
        for one in service.catalog.responses.list(_ENTRIES)
        if one.layer_id.rpartition(":")[2] in visible and (not one.dataset_id or one.dataset_id in visible)
    ]
    return {
        "generation": snapshot.generation,
        "katalog": {"terhubung": not service.live.trouble},
        "gempa": [_with_answer(one, entries) for one in quakes(service, snapshot)],
        "peringatan": [_with_answer(one, entries) for one in warnings(service, snapshot, service.now())],
        "jawaban": [
            _card(service, snapshot, one, lang)
            for one in islice((one for one in entries if one.dataset_id in visible), ANSWERS)
        ],
        "umpan": feeds(service, snapshot, lang),
        "lapisan": sorted(layers(service.settings)),
    }  # fmt: skip


def _with_answer(seen: Seen, entries: list[Entry]) -> Mapping[str, Any]:
    """Return the event with where its answer stands; of an exercise on it nothing is said here."""
    for one in entries:
        if seen.event.id in one.members and one.layer_id == seen.event.layer:
            return {**seen.shown, "status": one.state.value, "jawaban": one.dataset_id or None}
    return seen.shown


def _card(service: Service, snapshot: Snapshot, entry: Entry, lang: str) -> dict[str, Any]:
    """Return what the list says of an answer: kept apart from the picture, which may be large."""
    name = entry.dataset_id
    info, plan = snapshot.layer(name, None)[1], snapshot.listed.get(f"{name}-rencana")
    key = (f"card.{lang}", name, info.version, plan and plan.version)
    said = room_of(service).get(key, lambda: _said(published(service, snapshot, name), lang))
    return {**said, "status": entry.state.value}


def _said(found: Picture, lang: str) -> dict[str, Any]:
    return {
        "id": found.id, "versi": found.version, "kejadian": found.event_id, "jenis": found.kind,
        "judul": found.titles[lang], "waktu": found.at.isoformat() if found.at else None,
        "dibuat": found.made.isoformat(), "revisi": found.revision, "latihan": found.exercise,
        "sintetis": found.synthetic, "dibatalkan": found.cancelled, "ringkasan": found.summary(),
    }  # fmt: skip
