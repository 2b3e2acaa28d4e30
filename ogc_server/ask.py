"""One request, read and checked before any handler sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from catalog.messages import Lang
from ogc_server.answer import NotModifiedError
from ogc_server.errors import ParameterError, PreconditionError
from ogc_server.negotiation import Chosen
from ogc_server.parameters import Pairs

_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


@dataclass(slots=True)
class Ask:
    """What the client asks. `path` starts with a slash; `base` has none at its end."""

    method: str
    path: str
    base: str
    pairs: Pairs
    headers: Mapping[str, str]
    body: bytes = b""
    lang: Lang = "id"
    request_id: str = ""
    client: str = ""
    """Address of who asks, as far as trusted proxies tell; empty when unknown."""
    chosen: Chosen = field(default_factory=lambda: Chosen("json", "application/json"))
    values: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Return the address asked for, as it was asked."""
        return self.href(self.path, dict(self.pairs))

    def href(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """Return an absolute address below the base; None values are left out."""
        query = urlencode(
            {k: v for k, v in (params or {}).items() if v is not None}, quote_via=quote, safe=",:/"
        )
        return f"{self.base}{path}" + (f"?{query}" if query else "")

    def here(self, **changes: Any) -> str:
        """Return this address with some parameters changed (None takes one away)."""
        return self.href(
            self.path, {**dict(self.pairs), **{k.replace("_", "-"): v for k, v in changes.items()}}
        )

    def check(self, tag: str, cache: str) -> None:
        """Raise NotModifiedError when the client holds this very representation already.

        PreconditionError when it asked for another one only.
        """
        self.demand(tag)
        header = self.headers.get("if-none-match")
        if header is not None and self.method in ("GET", "HEAD") and matches(header, tag):
            raise NotModifiedError(tag, cache)

    def demand(self, tag: str) -> None:
        """Raise PreconditionError when If-Match names other representations only (RFC 9110, 13.1.1)."""
        header = self.headers.get("if-match")
        if header is None or self.method not in ("GET", "HEAD"):
            return
        strong = ",".join(part for part in header.split(",") if not part.strip().startswith("W/"))
        if not matches(strong, tag):
            raise PreconditionError(where="If-Match")


def matches(header: str, tag: str) -> bool:
    """Tell whether If-None-Match or If-Match names the tag, in whatever content coding it was sent."""
    if header.strip() == "*":
        return True
    for part in header.split(","):
        value = part.strip().removeprefix("W/").strip('"')
        if value == tag or value.removesuffix("-br").removesuffix("-gzip") == tag:
            return True
    return False


def segment(value: object) -> str:
    """Return one path segment, encoded."""
    return quote(str(value), safe="")


def split_path(raw: bytes) -> tuple[str, ...]:
    """Return the decoded segments; an encoded slash stays inside its segment."""
    parts = [part for part in raw.split(b"/") if part]
    try:
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in parts)
    except UnicodeDecodeError:
        raise ParameterError("query.path", "path") from None


def base_address(scheme: str, host: str | None, server: tuple[str, int] | None, root: str) -> str:
    """Return the address that the client used, without a slash at its end."""
    if host is None:
        host = f"{server[0]}:{server[1]}" if server else "localhost"
    if not _HOST.fullmatch(host):
        raise ParameterError("query.host", "Host")
    return f"{scheme}://{host}{quote(root.rstrip('/'))}"
