"""Every address of the server in one table; the dispatcher and OpenAPI are both made from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.model import LayerSchema
from catalog.settings import ServerSettings
from ogc_server import collections, front, health, items, records, schemas
from ogc_server.answer import Answer
from ogc_server.ask import Ask
from ogc_server.negotiation import Offer
from ogc_server.parameters import (
    COMMON,
    CRS,
    VERSION,
    Param,
    collections_table,
    items_table,
    queryable_names,
    records_table,
)  # fmt: skip
from ogc_server.service import Service
from ogc_server.snapshot import CATALOG_ID, Snapshot

type Handler = Callable[[Service, Snapshot, Ask], Answer]
type Table = Callable[[ServerSettings], tuple[Param, ...]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address pattern; `{}` segments are arguments. `queryables` lets attribute names be asked."""

    pattern: tuple[str, ...]
    handler: Handler
    offers: Sequence[Offer]
    table: Table
    methods: tuple[str, ...] = ("GET",)
    queryables: bool = False
    summary: str = ""

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the arguments when the path fits, else None."""
        if len(segments) != len(self.pattern):
            return None
        arguments = []
        for wanted, given in zip(self.pattern, segments, strict=True):
            if wanted.startswith("{"):
                arguments.append(given)
            elif wanted != given:
                return None
        return tuple(arguments)


def _common(_: ServerSettings) -> tuple[Param, ...]:
    return COMMON


def _versioned(_: ServerSettings) -> tuple[Param, ...]:
    return (*COMMON, VERSION)


def _feature(_: ServerSettings) -> tuple[Param, ...]:
    return (*COMMON, CRS, VERSION)


def _items(server: ServerSettings) -> tuple[Param, ...]:
    return items_table(server.limit_default, server.limit_max)


def _records(server: ServerSettings) -> tuple[Param, ...]:
    return (*records_table(server.limit_default, server.limit_max), *records.QUERYABLES)


def _collections(_: ServerSettings) -> tuple[Param, ...]:
    return collections_table(collections.MAX_PAGE)


_C = "{collectionId}"

ROUTES = (
    Route((), front.landing, front.LANDING, _common, summary="landing"),
    Route(("conformance",), front.conformance, front.LANDING, _common, summary="conformance"),
    Route(("api",), front.api, front.API, _common, summary="api"),
    Route(("collections",), collections.collections, collections.OFFERS, _collections, summary="collections"),
    Route(("collections", CATALOG_ID, "items"), records.records, records.OFFERS, _records, summary="records"),
    Route(
        ("collections", CATALOG_ID, "items", "{recordId}"), records.one_record, records.OFFERS, _common,
        summary="record",
    ),
    Route(("collections", _C), collections.collection, collections.OFFERS, _versioned, summary="collection"),
    Route(("collections", _C, "schema"), schemas.schema, schemas.OFFERS, _versioned, summary="schema"),
    Route(("collections", _C, "queryables"), schemas.queryables, schemas.OFFERS, _versioned, summary="queryables"),
    Route(("collections", _C, "sortables"), schemas.sortables, schemas.OFFERS, _versioned, summary="sortables"),
    Route(
        ("collections", _C, "items"), items.items, items.OFFERS, _items, ("GET", "POST"), queryables=True,
        summary="items",
    ),
    Route(("collections", _C, "items", "{featureId}"), items.item, items.FEATURE_OFFERS, _feature, summary="item"),
    Route(("health",), health.health, health.OFFERS, _common, summary="health"),
    Route(("health", "live"), health.live, health.PLAIN, _common, summary="health"),
    Route(("health", "ready"), health.ready, health.PLAIN, _common, summary="health"),
)  # fmt: skip


def find(segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a path and its arguments."""
    if segments == ("openapi",):  # where pygeoapi's users look for it
        segments = ("api",)
    for route in ROUTES:
        arguments = route.match(segments)
        if arguments is not None:
            if route.pattern[-2:] == ("items", "{featureId}") and arguments[0] == CATALOG_ID:
                continue
            return route, arguments
    return None


def free_names(route: Route, snapshot: Snapshot, ask: Ask, version: int | None) -> tuple[str, ...]:
    """Return the attribute names that this address takes as parameters."""
    if not route.queryables:
        return ()
    _, info = snapshot.layer(ask.arguments[0], version)
    return queryable_names(info.schema or LayerSchema(()), ())
