"""The front door: landing page, conformance, API definition."""

from __future__ import annotations

from typing import Any

from catalog.listing import feature_total
from catalog.messages import text
from catalog.search import SearchQuery
from ogc_server import openapi
from ogc_server.answer import Answer, link_header
from ogc_server.ask import Ask
from ogc_server.conformance import CLASSES
from ogc_server.links import OGC_REL, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import HTML, HTML_OFFER, JSON, JSON_OFFER, OPENAPI, OPENAPI_OFFER
from ogc_server.service import Service, document
from ogc_server.snapshot import CATALOG_ID, Snapshot

LANDING = (JSON_OFFER, HTML_OFFER)
API = (OPENAPI_OFFER, HTML_OFFER)
_LATEST = 6


def landing(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/`."""
    server = service.settings.server
    links = [
        *document_links(ask, LANDING),
        *_doors(ask),
    ]
    doc = {
        "title": server.title.get(ask.lang) or text("landing.title", ask.lang),
        "description": server.description.get(ask.lang) or text("landing.description", ask.lang),
        "attribution": server.contact.organisation or None,
        "links": links,
    }
    doc = {key: value for key, value in doc.items() if value is not None}
    context = _landing_context(service) if ask.chosen.name == "html" else {}
    return document(ask, doc, "landing.html", context, headers={"Link": link_header(links)})


def _doors(ask: Ask) -> list[dict[str, Any]]:
    def to(path: str, rel: str, media: str, key: str) -> dict[str, Any]:
        return link(ask.href(path), rel, media, text(key, ask.lang))

    return [
        to("/api", "service-desc", OPENAPI, "link.service-desc"),
        link(ask.href("/api", {"f": "html"}), "service-doc", HTML, text("link.service-doc", ask.lang)),
        to("/conformance", "conformance", JSON, "link.conformance"),
        to("/collections", "data", JSON, "link.data"),
        to(f"/collections/{CATALOG_ID}", f"{OGC_REL}ogc-catalog", JSON, "link.catalog"),
        to("/tileMatrixSets", f"{OGC_REL}tiling-schemes", JSON, "link.grids"),
        to("/stac", "related", JSON, "link.stac"),
        to("/processes", f"{OGC_REL}processes", JSON, "page.processes"),
        to("/jobs", f"{OGC_REL}job-list", JSON, "process.jobs"),
        to("/health", "status", JSON, "link.status"),
    ]


def _landing_context(service: Service) -> dict[str, Any]:
    newest = SearchQuery(filters={"access": ["publik"]}, sort="-updated", limit=_LATEST, facets=True)
    found = service.catalog.datasets.search(newest)
    figures = {
        "datasets": found.total,
        "features": feature_total(service.catalog.database),
        "sources": len(found.facets.get("source_id", {})),
    }
    return {"figures": figures, "latest": found.items, "now": service.now()}


def conformance(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/conformance`."""
    doc = {"conformsTo": list(CLASSES), "links": document_links(ask, LANDING)}
    return document(ask, doc, "conformance.html")


def api(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/api`: one small OpenAPI document whatever the number of collections."""
    from ogc_server.routes import ROUTES  # the table names this handler

    doc = openapi.definition(service.settings, ROUTES, ask.base, ask.lang)

    def resolve(parameter: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in parameter:
            found: dict[str, Any] = doc["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
            return found
        return parameter

    return document(ask, doc, "api.html", {"resolve": resolve})
