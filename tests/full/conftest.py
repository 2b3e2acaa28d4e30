"""The full bench: fixtures of a real CKAN. Every test in this folder is marked `full`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.ckan import ckan
from tests.servers.solr import solr

__all__ = ["ckan", "solr"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.full)
