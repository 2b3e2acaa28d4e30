"""Palapa nodes (simpul jaringan): the JSON listing `GET /api/record/publik`.

The source's `url` is the node (`https://geoportal.example.go.id`) or the listing itself. A layer's
`remote` is an identifier, a pattern over identifiers, or `"*"`; `options: {data: true}` harvests the
data behind a record through its WFS (Palapa's WFS links really say `/wms`; that is put right).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from catalog.errors import ProtocolError
from catalog.metadata.iso import PALAPA_DATE
from catalog.metadata.values import link_address, link_protocol, moment
from catalog.model import DatasetRecord, ItemError, Link, Localized
from catalog.sources import SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.csw.data import DataBehind
from harvesters.csw.harvester import record_options
from harvesters.http.client import HttpClient
from harvesters.naming import Choice, choose

LISTING = "/api/record/publik"
_LINK = re.compile(r"([^,]*),(.*?),([^,]*),\s*((?:https?|ftp)://.*|[^,\s]+)", re.DOTALL | re.IGNORECASE)
_ABSENT = {"", "none", "null", "tidak ada", "-", "..."}


class PalapaOptions(Options):
    """Options of `type: palapa`."""

    try_wfs: bool = Field(
        default=True, description="With `data: true`: try the WFS beside a WMS link when no WFS is named"
    )


class PalapaHarvester(Harvester):
    """One Palapa node."""

    type = "palapa"
    options_model = PalapaOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._behind = DataBehind(source, http)
        self._items: dict[str, dict[str, Any]] | None = None
        self._faults: list[ItemError] = []

    @property
    def _url(self) -> str:
        parts = urlsplit(self.source.url)
        path = parts.path.rstrip("/")
        return urlunsplit(parts._replace(path=path if path.endswith("/publik") else path + LISTING))

    def probe(self) -> Probe:
        """Fetch the listing."""
        return Probe(urlsplit(self._url).netloc, "palapa", {"records": len(self._listed())})

    def listing(self) -> Listing:
        """List the identifiers of the public records that the configuration chooses."""
        self._items = None
        ids = tuple(choice.remote for choice in choose(self.source, self._listed()))
        return Listing(count=len(ids) + len(self._faults), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield each chosen record once."""
        listed = self._listed()
        yield from self._faults
        for choice in choose(self.source, listed):
            if choice.present:
                yield from self._offer(choice, listed[choice.remote])
            else:
                yield ItemError("not-found", "the node has no such public record", choice.remote, self._url)

    def _listed(self) -> dict[str, dict[str, Any]]:
        if self._items is None:
            document = self.http.get(self._url).json()
            if isinstance(document, dict):
                document = document.get("data", document.get("records"))
            if not isinstance(document, list):
                raise ProtocolError("a list of records was expected", where=self._url)
            self._faults, self._items = [], {}
            for number, item in enumerate(document, 1):
                self._take(number, item, self._items)
        return self._items

    def _take(self, number: int, item: Any, into: dict[str, dict[str, Any]]) -> None:
        own = _text(item.get("identifier")) if isinstance(item, dict) else ""
        if not own:
            self._faults.append(ItemError("record", "a record without identifier", f"#{number}", self._url))
        elif public(item):
            into.setdefault(own, item)

    def _offer(self, choice: Choice, item: dict[str, Any]) -> Iterator[RemoteDataset | ItemError]:
        try:
            record = read_item(item)
        except (ValueError, TypeError, AttributeError) as exc:
            yield ItemError("record", f"{type(exc).__name__}: {exc}", choice.remote, self._url)
            return
        offer = RemoteDataset(choice.remote, choice.collection_id, "record", record, choice.layer)
        if not record_options(choice.layer).data:
            yield offer
            return
        opened = self._behind.open(self._with_wfs(offer))
        if isinstance(opened, RemoteDataset):
            opened.record.links = record.links
            yield opened
        else:
            yield opened
            yield offer

    def _with_wfs(self, offer: RemoteDataset) -> RemoteDataset:
        links = offer.record.links
        if not self.options.try_wfs or any(one.protocol == "OGC:WFS" for one in links):
            return offer
        guessed = [
            Link(href=address, title=one.title, protocol="OGC:WFS")
            for one in links
            if one.protocol == "OGC:WMS" and (address := link_address(one.href, "OGC:WFS")[0]) != one.href
        ]
        record = offer.record.model_copy(update={"links": [*links, *guessed]})
        return RemoteDataset(offer.remote_id, offer.collection_id, offer.kind, record, offer.layer)

    def close(self) -> None:
        """Close the harvesters behind records."""
        self._behind.close()


def public(item: dict[str, Any]) -> bool:
    """Tell whether the node publishes the record; one that does not say is in the public listing."""
    told = (item.get("dataPublikasi") or {}).get("is_public", True)
    return told not in (False, "false", "False", 0, "0", None)


def read_item(item: dict[str, Any]) -> DatasetRecord:
    """Read one item of the listing."""
    own = _text(item.get("identifier"))
    published = _text(item.get("date_publication"))
    created = "" if published == PALAPA_DATE else published
    flaws = [] if created == published else ["palapa-publication-date"]
    links = list(read_links(_text(item.get("links")), flaws))
    extras = {
        "scope": _text(item.get("type")),
        "filename": _text((item.get("dataPublikasi") or {}).get("filename")),
    }
    if flaws:
        extras["flaws"] = ", ".join(dict.fromkeys(flaws))
    return DatasetRecord(
        title=Localized(id=_text(item.get("title")) or own.rsplit(":", 1)[-1].replace("_", " ")),
        description=Localized(id=_text(item.get("abstract"))),
        keywords=[word for part in _text(item.get("keywords")).split(",") if (word := part.strip())],
        produsen_data=_text(item.get("organization")),
        created=moment(created) if created else None,
        modified=moment(_text(item.get("insert_date"))),
        links=links,
        extras={key: value for key, value in extras.items() if value},
    )


def read_links(text: str, flaws: list[str]) -> Iterator[Link]:
    """Read pycsw's form `name,description,protocol,url^name,...`; commas in the address are kept."""
    seen: set[tuple[str, str]] = set()
    for part in text.split("^"):
        match = _LINK.fullmatch(part.strip())
        if match is None:
            if part.strip():
                flaws.append("link-malformed")
            continue
        name, description, declared, href = (field.strip() for field in match.groups())
        protocol = link_protocol("" if _text(declared) == "" else declared, href)
        address, flaw = link_address(href, protocol)
        if flaw:
            flaws.append(flaw)
        if address and (protocol, address) not in seen:
            seen.add((protocol, address))
            rel = "service" if protocol.startswith(("OGC:", "ESRI:")) else "related"
            yield Link(
                href=address,
                rel="enclosure" if "DOWNLOAD" in protocol.upper() else rel,
                title=_text(name) or _text(description),
                protocol=protocol,
            )


def _text(value: Any) -> str:
    text = " ".join(str(value).split()) if value is not None else ""
    return "" if text.casefold() in _ABSENT else text
