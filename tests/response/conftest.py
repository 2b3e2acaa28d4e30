"""A desk that watches BMKG."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ogc_server.world import World
from tests.response.world import Desk, bmkg, fill, make


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A deployment with Cianjur's desa, a count each, and five stores, to copy."""
    folder = tmp_path_factory.mktemp("filled") / "desk"
    made = make(folder)
    fill(World(made.settings, made.catalog, made.store), shared_data)
    made.responder().run()  # makes the index of the boundaries
    made.close()
    return folder


@pytest.fixture
def desk(tmp_path: Path, filled: Path) -> Iterator[Desk]:
    shutil.copytree(filled, tmp_path / "desk")
    made = make(tmp_path / "desk")
    with bmkg(made):
        yield made
    made.close()
