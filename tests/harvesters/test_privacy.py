"""Personal data is found by what a column holds, in whatever column type it hides."""

from __future__ import annotations

import random
import time
from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.model import FieldDef, FieldType, LayerSchema, RunState
from harvesters.privacy.detect import ID_COLUMN, PrivacyScan
from harvesters.privacy.texts import personal_text
from layers.contract import FeatureBatch
from tests.harvesters.support import World, layer, points

NIK = "3203014506870002"  # a woman, born 5 June 1987, of Cianjur; the number is made up


def scan(
    values: list[Any], *, name: str = "kolom", type_: FieldType = FieldType.TEXT, geometry: str | None = None,
    **others: Any,
) -> list[str]:  # fmt: skip
    fields = (FieldDef(name, type_), *(FieldDef(n) for n in others))
    scanner = PrivacyScan(LayerSchema(fields, geometry))
    rows = [{name: value, **others} for value in values]
    shapes = np.array([shapely.Point(107, -7)] * len(rows), dtype=object) if geometry else None
    scanner.feed(FeatureBatch([f"f{i}" for i in range(len(rows))], rows, shapes))
    return sorted(f.kind for f in scanner.findings())


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (NIK, FieldType.TEXT),
        (int(NIK), FieldType.INTEGER),
        (float(NIK), FieldType.REAL),
        ("3203.0145.0687.0002", FieldType.TEXT),
        ("3203 0145 0687 0002", FieldType.TEXT),
        ("320301-450687-0002", FieldType.TEXT),
        ("'" + NIK, FieldType.TEXT),
        (f"catatan: warga {NIK}, sudah diverifikasi", FieldType.TEXT),
        ("３２０３０１４５０６８７０００２", FieldType.TEXT),
        ("32030145\u200b06870002", FieldType.TEXT),
        ("٣٢٠٣٠١٤٥٠٦٨٧٠٠٠٢", FieldType.TEXT),
        ([{"nik": NIK}], FieldType.TEXT),
    ],
)
def test_a_nik_is_found_in_every_column_type_and_writing(value: Any, type_: FieldType) -> None:
    assert "nik" in scan([None, "a" if type_ is FieldType.TEXT else 5, value], type_=type_)


def test_one_nik_in_the_last_row_is_found() -> None:
    assert scan([f"baris {i}" for i in range(5000)] + [NIK]) == ["nik"]


def test_a_nik_as_feature_id_or_label_of_a_code_is_found() -> None:
    scanner = PrivacyScan(LayerSchema((FieldDef("a"),)))
    scanner.feed(FeatureBatch([NIK], [{"a": "x"}]))
    assert [(f.field, f.kind) for f in scanner.findings()] == [(ID_COLUMN, "nik")]
    labels = PrivacyScan(LayerSchema((FieldDef("a", codes={"1": f"Ibu {NIK}"}),)))
    assert [f.kind for f in labels.findings()] == ["nik"]


def test_a_family_card_is_named_as_such() -> None:
    assert scan(["3203010101150003"], name="no_kk") == ["family-card", "personal-field"]


@given(st.integers(1, 9), st.integers(0, 10**15 - 1))
def test_other_sixteen_digit_numbers_are_not_people(first: int, rest: int) -> None:
    """A column of random ids is left alone, though a few of them look like NIK by chance."""
    dice = random.Random(first * rest)
    ids = [str(dice.randrange(10**15, 10**16)) for _ in range(300)]
    assert scan(ids) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "081234567890"), ("phone", "+62 812-3456-7890"), ("phone", "hub. 0857.1234.5678"),
        ("e-mail", "siti.aminah@gmail.com"), ("address", "Kp. Cibeber RT 02/RW 05 No. 7"),
        ("address", "RT.003 RW.001 Desa Sukamaju"),
    ],
)  # fmt: skip
def test_contacts_and_homes(kind: str, value: str) -> None:
    assert scan([value, value]) == [kind]


def test_a_phone_that_lost_its_zero_is_found_by_its_header() -> None:
    assert scan([81234567890, 85712345678], name="no_hp", type_=FieldType.INTEGER) == ["phone"]
    assert scan([81234567890, 85712345678], name="luas", type_=FieldType.INTEGER) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("nama_krt", ["Udin Samsudin", "Hj. Entin"]),
        ("NamaPenerima", ["Parluhutan Nainggolan", "La Ode Hasan"]),
        ("nama", ["Siti Aminah", "Budi Santoso", "Asep Kurniawan"]),
        ("kepala_keluarga", ["Made Wijaya"]),
    ],
)
def test_names_of_people(name: str, values: list[str]) -> None:
    assert "person-name" in scan(values, name=name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("nama", ["Puskesmas Siti Fatimah", "RSUD Budi Asih", "Masjid Nur Rahman", "SDN Sri Rejeki"]),
        ("nama", ["Cianjur", "Warungkondang", "Cibeber", "Sukanagara"]),
        ("WADMKD", ["Pamoyanan", "Sayang", "Sawah Gede"]),
        ("nama_desa", ["Bojongpicung", "Sukasari", "Mulyasari"]),
        ("kode_desa", ["32.03.01.1006", "3203200007", "3203011006"]),
        ("kode", [3203011006, 3203200007]),
        ("telepon", ["(0263) 261234", "0263-270000"]),
        ("email", ["dinsos@cianjurkab.go.id", "info@sdn1.sch.id"]),
        ("alamat", ["Jl. Raya Bandung No. 12", "Jalan Siliwangi"]),
        ("tanggal", ["20260302101530", "2026-03-02T10:15:30.123456Z"]),
        ("uuid", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]),
        ("luas", [12345678.123456789, 3203014506.870002]),
        ("coordinates", ["107.1234567,-6.9876543", "107.7654321,-7.1234567"]),
        ("wkt", ["POINT (107.12345678 -6.98765432)"]),
    ],
)
def test_places_codes_and_offices_are_not_people(name: str, values: list[Any]) -> None:
    numbers = all(isinstance(v, float) for v in values)
    assert scan(values, name=name, type_=FieldType.REAL if numbers else FieldType.TEXT) == []


def test_points_of_households_are_found_though_no_column_names_a_person() -> None:
    assert scan([1, 2, 3], name="desil", type_=FieldType.INTEGER, geometry="Point") == ["household-point"]
    assert scan([1, 2], name="desil", type_=FieldType.INTEGER) == []  # counts per decile are no homes
    assert scan([1, 2], name="jumlah_art", lat="-7.1", lon="107.2") == ["household-point"]
    assert scan([31, 12], name="jumlah_keluarga_desil_1", geometry="Point") == []


def test_birth_dates_and_accounts_are_found_by_their_header() -> None:
    assert scan([date(1987, 6, 5)], name="tgl_lahir", type_=FieldType.DATE) == ["personal-field"]
    assert scan(["0012345"], name="no_rekening") == ["personal-field"]
    assert scan([None], name="tgl_lahir", type_=FieldType.DATE) == []


def test_a_description_with_a_nik_is_seen() -> None:
    assert personal_text(f"Contoh: {NIK}")
    assert not personal_text("Data tahun 2024, 83.762 desa, kode 32.03.01.1006")


@settings(max_examples=200)
@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.binary(), st.none()))
def test_any_value_can_be_scanned(value: Any) -> None:
    scan([value, value], name="nama_penerima")


def test_hostile_text_costs_no_more_than_its_length() -> None:
    begin = time.process_time()
    for text in (
        "Aa " * 30_000,
        "a.a@" * 30_000,
        "1 " * 60_000,
        "rt " * 30_000,
        "0" * 100_000,
        "A.'" * 30_000,
    ):
        scan([text], name="nama_lengkap")
    assert time.process_time() - begin < 20


# -- in a run ----------------------------------------------------------------------------------------


def people(world: World, **more: Any) -> None:
    rows = points(3, nik=NIK)
    world.upstream(layer(rows, fields={"nama": "text", "nik": "text"}, **more))


def test_personal_data_is_held_and_never_shown(world: World) -> None:
    people(world)
    run = world.harvest()
    assert (run.state, run.code) == (RunState.HELD, "guard-personal")
    assert "'nik' holds personal data (nik) in 3 values" in run.reason
    assert NIK not in repr(run)
    assert world.rows() == {}


def test_dropping_the_column_lets_it_through(world: World) -> None:
    people(world)
    assert world.harvest(world.source({"remote": "fasilitas", "drop": ["nik"]})).state is RunState.OK
    assert world.rows()["1"] == {"nama": "Puskesmas 1"}


def test_renaming_the_column_does_not(world: World) -> None:
    people(world)
    layer_ = {"remote": "fasilitas", "rename": {"nik": "kode"}}
    assert world.harvest(world.source(layer_)).state is RunState.HELD


@pytest.mark.parametrize(
    ("access", "state"),
    [("internal", RunState.OK), ("terbatas", RunState.HELD), ("publik", RunState.HELD)],
)
def test_only_an_internal_layer_may_hold_some(world: World, access: str, state: RunState) -> None:
    people(world)
    layer_ = {"remote": "fasilitas", "access": access, "allow_personal": True}
    assert world.harvest(world.source(layer_)).state is state


def test_an_internal_layer_can_not_be_made_public_by_a_change_of_access(world: World) -> None:
    """The content is the same and would be `unchanged`: the guard is asked all the same."""
    people(world, etag="one", listing={"stage": "s", "certain": True})
    inside = {"remote": "fasilitas", "access": "internal", "allow_personal": True}
    assert world.harvest(world.source(inside)).state is RunState.OK
    outside = inside | {"access": "publik"}
    assert world.harvest(world.source(outside)).code == "guard-personal"
    assert world.catalog.datasets.get("fasilitas").record.access == "internal"


def test_pages_of_an_interrupted_run_are_scanned_too(world: World) -> None:
    rows = points(35)
    rows[0]["nama"] = f"warga {NIK}"
    world.upstream(layer(rows, listing={"stage": "s"}), fail_at="page-20")
    assert world.harvest().state is RunState.FAILED
    world.upstream(layer(rows, listing={"stage": "s"}))
    assert world.harvest().code == "guard-personal"
    assert world.steps().count("page-0") == 1
    assert world.live() is None
