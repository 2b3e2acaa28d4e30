"""What every answer has: validators, cache rules, content coding, CORS, security headers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from starlette.types import Receive, Send

from catalog.settings import ServerSettings
from ogc_server.answer import NEVER, Answer
from ogc_server.ask import Ask, matches
from ogc_server.compression import MIN_BYTES, EncodedCache, compressible
from ogc_server.negotiation import coding
from ogc_server.ranges import send_file

EXPOSED = (
    "Accept-Ranges, Content-Bbox, Content-Crs, Content-Datetime, Content-Language, Content-Length, "
    "Content-Profile, Content-Range, ETag, Link, "
    "Location, OGC-NumberMatched, OGC-NumberReturned, Preference-Applied, Retry-After, X-Request-Id"
)
_ASKABLE = (
    "Accept, Accept-Language, Content-Type, If-Match, If-None-Match, If-Range, Prefer, Range, X-Request-Id"
)
_VARY = "Accept, Accept-Encoding, Accept-Language"
_LARGE = 100_000
_POLICY = "Content-Security-Policy"
_API_CSP = "default-src 'none'; frame-ancestors 'none'"
_PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def page_policy(pictures: str = "", script: str = "") -> str:
    """Return the policy of a page that may also show pictures of one other origin, and run one own text.

    `script` is the text of the page's inline script, which is let in by its hash.
    """
    policy = _PAGE_CSP
    if pictures:
        policy = policy.replace("img-src 'self'", f"img-src 'self' {pictures}").replace(
            "connect-src 'self'", f"connect-src 'self' {pictures}"
        )
    if script:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        policy = policy.replace("script-src 'self'", f"script-src 'self' 'sha256-{digest}'")
    return policy


class Gate:
    """Sends answers. One per process; its cache of compressed bytes is shared by all requests."""

    def __init__(self, settings: ServerSettings) -> None:
        self._origins = frozenset(settings.cors_origins)
        self._encoded = EncodedCache()

    async def send(self, answer: Answer, ask: Ask, send: Send, receive: Receive) -> int:
        """Send the answer and return the status that was sent.

        Large answers are compressed in a thread, so that nobody else waits for it; files are sent
        piece by piece until the client has all or goes away.
        """
        if len(answer.body) > _LARGE:
            status, headers, body = await asyncio.to_thread(self.finish, answer, ask)
        else:
            status, headers, body = self.finish(answer, ask)
        raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        if answer.file is not None:
            if ask.method == "HEAD" or status == 304:
                answer.file.close()
            else:
                await send_file(answer.file, send, receive)
                return status
        await send({"type": "http.response.body", "body": b"" if ask.method == "HEAD" else body})
        return status

    def finish(self, answer: Answer, ask: Ask) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body as they go out."""
        headers = self._common(answer, ask)
        tag = answer.tag
        if tag and answer.status in (200, 304) and ask.method in ("GET", "HEAD"):
            asked = ask.headers.get("if-none-match")
            if answer.status == 304 or (asked is not None and matches(asked, tag)):
                chosen = coding(ask.headers.get("accept-encoding"))
                headers["ETag"] = _quoted(tag, _known_coding(asked or "", tag, chosen))
                # a browser puts what a 304 says over what it holds: the page keeps the policy it came with
                headers.pop(_POLICY)
                return 304, headers, b""
        headers["Content-Type"] = answer.media
        headers.update(answer.headers)
        body, chosen = self._encode(answer, ask)
        if chosen != "identity":
            headers["Content-Encoding"] = chosen
        if tag and ask.method != "POST":
            headers["ETag"] = _quoted(tag, chosen)
        headers["Content-Length"] = str(answer.file.length if answer.file else len(body))
        return answer.status, headers, body

    def _encode(self, answer: Answer, ask: Ask) -> tuple[bytes, str]:
        if len(answer.body) < MIN_BYTES or not compressible(answer.media):
            return answer.body, "identity"
        chosen = coding(ask.headers.get("accept-encoding"))
        if chosen == "identity":
            return answer.body, chosen
        return self._encoded.encode(answer.tag, answer.body, chosen, answer.effort), chosen

    def _common(self, answer: Answer, ask: Ask) -> dict[str, str]:
        page = answer.media.startswith("text/html")
        headers = {
            "X-Request-Id": ask.request_id,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            _POLICY: _PAGE_CSP if page else _API_CSP,
            "Content-Language": ask.lang,
            "Cache-Control": answer.cache,
            "Vary": _VARY,
            **self.cors(ask.headers),
        }
        if "*" not in self._origins:
            headers["Vary"] += ", Origin"
        if answer.cache != NEVER:
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return headers

    def cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the CORS headers for the asking origin."""
        if "*" in self._origins:
            return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
        origin = headers.get("origin", "")
        if origin in self._origins:
            return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
        return {}

    def options(self, ask: Ask, allow: str) -> Answer:
        """Answer OPTIONS, also as a CORS preflight."""
        headers = {"Allow": allow}
        if "access-control-request-method" in ask.headers:
            headers |= {
                "Access-Control-Allow-Methods": allow,
                "Access-Control-Allow-Headers": _ASKABLE,
                "Access-Control-Max-Age": "86400",
            }
        return Answer(b"", status=204, cache=NEVER, headers=headers)


def _quoted(tag: str, chosen: str) -> str:
    return f'"{tag}"' if chosen == "identity" else f'"{tag}-{chosen}"'


def _known_coding(asked: str, tag: str, chosen: str) -> str:
    """Return the coding of the copy that the client holds, else the one it would get."""
    for name in ("br", "gzip"):
        if f'"{tag}-{name}"' in asked:
            return name
    return "identity" if f'"{tag}"' in asked else chosen
