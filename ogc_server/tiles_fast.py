"""The short way for a map's many small requests: a stored tile of a public layer, gzip taken.

Everything else (other forms, older versions, unpacked bytes, tiles on request, errors) goes the long
way through the dispatcher, and so does whatever is not plainly this case; bytes and validators are the
same on both ways.
It runs in the event loop: the archive is mapped memory, nothing waits. Our own server asks it before a
request becomes an ASGI call at all (`tiles_wire`); under any other server the dispatcher asks it first.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from layers.tiles.grid import GRIDS
from ogc_server.answer import PINNED, REVALIDATE, Answer
from ogc_server.ask import Ask, matches
from ogc_server.gate import Gate
from ogc_server.policy import may_see
from ogc_server.service import Service
from ogc_server.tiles import MVT
from ogc_server.tiles_desk import Tile

type Raw = list[tuple[bytes, bytes]]

_TARGET = re.compile(
    rb"/collections/([a-z0-9][a-z0-9._-]*)/tiles/(WebMercatorQuad|WorldCRS84Quad)"
    rb"/([0-9]{1,2})/([0-9]{1,8})/([0-9]{1,8})(?:\?(?:f=mvt)?&?(?:version=([1-9][0-9]{0,8}))?)?"
)
_MVT = MVT.encode()
_OWN = frozenset({"X-Request-Id", "Content-Language", "Content-Type", "Content-Length"})
_SIMPLE = frozenset({b"accept", b"accept-encoding", b"if-none-match", b"origin", b"x-request-id"})


class Common:
    """Headers that many answers share: as ASGI takes them, and as they are written."""

    __slots__ = "raw", "text"

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.text = b"".join(b"%b: %b\r\n" % one for one in raw)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, as it goes out but for the server's own headers (`Date`, `Connection`)."""

    status: int
    common: Common
    own: Raw
    body: bytes


class FastTiles:
    """Knows the headers of a gate. One per process; `service` is there while the application lives."""

    def __init__(self, gate: Gate) -> None:
        self.service: Service | None = None
        self._gate = gate
        self._heads: dict[str, Common] = {}
        self._open = bool(gate.cors({"origin": "null"}))
        """Any origin may read, so that it makes no difference which one asks."""

    def reply(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Reply | None:
        """Return the answer to a GET of `target` (path and query, undecoded) in the plain case.

        Header names are in lower case. None leaves the request to the long way.
        """
        asked = _TARGET.fullmatch(target)
        if asked is None or self.service is None:
            return None
        given = {name: value for name, value in headers if name in _SIMPLE}
        if not _plain(given) or (b"origin" in given and not self._open):
            return None
        found = _find(asked, self.service)
        if found is None:
            return None
        return self._finish(found.body, found.tag, REVALIDATE if asked[6] is None else PINNED, given)

    def _finish(self, body: bytes, tag: str, cache: str, given: dict[bytes, bytes]) -> Reply:
        common = self._head(cache)
        request_id = (b"x-request-id", secrets.token_hex(16).encode())
        if not body:
            return Reply(204, common, [request_id, (b"content-type", _MVT), (b"content-length", b"0")], b"")
        etag = (b"etag", b'"%b-gzip"' % tag.encode())
        asked = given.get(b"if-none-match")
        if asked is not None and matches(asked.decode("latin-1"), tag):
            return Reply(304, common, [request_id, etag], b"")
        own = [
            request_id, etag, (b"content-type", _MVT), (b"content-encoding", b"gzip"),
            (b"content-length", b"%d" % len(body)),
        ]  # fmt: skip
        return Reply(200, common, own, body)

    def _head(self, cache: str) -> Common:
        """Return the headers that every tile has, as the gate writes them."""
        known = self._heads.get(cache)
        if known is None:
            _, made, _ = self._gate.finish(Answer(b"", MVT, cache=cache), Ask("GET", "/", "", (), {}))
            raw = [
                (name.lower().encode(), value.encode()) for name, value in made.items() if name not in _OWN
            ]
            known = self._heads[cache] = Common(raw)
        return known


def _plain(given: dict[bytes, bytes]) -> bool:
    """Tell whether the client takes a gzipped tile and asks nothing special."""
    coding, accept = given.get(b"accept-encoding", b""), given.get(b"accept", b"*/*")
    if b"gzip" not in coding or b";" in coding or b"x-request-id" in given:
        return False
    return (b"*/*" in accept or _MVT in accept) and b"q=0" not in accept


def _find(asked: re.Match[bytes], service: Service) -> Tile | None:
    layer_id = asked[1].decode()
    snapshot = service.live.snapshot
    entry = snapshot.listed.get(layer_id)
    if entry is None or entry.kind != "feature" or entry.version is None or layer_id in snapshot.broken:
        return None
    if not may_see(entry.access) or (asked[6] is not None and int(asked[6]) != entry.version):
        return None
    grid = GRIDS[asked[2].decode()]
    zoom, row, column = int(asked[3]), int(asked[4]), int(asked[5])
    if not grid.holds(zoom, row, column):
        return None
    return service.tiles().stored(layer_id, entry.version, grid, zoom, row, column)
