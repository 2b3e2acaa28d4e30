"""Jobs: outside of the request, durable, dismissed in time, and without a trace of what was asked."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from catalog.jobs import JobState
from catalog.settings import ProcessSettings
from ogc_server.processes.runner import Runner
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import LAYERS, fill
from tests.ogc_server.world import World, make_settings, open_world
from tests.servers import PATIENCE

SECRET = "107.1391234567"
LATER = {"Prefer": "respond-async"}
TYPES = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


@pytest.fixture(scope="module")
def cianjur(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("jobs"), processes=LAYERS))
    fill(made, shared_data)
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(cianjur: World) -> Iterator[httpx.Client]:
    with running(cianjur) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def later(door: httpx.Client, process: str, inputs: Any, **more: Any) -> httpx.Response:
    body = {"inputs": inputs, **more}
    return door.post(f"/processes/{process}/execution", json=body, headers=LATER)


def until(door: httpx.Client, where: str, *states: str, seconds: float = PATIENCE) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        doc: dict[str, Any] = door.get(where).json()
        if doc["status"] in states:
            return doc
        assert time.monotonic() < end, doc
        time.sleep(0.05)


def long_question() -> dict[str, Any]:
    """An allocation that takes far longer than a test waits."""
    needs = [
        {
            "kode": f"K{i}",
            "item": "b",
            "jumlah": 1 + i % 97,
            "lon": 105 + (i % 211) / 50,
            "lat": -7 + (i % 307) / 90,
        }
        for i in range(3000)
    ]
    stock = [
        {
            "gudang": f"G{i}",
            "item": "b",
            "jumlah": 40 + i % 13,
            "lon": 106 + (i % 37) / 9,
            "lat": -6.5 + (i % 41) / 50,
        }
        for i in range(1500)
    ]
    return {"kebutuhan": needs, "stok": stock}


def test_a_job_runs_outside_of_the_request(door: httpx.Client) -> None:
    inputs = {"titik": [{"lon": 107.139, "lat": -6.822, "kode": "32.03.01.2001"}] * 1000}
    got = later(door, "verifikasi-lokasi", inputs, response="document")
    assert got.status_code == 201, got.text
    assert got.headers["preference-applied"] == "respond-async"
    info = got.json()
    assert (info["status"], info["type"], info["processID"]) == ("accepted", "process", "verifikasi-lokasi")
    where = got.headers["location"]
    assert where.endswith(f"/jobs/{info['jobID']}")
    done = until(door, where, "successful", "failed")
    assert done["status"] == "successful", done
    assert done["progress"] == 100
    assert done["finished"] >= done["started"] >= done["created"]
    answer = door.get(f"{where}/results").json()
    direct = door.post(
        "/processes/verifikasi-lokasi/execution", json={"inputs": inputs, "response": "document"}
    ).json()
    assert answer == direct
    assert "sesuai" in door.get(where, params={"f": "html"}).text
    assert info["jobID"] in {job["jobID"] for job in door.get("/jobs?status=successful").json()["jobs"]}


def test_a_running_job_is_dismissed_at_once(door: httpx.Client, cianjur: World) -> None:
    where = later(door, "alokasi-bantuan", long_question()).headers["location"]
    early = door.get(f"{where}/results")
    assert (early.status_code, early.json()["type"]) == (404, f"{TYPES}result-not-ready")
    until(door, where, "running")
    _until_some(_workers)
    job = where.rpartition("/")[2]
    before = time.monotonic()
    got = door.delete(where)
    assert (got.status_code, got.json()["status"]) == (200, "dismissed")
    while _workers():
        assert time.monotonic() - before < 30, (
            "the worker goes on"
        )  # at once on a quiet machine; it would take minutes
        time.sleep(0.02)
    assert door.get(where).json()["status"] == "dismissed"
    assert door.delete(where).status_code == 410
    assert door.get(f"{where}/results").status_code == 410
    assert not (cianjur.settings.data_dir / "jobs" / f"{job}.json").exists()


@pytest.mark.parametrize("lang", ["id", "en"])
def test_a_job_is_cancelled_from_its_page_by_keyboard(
    browser: Browser, door: httpx.Client, cianjur: World, lang: str
) -> None:
    """No JavaScript is needed: a link asks, a form answers; the page does not reload while it asks."""
    where = later(door, "alokasi-bantuan", long_question()).headers["location"]
    context = browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{where}?f=html&lang={lang}")
    page.get_by_role("link", name={"id": "Batalkan pekerjaan", "en": "Cancel the job"}[lang]).press("Enter")
    page.wait_for_selector("form.notice button")
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    assert door.get(where).json()["status"] in ("accepted", "running"), "nothing is cancelled by a link"
    page.get_by_role("link", name={"id": "Tidak", "en": "No"}[lang], exact=True).press("Enter")
    page.wait_for_selector("meta[http-equiv=refresh]", state="attached")
    page.goto(f"{where}?f=html&lang={lang}&batal=1")
    page.locator("form.notice button").press("Enter")
    page.wait_for_selector("h1 .state.dismissed")
    assert page.locator("html").get_attribute("lang") == lang
    assert page.url == f"{where}?lang={lang}&f=html", "reloading it sends nothing again"
    assert door.get(where).json()["status"] == "dismissed"
    assert not (cianjur.settings.data_dir / "jobs" / f"{where.rpartition('/')[2]}.json").exists()
    context.close()


def test_only_the_form_of_the_page_cancels_by_post(door: httpx.Client) -> None:
    inputs = {"asal": {"type": "Point", "coordinates": [107.139, -6.822]}}
    where = later(door, "bantuan-terdekat", inputs).headers["location"]
    until(door, where, "successful")
    assert door.post(where, json={"batal": "ya"}).status_code == 400
    assert door.post(where, data={"batal": "tidak"}).status_code == 400
    assert door.get(where, params={"batal": "0"}).status_code == 400
    assert door.get(where).json()["status"] == "successful"
    page = door.get(where, params={"f": "html", "lang": "en"}).text
    assert "Delete the answer" in page
    assert 'id="peta-data"' in page, "the answer of a job has a map, too"
    for _ in range(2):  # a second click is no mistake
        assert door.post(where, data={"batal": "ya"}, follow_redirects=False).status_code == 303
    assert door.get(f"{where}/results").status_code == 410
    assert door.post(f"{where}x", data={"batal": "ya"}).status_code == 404


def _workers() -> list[int]:
    """Return our own children that run jobs."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [
        int(line.split()[0]) for line in found.stdout.splitlines() if "ogc_server.processes.worker" in line
    ]


def test_a_job_whose_worker_is_killed_is_started_once_more(door: httpx.Client) -> None:
    inputs = {"titik": [{"lon": 107.139, "lat": -6.822, "kode": "32.03.01.2001"}]}
    where = later(door, "verifikasi-lokasi", inputs).headers["location"]
    (pid,) = _until_some(_workers)  # it reads its libraries for a second or two
    os.kill(pid, signal.SIGKILL)
    assert until(door, where, "successful", "failed")["status"] == "successful"
    direct = door.post("/processes/verifikasi-lokasi/execution", json={"inputs": inputs}).json()
    assert door.get(f"{where}/results").json() == direct


def test_a_job_whose_worker_is_killed_twice_ends_as_failed_with_the_reason(door: httpx.Client) -> None:
    while _workers():  # that of the job before has told all, and goes
        time.sleep(0.02)
    where = later(door, "alokasi-bantuan", long_question()).headers["location"]
    (first,) = _until_some(_workers)
    os.kill(first, signal.SIGKILL)
    (second,) = _until_some(lambda: [pid for pid in _workers() if pid != first])
    os.kill(second, signal.SIGKILL)
    ended = until(door, where, "failed")
    assert "-9" in ended["message"]
    got = door.get(f"{where}/results")
    assert got.status_code == 500
    assert "-9" in got.json()["hint"]


def _until_some(look: Callable[[], list[int]]) -> list[int]:
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_a_job_survives_a_restart_of_the_server(fresh: World, shared_data: Path) -> None:
    fresh.settings.processes = LAYERS.model_copy(update={"workers": 0})
    fill(fresh, shared_data)
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        asal = {"type": "Point", "coordinates": [107.1, -6.8]}
        where = later(door, "bantuan-terdekat", {"asal": asal}).headers["location"]
        assert door.get(where).json()["status"] == "accepted"
    fresh.settings.processes = LAYERS
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        assert (
            until(door, f"/jobs/{where.rpartition('/')[2]}", "successful", "failed")["status"] == "successful"
        )


def test_a_server_that_stops_gives_its_jobs_back(fresh: World) -> None:
    fresh.settings.processes = ProcessSettings()
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        where = later(door, "alokasi-bantuan", long_question()).headers["location"]
        until(door, where, "running")
    job = fresh.catalog.jobs.get(where.rpartition("/")[2])
    assert job.state is JobState.ACCEPTED
    assert _workers() == []


def test_a_job_that_nobody_works_on_is_ended_by_the_next_server(fresh: World) -> None:
    job = fresh.catalog.jobs.add("agregasi")
    fresh.catalog.jobs.claim("gone", lease_seconds=-1)
    Runner(fresh.settings, fresh.catalog, lambda: datetime.now(UTC)).round()
    ended = fresh.catalog.jobs.get(job.id)
    assert (ended.state, ended.code) == (JobState.FAILED, "lease-expired")


def test_nothing_of_what_was_asked_stays(
    fresh: World, shared_data: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    fresh.settings.processes = LAYERS
    fill(fresh, shared_data)
    claim = "32.03.01.2077"
    swapped = {"lon": -6.8227654321, "lat": float(SECRET), "kode": claim}
    bad = {"asal": [claim, "3203011234567890"], "k": 1}
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        good = later(door, "verifikasi-lokasi", swapped)
        wrong = later(door, "bantuan-terdekat", bad)
        paper = fresh.settings.data_dir / "jobs" / f"{good.json()['jobID']}.json"
        if paper.exists():
            assert stat.S_IMODE(paper.stat().st_mode) == 0o600
        assert until(door, good.headers["location"], "successful", "failed")["status"] == "successful"
        failed = until(door, wrong.headers["location"], "successful", "failed")
        assert failed["status"] == "failed"
        kept = door.get(good.headers["location"] + "/results").json()
        assert kept[0]["alasan"] == "tertukar"
        shown = "".join(
            door.get(f"/jobs/{one}").text for one in (good.json()["jobID"], wrong.json()["jobID"])
        )
    said = caplog.text + shown + str(kept) + "".join(capfd.readouterr())
    traces = (SECRET, "6.8227654321", claim, "3203011234567890")
    assert [trace for trace in traces if trace in said] == []
    assert list((fresh.settings.data_dir / "jobs").iterdir()) == []
    for path in fresh.settings.data_dir.glob("catalog.sqlite*"):
        content = path.read_bytes()
        assert [trace for trace in traces if trace.encode() in content] == [], path.name


def test_the_list_takes_the_filters_of_the_standard(door: httpx.Client) -> None:
    def ids(**params: Any) -> set[str]:
        got = door.get("/jobs", params=params)
        assert got.status_code == 200, got.text
        return {job["jobID"] for job in got.json()["jobs"]}

    where = later(door, "rekonsiliasi", {"a": "jiwa", "b": "jiwa", "kunci": "kode"}).headers["location"]
    job = until(door, where, "successful", "failed")["jobID"]
    assert job in ids(processID="rekonsiliasi", type="process", status="successful,failed")
    assert job not in ids(processID="agregasi")
    assert job not in ids(status="running")
    assert job in ids(datetime="2020-01-01T00:00:00Z/..", minDuration=0, maxDuration=60)
    assert job not in ids(datetime="../2020-01-01T00:00:00Z")
    assert len(ids(limit=1)) == 1
    for name, value in {
        "status": "x",
        "type": "x",
        "minDuration": "-1",
        "datetime": "x",
        "limit": "0",
    }.items():
        got = door.get("/jobs", params={name: value})
        assert (got.status_code, got.json()["where"]) == (400, name)


def test_an_unknown_job_has_the_type_of_the_standard(door: httpx.Client) -> None:
    for got in (door.get("/jobs/x"), door.get("/jobs/x/results"), door.delete("/jobs/x")):
        assert got.status_code == 404
        assert got.json()["type"] == f"{TYPES}no-such-job"


def test_the_form_can_ask_for_a_job(door: httpx.Client) -> None:
    fields = {"lon": "107.139", "lat": "-6.822", "kode": "32.03.01.2001", "_latar": "1"}
    got = door.post("/processes/verifikasi-lokasi/execution?f=html", data=fields)
    assert got.status_code == 201
    assert got.headers["content-type"].startswith("text/html")
    until(door, got.headers["location"], "successful")
