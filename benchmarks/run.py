"""`make bench`: harvest and serve all desa of Indonesia, and put the peers beside it in one run.

Every answer is checked before it is timed (same ids, same number of vertices): a fast wrong answer
counts for nothing. Figures are for the machine it ran on; compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
import shapely

from benchmarks import measure, peers
from benchmarks.many import write_collections
from tests.servers import free_port
from tests.servers.postgres import cluster

HOUSE = Path(__file__).resolve().parents[1]
SOURCE = """
id: bench-desa
type: arcgis
url: http://127.0.0.1:{port}/arcgis/rest/services/BATASWILAYAH/BATAS_DESAKEL_AR/MapServer
produsen_data: Badan Informasi Geospasial
layers:
  - remote: "0"
    id: desa
    title: {{id: Batas desa, en: Village boundaries}}
    region_code: {{field: KDEPUM, scheme: kemendagri, vintage: 2025}}
"""
SETTINGS = "harvest: {allow_networks: [127.0.0.0/8], contact: bench@example.org}\n"


PEERS = (
    ("pygeoapi + PostGIS", peers.plain_pygeoapi, "json"),
    ("tipg + PostGIS", peers.tipg, "geojson"),
)


@dataclass
class Report:
    """Rows of the table that is printed at the end."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, who: str, value: str) -> None:
        self.rows.append((what, who, value))
        print(f"  {what} · {who}: {value}", flush=True)

    def markdown(self) -> str:
        lines = ["| measure | who | value |", "| --- | --- | --- |"]
        return "\n".join(lines + [f"| {a} | {b} | {c} |" for a, b, c in self.rows])


def satudata(folder: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "cli.main",
        "--config",
        str(folder / "config"),
        "--data",
        str(folder / "data"),
        *arguments,
    ]


def prepare(folder: Path, port: int) -> None:
    (folder / "config" / "sources").mkdir(parents=True)
    (folder / "config" / "satudata.yml").write_text(SETTINGS)
    (folder / "config" / "sources" / "bench-desa.yml").write_text(SOURCE.format(port=port))


def harvest(folder: Path, parquet: Path, cache: Path, report: Report) -> None:
    """Harvest over ArcGIS REST from a server in a process of its own."""
    port = free_port()
    prepare(folder, port)
    server = [
        sys.executable,
        "-m",
        "benchmarks.arcgis_server",
        str(parquet),
        "--cache",
        str(cache),
        "--port",
        str(port),
    ]
    with peers.process(server, folder):
        measure.wait_for(
            f"http://127.0.0.1:{port}/arcgis/rest/services/BATASWILAYAH/BATAS_DESAKEL_AR/MapServer/0?f=json",
            600,
        )
        with measure.stopwatch() as elapsed:
            command = satudata(folder, "harvest", "bench-desa", "--json")
            done = subprocess.run(
                ["time", "-v", *command] if shutil.which("time") else command,
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": str(HOUSE)},
                cwd=folder,
            )
            seconds = elapsed()
    if done.returncode:
        raise SystemExit(f"harvest failed:\n{done.stdout}\n{done.stderr}")
    row = json.loads(done.stdout)[0]
    if row["seen"] != row["expected"] or row["failed"]:
        raise SystemExit(f"harvest is not complete: {row}")
    report.add(
        "harvest, features", "ours", f"{row['seen']:,} in {seconds:.1f} s = {row['seen'] / seconds:,.0f}/s"
    )
    peak = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    if peak:
        report.add("harvest, peak memory", "ours", f"{int(peak[1]) / 1024:,.0f} MiB")


@contextmanager
def ours(folder: Path) -> Iterator[tuple[int, str, float]]:
    """Yield (process id, base address, seconds from start to the first collections answer)."""
    port = free_port()
    with (
        measure.stopwatch() as elapsed,
        peers.process(
            satudata(folder, "serve", "--port", str(port), "--workers", "1", "--no-schedule"), folder
        ) as child,
    ):
        measure.wait_for(f"http://127.0.0.1:{port}/collections?f=json")
        yield child.pid, f"http://127.0.0.1:{port}", elapsed()


def load_postgis(dsn: str, gpkg: Path) -> None:
    """Give the peers the same features in a PostGIS table with keys and indexes."""
    subprocess.run(
        ["ogr2ogr", "-f", "PostgreSQL", f"PG:{dsn}", str(gpkg), "-nln", "desa", "-lco", "GEOMETRY_NAME=geom",
         "-lco", "FID=ogc_fid", "-nlt", "MULTIPOLYGON", "--config", "PG_USE_COPY", "YES"],
        check=True,
    )  # fmt: skip


def vertices(collection: dict[str, object]) -> int:
    features = collection["features"]
    assert isinstance(features, list)
    return sum(shapely.get_num_coordinates(shapely.from_geojson(json.dumps(f["geometry"]))) for f in features)


def check(limit: int, expected: int | None = None):  # type: ignore[no-untyped-def]
    def verify(answer: requests.Response) -> None:
        answer.raise_for_status()
        body = answer.json()
        found = len(body["features"]) if "features" in body else 1
        if found != limit:
            raise SystemExit(f"{answer.url}: {found} features, {limit} wanted")
        if expected is not None and "features" in body and vertices(body) != expected:
            raise SystemExit(f"{answer.url}: other vertices than ours")

    return verify


def serve(folder: Path, report: Report, count: int) -> None:
    gpkg = next((folder / "data" / "layers" / "desa").glob("*.gpkg"))
    with ExitStack() as stack:
        pid, base, _ = stack.enter_context(ours(folder))
        items = f"{base}/collections/desa/items"
        first = requests.get(f"{items}?limit=1000&f=json", timeout=60).json()
        size = vertices(first)
        for what, query, limit in (
            ("items?limit=1000", "limit=1000", 1000),
            ("page 800 of 100 (offset 79,900)", "limit=100&offset=79900", 100),
            ("page 1 of 100", "limit=100", 100),
        ):
            took = measure.requests_timed([pid], f"{items}?{query}&f=json", count, check(limit))
            report.add(what, "ours", show(took))
        feature = first["features"][500]["id"]
        took = measure.requests_timed([pid], f"{items}/{feature}?f=json", count * 5, check(1))
        report.add("single item", "ours", show(took))
        report.add("server memory", "ours", f"{measure.peak_mib(pid):,.0f} MiB")
        running = stack.enter_context(cluster())
        dsn = running.database(postgis=True).replace("postgresql+psycopg", "postgresql")
        load_postgis(dsn, gpkg)
        for name, peer, representation in PEERS:
            with peer(dsn, folder) as (peer_pid, address):
                for what, query, limit in (
                    ("items?limit=1000", "limit=1000", 1000),
                    ("page 800 of 100 (offset 79,900)", "limit=100&offset=79900", 100),
                ):
                    expected = size if limit == 1000 and "pygeoapi" in name else None
                    took = measure.requests_timed(
                        [peer_pid],
                        f"{address}?{query}&f={representation}",
                        max(3, count // 3),
                        check(limit, expected),
                    )
                    report.add(what, name, show(took))
        took = measure.requests_timed([pid], f"{items}?limit=1000&f=json", count, check(1000))
        report.add("items?limit=1000, once more at the end", "ours", show(took))


def show(took: measure.Timing) -> str:
    return f"{took.cpu:.2f} ms CPU, {took.wall_median:.2f} ms median, {took.wall_p99:.2f} ms p99"


def many(folder: Path, report: Report) -> None:
    """5,000 collections: from start to the first answer."""
    (folder / "config" / "sources").mkdir(parents=True)
    (folder / "config" / "satudata.yml").write_text(SETTINGS)
    write_collections(folder / "config", folder / "data", 5000)
    with ours(folder) as (pid, base, seconds):
        total = requests.get(f"{base}/collections/k4999/items?f=json", timeout=60).json()["numberMatched"]
        if total != 1:
            raise SystemExit("collection k4999 does not answer")
        report.add("5,000 collections, start to first answer", "ours", f"{seconds:.1f} s")
        report.add("5,000 collections, server memory", "ours", f"{measure.peak_mib(pid):,.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--parquet", type=Path, default=HOUSE.parent / "shared" / "data" / "desa_2025.parquet"
    )
    parser.add_argument("--count", type=int, default=30, help="requests per measure")
    parser.add_argument("--only", choices=["harvest", "many"])
    arguments = parser.parse_args()
    if not arguments.parquet.exists():
        raise SystemExit(f"{arguments.parquet} is not there; name the boundaries with --parquet")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="satudata-bench-") as name:
        folder = Path(name)
        for part in ("main", "many"):
            (folder / part).mkdir()
        if arguments.only != "many":
            harvest(folder / "main", arguments.parquet, HOUSE / "build" / "bench", report)
        if arguments.only is None:
            serve(folder / "main", report, arguments.count)
        if arguments.only != "harvest":
            many(folder / "many", report)
    print(report.markdown())


if __name__ == "__main__":
    main()
