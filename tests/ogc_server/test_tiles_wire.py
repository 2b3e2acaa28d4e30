"""Stored tiles answered below ASGI: whatever the client does on its line, it gets what ASGI would give it."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from starlette.types import ASGIApp, Receive, Scope, Send

from catalog.config import load_settings
from layers.tiles.grid import GRIDS
from ogc_server.app import create_app
from ogc_server.tiles_wire import TileProtocol
from tests.servers import PATIENCE, until
from tests.servers.ours import Deployment
from tests.servers.thread import in_thread

LAYER = "/collections/desa-cianjur"
SOURCE = """
id: cianjur
type: file
url: {file}
produsen_data: Badan Informasi Geospasial
layers:
  - {{remote: desa, id: desa-cianjur, feature_id: KDEPUM, licence: CC-BY-4.0}}
"""
CLOSED = """
id: tertutup
type: file
url: {file}
produsen_data: Badan Informasi Geospasial
layers:
  - {{remote: kabkota, id: tertutup, access: terbatas}}
"""
RASTER = """
id: bahaya
type: raster
url: {file}
produsen_data: BNPB
layers:
  - {{remote: bahaya, id: bahaya}}
"""
PER_REQUEST = {"x-request-id", "date"}
FAST = b"accept-encoding: gzip\r\n"


@dataclass
class Answer:
    """One answer as it came over the line."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.left = b""

    def more(self) -> bytes:
        got = self.socket.recv(65_536)
        self.left += got
        return got

    def answer(self, *, body: bool = True) -> Answer:
        while b"\r\n\r\n" not in self.left:
            assert self.more(), f"the line was closed after {self.left!r}"
        head, _, self.left = self.left.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header came twice"
        length = int(headers.get("content-length", 0)) if body else 0
        while len(self.left) < length:
            assert self.more(), "the line was closed within a body"
        found, self.left = self.left[:length], self.left[length:]
        return Answer(int(status.split()[1]), headers, found)

    def ask(self, path: str, extra: bytes = FAST, method: str = "GET", version: str = "1.1") -> None:
        self.socket.sendall(request(path, extra, method, version))

    def closed(self) -> bool:
        return self.socket.recv(1) == b""


def request(path: str, extra: bytes = FAST, method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nhost: satudata.test\r\n".encode() + extra + b"\r\n"


class CountingApp:
    """An ASGI application that counts the requests that reach it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.calls = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += scope["type"] == "http"
        await self.app(scope, receive, send)


def hazard(path: Path) -> Path:
    """A small index over Cianjur, 0 to 1."""
    values = np.linspace(0, 1, 64 * 64, dtype="float32").reshape(64, 64)
    place = {"crs": "EPSG:4326", "transform": from_origin(107.0, -6.6, 0.005, 0.005)}
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="float32", **place
    ) as to:
        to.write(values, 1)
    return path


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Deployment:
    made = Deployment(tmp_path_factory.mktemp("wire"))
    made.settings("harvest: {contact: test@example.org}\ntiles: {grids: [WebMercatorQuad]}\n")
    made.source("cianjur", SOURCE.format(file=shared_data / "cianjur_desa.gpkg"))
    made.source("tertutup", CLOSED.format(file=shared_data / "cianjur_desa.gpkg"))
    made.source("bahaya", RASTER.format(file=hazard(made.folder / "bahaya.tif")))
    made.run("harvest", "--all")
    made.run("tiles", "build", "--all")
    return made


@pytest.fixture(scope="module")
def app(deployment: Deployment) -> CountingApp:
    return CountingApp(create_app(load_settings(deployment.config, deployment.data)))


@pytest.fixture(scope="module")
def port(app: CountingApp) -> Iterator[int]:
    """Our application under our protocol."""
    with in_thread(app, http=TileProtocol) as base:
        yield int(base.rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def plain(deployment: Deployment) -> Iterator[int]:
    """The same application under uvicorn's own protocol."""
    with in_thread(create_app(load_settings(deployment.config, deployment.data))) as base:
        yield int(base.rsplit(":", 1)[1])


@contextmanager
def line(port: int) -> Iterator[Line]:
    made = Line(port)
    try:
        yield made
    finally:
        made.socket.close()


def tile(zoom: int, layer: str = LAYER, down: int = 0) -> str:
    """The address of the tile in the middle of Cianjur, or one `down` rows below it."""
    row, _, column, _ = GRIDS["WebMercatorQuad"].limits((107.14, -6.82, 107.14, -6.82), zoom)
    return f"{layer}/tiles/WebMercatorQuad/{zoom}/{row + down}/{column}"


def asked(port: int, sent: bytes, *, body: bool = True) -> Answer:
    with line(port) as made:
        made.socket.sendall(sent)
        return made.answer(body=body)


def test_a_stored_tile_never_becomes_an_asgi_call(app: CountingApp, port: int) -> None:
    before = app.calls
    with line(port) as made:
        made.ask(tile(11))
        first = made.answer()
        made.ask(tile(11), FAST + f"if-none-match: {first.headers['etag']}\r\n".encode())
        known = made.answer(body=False)
        made.ask(tile(11, down=900))
        nothing = made.answer()
    assert [first.status, known.status, nothing.status] == [200, 304, 204]
    assert len(gzip.decompress(first.body)) > 1000
    assert known.headers["etag"] == first.headers["etag"]
    assert known.headers["x-request-id"] != first.headers["x-request-id"]
    assert app.calls == before
    with line(port) as made:
        made.ask("/conformance")
        assert made.answer().status == 200
    assert app.calls == before + 1  # the count can rise


def picture(zoom: int, down: int = 0) -> str:
    return tile(zoom, "/collections/bahaya/map", down)


def test_neither_does_a_stored_picture_of_a_raster(app: CountingApp, port: int) -> None:
    """As browsers and MapLibre ask: `<img>` prefers other formats and takes any."""
    until(lambda: asked(port, request(picture(7))).headers.get("content-type") == "image/png", "it is drawn")
    until(lambda: reached(app, port, picture(7)) == 0, "the archive lies ready")
    accept = b"accept: image/avif,image/webp,image/apng,image/*,*/*;q=0.8\r\n"
    with line(port) as made:
        made.ask(picture(7), accept)
        first = made.answer()
        made.ask(picture(7), accept + f"if-none-match: {first.headers['etag']}\r\n".encode())
        known = made.answer(body=False)
        made.ask(picture(7, down=9), accept)
        nothing = made.answer()
    assert [first.status, known.status, nothing.status] == [200, 304, 200]
    assert first.body[:8] == nothing.body[:8] == b"\x89PNG\r\n\x1a\n"
    assert first.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3857>"
    assert len(nothing.body) < len(first.body)
    assert reached(app, port, picture(7), accept) == 0
    assert reached(app, port, picture(7), b"accept: image/png;q=0\r\n") == 1
    drawn = asked(port, request(picture(7) + "?width=256", accept))  # the long way, drawn anew
    assert drawn.body == first.body


def reached(app: CountingApp, port: int, path: str, extra: bytes = FAST) -> int:
    """How many ASGI calls a request comes to."""
    before = app.calls
    asked(port, request(path, extra))
    return app.calls - before


EXTRAS = (
    b"accept-encoding: gzip, deflate, br\r\n", b"accept-encoding: gzip;q=0\r\n", b"accept: */*\r\n",
    b"accept: application/json\r\n", b"accept: application/vnd.mapbox-vector-tile\r\n",
    b"Origin: https://peta.example\r\n", b"X-Request-Id: abc\r\n", b'If-None-Match: "x"\r\n',
    b"if-none-match: *\r\n", b"accept-language: en\r\n", b"range: bytes=0-10\r\n",
    b"content-length: 0\r\n", b"connection: close\r\n", b"expect: 100-continue\r\n",
)  # fmt: skip
PATHS = (
    tile(5), tile(11), tile(12), tile(15), tile(11, down=900), tile(11) + "?f=mvt", tile(11) + "?version=1",
    tile(11) + "?version=2", tile(11) + "?f=mvt&version=1", tile(11) + "?", tile(11) + "?f=json",
    tile(11) + "?x=1", tile(11, "/collections/tertutup"), tile(11, "/collections/tidak-ada"),
    picture(7), picture(7) + "?f=png", picture(7) + "?f=mvt", picture(7) + "?version=1", picture(20),
    picture(7, down=9), f"{LAYER}/map/tiles/WebMercatorQuad/7/66/102",
    f"{LAYER}/tiles/WebMercatorQuad/11/99999/1", f"{LAYER}/tiles/WebMercatorQuad/a/1/1",
    f"{LAYER}/tiles/GoogleMapsCompatible/1/1/1", f"{LAYER}/tiles", "/", "//", "/collections/%2e%2e/tiles",
)  # fmt: skip


@settings(max_examples=120)
@given(
    path=st.sampled_from(PATHS),
    extras=st.lists(st.sampled_from(EXTRAS), unique=True, max_size=4),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE"]),
    version=st.sampled_from(["1.1", "1.1", "1.0"]),
    cut=st.integers(1, 200),
)
def test_answers_are_those_of_asgi(
    port: int, plain: int, path: str, extras: list[bytes], method: str, version: str, cut: int
) -> None:
    """Whatever is asked, in whatever pieces it comes: status, headers and bytes are the same."""
    if method in ("POST", "DELETE"):  # a body of no bytes is still said to be there
        extras = [one for one in extras if b"expect" not in one]
    sent = request(path, b"".join(extras), method, version)
    told = []
    for where in (port, plain):
        with line(where) as made:
            made.socket.sendall(sent[:cut])
            made.socket.sendall(sent[cut:])
            answer = made.answer(body=method != "HEAD")
            if answer.status == 100:
                answer = made.answer(body=method != "HEAD")
        shared = {name: value for name, value in answer.headers.items() if name not in PER_REQUEST}
        assert answer.headers.keys() >= PER_REQUEST or answer.status == 400
        body = (
            b"" if "json" in answer.headers.get("content-type", "") else answer.body
        )  # has the request's id
        told.append((answer.status, shared, body))
    assert told[0] == told[1]


def test_a_pipeline_is_answered_in_its_order(port: int) -> None:
    """Short and long ways mixed: no tile overtakes an answer that was asked for before it."""
    paths = [tile(11), "/conformance", tile(10), tile(9), f"{LAYER}/items?limit=5", tile(8), "/", tile(7)]
    with line(port) as made:
        made.socket.sendall(b"".join(request(path) for path in paths))
        together = [made.answer() for _ in paths]
    alone = [asked(port, request(path)) for path in paths]
    assert [one.headers.get("etag") for one in together] == [one.headers.get("etag") for one in alone]
    assert [one.body for one in together[::2]] == [one.body for one in alone[::2]]


def test_a_reader_that_stops_reading_fills_no_memory(app: CountingApp, port: int) -> None:
    """Where the line is full, the rest of a pipeline waits as uvicorn lets it wait; all of it comes."""
    count, size = 400, len(asked(port, request(tile(8))).body)
    before = app.calls
    with line(port) as made:
        made.socket.sendall(request(tile(8)) * count)
        until(lambda: app.calls > before, "the line is full")
        assert sum(len(made.answer().body) for _ in range(count)) == count * size


def test_a_line_that_is_to_be_closed_is_closed(port: int) -> None:
    for sent in (request(tile(11), FAST + b"connection: close\r\n"), request(tile(11), version="1.0")):
        with line(port) as made:
            made.socket.sendall(sent)
            assert made.answer().status == 200
            assert made.closed()


def test_an_idle_line_is_closed_and_a_stop_waits_for_nobody(deployment: Deployment) -> None:
    """Time limits and shutdown are uvicorn's: neither leaves a line hanging after a tile."""
    made = create_app(load_settings(deployment.config, deployment.data))
    with in_thread(made, http=TileProtocol, keep_alive=1) as base, line(int(base.rsplit(":", 1)[1])) as idle:
        idle.ask(tile(11))
        assert idle.answer().status == 200
        assert idle.closed()
        with line(int(base.rsplit(":", 1)[1])) as other:
            other.ask(tile(11))
            assert other.answer().status == 200
            # leaving the block stops the server while this line is open


def test_what_is_no_http_is_refused_and_the_next_line_is_served(port: int) -> None:
    with line(port) as made:
        made.ask(tile(11))
        assert made.answer().status == 200
        made.socket.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert made.answer().status == 400
        assert made.closed()
    assert asked(port, request(tile(11))).status == 200


def test_a_layer_that_is_closed_is_closed_on_lines_that_are_open(deployment: Deployment) -> None:
    """The short way asks the same snapshot as the long way: nothing old is served from below."""
    with deployment.serving(workers=2) as base, line(int(base.rsplit(":", 1)[1])) as made:
        made.ask(tile(11))
        assert made.answer().status == 200
        deployment.run("dataset", "edit", "desa-cianjur", "access=internal")

        def gone() -> bool:
            made.ask(tile(11))
            return made.answer().status in (404, 410)

        until(gone, "a layer that is no longer public is gone")
