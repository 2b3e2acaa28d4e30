"""Whatever is put into an input, the answer is an answer or a 400 that names the field; never a 500."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.test_processes import cianjur, door

__all__ = ["cianjur", "door"]
_TEXTS = st.one_of(
    st.sampled_from(["", " ", "0", "-1", "1e999", "nan", "NaN", "Infinity", "null", "true", "32.03.01.2001",
                     "3203012001", "32", "\u0000", "\u202e", "😀", "jiwa", "batas-desa", "../x", "a" * 5000,
                     "9" * 400, "{}", "[1", "<xml>", "kode;a\n1;2", "107,139", "6°49'S"]),
    st.text(max_size=20),
)  # fmt: skip
_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 1e308, -1e308, 5e-324, 0.1, 107.1, -6.8]),
    st.integers(-1000, 1000), st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
_PLAIN = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
_KEYS = st.sampled_from(
    ["lon", "lat", "kode", "item", "jumlah", "gudang", "type", "coordinates", "geometry", "geometries", "features",
     "magnitudo", "kedalaman_km", "properties", "kelas", "berkas", "a", "b", "toleransi", "bobot", "status", "biaya"]
)  # fmt: skip
_KINDS = st.sampled_from(
    [
        "Point",
        "Polygon",
        "MultiPolygon",
        "LineString",
        "GeometryCollection",
        "Feature",
        "FeatureCollection",
        "x",
    ]
)
_VALUES = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=12,
)
_SHAPES = st.builds(
    lambda kind, coordinates, more: {"type": kind, "coordinates": coordinates, **more},
    _KINDS,
    st.recursive(_NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=16),
    st.dictionaries(_KEYS, _PLAIN, max_size=2),
)


def _good(process: str) -> dict[str, Any]:
    """Return the example of a process as JSON values: what is wrong is put into one place of it."""
    found = {}
    for name, text in PROCESSES[process].examples.items():
        found[name] = json.loads(text) if text[0] in "[{" else text
    if process in ("wilayah-terdampak", "respons-cepat"):
        return {"area": found["area"]}  # or an earthquake
    return {"raster": "x", **found} if process == "statistik-zonal" else found


@st.composite
def questions(draw: st.DrawFn, process: str) -> dict[str, Any]:
    """Some inputs of a process, one or two of them anything."""
    names = [*PROCESSES[process].model.model_fields, "tak_dikenal"]
    asked = _good(process) if draw(st.booleans()) else {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        asked[name] = draw(st.one_of(_VALUES, _SHAPES))
    return asked


def _is_told(got: httpx.Response) -> None:
    if got.status_code == 200:
        return
    said = got.json()
    assert got.status_code in (400, 503), said
    if got.status_code == 400:
        assert said["where"], said


@pytest.mark.parametrize("process", list(PROCESSES))
def test_no_input_breaks_a_process(door: httpx.Client, process: str) -> None:
    @settings(max_examples=60)
    @given(questions(process))
    def ask(inputs: dict[str, Any]) -> None:
        _is_told(door.post(f"/processes/{process}/execution", json={"inputs": inputs}))

    ask()


@pytest.mark.parametrize("process", list(PROCESSES))
def test_no_form_breaks_a_process(door: httpx.Client, process: str) -> None:
    names = [
        *PROCESSES[process].model.model_fields,
        "gempa.lon",
        "berkas_register.simpan",
        "_bentuk",
        "_latar",
    ]
    fields = st.dictionaries(st.sampled_from(names), _TEXTS, max_size=4)

    @settings(max_examples=30)
    @given(fields)
    def ask(typed: dict[str, str]) -> None:
        got = door.post(f"/processes/{process}/execution?f=html", data=typed)
        assert got.status_code in (200, 201, 400, 503), got.text

    ask()


@pytest.mark.parametrize(
    "body",
    [b'{"inputs": {"lon": NaN}}', b'{"inputs": {"lon": 1e999, "lat": 0, "kode": "x"}}', b"\xff", b"[]", b'{"inputs": []}',
     b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"inputs": {"kode": "\\ud800"}}', b"{}", b""],
)  # fmt: skip
def test_a_body_that_is_none_is_a_wrong_input(door: httpx.Client, body: bytes) -> None:
    for process in PROCESSES:
        headers = {"Content-Type": "application/json"}
        got = door.post(f"/processes/{process}/execution", content=body, headers=headers)
        assert got.status_code == 400, got.text
        assert got.json()["where"]


@pytest.mark.parametrize("code", ["", "Siti Aminah", "32.03.01.2999", "99", "32.03"])
def test_a_code_that_is_none_is_named_by_its_place_and_not_repeated(door: httpx.Client, code: str) -> None:
    inputs = {"asal": ["32.03.01.2001", code]}
    got = door.post("/processes/bantuan-terdekat/execution", json={"inputs": inputs})
    assert (got.status_code, got.json()["where"]) == (400, "inputs.asal.1")
    assert not code or code not in got.json()["detail"]
