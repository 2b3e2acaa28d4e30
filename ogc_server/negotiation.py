"""Which representation and language a client gets: `f=`, `lang=`, Accept and Accept-Language.

RFC 9110 section 12.5: the most specific range that matches a media type decides its q; q=0 means
never; equal q is decided by the order in which the client named them, then by our own order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.messages import LANGS, Lang
from ogc_server.errors import NotAcceptableError, ParameterError

GEOJSON = "application/geo+json"
JSON = "application/json"
JSONLD = "application/ld+json"
HTML = "text/html"
CSV = "text/csv"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Offer:
    """One representation: its `f=` name, its media type, and other types it may be asked by."""

    name: str
    media: str
    aliases: tuple[str, ...] = ()

    def types(self) -> tuple[str, ...]:
        """Return all media types that select this offer, without parameters."""
        return (self.media.split(";")[0], *self.aliases)


JSON_OFFER = Offer("json", JSON)
GEOJSON_OFFER = Offer("json", GEOJSON, (JSON, "application/vnd.geo+json"))
SCHEMA_OFFER = Offer("json", SCHEMA, (JSON,))
OPENAPI_OFFER = Offer("json", OPENAPI, (JSON, "application/openapi+json"))
JSONLD_OFFER = Offer("jsonld", JSONLD)
HTML_OFFER = Offer("html", HTML, ("application/xhtml+xml",))
CSV_OFFER = Offer("csv", CSV)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The representation to send: `name` as in `f=`, and the Content-Type."""

    name: str
    media: str


@dataclass(frozen=True, slots=True)
class _Range:
    value: str
    q: float
    order: int


def _ranges(header: str) -> list[_Range]:
    ranges = []
    for order, part in enumerate(header.split(",")):
        value, *params = (piece.strip() for piece in part.split(";"))
        if not value:
            continue
        q = 1.0
        for param in params:
            name, _, number = param.partition("=")
            if name.strip().lower() == "q":
                q = _quality(number.strip())
        ranges.append(_Range(value.lower(), q, order))
    return ranges


def _quality(text: str) -> float:
    """Read a q-value; one that is not a number between 0 and 1 counts as the default, 1."""
    try:
        q = float(text)
    except ValueError:
        return 1.0
    return q if 0 <= q <= 1 else 1.0


def _match(ranges: Sequence[_Range], media: str) -> tuple[float, int] | None:
    kind = media.split("/")[0]
    for wanted in (media, f"{kind}/*", "*/*"):
        for entry in ranges:
            if entry.value == wanted:
                return entry.q, entry.order
    return None


def choose(offers: Sequence[Offer], accept: str | None, f: str | None) -> Chosen:
    """Pick the representation; raises ParameterError for a bad `f`, NotAcceptableError for 406."""
    if f is not None:
        for offer in offers:
            if offer.name == f:
                return Chosen(offer.name, offer.media)
        raise ParameterError("query.f", "f", value=f, known=", ".join(dict.fromkeys(o.name for o in offers)))
    ranges = _ranges(accept or "*/*") or _ranges("*/*")
    best: tuple[float, int, int, Chosen] | None = None
    for rank, offer in enumerate(offers):
        for media in offer.types():
            found = _match(ranges, media)
            if found is None or found[0] == 0:
                continue
            own = offer.media if media == offer.types()[0] else _aliased(offer, media)
            candidate = (-found[0], found[1], rank, Chosen(offer.name, own))
            if best is None or candidate[:3] < best[:3]:
                best = candidate
    if best is None:
        known = ", ".join(offer.media for offer in offers)
        raise NotAcceptableError(where="Accept", known=known)
    return best[3]


def _aliased(offer: Offer, media: str) -> str:
    """Answer plain JSON to those who named just that; XHTML askers read HTML as well."""
    return media if media == JSON else offer.media


def language(lang: str | None, accept_language: str | None) -> Lang:
    """Pick the language: `lang=`, else Accept-Language, else Indonesian."""
    if lang is not None:
        for known in LANGS:
            if lang.lower() == known:
                return known
        raise ParameterError("query.lang", "lang", value=lang, known=", ".join(LANGS))
    best: tuple[float, int, Lang] | None = None
    for entry in _ranges(accept_language or ""):
        primary = entry.value.split("-")[0]
        for known in LANGS:
            if entry.q > 0 and primary == known and (best is None or (-entry.q, entry.order) < best[:2]):
                best = (-entry.q, entry.order, known)
    return best[2] if best else "id"


def coding(accept_encoding: str | None, have: Sequence[str] = ("br", "gzip")) -> str:
    """Pick a content coding, or `identity`. `gzip;q=0` and `identity;q=0` are honoured."""
    if not accept_encoding:
        return "identity"
    ranges = {entry.value: entry.q for entry in _ranges(accept_encoding)}
    star = ranges.get("*", 0.0)
    quality = {name: ranges.get(name, star) for name in have}
    best = max(have, key=lambda name: quality[name])
    identity = ranges.get("identity", 1.0 if "*" not in ranges else star)
    if quality[best] > 0 and (quality[best] >= ranges.get("identity", 0.0) or identity == 0):
        return best
    return "identity"
