"""Real servers for tests, each started on a free loopback port and stopped by its process id.

Where a part can not be had, the test says SKIPPED with the reason. `SATUDATA_REQUIRE` (`all`, or
names with commas) turns such a skip into a failure: CI sets it, so nothing is skipped in silence.
"""

from __future__ import annotations

import os
import socket
from typing import NoReturn

import pytest


def missing(name: str, reason: str) -> NoReturn:
    """Skip because part `name` is not here; fail instead where it is required."""
    required = {part.strip() for part in os.environ.get("SATUDATA_REQUIRE", "").split(",")}
    if "all" in required or name in required:
        pytest.fail(f"required part '{name}' is missing: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


def free_port() -> int:
    """Ask the system for a free loopback port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
