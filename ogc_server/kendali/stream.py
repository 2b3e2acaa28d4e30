"""`/kendali/stream`: the state as server-sent events (WHATWG HTML, 9.2), beside the dispatcher.

One hub per server process looks once a second whether the catalog moved, and every few seconds whether
a feed has become late; each client holds nothing but the id of the state that it has. A client that
comes back with that id (`Last-Event-ID`) is told nothing twice, whichever worker answers it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from catalog.errors import SatuDataError
from catalog.messages import LANGS
from ogc_server.answer import content_tag, to_json
from ogc_server.gate import Gate
from ogc_server.kendali.state import state
from ogc_server.negotiation import language
from ogc_server.service import Service

LOGGER = logging.getLogger(__name__)
MOST_CLIENTS = 200
"""Per server process; above, 503 with Retry-After, and the page asks for the state instead."""
BEAT_SECONDS = 15.0
"""A browser's EventSource does not show comments to the page: the beat is an event, with our time."""
_LOOK_SECONDS = 0.5
_ANEW_SECONDS = 5.0
_SEND_SECONDS = 30.0
_RETRY_MS = 3000


class Hub:
    """Knows the present state in each language, and wakes the clients when it changed."""

    def __init__(self, service: Callable[[], Service | None]) -> None:
        self._service = service
        self._made: dict[str, tuple[str, bytes]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._wakes: set[asyncio.Event] = set()
        self._langs: dict[str, int] = dict.fromkeys(LANGS, 0)
        self._lock = asyncio.Lock()
        self.stopping = False

    @property
    def clients(self) -> int:
        """Return how many are connected."""
        return len(self._wakes)

    def now(self) -> str:
        """Return our time for the page's clock."""
        service = self._service()
        return service.now().isoformat() if service else ""

    async def current(self, lang: str) -> tuple[str, bytes] | None:
        """Return (id, JSON) of the state, made anew when it may have changed."""
        if await self._look(lang):
            self._wake()
        return self._made.get(lang)

    def enter(self, lang: str) -> asyncio.Event:
        """Note a client; its event is set when there is something to tell, or the server stops."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        self._langs[lang] += 1
        return wake

    def leave(self, lang: str, wake: asyncio.Event) -> None:
        """Forget a client."""
        self._wakes.discard(wake)
        self._langs[lang] -= 1

    def stop(self) -> None:
        """Let all clients go."""
        self.stopping = True
        self._wake()

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def run(self) -> None:
        """Look for changes for ever, while anybody watches."""
        while not self.stopping:
            await asyncio.sleep(_LOOK_SECONDS)
            if _server_stops():
                self.stop()
            for lang in [lang for lang, count in self._langs.items() if count]:
                with suppress(Exception):  # told in the log by `state`; the next look tries again
                    if await self._look(lang):
                        self._wake()

    async def _look(self, lang: str) -> bool:
        """Make the state anew when the catalog moved or some seconds went by; tell whether it differs."""
        async with self._lock:
            service = self._service()
            if service is None:
                return False
            snapshot, at = service.live.snapshot, asyncio.get_running_loop().time()
            generation, since = self._seen.get(lang, (-1, 0.0))
            if snapshot.generation == generation and at - since < _ANEW_SECONDS:
                return False
            found = await asyncio.to_thread(state, service, snapshot, lang)
            self._seen[lang] = (snapshot.generation, at)
            shown = {name: value for name, value in found.items() if name != "generation"}
            made = (content_tag(to_json(shown)), to_json(found))
            changed = made[0] != self._made.get(lang, ("",))[0]
            self._made[lang] = made
            return changed


def _server_stops() -> bool:
    """Tell whether uvicorn was told to stop: it waits for open connections before anybody tells us."""
    handler = signal.getsignal(signal.SIGTERM)
    return bool(getattr(getattr(handler, "__self__", None), "should_exit", False))


class Stream:
    """The ASGI application of the stream."""

    def __init__(self, hub: Hub, gate: Gate) -> None:
        self._hub = hub
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one client until it leaves or the server stops."""
        headers = Headers(scope=scope)
        try:
            given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [None])[0]
            lang = language(given, headers.get("accept-language"))
        except SatuDataError:
            return await _refuse(send, 400)
        if scope["method"] != "GET":
            return await _refuse(send, 405, {"allow": "GET"})
        if self._hub.clients >= MOST_CLIENTS or self._hub.stopping:
            return await _refuse(send, 503, {"retry-after": "30"})
        wake = self._hub.enter(lang)
        gone = asyncio.create_task(_gone(receive))
        try:
            await self._tell(send, headers, lang, wake, gone)
        except (TimeoutError, OSError):
            LOGGER.info("a client of the stream does not read any more")
        finally:
            self._hub.leave(lang, wake)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _tell(
        self, send: Send, headers: Headers, lang: str, wake: asyncio.Event, gone: asyncio.Task[None]
    ) -> None:
        said = {
            "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store",
            "x-accel-buffering": "no", "x-content-type-options": "nosniff", "content-language": lang,
            **{name.lower(): value for name, value in self._gate.cors(headers).items()},
        }  # fmt: skip
        raw = [(name.encode(), value.encode("latin-1")) for name, value in said.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        known = headers.get("last-event-id", "")
        await _send(send, f"retry: {_RETRY_MS}\n\n".encode() + self._beat())
        while not gone.done() and not self._hub.stopping:
            wake.clear()
            found = await self._hub.current(lang)
            if found is not None and found[0] != known:
                known = found[0]
                await _send(send, b"id: %s\nevent: state\ndata: %s\n\n" % (known.encode(), found[1]))
            waits = {gone, waker := asyncio.create_task(wake.wait())}
            try:
                done, _ = await asyncio.wait(waits, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waker.cancel()
            if not done:
                await _send(send, self._beat())
        if not gone.done():
            await _send(send, b"", more=False)

    def _beat(self) -> bytes:
        return b"event: beat\ndata: %s\n\n" % self._hub.now().encode()


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    """End when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int, headers: dict[str, str] | None = None) -> None:
    said = {"content-length": "0", "cache-control": "no-store", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in said.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
