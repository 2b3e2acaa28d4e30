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
from benchmarks.measure import cpu_seconds, peak_mib

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
            _measure(server.pid, given.data, given.points, log)
        finally:
            server.terminate()
            server.wait()


def _measure(pid: int, data: Path, count: int, log: Path) -> None:
    with requests.Session() as session:
        index = DesaIndex(_index_folder(data))
        x, y = points(index, count, 21, 0.25)
        rows = claims(index, x, y, 22).tolist()
        before, started = cpu_seconds(pid), time.monotonic()
        wrong = 0
        for lon, lat, row in zip(x.tolist(), y.tolist(), rows, strict=True):
            found = _ask(session, lon, lat, index.code(row)).json()[0]
            wrong += found["verdik"] != verify_point(index, lon, lat, index.code(row)).verdik
        cpu, wall = cpu_seconds(pid) - before, time.monotonic() - started
    spent = np.array([float(found[1]) for found in _LINE.finditer(log.read_text("utf-8"))][-count:])
    p50, p99 = np.percentile(spent, [50, 99])
    print(f"{len(index)} desa, {len(spent)} points, {wrong} other verdicts than the function")
    print(f"server time: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {spent.max():.1f} ms")
    print(f"server CPU {1000 * cpu / count:.2f} ms a request, {wall:.0f} s in all")
    print(f"memory of the largest process: {peak_mib(pid):.0f} MiB peak; load {os.getloadavg()[0]:.1f}")


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
