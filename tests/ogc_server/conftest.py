"""A running server over real data, asked as clients ask: over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ogc_server.app import create_app
from tests.ogc_server.world import World, fill, make_settings, open_world
from tests.servers.thread import in_thread


@contextmanager
def running(world: World) -> Iterator[str]:
    """Serve a world; yield its address."""
    with in_thread(create_app(world.settings, catalog=world.catalog, store=world.store)) as url:
        yield url


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
