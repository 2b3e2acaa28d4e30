"""What the kernel says of processes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def proc(pid: int, name: str) -> bytes:
    """Return a file of a process; nothing when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def own_mib(pids: list[int]) -> float:
    """Return the memory that these processes share with nobody."""
    lines = b"\n".join(proc(pid, "smaps_rollup") for pid in pids).splitlines()
    return sum(int(one.split()[1]) for one in lines if one.startswith(b"Private_")) / 1024


def counted(pids: list[int], name: str) -> int:
    """Return how many entries the folder `name` of these processes has: `fd`, `task`."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/{name}"))
    return total
