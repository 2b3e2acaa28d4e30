"""Desks of pusat kendali: one that is only looked at, and fresh ones to change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kendali.world import happen, prepare, serving, warn
from tests.response.conftest import filled
from tests.response.world import Desk, bmkg, make

__all__ = ["filled"]


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory, filled: Path) -> Iterator[Desk]:
    """A desk after the earthquake of Cianjur, with a warning; tests do not change it."""
    folder = tmp_path_factory.mktemp("quiet") / "desk"
    shutil.copytree(filled, folder)
    made = make(folder)
    with bmkg(made):
        prepare(made)
        happen(made)
        warn(made, "hujan-1")
        yield made
    made.close()


@pytest.fixture(scope="session")
def address(quiet: Desk) -> Iterator[str]:
    with serving(quiet) as url:
        yield url


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, filled: Path) -> Iterator[Desk]:
    """A desk on which nothing has happened yet."""
    shutil.copytree(filled, tmp_path / "desk")
    made = make(tmp_path / "desk")
    with bmkg(made):
        prepare(made)
        yield made
    made.close()
