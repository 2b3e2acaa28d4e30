"""Links of a document: self and alternates in every representation, with all parameters kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.messages import text
from ogc_server.ask import Ask
from ogc_server.negotiation import Offer

OGC_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
NAMES = {"json": "JSON", "jsonld": "JSON-LD", "html": "HTML", "csv": "CSV"}


def link(href: str, rel: str, media: str, title: str = "", **more: Any) -> dict[str, Any]:
    """Return one link object."""
    made = {"href": href, "rel": rel, "type": media, **more}
    if title:
        made["title"] = title
    return made


def shown(offer: Offer) -> str:
    """Return how people call a representation."""
    return "GeoJSON" if "geo+json" in offer.media else NAMES[offer.name]


def document(ask: Ask, offers: Sequence[Offer]) -> list[dict[str, Any]]:
    """Return self and alternate links of the document asked for."""
    links = []
    for offer in offers:
        chosen = offer.name == ask.chosen.name
        title = (
            text("link.self", ask.lang)
            if chosen
            else text("link.alternate", ask.lang, **{"as": shown(offer)})
        )
        media = ask.chosen.media if chosen else offer.media
        links.append(
            link(ask.here(f=offer.name), "self" if chosen else "alternate", media, title, hreflang=ask.lang)
        )
    return links
