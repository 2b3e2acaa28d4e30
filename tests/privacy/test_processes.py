"""Processes: persons in any input of any process are refused, and neither repeated nor kept anywhere."""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import HERE, LAYERS, fill
from tests.ogc_server.world import World, make_settings, open_world
from tests.privacy.watch import NAMES, NIK, PLANTED, persons, plain

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "agregasi": ("data", {"kode": "32.03.01.2001"}),
    "rekonsiliasi": ("a", {"kode": "32.03.01.2001", "jiwa": 3}),
    "alokasi-bantuan": ("kebutuhan", {"kode": "32.03.01.2001", "item": "b", "jumlah": 3}),
    "verifikasi-lokasi": ("titik", {**HERE, "kode": "32.03.01.2001"}),
}
"""Inputs that take rows, with a row that is right."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("orang"), processes=LAYERS))
    fill(made, shared_data)
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(world: World) -> Iterator[httpx.Client]:
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def nowhere(world: World, door: httpx.Client) -> Iterator[None]:
    """When all tests are through nothing that was planted stands in a log, a file, the database or `/jobs`."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(handler.format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    places = {"log": "\n".join(said), "jobs": door.get("/jobs").text + door.get("/jobs?f=html").text}
    folder = world.settings.data_dir
    for path in folder.rglob("*"):
        if path.is_file() and ".sqlite" not in path.name and path.suffix not in (".npy", ".gpkg"):
            places[str(path)] = path.read_bytes().decode("utf-8", "replace")
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as database:
        tables = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        places |= {t: repr(database.execute(f'SELECT * FROM "{t}"').fetchall()) for t in tables}
    for place, text in places.items():
        assert not [secret for secret in PLANTED if secret in text], f"planted data stands in {place}"


def refused(door: httpx.Client, process: str, body: Any, **headers: str) -> httpx.Response:
    """The request gets 400, and nothing of what was planted stands in the answer."""
    sent = {"Content-Type": "application/json", **headers}
    got = door.post(f"/processes/{process}/execution", content=json.dumps(body), headers=sent)
    assert got.status_code == 400, got.text
    assert not [secret for secret in PLANTED if secret in plain(got.text)]
    return got


WRITINGS: dict[str, Any] = {
    "text": NIK, "number": int(NIK), "float": float(NIK), "separated": "3279-9971-0287-0002",
    "in a list": [NIK], "in an object": {"orang": {"nomor": NIK}}, "as a key": {NIK: 1},
}  # fmt: skip


@pytest.mark.parametrize("process", list(PROCESSES))
def test_a_nik_in_any_input_in_any_writing_is_refused(process: str, door: httpx.Client) -> None:
    names = [*PROCESSES[process].model.model_fields, "nik"]
    for name, value in zip(names, itertools.cycle(WRITINGS.values()), strict=False):
        refused(door, process, {"inputs": {name: value}})
    for value in WRITINGS.values():
        refused(door, process, {"inputs": {names[0]: value}})
    refused(door, process, {"inputs": {NIK: 1}}, Accept="text/html")
    refused(door, process, {"inputs": {}, NIK: 1})
    refused(door, process, {"inputs": {}, "outputs": {NIK: {}}})
    refused(door, process, {"inputs": {}, "response": NIK}, Prefer="respond-async")


@pytest.mark.parametrize("process", list(ROWS))
@pytest.mark.parametrize("column", ["x1", "x2", "x3", "x4", "x5", "nik", "nama_krt"])
def test_rows_with_persons_are_refused_by_column(process: str, column: str, door: httpx.Client) -> None:
    name, right = ROWS[process]
    told = {"nik": "x1", "nama_krt": "x3"}.get(column, column)
    rows = [{**right, column: person[told]} for person in persons()]
    got = refused(door, process, {"inputs": {name: rows}})
    assert got.json()["where"].startswith(f"inputs.{name}.")


def test_properties_of_features_are_read_too(door: httpx.Client) -> None:
    at = {"type": "Point", "coordinates": [HERE["lon"], HERE["lat"]]}
    for properties in ({"x1": NIK}, {"nama_krt": NAMES[0]}):
        area = {"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": properties, "geometry": at}]}  # fmt: skip
        for process, name in (("wilayah-terdampak", "area"), ("bantuan-terdekat", "asal")):
            refused(door, process, {"inputs": {name: area}})


@pytest.mark.parametrize("process", list(PROCESSES))
def test_forms_are_refused_alike(process: str, door: httpx.Client) -> None:
    name = next(iter(PROCESSES[process].model.model_fields))
    for fields in ({name: NIK}, {NIK: "1"}, {name: json.dumps([{"x": NIK}])}, {"nik": f"a {NIK}"}):
        got = door.post(f"/processes/{process}/execution", data=fields, headers={"Accept": "text/html"})
        assert got.status_code == 400
        assert NIK not in plain(got.text)


@pytest.mark.parametrize(
    "path", ["/processes/{}", "/jobs/{}", "/jobs?status={}", "/collections/{}", "/collections/batas/items/{}",
             "/collections/batas/items?nik={}", "/collections/batas/items?filter=nik='{}'",
             "/collections/batas/items?limit={}x", "/collections/katalog/items?ids={}&limit=x"],
)  # fmt: skip
def test_no_log_keeps_what_stood_in_an_address(path: str, door: httpx.Client) -> None:
    assert door.get(path.format(NIK)).status_code in (400, 404)


def test_a_job_refused_leaves_no_job(door: httpx.Client) -> None:
    before = len(door.get("/jobs").json()["jobs"])
    refused(door, "agregasi", {"inputs": {"data": persons()}}, Prefer="respond-async")
    assert len(door.get("/jobs").json()["jobs"]) == before


def test_coordinates_of_java_with_all_their_digits_are_no_persons(door: httpx.Client) -> None:
    """`7.103450112345678` has sixteen digits in the order of a NIK; as number and as text it is a latitude."""
    for lat in (-7.103450112345678, "-7.103450112345678"):
        inputs = {"lon": 107.139, "lat": lat, "kode": "32.03.01.2001"}
        assert door.post("/processes/verifikasi-lokasi/execution", json={"inputs": inputs}).status_code == 200
