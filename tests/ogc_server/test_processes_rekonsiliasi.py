"""rekonsiliasi over HTTP: codes that moved are found as on the command line; a stored list, in counts alone."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from analysis.reconcile_run import run
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from catalog.reconciliation_model import Definition, SideSpec, ValueSpec
from layers.contract import FeatureBatch
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import answer, ask
from tests.ogc_server.world import World, make_settings, open_world

SCHEMA = LayerSchema(
    (FieldDef("kode"), FieldDef("nama"), FieldDef("jiwa", FieldType.INTEGER)),
    region_code=RegionCode(field="kode", vintage=2025),
)
ONE = "32.03.01.2001"


def _rows(jiwa: int) -> FeatureBatch:
    return FeatureBatch(["1"], [{"kode": ONE, "nama": "Sayang", "jiwa": jiwa}])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("rekonsiliasi")))
    made.publish("idm", SCHEMA, _rows(5), kind="table")
    made.publish("batas", SCHEMA, _rows(7), kind="table")
    made.publish("rahasia", SCHEMA, _rows(9), kind="table", access="terbatas")
    for id_, other in (("terbuka", "batas"), ("tertutup", "rahasia")):
        definition = Definition(
            a=SideSpec(dataset="idm", key="kode"), b=SideSpec(dataset=other, key="kode"),
            values=(ValueSpec(a="jiwa", b="jiwa"),),
        )  # fmt: skip
        entry = made.catalog.reconciliations.define(id_, definition, by="s")
        run(made.catalog, made.store, entry, read_file=lambda path, columns: None, by="s")
    made.catalog.reconciliations.define("belum", definition.model_copy(update={"b": definition.a}), by="s")
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(small: World) -> Iterator[httpx.Client]:
    with running(small) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def test_codes_that_moved_are_found_by_name(door: httpx.Client) -> None:
    a = [{"kode": "96.04.15.2003", "nama": "BARIAT", "kec": "KONDA"}]
    b = [
        {"kode": "96.04.15.2003", "nama": "Ibe", "kec": "Kasi"},
        {"kode": "96.04.09.2003", "nama": "Bariat", "kec": "Konda"},
    ]
    found = answer(
        door, "rekonsiliasi", {"a": a, "b": b, "kunci": "kode", "nama": "nama", "kecamatan": "kec"}
    )
    moved = next(row for row in found["baris"] if row["kode_a"])
    assert (moved["kelas"], moved["kode_b"], moved["mutu"]) == ("kode_pindah", "96.04.09.2003", "name")
    assert moved["keterangan"] == "di B kode 96.04.15.2003 milik Ibe"
    assert found["perpindahan_dikenal"] == 1
    named = {"a": a, "b": b, "kunci": "kode", "kecamatan": "tidak_ada"}
    assert ask(door, "rekonsiliasi", named).json()["where"] == "inputs.a"


def test_a_stored_reconciliation_is_told_in_counts_alone(door: httpx.Client) -> None:
    found = answer(door, "rekonsiliasi", {"daftar": "terbuka"})
    assert (found["jumlah"], found["baris"]) == ({"nilai_berbeda": 1}, [])
    told = found["daftar"]
    assert (told["id"], told["terbuka"], told["diputuskan"]) == ("terbuka", 1, 0)
    assert told["a"] == {"dataset": "idm", "version": 1}


@pytest.mark.parametrize("id_", ["tertutup", "tidak-ada", "belum"])
def test_what_is_not_public_is_not_there(door: httpx.Client, id_: str) -> None:
    got = ask(door, "rekonsiliasi", {"daftar": id_})
    assert (got.status_code, got.json()["where"]) == (400, "inputs.daftar")
    assert "rahasia" not in got.text


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"daftar": "terbuka", "a": "idm"}, "inputs.daftar"), ({}, "inputs.a"), ({"a": "idm"}, "inputs.b"),
        ({"a": "idm", "b": "idm"}, "inputs.kunci"), ({"daftar": ""}, "inputs.daftar"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(door: httpx.Client, inputs: dict[str, str], where: str) -> None:
    got = ask(door, "rekonsiliasi", inputs)
    assert (got.status_code, got.json()["where"]) == (400, where)
