"""Old answers go: their collections are withdrawn (410 Gone, with the reason) and their versions deleted.

The book of events keeps what was answered; `satudata respond EVENT` makes an answer anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from catalog.errors import NotFoundError, PublishError
from catalog.messages import text
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import LayerStore

log = logging.getLogger(__name__)
_ALL = 1_000_000


def expired(settings: Settings, catalog: Catalog, now: datetime) -> Iterator[str]:
    """Yield the collections of answers older than `response.keep_days`, the plan after its answer."""
    days = settings.response.keep_days
    if days is None:
        return
    for entry in catalog.responses.list(_ALL):
        if entry.dataset_id and entry.updated < now - timedelta(days=days):
            for name in (entry.dataset_id, f"{entry.dataset_id}-rencana"):
                if catalog.datasets.find(name) is not None:
                    yield name


def expire(
    settings: Settings, catalog: Catalog, store: LayerStore, now: datetime, *, by: str
) -> list[tuple[str, int]]:
    """Withdraw what is expired and delete its versions; return (collection, version) of each.

    What can not go now (somebody has to decide on a version) is tried again the next time.
    """
    gone: list[tuple[str, int]] = []
    reason = text("respons.kedaluwarsa", "id", hari=settings.response.keep_days)
    for name in list(expired(settings, catalog, now)):
        if any(entry.state in ("held", "staged") for entry in catalog.versions.list(name)):
            continue
        try:
            catalog.datasets.tombstone(name, reason=reason, by=by)
            numbers = catalog.versions.retire(name, by=by)
        except (NotFoundError, PublishError) as error:
            log.warning("the old answer %s stays: %s", name, error.code)
            continue
        for version in numbers:
            with suppress(PublishError):  # what is not there need not be deleted
                store.remove(name, version)
            gone.append((name, version))
    return gone
