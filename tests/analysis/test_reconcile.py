"""Reconciliation on real tables: IDM 2024 with the boundaries of 2025, BPS 2020 with Kemendagri 2025."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import fiona
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.moves import Named, derive_moves, likeness
from analysis.reconcile import (
    Compared,
    Comparison,
    Move,
    Side,
    Verdict,
    flipped,
    reconcile,
    with_moves_by_name,
)
from catalog.errors import QueryError
from catalog.region_model import CrosswalkRow


def _side(rows: list[tuple[Any, Any, Any]], scheme: str = "kemendagri") -> Side:
    table = pa.table(
        {
            "kode": [row[0] for row in rows],
            "nama": [row[1] for row in rows],
            "n": [row[2] for row in rows],
        }
    )
    return Side(table, "kode", scheme, name="nama")  # type: ignore[arg-type]


def _only(comparison: Comparison):
    assert len(comparison.rows) == 1
    return comparison.rows[0]


@pytest.fixture(scope="module")
def idm(shared_data: Path) -> pa.Table:
    with gzip.open(shared_data / "idm2024_desa.csv.gz") as file:
        types = {"kode_kemendagri": pa.string()}
        return pacsv.read_csv(file, convert_options=pacsv.ConvertOptions(column_types=types))


@pytest.fixture(scope="module")
def desa(shared_data: Path) -> pa.Table:
    return pq.read_table(shared_data / "desa_2025.parquet", columns=["KDEPUM", "NAMOBJ", "WADMKC", "LUASWH"])


@pytest.fixture(scope="module")
def kepmendagri(shared_data: Path) -> pa.Table:
    """Every desa of the code list of 2025, also those without a polygon, with its kecamatan's name."""
    with gzip.open(shared_data / "kode_wilayah_2025.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    names = {row["kode"]: row["nama"] for row in rows}
    desa = [row for row in rows if row["level"] == "desa"]
    return pa.table(
        {
            "kode": [row["kode"] for row in desa],
            "nama": [row["nama"] for row in desa],
            "kecamatan": [names[row["induk"]] for row in desa],
        }
    )


@pytest.fixture(scope="module")
def named(idm: pa.Table, kepmendagri: pa.Table) -> Comparison:
    left = Side(idm, "kode_kemendagri", name="nama", above="kecamatan")
    right = Side(kepmendagri, "kode", name="nama", above="kecamatan")
    return reconcile(left, right, moves=with_moves_by_name(left, right))


def test_every_row_of_idm_2024_is_classified_against_2025(idm: pa.Table, desa: pa.Table) -> None:
    plain = reconcile(Side(idm, "kode_kemendagri", vintage=2024), Side(desa, "KDEPUM", vintage=2025))
    assert plain.counts == {Verdict.SAME: 74_141, Verdict.ONLY_A: 1_124, Verdict.ONLY_B: 83_402 - 74_141}


def test_names_tell_where_the_codes_of_idm_2024_went(
    idm: pa.Table, kepmendagri: pa.Table, named: Comparison
) -> None:
    codes = {"a": idm["kode_kemendagri"].to_pylist(), "b": kepmendagri["kode"].to_pylist()}
    for side, all_codes in codes.items():
        seen = Counter(getattr(row, f"code_{side}") for row in named.rows)
        del seen[None]
        assert set(seen) == set(all_codes)
        assert set(seen.values()) == {1}, f"a desa of {side} came out twice"
    assert named.counts == {
        Verdict.SAME: 74_097, Verdict.MOVED: 1_025, Verdict.NAME: 133, Verdict.ONLY_A: 10,
        Verdict.ONLY_B: 83_762 - 74_097 - 1_025 - 133,
    }  # fmt: skip
    roads = Counter((row.code_a[:5], row.code_b[:5]) for row in named.of(Verdict.MOVED))  # type: ignore[index]
    assert roads["96.10", "96.05"] == 259, "Maybrat"
    assert roads["96.09", "96.04"] == 216, "Tambrauw"
    assert roads["96.04", "96.02"] == 120, "Sorong Selatan"
    assert roads["96.05", "96.03"] >= 108, "Raja Ampat"


def test_codes_that_join_falsely_are_found(idm: pa.Table, kepmendagri: pa.Table, named: Comparison) -> None:
    """96.04 was Sorong Selatan in the table of 2024 and is Tambrauw in 2025: the codes join, falsely."""
    new = dict(zip(kepmendagri["kode"].to_pylist(), kepmendagri["nama"].to_pylist(), strict=True))
    falsely = [row for row in named.of(Verdict.MOVED) if row.code_a in new]
    assert {row.code_a[:5] for row in falsely if row.code_a} == {"96.01", "96.04", "96.05"}
    assert len(falsely) == 239
    assert all(row.note == f"di B kode {row.code_a} milik {new[row.code_a]}" for row in falsely if row.code_a)
    bariat = next(row for row in named.rows if row.code_a == "96.04.15.2003")
    assert (bariat.verdict, bariat.move, bariat.quality) == (Verdict.MOVED, Move.RENUMBERED, "name")
    assert (bariat.code_b or "")[:5] == "96.02"
    suspicious = [row for row in named.of(Verdict.NAME) if row.note]
    assert len(suspicious) == 17
    assert ("KISAM", "Kuta Buluh") in {(row.name_a, row.name_b) for row in suspicious}
    aceh = next(row for row in named.rows if row.code_a == "11.01.01.2015")
    assert aceh.verdict == Verdict.SAME


def test_desa_of_a_split_kecamatan_are_found_in_their_kabupaten(named: Comparison) -> None:
    """Masni (Manokwari) became Masni, Masni Utara and Wasirawi."""
    by_code = {row.code_a: row for row in named.rows if row.code_a}
    assert by_code["92.02.05.2004"].code_b == "92.02.33.2006"
    assert by_code["92.02.05.2024"].code_b == "92.02.34.2003"


OLD_PAPUA = {"93.01": "91.01", "95.01": "91.02", "94.01": "91.04", "93.02": "91.16", "96.71": "92.71"}
"""Codes of 2025 and before the provinsi of 2022: Merauke, Jayawijaya, Nabire, Boven Digoel, Kota Sorong."""


def test_the_provinsi_that_papua_became_in_2022_come_out_right(kepmendagri: pa.Table) -> None:
    """The real desa of five kabupaten under the codes they had until 2022 (Permendagri 72/2019)."""
    rows = [row for row in kepmendagri.to_pylist() if row["kode"][:5] in OLD_PAPUA]
    old = [{**row, "kode": OLD_PAPUA[row["kode"][:5]] + row["kode"][5:]} for row in rows]
    right_code = {before["kode"]: row["kode"] for before, row in zip(old, rows, strict=True)}
    left = Side(pa.Table.from_pylist(old), "kode", name="nama", above="kecamatan")
    right = Side(kepmendagri, "kode", name="nama", above="kecamatan")
    found = reconcile(left, right, moves=with_moves_by_name(left, right))
    mine = [row for row in found.rows if row.code_a is not None]
    assert {row.code_a for row in mine} == set(right_code)
    moved = [row for row in mine if row.code_b is not None]
    assert all(right_code[str(row.code_a)] == row.code_b for row in moved), "a desa went astray"
    assert {row.verdict for row in moved} == {Verdict.MOVED}
    assert len(moved) == len(rows) == 756


def test_one_namesake_in_another_provinsi_is_no_move() -> None:
    old = [Named("32.03.01.2001", "Sukamaju", "Mekar")]
    new = [Named("33.05.01.2001", "Sukamaju", "Mekar")]
    assert list(derive_moves(old, new)) == []
    three = [Named(f"91.01.01.200{n}", f"Desa {n}", "Distrik") for n in range(3)]
    there = [Named(f"93.01.01.200{n}", f"Desa {n}", "Distrik") for n in range(3)]
    assert [row.to_code[:5] for row in derive_moves(three, there)] == ["93.01"] * 3


def test_what_a_steward_declared_goes_before_what_names_tell() -> None:
    a = _side([("32.03.01.2001", "Lama", 1)])
    b = _side([("32.03.01.2001", "Lama", 1), ("32.03.02.2001", "Baru", 1)])
    moves = with_moves_by_name(a, b)
    found = reconcile(a, b, moves=moves, same=[("32.03.01.2001", "32.03.02.2001")])
    assert [(row.code_a, row.code_b, row.quality) for row in found.rows] == [
        ("32.03.01.2001", "32.03.02.2001", "official"), (None, "32.03.01.2001", None),
    ]  # fmt: skip


def test_a_sure_crosswalk_is_not_asked_again_by_name() -> None:
    a, b = (
        _side([("32.03.01.2001", "Lama", 1)]),
        _side([("32.03.01.2001", "Lama", 1), ("32.03.02.2001", "x", 1)]),
    )
    sure = [CrosswalkRow("32.03.01.2001", "32.03.02.2001", 1.0, "official")]
    assert with_moves_by_name(a, b, sure) == sure


def test_bps_2020_of_cianjur_meets_kemendagri_2025_through_the_crosswalk(shared_data: Path) -> None:
    with fiona.open(shared_data / "cianjur_bps2020.gpkg") as layer:
        bps = [(f.properties["bps_kode"], f.properties["bps_desa"], 0) for f in layer]
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as layer:
        dagri = [(f.properties["KDEPUM"], f.properties["NAMOBJ"], 0) for f in layer]
    with gzip.open(shared_data / "crosswalk_kemendagri2025_bps2020.csv.gz", "rt") as file:
        crosswalk = [
            CrosswalkRow(r["kode_kemendagri"], r["kode_bps2020"], float(r["share"]), r["match"])  # type: ignore[arg-type]
            for r in csv.DictReader(file)
            if r["kode_kemendagri"].startswith("32.03.") and r["kode_bps2020"]
        ]
    found = reconcile(_side(bps, "bps"), _side(dagri), moves=flipped(crosswalk))
    assert found.counts == {Verdict.SAME: 351, Verdict.NAME: 2, Verdict.ONLY_A: 7, Verdict.ONLY_B: 7}
    sure = {(row.to_code, row.from_code) for row in crosswalk if row.quality != "weak"}
    joined = {(row.code_a, row.code_b) for row in found.rows if row.code_a and row.code_b}
    assert joined <= sure, "a weak row was taken as truth"
    assert {row.code_a for row in found.rows if row.code_a} == {code for code, _, _ in bps}
    assert {row.code_b for row in found.rows if row.code_b} == {code for code, _, _ in dagri}
    weak = [row for row in crosswalk if row.quality == "weak"]
    assert weak
    assert any(row.candidate for row in found.of(Verdict.ONLY_B))
    assert len(joined) > 250


def test_two_schemes_without_a_crosswalk_are_refused() -> None:
    with pytest.raises(QueryError):
        reconcile(_side([("3203010001", "x", 1)], "bps"), _side([("32.03.01.1006", "x", 1)]))


def test_the_whole_nation_is_compared_by_value(idm: pa.Table, desa: pa.Table) -> None:
    with_size = idm.append_column("LUASWH", pa.array([100.0] * len(idm)))
    found = reconcile(
        Side(with_size, "kode_kemendagri"), Side(desa, "KDEPUM"), [Compared("LUASWH", "LUASWH", relative=0.1)]
    )
    assert found.counts[Verdict.VALUE] > 60_000


@pytest.mark.parametrize(
    ("one", "other", "rule", "verdict"),
    [
        (10, 10, {}, Verdict.SAME),
        (10, 11, {}, Verdict.VALUE),
        (10, 11, {"absolute": 1}, Verdict.SAME),
        (10, 12, {"absolute": 1}, Verdict.VALUE),
        (100, 101, {"relative": 0.01}, Verdict.SAME),
        (0.1, 0.3, {"absolute": 0.2}, Verdict.SAME),
        (None, 1.0, {"absolute": 9}, Verdict.VALUE),
    ],
)
def test_tolerances(one: float | None, other: float, rule: dict[str, float], verdict: Verdict) -> None:
    code = "32.03.01.1006"
    found = reconcile(_side([(code, "x", one)]), _side([(code, "x", other)]), [Compared("n", "n", **rule)])
    assert _only(found).verdict == verdict


def test_writings_of_a_code_are_one_key() -> None:
    found = reconcile(_side([("3203011006", "x", 1)]), _side([("32.03.01.1006", "x", 1)]))
    assert _only(found).verdict == Verdict.SAME


def test_a_typo_is_listed_and_is_no_key() -> None:
    a = _side([("32.03.01.1006", "Bonjogpicung", 1), ("32.03.01.1007", "Pamoyanan", 1)])
    b = _side([("32.03.01.1006", "BOJONG PICUNG", 1), ("32.03.01.1008", "Pamoyanan", 1)])
    found = reconcile(a, b)
    assert [row.verdict for row in found.rows] == [Verdict.NAME, Verdict.ONLY_A, Verdict.ONLY_B]
    assert found.rows[0].likeness == pytest.approx(likeness("bonjogpicung", "bojongpicung"))


def test_split_and_merged_codes_are_listed_without_comparing_values() -> None:
    a = _side([("32.03.01.2001", "Satu", 5), ("32.03.01.2002", "Dua", 6), ("32.03.01.2003", "Tiga", 7)])
    b = _side([("32.03.01.2001", "Satu", 3), ("32.03.01.2009", "Baru", 2), ("32.03.01.2010", "Gabung", 13)])
    moves = [
        CrosswalkRow("32.03.01.2001", "32.03.01.2001", 0.6, "official"),
        CrosswalkRow("32.03.01.2001", "32.03.01.2009", 0.4, "official"),
        CrosswalkRow("32.03.01.2002", "32.03.01.2010", 1, "official"),
        CrosswalkRow("32.03.01.2003", "32.03.01.2010", 1, "official"),
    ]
    found = reconcile(a, b, [Compared("n", "n")], moves=moves)
    assert [row.move for row in found.rows] == [Move.SPLIT, Move.SPLIT, Move.MERGED, Move.MERGED]
    assert all(row.values == () and row.differs == () for row in found.rows)


def test_bad_and_doubled_codes_are_reported_and_no_long_text_is_repeated() -> None:
    a = _side(
        [("3203010101900001", "x", 1), (None, "x", 1), ("32.03.01.1006", "x", 1), ("3203011006", "x", 2)]
    )
    found = reconcile(a, _side([("32.03.01.1006", "x", 1)]))
    assert found.counts == {Verdict.BAD_CODE: 2, Verdict.DOUBLED: 1, Verdict.SAME: 1}
    assert "3203010101900001" not in str(found.rows)
    phone = reconcile(_side([("081200000001", "x", 1)]), _side([]))
    assert phone.counts == {Verdict.BAD_CODE: 1}
    assert "0812" not in str(phone.rows)


@given(st.lists(st.integers(1, 60), unique=True), st.lists(st.integers(1, 60), unique=True))
def test_no_row_is_lost_or_doubled(left: list[int], right: list[int]) -> None:
    a, b = ([(f"32.03.01.2{n:03d}", f"D{n}", n) for n in side] for side in (left, right))
    found = reconcile(_side(a), _side(b), [Compared("n", "n")])
    assert found.counts[Verdict.SAME] == len({*left} & {*right})
    assert found.counts[Verdict.ONLY_A] == len({*left} - {*right})
    assert found.counts[Verdict.ONLY_B] == len({*right} - {*left})
    assert found.table().num_rows == len(found.rows)


def test_moves_by_name_never_lead_two_codes_to_one() -> None:
    old = [Named("32.03.01.2001", "Sukamaju Lor", "Kota"), Named("32.03.01.2002", "Sukamaju Kidul", "Kota")]
    new = [Named("32.03.01.2001", "Sukamaju Kidul", "Kota"), Named("32.03.01.2003", "Sukamaju Lor", "Kota")]
    found = {(row.from_code, row.to_code, row.quality) for row in derive_moves(old, new)}
    assert found == {("32.03.01.2001", "32.03.01.2003", "name"), ("32.03.01.2002", "32.03.01.2001", "name")}
    double = [Named("32.03.01.2001", "Kidul", "Kota"), Named("32.03.01.2002", "Kidul", "Kota")]
    assert [row.quality for row in derive_moves(double, [Named("32.03.01.2001", "Lor", "Kota")])] == ["weak"]
