"""Fixtures of the harvesters' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harvesters.support import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One deployment in a folder, with a scripted upstream."""
    made = World(tmp_path)
    yield made
    made.close()
