"""Every address of the server in one table; the dispatcher and OpenAPI are both made from it."""

from __future__ import annotations

from catalog.model import LayerSchema
from catalog.settings import ServerSettings
from ogc_server import (
    collection,
    downloads,
    front,
    health,
    items,
    places,
    records,
    schemas,
    server_downloads,
    viewer,
)
from ogc_server.ask import Ask
from ogc_server.kendali import handlers as kendali
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
from ogc_server.processes import handlers as processes
from ogc_server.processes import job_handlers as jobs
from ogc_server.raster_routes import RASTER_ROUTES
from ogc_server.route import Route
from ogc_server.snapshot import CATALOG_ID, Snapshot
from ogc_server.tiles_routes import ROUTES as TILE_ROUTES


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
    return collections_table(collection.MAX_PAGE)


def _form(_: ServerSettings) -> tuple[Param, ...]:
    return processes.FORM_TABLE


def _jobs(_: ServerSettings) -> tuple[Param, ...]:
    return jobs.TABLE


def _job(_: ServerSettings) -> tuple[Param, ...]:
    return jobs.JOB_TABLE


def _downloads(_: ServerSettings) -> tuple[Param, ...]:
    return downloads.TABLE


def _download(_: ServerSettings) -> tuple[Param, ...]:
    return downloads.FILE_TABLE


def _places(_: ServerSettings) -> tuple[Param, ...]:
    return places.TABLE


def _kendali(_: ServerSettings) -> tuple[Param, ...]:
    return kendali.ANSWER_TABLE


_C = "{collectionId}"

_AT_C = ("collections", _C)
_AT_CATALOG = ("collections", CATALOG_ID, "items")

ROUTES = (
    Route((), front.landing, front.LANDING, _common, summary="landing"),
    Route(("conformance",), front.conformance, front.LANDING, _common, summary="conformance"),
    Route(("api",), front.api, front.API, _common, summary="api"),
    Route(("collections",), collection.collections, collection.OFFERS, _collections, summary="collections"),
    Route(_AT_CATALOG, records.records, records.LIST_OFFERS, _records, summary="records"),
    Route((*_AT_CATALOG, "{recordId}"), records.one_record, records.OFFERS, _common, summary="record"),
    Route(_AT_C, collection.collection, collection.OFFERS, _versioned, summary="collection"),
    Route((*_AT_C, "schema"), schemas.schema, schemas.OFFERS, _versioned, summary="schema"),
    Route((*_AT_C, "queryables"), schemas.queryables, schemas.OFFERS, _versioned, summary="queryables"),
    Route((*_AT_C, "sortables"), schemas.sortables, schemas.OFFERS, _versioned, summary="sortables"),
    Route(
        (*_AT_C, "items"),
        items.items,
        items.OFFERS,
        _items,
        ("GET", "POST"),
        queryables=True,
        summary="items",
    ),
    Route((*_AT_C, "items", "{featureId}"), items.item, items.FEATURE_OFFERS, _feature, summary="item"),
    Route((*_AT_C, "downloads"), downloads.downloads, downloads.OFFERS, _downloads, summary="downloads"),
    Route(
        (*_AT_C, "downloads", "{fileName}"),
        downloads.download,
        downloads.FILE_OFFERS,
        _download,
        summary="download",
    ),
    Route(
        ("downloads",),
        server_downloads.downloads,
        server_downloads.OFFERS,
        _common,
        summary="server-downloads",
    ),
    Route(
        ("downloads", "{fileName}"),
        server_downloads.download,
        server_downloads.FILE_OFFERS,
        _common,
        summary="server-download",
    ),
    *RASTER_ROUTES,
    *TILE_ROUTES,
    Route(("peta",), viewer.viewer, viewer.OFFERS, _common, summary="viewer"),
    Route(("places",), places.places, places.OFFERS, _places, summary="places"),
    Route(("kendali",), kendali.page, kendali.OFFERS, _common, summary="kendali"),
    Route(("kendali", "state"), kendali.state, kendali.STATE_OFFERS, _common, summary="kendali-state"),
    Route(
        ("kendali", "jawaban"),
        kendali.answer,
        kendali.STATE_OFFERS,
        _kendali,
        ("GET", "POST"),
        max_body=kendali.MAX_BODY,
        summary="kendali-jawaban",
    ),
    Route(
        ("kendali", "laporan"),
        kendali.situation,
        kendali.REPORT_OFFERS,
        _kendali,
        ("GET", "POST"),
        max_body=kendali.MAX_BODY,
        summary="kendali-laporan",
    ),
    Route(("processes",), processes.processes, processes.OFFERS, _common, summary="processes"),
    Route(("processes", "{processId}"), processes.process, processes.OFFERS, _form, summary="process"),
    Route(("processes", "{processId}", "about"), processes.about, processes.OFFERS, _common, summary="about"),
    Route(
        ("processes", "{processId}", "execution"),
        processes.execution,
        processes.RESULT_OFFERS,
        _common,
        ("POST",),
        max_body=processes.MAX_BODY,
        summary="execution",
    ),
    Route(("jobs",), jobs.jobs, jobs.OFFERS, _jobs, summary="jobs"),
    Route(("jobs", "{jobId}"), jobs.job, jobs.OFFERS, _job, ("GET", "DELETE", "POST"), summary="job"),
    Route(("jobs", "{jobId}", "results"), jobs.results, processes.RESULT_OFFERS, _common, summary="results"),
    Route(("health",), health.health, health.OFFERS, _common, summary="health"),
    Route(("health", "live"), health.live, health.PLAIN, _common, summary="health"),
    Route(("health", "ready"), health.ready, health.PLAIN, _common, summary="health"),
)


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
