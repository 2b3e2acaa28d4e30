"""The short way for a map's many small requests: a stored tile of a public layer, vector or picture.

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
from ogc_server.maps import PNG
from ogc_server.policy import may_see
from ogc_server.raster_board import MapTile
from ogc_server.service import Service
from ogc_server.tiles import MVT
from ogc_server.tiles_desk import Tile

type Raw = list[tuple[bytes, bytes]]

_TARGET = re.compile(
    rb"/collections/([a-z0-9][a-z0-9._-]*)/(map/)?tiles/(WebMercatorQuad|WorldCRS84Quad)"
    rb"/([0-9]{1,2})/([0-9]{1,8})/([0-9]{1,8})(?:\?(?:f=(mvt|png))?&?(?:version=([1-9][0-9]{0,8}))?)?"
)
_ZERO = re.compile(rb"q=0(?:\.0*)?(?![.0-9])")
"""A media type is refused by name: which one, the long way finds out."""
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
        form = _PICTURE if asked[2] else _VECTOR
        given = {name: value for name, value in headers if name in _SIMPLE}
        if not form.suits(asked[7], given) or (b"origin" in given and not self._open):
            return None
        found = _find(asked, self.service)
        if found is None:
            return None
        return self._finish(form, found, REVALIDATE if asked[8] is None else PINNED, given)

    def _finish(self, form: Form, found: Tile | MapTile, cache: str, given: dict[bytes, bytes]) -> Reply:
        common, body = self._head(cache), found.body
        own: Raw = [(b"x-request-id", secrets.token_hex(16).encode())]
        if not body:
            return Reply(204, common, [*own, (b"content-type", form.media), (b"content-length", b"0")], b"")
        own.append((b"etag", b'"%b%b"' % (found.tag.encode(), form.suffix)))
        asked = given.get(b"if-none-match")
        if asked is not None and matches(asked.decode("latin-1"), found.tag):
            return Reply(304, common, own, b"")
        own += [(b"content-type", form.media), (b"content-length", b"%d" % len(body)), *form.more]
        if isinstance(found, MapTile):
            own += [(name.lower().encode(), value.encode()) for name, value in found.headers]
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


@dataclass(frozen=True, slots=True)
class Form:
    """What the tiles of a kind are sent as. Vector tiles lie gzipped, pictures as they are."""

    name: bytes
    media: bytes
    accepted: tuple[bytes, ...]
    gzipped: bool

    @property
    def suffix(self) -> bytes:
        """What the validator of these bytes ends with."""
        return b"-gzip" if self.gzipped else b""

    @property
    def more(self) -> Raw:
        """Headers of a body."""
        return [(b"content-encoding", b"gzip")] if self.gzipped else []

    def suits(self, form: bytes | None, given: dict[bytes, bytes]) -> bool:
        """Tell whether the client takes such a tile as it lies and asks nothing special."""
        if form not in (None, self.name) or b"x-request-id" in given or given.get(b"if-none-match") == b"*":
            return False
        coding, accept = given.get(b"accept-encoding", b""), given.get(b"accept", b"*/*")
        if self.gzipped and (b"gzip" not in coding or b";" in coding):
            return False
        return _ZERO.search(accept) is None and any(one in accept for one in self.accepted)


_VECTOR = Form(b"mvt", MVT.encode(), (b"*/*", MVT.encode()), gzipped=True)
_PICTURE = Form(b"png", PNG.encode(), (b"*/*", b"image/*", PNG.encode()), gzipped=False)


def _find(asked: re.Match[bytes], service: Service) -> Tile | MapTile | None:
    layer_id, kind = asked[1].decode(), "raster" if asked[2] else "feature"
    snapshot = service.live.snapshot
    entry = snapshot.listed.get(layer_id)
    if entry is None or entry.kind != kind or entry.version is None or layer_id in snapshot.broken:
        return None
    if not may_see(entry.access) or (asked[8] is not None and int(asked[8]) != entry.version):
        return None
    grid = GRIDS[asked[3].decode()]
    zoom, row, column = int(asked[4]), int(asked[5]), int(asked[6])
    if not grid.holds(zoom, row, column):
        return None
    if asked[2]:
        return service.tiles().maps.stored(layer_id, entry.version, grid.id, zoom, row, column)
    return service.tiles().stored(layer_id, entry.version, grid, zoom, row, column)
