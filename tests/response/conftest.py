"""A desk that watches BMKG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.response.world import Desk, bmkg, make


@pytest.fixture
def desk(tmp_path: Path, shared_data: Path) -> Iterator[Desk]:
    made = make(tmp_path, shared_data)
    with bmkg(made):
        yield made
    made.store.close()
    made.catalog.close()
