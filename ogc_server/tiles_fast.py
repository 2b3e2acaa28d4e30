"""The short way for a map's many small requests: a stored tile of a public layer, gzip taken.

Everything else (other forms, older versions, unpacked bytes, tiles on request, errors) goes the long
way through the dispatcher, and so does whatever is not plainly this case; bytes and validators are the
same on both ways.
It runs in the event loop: the archive is mapped memory, nothing waits.
"""

from __future__ import annotations

import re
import uuid

from starlette.types import Scope, Send

from layers.tiles.grid import GRIDS
from ogc_server.answer import PINNED, REVALIDATE, Answer
from ogc_server.ask import Ask, matches
from ogc_server.gate import Gate
from ogc_server.policy import may_see
from ogc_server.service import Service
from ogc_server.tiles import MVT

type Raw = list[tuple[bytes, bytes]]

_PATH = re.compile(
    rb"/collections/([a-z0-9][a-z0-9._-]*)/tiles/(WebMercatorQuad|WorldCRS84Quad)"
    rb"/([0-9]{1,2})/([0-9]{1,8})/([0-9]{1,8})"
)
_QUERY = re.compile(rb"(?:f=mvt)?&?(?:version=([1-9][0-9]{0,8}))?")
_MVT = MVT.encode()
_OWN = frozenset({"X-Request-Id", "Content-Language", "Content-Type", "Content-Length"})
_SIMPLE = frozenset({b"accept", b"accept-encoding", b"if-none-match", b"origin", b"x-request-id"})


class FastTiles:
    """Knows the headers of a gate. One per process."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._heads: dict[str, Raw] = {}
        self._open = bool(gate.cors({"origin": "null"}))
        """Any origin may read, so that it makes no difference which one asks."""

    async def answered(self, scope: Scope, service: Service | None, send: Send) -> bool:
        """Answer when it is the plain case; False leaves the request to the long way."""
        if service is None or scope["method"] != "GET":
            return False
        path = _PATH.fullmatch(scope.get("raw_path") or b"")
        query = _QUERY.fullmatch(scope["query_string"]) if path else None
        if path is None or query is None:
            return False
        given = {name: value for name, value in scope["headers"] if name in _SIMPLE}
        if not _plain(given) or (b"origin" in given and not self._open):
            return False
        found = _find(path, query, service)
        if found is None:
            return False
        body, tag = found
        cache = REVALIDATE if query.group(1) is None else PINNED
        status, headers, body = self._finish(body, tag, cache, given)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return True

    def _finish(self, body: bytes, tag: str, cache: str, given: dict[bytes, bytes]) -> tuple[int, Raw, bytes]:
        headers = [*self._head(cache), (b"x-request-id", uuid.uuid4().hex.encode())]
        if not body:
            return 204, [*headers, (b"content-type", _MVT), (b"content-length", b"0")], b""
        headers.append((b"etag", f'"{tag}-gzip"'.encode()))
        asked = given.get(b"if-none-match")
        if asked is not None and matches(asked.decode("latin-1"), tag):
            return 304, headers, b""
        headers += [
            (b"content-type", _MVT), (b"content-encoding", b"gzip"),
            (b"content-length", str(len(body)).encode()),
        ]  # fmt: skip
        return 200, headers, body

    def _head(self, cache: str) -> Raw:
        """Return the headers that every tile has, as the gate writes them."""
        known = self._heads.get(cache)
        if known is None:
            _, made, _ = self._gate.finish(Answer(b"", MVT, cache=cache), Ask("GET", "/", "", (), {}))
            known = [
                (name.lower().encode(), value.encode()) for name, value in made.items() if name not in _OWN
            ]
            self._heads[cache] = known
        return known


def _plain(given: dict[bytes, bytes]) -> bool:
    """Tell whether the client takes a gzipped tile and asks nothing special."""
    coding, accept = given.get(b"accept-encoding", b""), given.get(b"accept", b"*/*")
    if b"gzip" not in coding or b";" in coding or b"x-request-id" in given:
        return False
    return (b"*/*" in accept or _MVT in accept) and b"q=0" not in accept


def _find(path: re.Match[bytes], query: re.Match[bytes], service: Service) -> tuple[bytes, str] | None:
    layer_id = path.group(1).decode()
    snapshot = service.live.snapshot
    entry = snapshot.listed.get(layer_id)
    if entry is None or entry.kind != "feature" or entry.version is None or layer_id in snapshot.broken:
        return None
    asked = query.group(1)
    if not may_see(entry.access) or (asked is not None and int(asked) != entry.version):
        return None
    grid = GRIDS[path.group(2).decode()]
    zoom, row, column = int(path.group(3)), int(path.group(4)), int(path.group(5))
    if not grid.holds(zoom, row, column):
        return None
    found = service.tiles().stored(layer_id, entry.version, grid, zoom, row, column)
    return None if found is None else (found.body, found.tag)
