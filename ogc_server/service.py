"""What every handler works with: settings, the snapshot of this request, readers, pygeoapi, pages."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalog.clock import Clock
from catalog.settings import Settings
from catalog.store import Catalog
from layers.raster_read import RasterPool
from ogc_server import pages
from ogc_server.answer import NEVER, REVALIDATE, Answer, content_tag, digest, to_json
from ogc_server.ask import Ask
from ogc_server.geoapi import GeoApi
from ogc_server.live import Live
from ogc_server.negotiation import HTML
from ogc_server.processes.desk import Desk
from ogc_server.raster_memory import TileMemory
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot
from ogc_server.tiles_desk import TileDesk
from ogc_server.viewer_shelf import Pictures

HTML_MEDIA = f"{HTML}; charset=utf-8"
_APIS = 8
_WAIT_SECONDS = 10.0
"""How long a request waits for the very first index: longer, and waiting requests would fill the threads."""


@dataclass(slots=True)
class Service:
    """The rooms a handler may enter. One per process; `at` binds it to a snapshot."""

    settings: Settings
    catalog: Catalog
    live: Live
    readers: Readers
    clock: Clock
    apis: ApiCache
    shared_desk: Desk | None = None
    tile_desk: TileDesk | None = None
    raster_pool: RasterPool | None = None
    map_tiles: TileMemory = field(default_factory=TileMemory)
    region_lists: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    places: tuple[Any, Any] | None = None
    control_room: Any = None
    first_pictures: Pictures | None = None

    def desk(self) -> Desk:
        """Return what the processes of this server share."""
        if self.shared_desk is None:  # two made at once do no harm, one is dropped
            self.shared_desk = Desk(self.settings, self.catalog, self.readers, wait_seconds=_WAIT_SECONDS)
        return self.shared_desk

    def rasters(self) -> RasterPool:
        """Return the open rasters of this process."""
        if self.raster_pool is None:  # two made at once do no harm, the files of one close with it
            self.raster_pool = RasterPool(self.settings.data_dir / "layers")
        return self.raster_pool

    def tiles(self) -> TileDesk:
        """Return the tile archives of this process."""
        if self.tile_desk is None:  # two made at once do no harm, one is dropped
            self.tile_desk = TileDesk(self.settings, self.readers)
        return self.tile_desk

    def pictures(self) -> Pictures:
        """Return the first pictures of the map."""
        if self.first_pictures is None:  # two made at once do no harm, one is dropped
            self.first_pictures = Pictures(self.tiles(), self.settings.data_dir / "viewer")
        return self.first_pictures

    def api(self, ask: Ask, snapshot: Snapshot) -> GeoApi:
        """Return pygeoapi's API object for this snapshot and base address."""
        return self.apis.get(self.settings, ask.base, snapshot, self.readers)

    def now(self) -> datetime:
        """Return the current instant."""
        return self.clock()


class ApiCache:
    """Keeps the few API objects in use: one per base address of the newest snapshots."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, str], tuple[Snapshot, GeoApi]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, settings: Settings, base: str, snapshot: Snapshot, readers: Readers) -> GeoApi:
        """Return the API object of a snapshot, made when first asked for."""
        key = (id(snapshot), base)
        with self._lock:
            found = self._made.get(key)
            if found is None or found[0] is not snapshot:
                found = self._made[key] = (snapshot, GeoApi(settings, base, snapshot, readers))
                while len(self._made) > _APIS:
                    self._made.popitem(last=False)
            return found[1]


def document(
    ask: Ask,
    doc: Mapping[str, Any],
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    tag: str = "",
    cache: str = REVALIDATE,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return a JSON document, or the page of it when HTML was chosen.

    Without `tag` the validator is made of the bytes.
    """
    if ask.chosen.name == "html":
        html = pages.render(template, {**(context or {}), "doc": doc}, ask.lang, url=ask.url, base=ask.base)
        body, media = html.encode(), HTML_MEDIA
    else:
        body, media = to_json(doc), ask.chosen.media
    validator = "" if cache == NEVER else digest(tag, media, ask.lang) if tag else content_tag(body)
    return Answer(body, media, tag=validator, cache=cache, headers=dict(headers or {}))
