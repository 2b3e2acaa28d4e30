"""Stored tiles over HTTP against nginx with the same bytes as plain files, in one run.

    python -m benchmarks.tiles --config DIR --data DIR --collection ID [--nginx PATH] [--seconds 5]

Both are asked for the same tiles in the same order by the same client: a few processes that hold one
connection each and wait for every answer, so wall times are those of a request and not of a queue. CPU
is the server's own, from the kernel. Without nginx the comparison is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from pmtiles.reader import MmapSource, all_tiles

from benchmarks.measure import cpu_seconds
from layers.tiles.state import TileFiles, stored_tiles

TILES = 2_000
CLIENTS = 4


def chosen(path: Path) -> list[tuple[tuple[int, int, int], bytes]]:
    """Tiles of all zooms, the same ones every time."""
    with path.open("rb") as file:
        found = list(all_tiles(MmapSource(file)))  # type: ignore[no-untyped-call]
    random.Random(1).shuffle(found)
    low = [one for one in found if one[0][0] <= 8][: TILES // 4]
    return low + [one for one in found if one[0][0] > 8][: TILES - len(low)]


def ask(port: int, paths: list[str], seconds: float, seed: int, out: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    """One client: ask in an order of its own until the time is over; every answer must be 200."""
    requests = [f"GET {p} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n".encode() for p in paths]
    random.Random(seed).shuffle(requests)
    walls, size, at = [], 0, 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.sendall(requests[at % len(requests)])
            size += answer(connection)
            walls.append(time.perf_counter() - began)
            at += 1
    out.put((walls, size))


def answer(connection: socket.socket) -> int:
    """Read one answer whole; return the bytes of its body."""
    got = connection.recv(65_536)
    while b"\r\n\r\n" not in got:
        got += connection.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"unexpected answer: {head[:200]!r}")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(65_536))
    return length


def measured(pid: int, port: int, paths: list[str], seconds: float) -> dict[str, float]:
    """Ask with all clients at once; requests a second, wall and CPU milliseconds."""
    out: multiprocessing.Queue = multiprocessing.Queue()  # type: ignore[type-arg]
    ask(port, paths[:200], 0.5, 0, out)  # warm; what is put must be taken, or its thread never ends
    out.get()
    before = cpu_seconds(pid)
    clients = [
        multiprocessing.Process(target=ask, args=(port, paths, seconds, seed, out)) for seed in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    walls, size = [], 0
    for _ in clients:
        some, more = out.get()
        walls += some
        size += more
    for client in clients:
        client.join()
    spent = cpu_seconds(pid) - before
    walls.sort()
    return {
        "requests_per_second": round(len(walls) / seconds),
        "megabytes_per_second": round(size / seconds / 1e6, 1),
        "median_ms": round(statistics.median(walls) * 1000, 3),
        "p99_ms": round(walls[int(len(walls) * 0.99)] * 1000, 3),
        "server_cpu_ms": round(spent / len(walls) * 1000, 4),
    }


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(command: list[str], url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it must answer within two minutes."""
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        for _ in range(600):
            try:
                urlopen(url, timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        yield child
    finally:
        child.terminate()
        child.wait()


NGINX = """
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; default_type application/vnd.mapbox-vector-tile;
    add_header Content-Encoding gzip; }} }}
"""


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "collection"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--nginx", default=shutil.which("nginx"))
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    root = Path(given.data) / "layers"
    version = stored_tiles(root, given.collection)[-1]
    tiles = chosen(TileFiles.of(root, given.collection, version).archive("WebMercatorQuad"))
    sizes = sorted(len(body) for _, body in tiles)
    told: dict[str, object] = {
        "tiles": len(tiles), "median_bytes": sizes[len(sizes) // 2], "largest_bytes": sizes[-1],
        "clients": CLIENTS, "workers": 2,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = []
        for (zoom, x, y), body in tiles:
            paths.append(f"/collections/{given.collection}/tiles/WebMercatorQuad/{zoom}/{y}/{x}")
            file = folder / "files" / paths[-1].lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        port = free_port()
        command = [sys.executable, "-m", "cli.main", "--config", given.config, "--data", given.data]
        command += ["serve", "--port", str(port), "--workers", "2", "--no-schedule"]
        with started(command, f"http://127.0.0.1:{port}/health", folder / "ours.log") as child:
            told["satudata"] = measured(child.pid, port, paths, given.seconds)
        if given.nginx:
            port = free_port()
            (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
            command = [given.nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
            with started(command, f"http://127.0.0.1:{port}{paths[0]}", folder / "nginx.log") as child:
                told["nginx"] = measured(child.pid, port, paths, given.seconds)
        else:
            told["nginx"] = "not installed: nothing to compare with"
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
