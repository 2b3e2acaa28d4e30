"""`satudata serve` and the scheduler beside it come and go together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ogc_server.world import make_settings
from tests.servers import PATIENCE, free_port, listens


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(done: object, seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_scheduler_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    settings = make_settings(tmp_path)
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "--config",
        str(settings.config_dir),
        "--data",
        str(settings.data_dir),
    ]
    port = free_port()
    server = subprocess.Popen(
        [*command, "serve", "--port", str(port), "--workers", "1"], stderr=subprocess.DEVNULL
    )
    children: list[int] = []
    try:
        assert _until(lambda: _children(server.pid)), "the scheduler did not start"
        children = _children(server.pid)
        assert _until(lambda: listens(port)), "the server did not start"  # both are at work
        server.send_signal(how)
        server.wait(PATIENCE)
        assert _until(lambda: not any(_running(child) for child in children)), "the scheduler went on alone"
    finally:
        server.kill()
        for child in filter(_running, children):
            os.kill(child, signal.SIGKILL)
