"""Measuring a server from outside: CPU seconds and peak memory from the kernel, wall time per request."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

_TICK = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return `pid` and all processes below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += children(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User plus system time of a process tree."""
    total = 0
    for one in children(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def peak_mib(pid: int) -> float:
    """Largest resident size that any process of the tree has had, in MiB."""
    peaks = []
    for one in children(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                peaks.append(int(line.split()[1]) / 1024)
    return max(peaks, default=0.0)


@dataclass(frozen=True)
class Timing:
    """Milliseconds: CPU per request (mean over the batch), wall median and 99th percentile."""

    cpu: float
    wall_median: float
    wall_p99: float


def requests_timed(
    pids: list[int], url: str, count: int, verify: Callable[[requests.Response], None]
) -> Timing:
    """Ask `url` `count` times on one connection; the first two answers are not counted."""
    walls = []
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        for _ in range(2):
            verify(session.get(url, timeout=300))
        before = sum(map(cpu_seconds, pids))
        for _ in range(count):
            start = time.perf_counter()
            answer = session.get(url, timeout=300)
            walls.append(time.perf_counter() - start)
        spent = sum(map(cpu_seconds, pids)) - before
        verify(answer)
    ordered = sorted(walls)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Timing(spent / count * 1000, statistics.median(walls) * 1000, p99 * 1000)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yield a function that tells the seconds since the block began."""
    start = time.perf_counter()
    yield lambda: time.perf_counter() - start


def wait_for(url: str, seconds: float = 300) -> float:
    """Wait until `url` answers 200; return the seconds it took."""
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        try:
            if requests.get(url, timeout=seconds).ok:
                return time.perf_counter() - start
        except requests.ConnectionError:
            pass
        time.sleep(0.02)
    raise TimeoutError(url)
