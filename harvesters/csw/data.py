"""The data behind a metadata record: its WFS, ArcGIS REST or file link, harvested by that harvester."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from catalog.errors import CancelledRunError
from catalog.model import DatasetRecord, ItemError, Link
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import Harvester, RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.registry import harvester_class

_FILES = (".zip", ".gpkg", ".geojson", ".kml", ".fgb", ".csv", ".xlsx")


def ways(record: DatasetRecord, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (harvester type, address, remote name) for the usable links, best protocol first."""
    order = {"wfs": 0, "arcgis": 1, "file": 2}
    found = [way for link in record.links if (way := _way(link, name)) is not None]
    yield from sorted(dict.fromkeys(found), key=lambda way: order[way[0]])


def _way(link: Link, name: str) -> tuple[str, str, str] | None:
    parts = urlsplit(link.href)
    if parts.scheme not in {"http", "https"}:
        return None
    params = {k.lower(): v for k, v in parse_qsl(parts.query)}
    if link.protocol.startswith("OGC:WFS"):
        remote = params.get("typenames") or params.get("typename") or link.title or name
        return ("wfs", link.href, remote) if remote else None
    match = re.fullmatch(r"(.*/(?:Map|Feature)Server)/?(\d+)?/?", parts.path, re.IGNORECASE)
    if match:
        base = f"{parts.scheme}://{parts.netloc}{match[1]}"
        return "arcgis", base, match[2] or "*"
    if parts.path.lower().endswith(_FILES):
        return "file", link.href, "*"
    return None


class DataBehind:
    """Opens the data behind records; keeps the harvesters that it made until closed."""

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        self._source, self._http = source, http
        self._open: list[Harvester] = []

    def open(self, offer: RemoteDataset) -> RemoteDataset | ItemError:
        """Return the record with its data; the first way that works wins.

        An item error (a warning) says why no way did; the record itself is not lost by it.
        """
        problems: list[str] = []
        for kind, url, remote in ways(offer.record, offer.remote_id):
            try:
                found = self._try(kind, url, remote, offer)
            except CancelledRunError:
                raise
            except Exception as exc:  # a link in someone's metadata may break anything
                problems.append(f"{kind} {url}: {exc}")
                continue
            if isinstance(found, RemoteDataset):
                return found
            problems.append(f"{kind} {url}: {found}")
        reason = "; ".join(problems) or "no WFS, ArcGIS REST or file link"
        return ItemError("no-data", reason[:500], offer.remote_id, severity="warning")

    def _try(self, kind: str, url: str, remote: str, offer: RemoteDataset) -> RemoteDataset | str:
        harvester = harvester_class(kind)(self._derived(kind, url, remote, offer.layer), self._http)
        self._open.append(harvester)
        found = [d for d in harvester.datasets() if isinstance(d, RemoteDataset) and d.content is not None]
        if len(found) != 1:
            return f"{len(found)} layers there, one was expected"
        (data,) = found
        record = offer.record.model_copy(
            update={"crs": data.record.crs or offer.record.crs, "bbox": offer.record.bbox or data.record.bbox}
        )
        return replace(
            data,
            remote_id=offer.remote_id,
            collection_id=offer.collection_id,
            record=record,
            layer=offer.layer,
        )

    def _derived(self, kind: str, url: str, remote: str, layer: LayerConfig) -> SourceConfig:
        """Make the source that the link describes; credentials stay with the catalogue's own host."""
        inner = layer.model_copy(update={"remote": remote, "options": {}, "where": None})
        return self._source.model_copy(
            update={"type": kind, "url": url, "layers": [inner], "options": {}, "auth": {}}
        )

    def close(self) -> None:
        """Close all harvesters."""
        for harvester in self._open:
            harvester.close()
        self._open.clear()
