"""The server that is watched: killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import children
from benchmarks.soak.processes import proc
from tests.servers import end
from tests.servers.ours import Deployment, environment, wait_until_serving

PATIENCE = 120.0
"""Seconds within which a change must show: a page that does not show it is stuck."""


@dataclass
class Server:
    """`satudata serve` with two workers on one port, started again and again."""

    deployment: Deployment
    port: int
    child: subprocess.Popen[bytes] | None = None
    restarts: int = -1
    seen: set[int] = field(default_factory=set)

    def start(self) -> None:
        log = self.deployment.folder / "serve.log"
        command = self.deployment.command(
            "serve", "--port", str(self.port), "--workers", "2", "--no-schedule"
        )
        with log.open("ab") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=out, env=environment())
        wait_until_serving(f"http://127.0.0.1:{self.port}", self.child, log, seconds=10 * PATIENCE)
        self.restarts += 1

    def stop(self) -> None:
        assert self.child is not None
        if self.child.poll() is None:
            self.seen |= set(self.pids())
        end(self.child)
        deadline = time.monotonic() + PATIENCE
        while left := [pid for pid in self.seen if Path(f"/proc/{pid}").exists()]:
            if time.monotonic() > deadline:
                names = [proc(pid, "cmdline").replace(b"\0", b" ").decode() for pid in left]
                raise SystemExit(f"FAILED: processes of the server stay after its end: {names}")
            time.sleep(0.1)
        self.seen.clear()

    def pids(self) -> list[int]:
        assert self.child is not None
        return children(self.child.pid)

    def workers(self) -> list[int]:
        return [pid for pid in self.pids() if b"spawn_main" in proc(pid, "cmdline")]

    def kill_a_worker(self) -> None:
        os.kill(self.workers()[0], signal.SIGKILL)

    def held(self) -> int:
        """Return how many connections of clients are open, as the kernel has them (state 01)."""
        port = f":{self.port:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(one[1].endswith(port) and one[3] == "01" for one in lines)
