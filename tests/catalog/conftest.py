"""A fresh catalog on each database: the same tests run over SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.store import Catalog
from tests.servers.postgres import Postgres


class FakeClock:
    """A clock that stands still until told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.database()
    yield url
    server.drop(url)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy: migrating once is enough for most tests."""
    path = tmp_path_factory.mktemp("migrated") / "catalog.sqlite"
    Catalog.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    """The URL of a migrated PostgreSQL database to copy."""
    url = postgres.database()
    Catalog.open(url).close()
    return url


@pytest.fixture
def catalog_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database of each kind, without any data."""
    if kind == "sqlite":
        path = tmp_path / "catalog.sqlite"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.database(like=request.getfixturevalue("migrated_database"))
    yield url
    server.drop(url)


@pytest.fixture
def catalog(catalog_url: str, clock: FakeClock) -> Iterator[Catalog]:
    with Catalog.open(catalog_url, clock) as opened:
        yield opened


@pytest.fixture
def second(catalog: Catalog, catalog_url: str, clock: FakeClock) -> Iterator[Callable[[], Catalog]]:
    """Open the same database once more, as another process would."""
    opened: list[Catalog] = []

    def make() -> Catalog:
        opened.append(Catalog.open(catalog_url, clock))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
