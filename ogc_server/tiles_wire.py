"""uvicorn's HTTP protocol, with stored tiles answered as soon as the request's head is read.

A map asks for tiles by the dozen, and what a tile costs by itself (a look into mapped memory) is a tenth
of what an ASGI call around it costs: a task, an event, a scope, two messages. So those requests that
`FastTiles` answers never become one. All else, and whatever is not a plain GET on a quiet connection,
is uvicorn's as ever; so are parsing, keep-alive, its time limits, pipelining and shutdown.

The parts of uvicorn used are not promised by it: the lock file holds its version, and
tests/ogc_server/test_tiles_wire.py the behaviour.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ogc_server.tiles_fast import FastTiles, Reply

FAST = "fast_tiles"
"""Under which name the application hands its `FastTiles` over, in the state of its lifespan."""
_BODY = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_JOINED = 65_536
"""Up to so many bytes a body is copied behind its head, to go out in one piece."""


class _Answered:
    """Stands for the ASGI cycle of a request that is answered already."""

    response_complete = True
    keep_alive = True
    disconnected = False
    message_event = asyncio.Event()


class TileProtocol(HttpToolsProtocol):
    """One connection."""

    def on_headers_complete(self) -> None:
        """Answer at once, or go on as uvicorn does."""
        reply = self._reply()
        if reply is None:
            super().on_headers_complete()
            return
        self.cycle = _Answered()  # type: ignore[assignment]
        self._write(reply)
        self.on_response_complete()

    def _reply(self) -> Reply | None:
        fast: FastTiles | None = self.app_state.get(FAST)
        parser, before = self.parser, self.cycle
        if (
            fast is None
            or parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or (before is not None and not before.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
            or not _BODY.isdisjoint(name for name, _ in self.headers)
        ):
            return None
        return fast.reply(self.url, self.headers)

    def _write(self, reply: Reply) -> None:
        parts = [STATUS_LINE[reply.status], reply.common.text]
        for name, value in (*self.server_state.default_headers, *reply.own):
            parts += name, b": ", value, b"\r\n"
        parts.append(b"\r\n")
        if len(reply.body) <= _JOINED:
            parts.append(reply.body)
            self.transport.write(b"".join(parts))
        else:
            self.transport.write(b"".join(parts))
            self.transport.write(reply.body)


def lifespan_state(fast: FastTiles) -> dict[str, Any]:
    """Return what the application's lifespan yields so that its connections find the tiles."""
    return {FAST: fast}
