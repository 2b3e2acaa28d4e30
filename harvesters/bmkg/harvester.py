"""BMKG earthquake feeds: `autogempa`, `gempaterkini`, `gempadirasakan`.

`url` is the folder of the feeds (`https://data.bmkg.go.id/DataMKG/TEWS/`). A layer's `remote` is one
feed, or `gempa` for all of `options.feeds` merged into one collection by event. The lists are
windows: an event that leaves them stays with us. An entry that can not be read is an item error and
does not hold back the others: the newest earthquake must get through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urljoin

import numpy as np
import shapely
from pydantic import Field

from catalog.errors import ConfigError, ProtocolError, RecordError, SourceError
from catalog.model import DatasetRecord, ItemError, LayerSchema, Link, Localized
from catalog.sources import LayerConfig, SourceConfig
from harvesters.bmkg.cap import CapHarvester
from harvesters.bmkg.events import FIELDS, Event, merge, read_event
from harvesters.contract import FeaturePage, Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.client import HttpClient
from layers.contract import FeatureBatch

__all__ = ["BmkgHarvester", "BmkgOptions", "CapHarvester"]

Feed = Literal["autogempa", "gempaterkini", "gempadirasakan"]
MERGED = "gempa"
REMEMBERED = 100
"""Events whose attributes are remembered from run to run."""
_TITLES = {
    "autogempa": Localized(id="Gempa bumi terbaru", en="Latest earthquake"),
    "gempaterkini": Localized(
        id="Gempa bumi M 5,0 ke atas terkini", en="Recent earthquakes of M 5.0 or more"
    ),
    "gempadirasakan": Localized(id="Gempa bumi dirasakan terkini", en="Recent felt earthquakes"),
    MERGED: Localized(id="Gempa bumi BMKG", en="Earthquakes (BMKG)"),
}


class BmkgOptions(Options):
    """Options of `type: bmkg`."""

    feeds: list[Feed] = Field(
        default=["autogempa", "gempaterkini", "gempadirasakan"],
        min_length=1,
        description="Feeds merged into `gempa`; the first that says a value wins",
    )


class BmkgHarvester(Harvester):
    """The earthquake feeds of one address."""

    type = "bmkg"
    options_model = BmkgOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._base = source.url if source.url.endswith("/") else source.url + "/"

    def probe(self) -> Probe:
        """Read the smallest feed."""
        events, errors = read_feed(self.http, self._base, "autogempa")
        if not events and errors:
            raise ProtocolError(errors[0].message, where=errors[0].url)
        return Probe("BMKG", "", {"latest": events[0].row["waktu"] if events else None})

    def listing(self) -> Listing:
        """List the feeds that the configuration chooses."""
        ids = tuple(remote for remote, _ in self._chosen())
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per chosen feed, or the merged one."""
        for remote, layer in self._chosen():
            feeds = tuple(self.options.feeds) if remote == MERGED else (remote,)
            collection = layer.id or f"{self.source.id}-{remote}"
            content = EarthquakeContent(self.http, self._base, feeds, self.previous(collection, layer))
            yield RemoteDataset(
                remote_id=remote,
                collection_id=collection,
                kind="feature",
                record=_record(remote, self._base, feeds),
                layer=layer,
                content=content,
                keep=content.keep,
            )

    def _chosen(self) -> list[tuple[str, LayerConfig]]:
        chosen: list[tuple[str, LayerConfig]] = []
        for layer in self.source.layers:
            remotes = [r for r in _TITLES if r != MERGED] if layer.remote == "*" else [layer.remote]
            chosen += [(r, layer) for r in remotes]
        for remote, _ in chosen:
            if remote not in _TITLES:
                raise ConfigError(
                    f"no feed {remote!r}", where=self.source.id, hint=f"one of {', '.join(_TITLES)}"
                )
        return chosen


def read_feed(http: HttpClient, base: str, feed: str) -> tuple[list[Event], list[ItemError]]:
    """Return the events of one feed and the entries that could not be read.

    The feed holds an object (`autogempa`) or an array. ProtocolError when it is neither.
    """
    url = urljoin(base, f"{feed}.json")
    answer: Any = http.get(url).json()
    info = answer.get("Infogempa") if isinstance(answer, dict) else None
    entries = info.get("gempa") if isinstance(info, dict) else None
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list):
        raise ProtocolError("no Infogempa.gempa in the feed", where=url)
    events: list[Event] = []
    errors: list[ItemError] = []
    for number, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise RecordError("not an object")
            events.append(read_event(entry, feed, base))
        except RecordError as e:
            errors.append(ItemError("event-unreadable", e.detail, f"{feed}[{number}]", url))
    return events, errors


class EarthquakeContent:
    """Implements `FeatureContent` for one or several feeds; at most some dozens of events.

    What one feed said of an event (its shakemap, where it was felt) is remembered with the version:
    the event may be gone from that feed when another one still lists it, or lists it later.
    """

    def __init__(
        self, http: HttpClient, base: str, feeds: tuple[str, ...], previous: Mapping[str, Any] | None = None
    ) -> None:
        self._http, self._base, self._feeds = http, base, feeds
        self._known: dict[str, dict[str, Any]] = dict((previous or {}).get("events") or {})
        self.keep: dict[str, Any] = {}
        self._events: dict[str, Event] = {}
        self._errors: list[ItemError] = []

    def schema(self) -> LayerSchema:
        """Return the shape: points in EPSG:4326 with their UTC time."""
        return LayerSchema(FIELDS, "Point", "EPSG:4326", time_field="waktu")

    def listing(self) -> Listing:
        """Read the feeds. One that fails is an item error as long as another one answers."""
        self._events, self._errors = {}, []
        failed: list[SourceError] = []
        for feed in self._feeds:
            try:
                events, errors = read_feed(self._http, self._base, feed)
            except SourceError as e:
                failed.append(e)
                self._errors.append(ItemError(e.code, e.detail or str(e), feed, e.where))
                continue
            self._errors += errors
            for event in events:
                known = self._events.get(event.id)
                self._events[event.id] = merge(known, event) if known else event
        if len(failed) == len(self._feeds):
            raise failed[0]
        self._remember()
        ids = tuple(sorted(self._events))
        stage = hashlib.sha256(repr([self._events[i].row for i in ids]).encode()).hexdigest()[:20]
        return Listing(count=len(ids), ids=ids, window=True, stage=stage, certain=True)

    def _remember(self) -> None:
        """Complete the events by what was known of them, and keep the newest for the next run."""
        for id_, event in self._events.items():
            if id_ in self._known:
                self._events[id_] = merge(event, replace(event, row=self._known[id_]))
        rows = self._known | {id_: event.row for id_, event in self._events.items()}
        newest = sorted(rows, key=lambda id_: str(rows[id_]["waktu"]))[-REMEMBERED:]
        self.keep["events"] = {id_: rows[id_] for id_ in newest}

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the one page."""
        if "events" not in staged:
            yield replace(self._page("events", listing.ids or ()), errors=self._errors)

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Yield events again from what was read."""
        yield self._page("again", ids)

    def _page(self, key: str, ids: tuple[str, ...]) -> FeaturePage:
        events = [self._events[i] for i in ids if i in self._events]
        points = shapely.points(np.array([(e.lon, e.lat) for e in events], dtype=float).reshape(-1, 2))
        return FeaturePage(key, FeatureBatch([e.id for e in events], [dict(e.row) for e in events], points))


def _record(remote: str, base: str, feeds: tuple[str, ...]) -> DatasetRecord:
    links = [
        Link(
            href=urljoin(base, f"{feed}.json"),
            rel="via",
            type="application/json",
            title=feed,
            protocol="WWW:LINK",
        )
        for feed in feeds
    ]
    return DatasetRecord(
        title=_TITLES[remote],
        description=Localized(
            id="Gempa bumi dari umpan terbuka BMKG; kejadian yang meninggalkan umpan tetap disimpan.",
            en="Earthquakes from BMKG's open feeds; events that leave the feeds are kept.",
        ),
        keywords=["gempa bumi", "bencana", "BMKG"],
        topic=["geoscientificInformation"],
        credit="BMKG (Badan Meteorologi, Klimatologi, dan Geofisika)",
        cakupan="Indonesia",
        crs="EPSG:4326",
        links=links,
    )
