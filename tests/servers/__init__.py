"""Real servers for tests, each started on a free loopback port and stopped by its process id.

Where a part can not be had, the test says SKIPPED with the reason. `SATUDATA_REQUIRE` (`all`, or
names with commas) turns such a skip into a failure: CI sets it, so nothing is skipped in silence.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

PATIENCE = 120.0
"""Seconds that a test waits for what must come. Long on purpose: a machine may be busy, and waiting costs
nothing where the thing comes; only a test that fails waits to the end."""

_LOWEST, _HIGHEST = 20_000, 32_000  # below what systems give to outgoing connections (32768 and up)
_held: list[int] = []  # files that say "this port is mine"; open, so locked, until this process ends


def missing(name: str, reason: str) -> NoReturn:
    """Skip because part `name` is not here; fail instead where it is required."""
    required = {part.strip() for part in os.environ.get("SATUDATA_REQUIRE", "").split(",")}
    if "all" in required or name in required:
        pytest.fail(f"required part '{name}' is missing: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


def until(
    come: Callable[[], object], what: str = "", *, seconds: float = PATIENCE, pause: float = 0.05
) -> None:
    """Wait until `come` is true; fail, saying `what`, when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < deadline, f"did not come within {seconds:g} s: {what or come}"
        time.sleep(pause)


def listens(port: int) -> bool:
    """Tell whether somebody listens on a loopback port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def end(child: subprocess.Popen[Any]) -> None:
    """End a process that we started; by force when it does not go."""
    child.terminate()
    try:
        child.wait(PATIENCE / 2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that nobody else is given while we live.

    Asking the system for any free port and binding it later is a race: two test processes may be told
    the same one, and any outgoing connection may take it. So the port is from below the range that the
    system gives out by itself, and a lock on a file keeps other test processes from it.
    """
    folder = Path(tempfile.gettempdir()) / f"satudata-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    numbers = list(range(_LOWEST, _HIGHEST))
    random.shuffle(numbers)
    for number in numbers:
        file = os.open(folder / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", number))
        except OSError:
            os.close(file)
            continue
        _held.append(file)
        return number
    raise AssertionError("no free port")
