"""Links of a document: self and alternates in every representation, with all parameters kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.messages import text
from ogc_server.ask import Ask
from ogc_server.negotiation import Offer

OGC_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
NAMES = {"json": "JSON", "jsonld": "JSON-LD", "html": "HTML", "csv": "CSV", "tilejson": "TileJSON"}


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


_LICENCES = {
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "cc-by": "https://creativecommons.org/licenses/by/4.0/",
    "cc-by-sa-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "cc0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "odbl-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "cc-by-igo": "https://creativecommons.org/licenses/by/3.0/igo/",
}


def licence_link(licence: str, lang: str) -> dict[str, Any] | None:
    """Return the licence link of a licence given by name or address; a name we do not know has none."""
    known = licence if licence.startswith(("http://", "https://")) else _LICENCES.get(
        "-".join(licence.lower().replace("_", "-").split())
    )  # fmt: skip
    return link(known, "license", "text/html", licence or text("link.licence", lang)) if known else None
