"""Fixtures for all rooms. The network is closed but for loopback."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import missing
from tests.servers.browser import browser
from tests.servers.postgres import postgres
from tests.servers.sample import harvested_sample

__all__ = ["browser", "harvested_sample", "postgres"]  # fixtures that stand in tests/servers

# The same examples at every run, however slow the machine: a change is judged by what it changed.
# `--hypothesis-profile=seek` looks for new ones.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
    ],
)
settings.register_profile("seek", settings.get_profile("steady"), derandomize=False, print_blob=True)
settings.load_profile("steady")

_REAL_CONNECT = socket.socket.connect


# The slowest files begin first, so that no worker sits idle while another one ends with them
# (`--dist loadfile --no-loadscope-reorder`; a file stays with one worker, as its fixtures do).
SLOWEST = (
    "cli/test_road.py",
    "analysis/test_verify_spark.py",
    "kendali/test_page.py",
    "ogc_server/test_viewer.py",
    "ogc_server/test_pages.py",
    "harvesters/test_crash.py",
    "harvesters/test_bad_input_files.py",
    "cli/test_use_docs.py",
    "harvesters/test_arcgis_road.py",
    "cli/test_serve.py",
    "cli/test_downloads.py",
    "ogc_server/test_processes_served.py",
    "ogc_server/test_processes_jobs.py",
    "ogc_server/test_live.py",
    "catalog/test_regions.py",
    "kendali/test_stream.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    order = {here / name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


class NetworkClosedError(RuntimeError):
    """A test tried to reach something that is not this machine."""


def _guarded(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        host = str(address[0])
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise NetworkClosedError(f"network is closed in tests: {host}")
    return _REAL_CONNECT(self, address)


@pytest.fixture(autouse=True, scope="session")
def _network_closed() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _guarded)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The team's `shared` folder beside the repository (SATUDATA_SHARED names another)."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    path = Path(os.environ.get("SATUDATA_SHARED", default))
    if not path.is_dir():
        missing("shared", "no shared folder with real data beside the repository")
    return path


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real boundaries and code tables."""
    return shared / "data"


@pytest.fixture(scope="session")
def shared_samples(shared: Path) -> Path:
    """Captured answers of the upstream services."""
    return shared / "samples"
