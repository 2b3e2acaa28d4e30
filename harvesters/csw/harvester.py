"""CSW 2.0.2 and 3.0: the records of a catalogue, and (on demand) the data behind them.

A layer's `remote` is a record's identifier, a pattern over identifiers, or `"*"`; `where` of the `"*"`
layer is CQL. With `options: {data: true}` on a layer the data behind its records is harvested too,
through the record's WFS, ArcGIS REST or file link.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pydantic import Field

from catalog.errors import ConfigError, ProtocolError, SatuDataError
from catalog.metadata import read_metadata
from catalog.metadata.xmlsafe import Element, text_at
from catalog.model import ItemError, Kind, Link
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.csw.data import DataBehind
from harvesters.csw.service import CswService, Records, identifier_of
from harvesters.csw.walk import Ask, BadPosition, walk
from harvesters.http.client import HttpClient
from harvesters.naming import Choice, choose

log = logging.getLogger(__name__)
BRIEF_PAGE = 500


class CswOptions(Options):
    """Options of `type: csw`."""

    version: str = Field(default="auto", pattern=r"^(auto|2\.0\.2|3\.0\.0)$", description="CSW version")
    schema_: str = Field(
        default="auto",
        alias="schema",
        pattern=r"^(auto|gmd|mdb|csw)$",
        description="Record format to ask for",
    )
    page_size: int = Field(default=50, ge=1, le=1000, description="Full records per page")
    scopes: list[str] = Field(
        default_factory=list, description="ISO scope codes to take (dataset, series, service...); empty: all"
    )


class RecordOptions(Options):
    """Options of one layer of `type: csw` (and of `palapa`)."""

    data: bool = Field(default=False, description="Harvest the data behind the record too")


class CswHarvester(Harvester):
    """One catalogue."""

    type = "csw"
    options_model = CswOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._service = CswService(
            source.url, http, version=self.options.version, schema=self.options.schema_
        )
        self._behind = DataBehind(source, http)
        self._cql = _cql(source)
        self._ids: list[str] | None = None
        self._bad: list[BadPosition] = []
        self._matched: int | None = None
        self._short = 0

    def probe(self) -> Probe:
        """Read the capabilities and count the records."""
        found = self._service.capabilities
        details = {"records": self._service.hits(self._cql), "schema": self._service.schema}
        return Probe(found.title, found.version, details)

    # -- what is there ------------------------------------------------------------------------

    def listing(self) -> Listing:
        """Walk through the brief records for their identifiers; hits first.

        Records that have no identifier, or that break their page, are listed by position
        (`#17`), so that the loss shows.
        """
        self._ids = None
        ids = tuple(choice.remote for choice in self._chosen())
        return Listing(count=len(ids) + self._short, ids=ids)

    def _chosen(self) -> list[Choice]:
        chosen = choose(self.source, self._all())
        return [*chosen, *self._unnamed(chosen)]

    def _unnamed(self, chosen: list[Choice]) -> list[Choice]:
        """Return the broken positions, when a pattern that takes all would have taken them."""
        star = next((layer for layer in self.source.layers if layer.remote == "*"), None)
        return [Choice(f"#{b.position}", star, "", present=False) for b in self._bad] if star else []

    def _all(self) -> list[str]:
        if self._ids is None:
            self._matched = self._service.hits(self._cql)
            self._ids, self._bad = self._walk_ids()
        return self._ids

    def _walk_ids(self) -> tuple[list[str], list[BadPosition]]:
        ids: dict[str, None] = {}
        bad: list[BadPosition] = []
        came = broken = 0
        for page in walk(self._ask(full=False), self._matched, self._page(BRIEF_PAGE)):
            if isinstance(page, BadPosition):
                bad.append(page)
                broken += 1
                continue
            start, elements = page
            came += len(elements)
            before = len(ids)
            for position, element in enumerate(elements, start):
                own = identifier_of(element)
                if not own:
                    bad.append(BadPosition(position, ProtocolError("a record without identifier")))
                elif self._wanted(element):
                    ids[own] = None
            if self._matched is None and len(ids) == before:
                break
        self._short = max(0, (self._matched or 0) - came - broken)
        return list(ids), bad

    def _wanted(self, element: Element) -> bool:
        scope = text_at(element, "type")
        return not self.options.scopes or not scope or scope in self.options.scopes

    def _page(self, wanted: int) -> int:
        return min(wanted, self._service.capabilities.max_records or wanted)

    def _ask(self, *, full: bool) -> Ask:
        def ask(start: int, count: int, retries: int | None) -> Records:
            return self._service.get_records(start, count, full=full, cql=self._cql, retries=retries)

        return ask

    # -- records ------------------------------------------------------------------------------

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield each chosen record once: by pages, then those that no page brought by identifier."""
        choices = {choice.remote: choice for choice in self._chosen()}
        missing = dict.fromkeys(remote for remote, choice in choices.items() if choice.present)
        wide = len(missing) > 2 * self._page(self.options.page_size) or any(
            layer.remote == "*" for layer in self.source.layers
        )
        if wide:
            for page in walk(self._ask(full=True), self._matched, self._page(self.options.page_size)):
                if isinstance(page, BadPosition):
                    continue  # it is asked for by identifier below
                for element in page[1]:
                    own = identifier_of(element)
                    if own in missing:
                        del missing[own]
                        yield from self._offer(choices[own], element)
        for remote in missing:
            yield from self._single(choices[remote])
        for choice in choices.values():
            if not choice.present:
                yield self._absent(choice)
        if self._short:
            detail = f"{self._short} of the {self._matched} records that the catalogue counts did not come"
            yield ItemError("source-incomplete", detail, url=self._service.url)

    def _single(self, choice: Choice) -> Iterator[RemoteDataset | ItemError]:
        try:
            elements = self._service.get_by_id(choice.remote).elements
        except SatuDataError as exc:
            if exc.code in {"run-cancelled", "source-auth", "source-address"}:
                raise
            yield ItemError(exc.code, exc.detail, choice.remote, exc.where)
            return
        if not elements:
            yield ItemError("not-found", "listed, but the catalogue does not give it", choice.remote)
            return
        yield from self._offer(choice, elements[0])

    def _absent(self, choice: Choice) -> ItemError:
        broken = next((b for b in self._bad if f"#{b.position}" == choice.remote), None)
        if broken is not None:
            return ItemError(broken.error.code, broken.error.detail, choice.remote, broken.error.where)
        return ItemError("not-found", "the catalogue has no such record", choice.remote, self._service.url)

    def _offer(self, choice: Choice, element: Element) -> Iterator[RemoteDataset | ItemError]:
        try:
            parsed = read_metadata(element, where=self._service.url)
        except (SatuDataError, ValueError) as exc:
            yield ItemError("record", f"{type(exc).__name__}: {exc}", choice.remote, self._service.url)
            return
        record = parsed.record
        record.links.append(
            Link(href=self._service.record_url(choice.remote), rel="via", type="application/xml")
        )
        kind: Kind = "service" if parsed.scope == "service" else "record"
        offer = RemoteDataset(choice.remote, choice.collection_id, kind, record, choice.layer)
        if record_options(choice.layer).data and parsed.scope != "service":
            opened = self._behind.open(offer)
            if isinstance(opened, RemoteDataset):
                yield opened
                return
            yield opened
        yield offer

    def close(self) -> None:
        """Close the harvesters behind records."""
        self._behind.close()


def record_options(layer: LayerConfig) -> RecordOptions:
    """Read a layer's options; ConfigError names the wrong one."""
    try:
        ours = {k: v for k, v in layer.options.items() if k != "region_reference"}  # the engine's own
        return RecordOptions.model_validate(ours)
    except ValueError as exc:
        raise ConfigError(f"options of layer {layer.remote!r}: {exc}", where="layers.options") from exc


def _cql(source: SourceConfig) -> str:
    found = {layer.where for layer in source.layers if layer.where}
    if len(found) > 1:
        raise ConfigError("one `where` per CSW source", where=source.id, hint="make two sources of it")
    return next(iter(found), "") or ""
