"""A register job and the death of its server: `satudata serve` killed in the middle, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from catalog.database import Database
from catalog.tables import jobs
from layers.contract import FeatureBatch
from tests.ogc_server.test_processes import truth
from tests.servers import free_port
from tests.servers.ours import Deployment, cianjur, environment, wait_until_serving

__all__ = ["truth"]
GROUPS, ROWS = 400, 40
LEASE = 60
SETTINGS = """
harvest: {{contact: test@example.org}}
processes: {{boundaries: desa-cianjur, people: "", lease_seconds: {lease}, registers: {registers}}}
"""
INPUTS = {"berkas_register": {"berkas": "register.parquet", "simpan": ["id_rumah"]}}


@dataclass
class Office:
    """A deployment that is served, killed, and served again."""

    deployment: Deployment
    registers: Path
    base: str = ""
    server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port, log = free_port(), self.deployment.folder / "serve.log"
        command = self.deployment.command("serve", "--port", str(port), "--workers", "1", "--no-schedule")
        with log.open("ab") as said:  # a session of its own, so that all of it can be killed at once
            self.server = subprocess.Popen(
                command, stdout=said, stderr=said, cwd=self.deployment.folder, env=environment(),
                start_new_session=True,
            )  # fmt: skip
        self.base = f"http://127.0.0.1:{port}"
        wait_until_serving(self.base, self.server, log)

    def kill(self, how: Callable[[int], None]) -> None:
        assert self.server is not None
        how(self.server.pid)
        self.server.wait(30)

    def ask(self) -> str:
        got = httpx.post(
            f"{self.base}/processes/verifikasi-lokasi/execution", json={"inputs": INPUTS},
            headers={"Prefer": "respond-async"}, timeout=60, trust_env=False,
        )  # fmt: skip
        assert got.status_code == 201, got.text
        return str(got.json()["jobID"])

    def job(self, job: str, method: str = "GET") -> dict[str, Any]:
        found = httpx.request(method, f"{self.base}/jobs/{job}", timeout=60, trust_env=False)
        said: dict[str, Any] = found.json()
        return said

    def until(self, job: str, state: str) -> dict[str, Any]:
        wait(lambda: self.job(job)["status"] in ("successful", "failed", "dismissed"))
        said = self.job(job)
        assert said["status"] == state, said
        return said

    @contextmanager
    def in_the_middle(self) -> Iterator[str]:
        """A register job that has some of its parts and stands still, with its pool, until the end."""
        for _ in range(5):
            job, parts = self.begun()
            with self.standing():
                if (parts / "000002.json").exists() and not (parts / f"{GROUPS - 1:06}.json").exists():
                    assert self.job(job)["status"] == "running"
                    yield job
                    return
        raise AssertionError("the job was too fast five times")

    def begun(self) -> tuple[str, Path]:
        job = self.ask()
        parts = self.registers / "hasil" / f"register.{job[:12]}.parquet.parts"
        wait(lambda: (parts / "000002.json").exists() or self.job(job)["status"] == "successful")
        return job, parts

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Stop the work of jobs, not the server."""
        assert self.server is not None
        working = below(self.server.pid)
        send(working, signal.SIGSTOP)
        try:
            yield
        finally:
            send(working, signal.SIGCONT)

    def answer(self, job: str) -> tuple[Any, pa.Table]:
        sums = httpx.get(f"{self.base}/jobs/{job}/results", timeout=60, trust_env=False).json()
        return sums, pq.read_table(self.registers / "hasil" / f"register.{job[:12]}.parquet")

    def left(self) -> list[str]:
        """What lies in the folder of answers beside the answers."""
        answers = {"parquet", "csv"}
        return [p.name for p in (self.registers / "hasil").iterdir() if p.name.split(".")[-1] not in answers]


def wait(done: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def killed_at_last(office: Office) -> Iterator[Office]:
    try:
        yield office
    finally:
        if office.server is not None and office.server.poll() is None:
            os.killpg(office.server.pid, signal.SIGTERM)
            office.server.wait(30)


@pytest.fixture(scope="module")
def office(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path, truth: FeatureBatch
) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    registers = folder / "registers"
    registers.mkdir()
    write_register(registers / "register.parquet", truth)
    deployment = cianjur(folder, shared_data)
    deployment.settings(SETTINGS.format(registers=registers, lease=LEASE))
    with killed_at_last(Office(deployment, registers)) as made:
        made.start()
        yield made


def write_register(path: Path, truth: FeatureBatch) -> None:
    assert truth.geometries is not None
    places = shapely.point_on_surface(truth.geometries)
    rows = [(n, (n * 7) % len(places), n % 5 == 0) for n in range(GROUPS * ROWS)]
    table = pa.table(
        {
            "id_rumah": [f"R{n}" for n, *_ in rows],
            "lon": shapely.get_x(places)[[at for _, at, _ in rows]],
            "lat": shapely.get_y(places)[[at for _, at, _ in rows]],
            "kode": [truth.ids[0 if wrong else at] for _, at, wrong in rows],
        }
    )
    pq.write_table(table, path, row_group_size=ROWS)


@pytest.fixture(scope="module")
def undisturbed(office: Office) -> tuple[Any, pa.Table]:
    job = office.ask()
    office.until(job, "successful")
    sums, table = office.answer(job)
    assert table.num_rows == GROUPS * ROWS
    assert len(set(table["verdik"].to_pylist())) == 2
    assert sum(row["jumlah"] for row in sums) == GROUPS * ROWS
    return sums, table


def kill_server(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def stop_in_order(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def cut_the_power(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize("death", [kill_server, stop_in_order])
def test_a_register_job_outlives_its_server(
    office: Office, undisturbed: tuple[Any, pa.Table], death: Callable[[int], None]
) -> None:
    with office.in_the_middle() as job:
        office.kill(death)
    office.start()
    office.until(job, "successful")
    sums, table = office.answer(job)
    assert sums == undisturbed[0]
    assert table.equals(undisturbed[1])
    assert office.left() == []


def test_a_power_cut_ends_it_as_failed_with_the_reason(office: Office) -> None:
    with office.in_the_middle() as job:
        office.kill(cut_the_power)
    assert office.left() != []
    expire(office.deployment)
    office.start()
    said = office.until(job, "failed")
    assert "stopped answering" in said["message"]
    wait(lambda: office.left() == [])


def expire(deployment: Deployment) -> None:
    """Let the time of all leases go by."""
    database = Database(f"sqlite:///{deployment.data}/catalog.sqlite")
    with closing(database), database.write() as connection:
        connection.execute(jobs.update().values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_dismissed_register_job_leaves_nothing(office: Office) -> None:
    assert office.server is not None
    with office.in_the_middle() as job:
        working = below(office.server.pid)
        assert len(working) >= 2, "the worker of the job and its pool"
        assert office.job(job, "DELETE")["status"] == "dismissed"
    wait(lambda: not any(map(alive, working)))
    wait(lambda: office.left() == [])
    assert not (office.registers / "hasil" / f"register.{job[:12]}.parquet").exists()


def send(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def below(pid: int) -> list[int]:
    """Return the processes that a server has started, and those that they have: the work of jobs."""
    shown = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in shown.stdout.splitlines()]
    parents = {int(row[0]): int(row[1]) for row in rows if "resource_tracker" not in row[2]}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child not in found]
    return found[1:]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
