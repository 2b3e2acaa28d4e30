"""One point over HTTP: server time of `POST /processes/verifikasi-lokasi/execution`, nationwide.

`python -m benchmarks.verify_http --data DIR --boundaries COLLECTION [--code COLUMN]` serves a
deployment that holds the boundaries with one worker, asks it about random points in the boxes of all desa
(a quarter of them near borders, 8 % with a wrong claim) on one connection, and reads what its own access
log says of each request: from the first byte of the request to the last one of the answer. Every verdict
is compared with that of the function itself.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import requests

from analysis.lookup import DesaIndex
from analysis.verify import verify_point
from benchmarks.analysis_verify import claims, points
from benchmarks.measure import cpu_seconds

_LINE = re.compile(r"POST /processes/verifikasi-lokasi/execution 200 ([0-9.]+)ms")
_PORT = 8971
_SETTINGS = """
harvest: {{contact: benchmark@example.org}}
processes: {{boundaries: {boundaries}, boundary_code: "{code}", people: "", facilities: ""}}
"""


def main() -> None:
    """Serve, ask, read the log, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--boundaries", required=True)
    parser.add_argument("--code", default="")
    parser.add_argument("--points", default=5000, type=int)
    parser.add_argument("--rounds", default=5, type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        config.mkdir()
        (config / "satudata.yml").write_text(
            _SETTINGS.format(boundaries=given.boundaries, code=given.code), "utf-8"
        )
        log = Path(folder) / "serve.log"
        command = [sys.executable, "-m", "cli.main", "--config", str(config), "--data", str(given.data)]
        command += ["serve", "--port", str(_PORT), "--workers", "1", "--no-schedule"]
        with log.open("wb") as said:
            server = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            _wait(server, log)
            _measure(server.pid, given.data, given.points, given.rounds, log)
        finally:
            server.terminate()
            server.wait()


def _measure(pid: int, data: Path, count: int, rounds: int, log: Path) -> None:
    """Ask about the same points in several rounds: the least time of each is without other work."""
    index = DesaIndex(_index_folder(data))
    x, y = points(index, count, 21, 0.25)
    codes = [index.code(row) for row in claims(index, x, y, 22).tolist()]
    asked = list(zip(x.tolist(), y.tolist(), codes, strict=True))
    before, started, wrong = cpu_seconds(pid), time.monotonic(), 0
    with requests.Session() as session:
        for number in range(rounds):
            for lon, lat, code in asked:
                found = _ask(session, lon, lat, code).json()[0]
                if number == 0:
                    wrong += found["verdik"] != verify_point(index, lon, lat, code).verdik
    cpu, wall = cpu_seconds(pid) - before, time.monotonic() - started
    logged = [float(found[1]) for found in _LINE.finditer(log.read_text("utf-8"))]
    spent = np.array(logged[-rounds * count :]).reshape(rounds, count)
    print(f"{len(index)} desa, {count} points in {rounds} rounds, {wrong} other verdicts than the function")
    for name, times in (("of all requests", spent), ("least of each point", spent.min(axis=0))):
        p50, p99 = np.percentile(times, [50, 99])
        print(f"server time, {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {times.max():.1f} ms")
    print(f"server CPU {1000 * cpu / rounds / count:.2f} ms a request, {wall:.0f} s in all")
    own, mapped = (_status_mib(pid, name) for name in ("RssAnon", "RssFile"))
    print(
        f"memory: {own:.0f} MiB of its own, {mapped:.0f} MiB of mapped files; load {os.getloadavg()[0]:.1f}"
    )


def _status_mib(pid: int, name: str) -> float:
    """Return a size of a process from the kernel; mapped files are shared by all workers."""
    said = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in said.splitlines() if line.startswith(name))


def _wait(server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a point is answered: the first time, the index of the boundaries is made."""
    first = time.monotonic()
    with requests.Session() as session:
        while server.poll() is None:
            try:
                if _ask(session, 107.139, -6.822, "32.03.01.2001").status_code == 200:
                    print(f"ready after {time.monotonic() - first:.0f} s")
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.5)
    raise SystemExit(log.read_text("utf-8")[-2000:])


def _ask(session: requests.Session, lon: float, lat: float, kode: str) -> requests.Response:
    body = {"inputs": {"lon": lon, "lat": lat, "kode": kode}}
    return session.post(f"http://127.0.0.1:{_PORT}/processes/verifikasi-lokasi/execution", json=body)


def _index_folder(data: Path) -> Path:
    """Return the newest index that the server has made."""
    found = sorted(data.rglob("index.json"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent


if __name__ == "__main__":
    main()
