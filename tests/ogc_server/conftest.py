"""A running server over real data, asked as clients ask: over HTTP on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from ogc_server.app import create_app
from tests.ogc_server.world import World, fill, make_settings, open_world
from tests.servers import free_port


@contextmanager
def running(world: World) -> Iterator[str]:
    """Serve a world on a free port; yield its address; stop it and join its thread."""
    port = free_port()
    app = create_app(world.settings, catalog=world.catalog, store=world.store)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    """Cianjur's villages and some more; tests do not change it."""
    made = open_world(make_settings(tmp_path_factory.mktemp("world")))
    fill(made, shared_data)
    yield made
    made.close()


@pytest.fixture(scope="session")
def address(world: World) -> Iterator[str]:
    """Where the server of `world` listens."""
    with running(world) as url:
        yield url


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    """A client that sends no Accept preferences of its own."""
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """An empty world that a test may change."""
    made = open_world(make_settings(tmp_path))
    yield made
    made.close()
