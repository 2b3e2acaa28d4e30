"""An HTTP server on loopback that misbehaves as it is told.

`server.on("/path", step, step, ...)` scripts a path: the n-th request gets the n-th step, and the last
one repeats. A step is a function of the request's handler; the ones here break HTTP, and any test can
write its own with `reply`. `PagedItems` is a small JSON listing whose switches break paging.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

type Step = Callable[[Handler], None]


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together: no waiting for delayed acknowledgements
    seen: Seen

    def _do(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.seen = Seen(self.command, parts.path, params, dict(self.headers), body)
        with suppress(ConnectionError):
            self.server.misbehaving.answer(self)  # type: ignore[attr-defined]

    do_GET = do_POST = do_HEAD = do_PUT = _do  # noqa: N815 - names of the standard library

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def reply(self, body: bytes | str | Any, status: int = 200, **headers: str) -> None:
        """Answer well; `headers` are named with `_` for `-`. Anything but bytes or text is sent as JSON."""
        kind = "text/plain; charset=utf-8"
        if not isinstance(body, bytes | str):
            body, kind = json.dumps(body), "application/json"
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(data))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def start(self, **headers: str) -> None:
        """Begin an answer whose body the step writes itself; the connection closes after it."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True


class Misbehaving:
    """The server; `seen` are the requests in order."""

    def __init__(self) -> None:
        self._steps: dict[str, list[Step]] = {}
        self._count: dict[str, int] = {}
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        self.released = threading.Event()
        self.at_once = self.most_at_once = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.misbehaving = self  # type: ignore[attr-defined]
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def on(self, path: str, *steps: Step) -> str:
        """Script a path; return its address."""
        with self._lock:
            self._steps[path], self._count[path] = list(steps), 0
        return self.url + path

    def asked(self, path: str) -> list[Seen]:
        """Return the requests for a path."""
        return [seen for seen in self.seen if seen.path == path]

    def answer(self, handler: Handler) -> None:
        path = handler.seen.path
        with self._lock:
            self.seen.append(handler.seen)
            steps = self._steps.get(path)
            turn = self._count[path] = self._count.get(path, 0) + 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if not steps:
                handler.reply("not here", 404)
            else:
                steps[min(turn, len(steps)) - 1](handler)
        finally:
            with self._lock:
                self.at_once -= 1

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(60)


@contextmanager
def misbehaving() -> Iterator[Misbehaving]:
    """Serve while in the context."""
    server = Misbehaving()
    try:
        yield server
    finally:
        server.close()


# -- steps ------------------------------------------------------------------------------------------


def good(body: Any = "well", status: int = 200, **headers: str) -> Step:
    """Answer as it should be."""
    return lambda handler: handler.reply(body, status, **headers)


def busy(retry_after: str = "", status: int = 429) -> Step:
    """Refuse for now, with a Retry-After when given."""
    return good("slow down", status, **({"Retry_After": retry_after} if retry_after else {}))


def hang(seconds: float = 300.0) -> Step:
    """Take the request and say nothing."""

    def step(handler: Handler) -> None:
        handler.server.misbehaving.released.wait(seconds)  # type: ignore[attr-defined]
        handler.close_connection = True

    return step


def drip(every: float = 0.05, count: int = 2000) -> Step:
    """Send a byte now and then: never silent, never done."""

    def step(handler: Handler) -> None:
        handler.start(Content_Type="text/plain", Content_Length=str(count))
        for _ in range(count):
            if handler.server.misbehaving.released.wait(every):  # type: ignore[attr-defined]
                return
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return step


def cut(body: bytes, promised: int) -> Step:
    """Promise more bytes than are sent."""

    def step(handler: Handler) -> None:
        handler.start(Content_Length=str(promised))
        handler.wfile.write(body)

    return step


def cut_chunks(body: bytes) -> Step:
    """Send a chunked body without its end."""

    def step(handler: Handler) -> None:
        handler.start(Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))

    return step


def cut_gzip(body: bytes) -> Step:
    """Send half a gzip stream and close, without a length that would tell."""
    data = gzip.compress(body)

    def step(handler: Handler) -> None:
        handler.start(Content_Encoding="gzip")
        handler.wfile.write(data[: len(data) // 2])

    return step


def gzip_bomb(size: int = 200 * 2**20) -> Step:
    """Send a small gzip that unpacks to `size` zero bytes."""
    data = gzip.compress(bytes(size), 9)
    return lambda handler: handler.reply(data, Content_Encoding="gzip", Content_Type="application/json")


def endless() -> Step:
    """Send without end and without a length."""

    def step(handler: Handler) -> None:
        handler.start(Content_Type="text/plain")
        while not handler.server.misbehaving.released.is_set():  # type: ignore[attr-defined]
            handler.wfile.write(b"x" * 65536)

    return step


def reset() -> Step:
    """Close without a word."""

    def step(handler: Handler) -> None:
        handler.close_connection = True

    return step


def redirect(to: str, status: int = 302) -> Step:
    """Point elsewhere."""
    return good("moved", status, Location=to)


def file_of(data: bytes, *, etag: str = '"one"', cut_at: int | None = None, ranges: bool = True) -> Step:
    """Serve a file with ranges; `cut_at` closes the first whole answer there."""

    def step(handler: Handler) -> None:
        asked = handler.seen.headers.get("Range", "")
        if ranges and asked and handler.seen.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.reply(data[start:], 206, Content_Range=span, ETag=etag)
        elif cut_at is not None:
            handler.start(Content_Length=str(len(data)), ETag=etag)
            handler.wfile.write(data[:cut_at])
        else:
            handler.reply(data, ETag=etag, Content_Type="application/octet-stream")

    return step


class PagedItems:
    """`GET PATH?start=&limit=` -> `{"total", "items": [{"id", "name"}]}`, with switches to break it.

    Use it as a step: `server.on("/items", PagedItems(250, short=True))`.
    """

    def __init__(
        self,
        count: int,
        *,
        cap: int = 100,
        short: bool = False,
        repeated: bool = False,
        error_in_200_at: int | None = None,
        truncated_at: int | None = None,
        shrinks_at: int | None = None,
        duplicate: bool = False,
        auth_ends_at: int | None = None,
    ) -> None:
        self.items = [{"id": str(i), "name": f"Item {i}"} for i in range(1, count + 1)]
        self.cap, self.short, self.repeated, self.duplicate = cap, short, repeated, duplicate
        self.error_in_200_at, self.truncated_at = error_in_200_at, truncated_at
        self.shrinks_at, self.auth_ends_at = shrinks_at, auth_ends_at

    def __call__(self, handler: Handler) -> None:
        start = int(handler.seen.params.get("start", 0))
        limit = min(int(handler.seen.params.get("limit", self.cap)), self.cap)
        items = self.items if self.shrinks_at is None or start < self.shrinks_at else self.items[:start]
        if self.auth_ends_at is not None and start >= self.auth_ends_at:
            handler.reply({"error": "token expired"}, 401)
            return
        if self.error_in_200_at is not None and start >= self.error_in_200_at:
            handler.reply({"error": {"code": 500, "message": "Error performing query operation"}})
            return
        page = items[0 if self.repeated else start :][: limit // 2 if self.short else limit]
        if self.duplicate and page:
            page = [*page[:-1], page[0]]
        body = json.dumps({"total": len(self.items), "items": page})
        if self.truncated_at is not None and start >= self.truncated_at:
            body = body[: len(body) // 2]
        handler.reply(body, Content_Type="application/json")
