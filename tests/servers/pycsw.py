"""pycsw 2.6.2 in its own environment (made by `setup_pycsw.sh`), loaded with generated records."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import PATIENCE, end, free_port, missing
from tests.servers.iso_records import Rec, gmd

_HERE = Path(__file__).parent
PYTHON = _HERE.parents[1] / ".tools" / "pycsw" / "bin" / "python"
COUNT = 137


@dataclass
class Pycsw:
    """A running catalogue and the identifiers in it."""

    url: str
    identifiers: frozenset[str]


def records() -> list[Rec]:
    """137 records, every tenth with the flaws of Palapa's template, one with an awkward identifier."""
    made = [
        Rec(
            identifier=f"00000000-0000-4000-8000-{n:012d}", title=f"Data uji {n}", palapa=n % 10 == 0,
            keywords=("uji", f"kata-{n % 7}"),
        )
        for n in range(COUNT - 1)
    ]  # fmt: skip
    return [*made, Rec(identifier="palapa:DESA & Kota/1", title="Pengenal janggal")]


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            missing("pycsw", f"ended with {process.returncode}")
        try:
            with urllib.request.urlopen(
                f"{url}?service=CSW&version=2.0.2&request=GetCapabilities", timeout=20
            ):
                return
        except OSError:
            time.sleep(0.2)
    missing("pycsw", "did not answer in time")


@pytest.fixture(scope="session")
def pycsw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pycsw]:
    """A running pycsw, or a skip with the reason."""
    if not PYTHON.exists():
        missing("pycsw", "no .tools/pycsw; tests/servers/setup_pycsw.sh makes it")
    folder = tmp_path_factory.mktemp("pycsw")
    (folder / "records").mkdir()
    loaded = records()
    for n, rec in enumerate(loaded):
        (folder / "records" / f"{n:04d}.xml").write_bytes(gmd(rec))
    port = free_port()
    with (folder / "out.log").open("wb") as out:
        process = subprocess.Popen(
            [str(PYTHON), "-P", str(_HERE / "pycsw_run.py"), str(folder), str(port)],
            stdout=out,
            stderr=out,
            cwd=folder,
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(url, process)
            yield Pycsw(url, frozenset(rec.identifier for rec in loaded))
        finally:
            end(process)
