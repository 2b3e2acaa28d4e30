"""Answers of processes in the forms that people take away: at once, as a job, from the form."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import shapely

from layers.contract import FeatureBatch
from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.test_processes import HERE, ask, cianjur, door, inside, truth
from tests.ogc_server.test_processes_jobs import until

__all__ = ["cianjur", "door", "truth"]
GEOJSON, CSV, PARQUET = "application/geo+json", "text/csv", "application/vnd.apache.parquet"
_AREA = {"area": shapely.geometry.mapping(shapely.Point(107.14, -6.82).buffer(0.01))}
_NEAR = {"asal": {"type": "Point", "coordinates": [107.12, -6.82]}, "k": 2}
_PLAN = {
    "kebutuhan": [{"kode": "32.03.01.2001", "item": "beras", "jumlah": 10}],
    "stok": [{"gudang": "A", "item": "beras", "jumlah": 8, "lon": 107.1, "lat": -6.8}],
}
_ROWS = [{"kode": "32.03.01.2001", "jiwa": n} for n in range(3)]
_PLACED = {
    "wilayah-terdampak": (_AREA, "MultiPolygon"),
    "bantuan-terdekat": (_NEAR, "Point"),
    "alokasi-bantuan": (_PLAN, "LineString"),
    "verifikasi-lokasi": ({**HERE, "kode": "32.03.01.2001"}, "Point"),
    "rekonsiliasi": ({"a": "jiwa", "b": _ROWS[:1], "kunci": "kode", "nilai": ["jiwa"]}, "MultiPolygon"),
    "agregasi": ({"data": [{"kode": "32.03.01.2001"}] * 30, "tingkat": ["desa"]}, "MultiPolygon"),
}


@pytest.mark.parametrize("process", list(_PLACED))
def test_every_form_of_an_answer(door: httpx.Client, process: str) -> None:
    inputs, kind = _PLACED[process]
    address = f"/processes/{process}/execution"
    found = door.post(address, json={"inputs": inputs}, headers={"Accept": GEOJSON})
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == GEOJSON
    assert f'filename="{process}.geojson"' in found.headers["content-disposition"]
    features = found.json()["features"]
    assert kind in {one["geometry"]["type"] for one in features if one["geometry"]}
    text = door.post(address, json={"inputs": inputs}, params={"f": "csv"})
    assert text.headers["content-type"].startswith(CSV)
    assert len(list(csv.DictReader(io.StringIO(text.text)))) == len(features)
    body = {"inputs": inputs, "outputs": {"hasil": {"format": {"mediaType": PARQUET}}}}
    table = pq.read_table(io.BytesIO(door.post(address, json=body).content))
    assert table.num_rows == len(features)
    assert json.loads(table.schema.metadata[b"geo"])["version"] == "1.1.0"


def test_a_document_holds_the_other_forms_too(door: httpx.Client) -> None:
    for media in (GEOJSON, CSV, PARQUET):
        more: dict[str, Any] = {
            "response": "document",
            "outputs": {"hasil": {"format": {"mediaType": media}}},
        }
        held = ask(door, "bantuan-terdekat", _NEAR, **more).json()["hasil"]
        assert held["mediaType"] == media
        if media == PARQUET:
            assert base64.b64decode(held["value"])[:4] == b"PAR1"


def test_the_description_declares_the_forms(door: httpx.Client) -> None:
    for process in PROCESSES:
        shapes = door.get(f"/processes/{process}").json()["outputs"]["hasil"]["schema"]["oneOf"]
        assert {one["contentMediaType"] for one in shapes} == {"application/json", GEOJSON, CSV, PARQUET}
    paths = door.get("/api", params={"f": "json"}).json()["paths"]
    for path, method in (("/processes/{processId}/execution", "post"), ("/jobs/{jobId}/results", "get")):
        assert {GEOJSON, CSV, PARQUET} <= set(paths[path][method]["responses"]["200"]["content"])


def test_an_unknown_form_is_refused(door: httpx.Client) -> None:
    got = ask(door, "bantuan-terdekat", _NEAR, outputs={"hasil": {"format": {"mediaType": "image/png"}}})
    assert (got.status_code, got.json()["where"]) == (400, "outputs.hasil.format.mediaType")
    assert (
        door.post("/processes/bantuan-terdekat/execution?f=xlsx", json={"inputs": _NEAR}).status_code == 400
    )


def test_a_job_answers_in_the_form_it_was_asked_in_and_in_others(door: httpx.Client) -> None:
    body = {"inputs": _AREA, "outputs": {"hasil": {"format": {"mediaType": CSV}}}}
    made = door.post(
        "/processes/wilayah-terdampak/execution",
        json=body,
        headers={"Prefer": "respond-async", "Accept": "*/*"},
    )
    assert made.headers["content-type"] == "application/json"
    job = made.headers["location"]
    until(door, job, "successful")
    asked = door.get(f"{job}/results", headers={"Accept": "*/*"})
    assert asked.headers["content-type"].startswith(CSV)
    assert door.get(f"{job}/results", params={"f": "json"}).json()["desa"]
    features = door.get(f"{job}/results", headers={"Accept": GEOJSON}).json()["features"]
    assert features[0]["geometry"]["type"] == "MultiPolygon"


def test_the_form_gives_a_file_to_take_away(door: httpx.Client, truth: FeatureBatch) -> None:
    place = inside(truth, 4)
    fields = {"lon": str(place.x), "lat": str(place.y), "kode": truth.ids[4], "_bentuk": "csv"}
    got = door.post("/processes/verifikasi-lokasi/execution?f=html", data=fields)
    assert got.headers["content-type"].startswith(CSV)
    assert "sesuai" in got.text
    page = door.post("/processes/verifikasi-lokasi/execution?f=html", data={**fields, "_bentuk": "html"})
    assert 'id="peta-data"' in page.text
    wrong = door.post("/processes/verifikasi-lokasi/execution?f=html", data={**fields, "_bentuk": "exe"})
    assert wrong.status_code == 400
