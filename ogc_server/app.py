"""The ASGI application: reads the request, runs the handler in a thread, adds what every answer has.

Starlette gives routing of assets and the lifespan; our own dispatcher serves the rest from the route
table, so that an encoded slash in a feature id survives and every answer passes one gate.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Mount
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Receive, Scope, Send

from catalog.clock import Clock, utc_now
from catalog.errors import SatuDataError
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import LayerStore
from layers.open import open_store
from ogc_server import routes, viewer
from ogc_server.answer import Answer, NotModifiedError
from ogc_server.ask import Ask, base_address, segment, split_path
from ogc_server.assets import Assets
from ogc_server.errors import MethodError, ParameterError, TooLargeError
from ogc_server.gate import Gate
from ogc_server.kendali.rehearsal import rehearse
from ogc_server.kendali.stream import Hub, Stream
from ogc_server.live import Live
from ogc_server.negotiation import choose, language
from ogc_server.parameters import positive, read, split_query
from ogc_server.problems import problem
from ogc_server.processes.runner import Runner
from ogc_server.processes.warm import Warmer
from ogc_server.raster_watch import RasterWatch
from ogc_server.readers import Readers
from ogc_server.route import Route
from ogc_server.service import ApiCache, Service
from ogc_server.snapshot import missing
from ogc_server.tiles_fast import FastTiles
from ogc_server.tiles_wire import lifespan_state

LOGGER = logging.getLogger("ogc_server.access")
THREADS = 8
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Dispatcher:
    """Everything but the assets. `service` is set while the application lives."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings.server)
        self.fast = FastTiles(self.gate)
        self.service: Service | None = None
        self.pool: ThreadPoolExecutor | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if await self._answered_fast(scope, send):
            return
        started = time.perf_counter()
        ask = self._ask(scope)
        answer = await self._answer(scope, receive, ask)
        status = await self.gate.send(answer, ask, send, receive)
        spent = (time.perf_counter() - started) * 1000
        LOGGER.info("%s %s %s %.1fms id=%s", ask.method, ask.path, status, spent, ask.request_id)

    async def _answered_fast(self, scope: Scope, send: Send) -> bool:
        """Answer a stored tile that a server other than ours (`tiles_wire`) let through."""
        target = scope.get("raw_path") or b""
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        reply = self.fast.reply(target, scope["headers"]) if scope["method"] == "GET" else None
        if reply is None:
            return False
        headers = [*reply.common.raw, *reply.own]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return True

    def _ask(self, scope: Scope) -> Ask:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        return Ask(
            method=scope["method"],
            path="/",
            base=(self.settings.server.url or "").rstrip("/"),
            pairs=(),
            headers=headers,
            client=(scope.get("client") or ("",))[0],
            request_id=given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex,
        )

    async def _answer(self, scope: Scope, receive: Receive, ask: Ask) -> Answer:
        try:
            route = self._read(scope, ask)
            if ask.method == "OPTIONS":
                return self.gate.options(ask, _allowed(route))
            if ask.method == "POST":
                ask.body = await _body(receive, route.max_body)
            if self.service is None or self.pool is None:
                raise RuntimeError("the application is not started")
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.pool, self._handle, self.service, route, ask)
        except Exception as error:
            return problem(error, ask)

    def _read(self, scope: Scope, ask: Ask) -> Route:
        headers = ask.headers
        ask.lang = _kindly(headers.get("accept-language"))
        ask.base = ask.base or base_address(
            scope["scheme"], headers.get("host"), scope.get("server"), scope.get("root_path", "")
        )
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        segments = split_path(raw.split(b"?")[0])
        ask.path = "/" + "/".join(segment(part) for part in segments)
        ask.pairs = split_query(scope.get("query_string", b""))
        ask.lang = language(dict(ask.pairs).get("lang"), headers.get("accept-language"))
        found = routes.find(segments)
        if found is None:
            raise missing("route", "")
        route, ask.arguments = found
        if ask.method not in _methods(route):
            raise MethodError(allow=_allowed(route))
        return route

    def _handle(self, service: Service, route: Route, ask: Ask) -> Answer:
        """Run in a thread of the pool, on one snapshot from beginning to end."""
        snapshot = service.live.snapshot
        try:
            given = dict(ask.pairs)
            ask.chosen = choose(route.offers, ask.headers.get("accept"), given.get("f"))
            version = positive("version", given["version"]) if "version" in given else None
            names = routes.free_names(route, snapshot, ask, version)
            ask.values = read(route.table(service.settings.server), ask.pairs, names)
            answer = route.handler(service, snapshot, ask)
            if answer.tag:
                ask.demand(answer.tag)
            return answer
        except NotModifiedError as known:
            return Answer(b"", status=304, tag=known.tag, cache=known.cache)


def _kindly(accept_language: str | None) -> Any:
    try:
        return language(None, accept_language)
    except SatuDataError:
        return "id"


def _allowed(route: Route) -> str:
    return ", ".join(_methods(route))


def _methods(route: Route) -> tuple[str, ...]:
    reading = ("GET", "HEAD") if "GET" in route.methods else ()
    return (*reading, "OPTIONS", *(method for method in route.methods if method != "GET"))


async def _body(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ParameterError("query.empty", "body")
        size += len(message.get("body", b""))
        if size > most:
            raise TooLargeError(where="body", max=most)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def create_app(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    store: LayerStore | None = None,
    clock: Clock = utc_now,
) -> ASGIApp:
    """Return the application. Catalog and store are opened at start unless they are given."""
    dispatcher = Dispatcher(settings)
    hub = Hub(lambda: dispatcher.service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        own = catalog is None
        book = catalog if catalog is not None else Catalog.open(settings.database_url(), clock)
        layers = store if store is not None else open_store(settings, clock=clock)
        readers = Readers(layers)
        live = Live(book, clock)
        dispatcher.service = dispatcher.fast.service = Service(
            settings, book, live, readers, clock, ApiCache()
        )
        dispatcher.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ogc")
        app.state.service = dispatcher.service
        follower = asyncio.create_task(live.follow(settings.server.reload_seconds))
        watcher = asyncio.create_task(hub.run())
        runner = Runner(settings, book, clock)
        runner.start()
        first = partial(viewer.first_picture, dispatcher.service)
        last = partial(rehearse, dispatcher.service)
        warmer = Warmer(settings, live, dispatcher.service.desk(), first, last)
        warmer.start()
        rasters = RasterWatch(dispatcher.service, dispatcher.pool, THREADS)
        rasters.start()
        try:
            yield lifespan_state(dispatcher.fast)
        finally:
            hub.stop()
            for task in (follower, watcher):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(warmer.stop)
            await asyncio.to_thread(rasters.stop)
            await asyncio.to_thread(runner.stop)
            dispatcher.pool.shutdown(wait=True)
            readers.close()
            dispatcher.service.rasters().close()
            if own:
                book.close()
            if store is None and callable(close := getattr(layers, "close", None)):
                close()

    stream = Path("/kendali/stream", Stream(hub, dispatcher.gate))
    app = Starlette(routes=[Mount("/static", Assets(dispatcher.gate)), stream], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = dispatcher  # any other path, also one that no route pattern could match
    return app
