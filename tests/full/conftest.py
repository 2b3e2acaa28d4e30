"""The full bench: fixtures of a real CKAN; every test here is marked `full`."""

from __future__ import annotations

import pytest

from tests.servers.ckan import ckan
from tests.servers.postgres import postgres
from tests.servers.solr import solr

__all__ = ["ckan", "postgres", "solr"]

pytestmark = pytest.mark.full
