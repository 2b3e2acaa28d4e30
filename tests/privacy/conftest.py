"""One deployment per test, watched: whatever is planted must not come out anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.privacy.watch import Watched
from tests.servers.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture
def watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Watched]:
    """A deployment in a folder; its logs are kept from INFO up."""
    caplog.set_level(logging.INFO)
    made = Watched(tmp_path / "rumah", caplog)
    yield made
    made.close()
