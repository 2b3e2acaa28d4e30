"""Weather warnings in CAP 1.2: an RSS list and one document per alert (BMKG nowcast).

`url` is the RSS address. The alert's `identifier` is the feature id; times with a local offset
become UTC; the polygons ("lat,lon lat,lon ...") of all areas are joined into one MultiPolygon,
without slivers and duplicates, which are counted in the attributes. The list is a window: an alert
that leaves it stays with us and has `kedaluwarsa` (expires). The feed may stand still for days: that
gives a warning, not an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import numpy as np
from pydantic import Field

from catalog.errors import AuthSourceError, CancelledRunError, ProtocolError, RecordError, SourceError
from catalog.model import DatasetRecord, ItemError, LayerSchema, Link, Localized
from harvesters.bmkg.alerts import FIELDS, Alert, parse_xml, read_alert
from harvesters.contract import FeaturePage, Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.client import HttpClient
from layers.contract import FeatureBatch

REMOTE = "peringatan"


class CapOptions(Options):
    """Options of `type: cap`."""

    language: str = Field(default="id", description="Language of the `info` block to take")
    sliver_km2: float = Field(default=0.01, ge=0, description="Polygons smaller than this are dropped")
    max_alerts: int = Field(default=500, ge=1, description="Alerts read in one run, newest first")
    requests_per_minute: int = Field(default=55, ge=1, description="BMKG allows 60 per address")
    stale_hours: float = Field(default=48, gt=0, description="Warn when the newest entry is older")


class CapHarvester(Harvester):
    """All alerts of one RSS list, as one collection."""

    type = "cap"
    options_model = CapOptions

    def probe(self) -> Probe:
        """Read the RSS list."""
        entries, _ = read_list(self.http, self.source.url)
        return Probe("CAP", "1.2", {"alerts": len(entries)})

    def listing(self) -> Listing:
        """There is one dataset."""
        return Listing(count=1, ids=(REMOTE,))

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield the collection of alerts."""
        layer = self.source.layers[0]
        yield RemoteDataset(
            remote_id=REMOTE,
            collection_id=layer.id or f"{self.source.id}-{REMOTE}",
            kind="feature",
            record=_record(self.source.url),
            layer=layer,
            content=CapContent(self.http, self.source.url, self.options),
        )


def read_list(http: HttpClient, url: str, stale_hours: float = 48) -> tuple[list[str], list[ItemError]]:
    """Return the addresses of the list's alerts in its order, each once, and a warning when it is stale."""
    answer = http.get(url)
    root = parse_xml(answer.content, url)
    if root.tag.rpartition("}")[2] not in {"rss", "feed", "RDF"}:
        raise ProtocolError(f"not an RSS list but <{root.tag}>", where=url)
    entries: dict[str, str] = {}
    for item in root.iter("{*}item", "{*}entry"):
        link = (item.findtext("{*}link") or "").strip()
        if not link and (element := item.find("{*}link")) is not None:
            link = element.get("href", "")
        if link:
            date = item.findtext("{*}pubDate") or item.findtext("{*}updated") or ""
            entries.setdefault(urljoin(url, link), date.strip())
    return list(entries), _stale(answer.headers.get("Date", ""), list(entries.values()), stale_hours, url)


def _stale(now: str, dates: list[str], hours: float, url: str) -> list[ItemError]:
    """Warn when the newest entry is older than `hours` by the server's own clock."""
    moments = [m for m in map(_moment, dates) if m]
    here = _moment(now)
    if not moments or not here or here - max(moments) <= timedelta(hours=hours):
        return []
    age = (here - max(moments)).total_seconds() / 3600
    return [ItemError("feed-stale", f"the newest alert is {age:.0f} hours old", url=url, severity="warning")]


def _moment(text: str) -> datetime | None:
    """Read a date of RSS (RFC 822) or Atom (ISO 8601); None when it is neither or has no zone."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment if moment.tzinfo else None
    return None


class CapContent:
    """Implements `FeatureContent`; each alert document is read once in a run."""

    def __init__(self, http: HttpClient, url: str, options: CapOptions) -> None:
        self._http, self._url, self._options = http, url, options
        self._alerts: dict[str, Alert] = {}
        self._errors: list[ItemError] = []
        self._asked = 0

    def schema(self) -> LayerSchema:
        """Return the shape: MultiPolygons in EPSG:4326, valid from `berlaku`."""
        return LayerSchema(FIELDS, "MultiPolygon", "EPSG:4326", time_field="berlaku")

    def listing(self) -> Listing:
        """Read the list and its alerts: only an alert itself tells its identifier."""
        links, self._errors = read_list(self._http, self._url, self._options.stale_hours)
        self._alerts = {}
        for link in links[: self._options.max_alerts]:
            try:
                alert = self._read(link)
            except (SourceError, RecordError) as e:
                if isinstance(e, AuthSourceError | CancelledRunError):
                    raise
                self._errors.append(ItemError("alert-unreadable", e.detail or str(e), link, link))
                continue
            self._alerts.setdefault(alert.id, alert)
        if links and not self._alerts:
            raise ProtocolError(f"none of {len(links)} alerts could be read", where=self._url)
        ids = tuple(sorted(self._alerts))
        stage = hashlib.sha256(repr([self._alerts[i].row for i in ids]).encode()).hexdigest()[:20]
        return Listing(count=len(ids), ids=ids, window=True, stage=stage, certain=True)

    def _read(self, link: str) -> Alert:
        """Fetch one alert, below the number of requests a minute that the server allows."""
        self._asked += 1
        if self._asked > self._options.requests_per_minute:
            self._http.cancel.wait(60 / self._options.requests_per_minute)
        content = self._http.get(link).content
        return read_alert(parse_xml(content, link), self._options.language, self._options.sliver_km2)

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the one page."""
        if "alerts" not in staged:
            yield replace(self._page("alerts", listing.ids or ()), errors=self._errors)

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Yield alerts again from what was read."""
        yield self._page("again", ids)

    def _page(self, key: str, ids: tuple[str, ...]) -> FeaturePage:
        alerts = [self._alerts[i] for i in ids if i in self._alerts]
        shapes = np.full(len(alerts), None, dtype=object)
        shapes[:] = [a.shape for a in alerts]
        return FeaturePage(key, FeatureBatch([a.id for a in alerts], [dict(a.row) for a in alerts], shapes))


def _record(url: str) -> DatasetRecord:
    return DatasetRecord(
        title=Localized(id="Peringatan dini cuaca", en="Weather warnings"),
        description=Localized(
            id="Peringatan dini cuaca (CAP 1.2); satu fitur per peringatan, dengan masa berlaku.",
            en="Early weather warnings (CAP 1.2); one feature per alert, with its validity.",
        ),
        keywords=["peringatan dini", "cuaca", "bencana", "CAP"],
        topic=["climatologyMeteorologyAtmosphere"],
        cakupan="Indonesia",
        crs="EPSG:4326",
        links=[Link(href=url, rel="via", type="application/rss+xml", title="CAP", protocol="WWW:LINK")],
    )
