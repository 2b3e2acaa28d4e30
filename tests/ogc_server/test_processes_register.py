"""A register of an operator's folder as a job: sums over HTTP, rows in the folder; and who sees jobs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from analysis.verify_register import Ringkasan
from catalog.settings import ProcessSettings
from layers.contract import FeatureBatch
from ogc_server.processes.register import rounded
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import HERE, LAYERS, fill, inside, truth
from tests.ogc_server.test_processes_jobs import until
from tests.ogc_server.world import make_settings, open_world

__all__ = ["truth"]
LATER = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, truth: FeatureBatch) -> Path:
    made = tmp_path_factory.mktemp("registers")
    with (made / "register_2025.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id_rumah", "x", "y", "kd"])
        for row in range(60):
            place = inside(truth, row)
            writer.writerow([f"R{row}", place.x, place.y, truth.ids[row if row % 6 else 200]])
    (made / "tertaut.csv").symlink_to("/etc/hostname")
    (made / "dalam").mkdir()
    (made / "dalam" / "x.csv").write_text("lon,lat,kode\n", "utf-8")
    return made


@pytest.fixture(scope="module")
def office(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path, folder: Path
) -> Iterator[httpx.Client]:
    chosen = ProcessSettings(**{**LAYERS.model_dump(), "registers": str(folder)})
    world = open_world(make_settings(tmp_path_factory.mktemp("office"), processes=chosen))
    fill(world, shared_data)
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client
    world.close()


def send(client: httpx.Client, register: Any, headers: Any = LATER, **more: Any) -> httpx.Response:
    body = {"inputs": {"berkas_register": register, **more}}
    return client.post("/processes/verifikasi-lokasi/execution", json=body, headers=headers)


GOOD = {"berkas": "register_2025.csv", "lon": "x", "lat": "y", "kode": "kd", "simpan": ["id_rumah"]}


def test_a_register_is_verified_by_a_job(office: httpx.Client, folder: Path) -> None:
    made = send(office, GOOD)
    assert made.status_code == 201, made.text
    job = made.headers["location"]
    until(office, job, "successful")
    [row] = office.get(f"{job}/results").json()
    assert (row["kode"], row["jumlah"], row["sesuai"], row["tidak_sesuai"]) == ("32.03", 60, 50, 10)
    [answer] = [path for path in (folder / "hasil").glob("*.csv") if "ringkasan" not in path.name]
    with answer.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert rows[1]["id_rumah"] == "R1"
    for address in (job, f"{job}/results", f"{job}/results?f=csv", f"{job}?f=html"):
        assert "R1" not in office.get(address).text


@pytest.mark.parametrize(
    ("register", "where"),
    [
        ({**GOOD, "berkas": "../register_2025.csv"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "berkas": "/etc/passwd"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "berkas": "dalam/x.csv"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "berkas": "..csv"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "berkas": "tertaut.csv"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "berkas": "tidak-ada.csv"}, "inputs.berkas_register.berkas"),
        ({**GOOD, "lain": 1}, "inputs.berkas_register.lain"),
        ("register_2025.csv", "inputs.berkas_register"),
    ],
)
def test_nothing_leaves_the_folder(office: httpx.Client, register: Any, where: str) -> None:
    got = send(office, register)
    assert (got.status_code, got.json()["where"]) == (400, where)


def test_a_register_is_a_job_and_stands_alone(office: httpx.Client) -> None:
    for got in (send(office, GOOD, headers={}), send(office, GOOD, lon=107.1)):
        assert (got.status_code, got.json()["where"]) == (400, "inputs.berkas_register")


def test_without_a_folder_there_are_no_registers(client: httpx.Client) -> None:
    got = send(client, GOOD)
    assert (got.status_code, got.json()["where"]) == (400, "inputs.berkas_register")


def test_a_wrong_column_ends_the_job_with_the_reason(office: httpx.Client) -> None:
    job = send(office, {**GOOD, "kode": "kolom_lain"}).headers["location"]
    ended = until(office, job, "failed")
    assert "kolom_lain" in ended["message"]


def test_sums_are_rounded_one_by_one() -> None:
    summary = Ringkasan()
    summary.counts.update({("3203", "sesuai"): 12, ("3203", "tidak_sesuai"): 2, ("3204", "sesuai"): 3})
    first, second = rounded(summary, "kemendagri")
    assert (first["kode"], first["jumlah"], first["sesuai"], first["tidak_sesuai"]) == ("32.03", 15, 10, 0)
    assert (second["jumlah"], second["sesuai"]) == (5, 5)


def test_jobs_of_others_are_not_listed(office: httpx.Client) -> None:
    body = {"inputs": {**HERE, "kode": "32.03.01.2001"}}
    made = office.post("/processes/verifikasi-lokasi/execution", json=body, headers=LATER).json()
    job = made["jobID"]
    assert len(job) == 32
    assert job in {one["jobID"] for one in office.get("/jobs").json()["jobs"]}, "asked from this machine"
    through = {"X-Forwarded-For": "203.0.113.9"}
    far = office.get("/jobs", headers=through)
    assert far.status_code == 200
    assert far.json()["jobs"] == []
    assert "pengelola" in office.get("/jobs", headers={**through, "Accept": "text/html"}).text
    assert office.get(f"/jobs/{job}", headers=through).status_code == 200, "who knows the id sees the job"
    assert (
        office.delete(f"/jobs/{job[:-1]}0" if job[-1] != "0" else "/jobs/x", headers=through).status_code
        == 404
    )
