"""Reconciliation on real tables: IDM 2024 with the boundaries of 2025, BPS 2020 with Kemendagri 2025."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
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
from analysis.reconcile import Compared, Comparison, Move, Side, Verdict, flipped, reconcile
from analysis.reconcile_decide import Action, DecisionBook, Rule, from_json, to_json
from catalog.errors import NotFoundError, QueryError
from catalog.region_model import CrosswalkRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


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


def _moves(idm: pa.Table, desa: pa.Table) -> list[CrosswalkRow]:
    old = zip(*(idm[c].to_pylist() for c in ("kode_kemendagri", "nama", "kecamatan")), strict=True)
    new = zip(*(desa[c].to_pylist() for c in ("KDEPUM", "NAMOBJ", "WADMKC")), strict=True)
    return list(
        derive_moves(
            [Named(a, b or "", c or "") for a, b, c in old], [Named(a, b or "", c or "") for a, b, c in new]
        )
    )


def test_every_row_of_idm_2024_is_classified_against_2025(idm: pa.Table, desa: pa.Table) -> None:
    left, right = Side(idm, "kode_kemendagri", vintage=2024), Side(desa, "KDEPUM", vintage=2025)
    plain = reconcile(left, right)
    assert plain.counts == {Verdict.SAME: 74_141, Verdict.ONLY_A: 1_124, Verdict.ONLY_B: 83_402 - 74_141}
    named = reconcile(replace(left, name="nama"), replace(right, name="NAMOBJ"), moves=_moves(idm, desa))
    seen = Counter(row.code_a for row in named.rows if row.code_a)
    assert set(seen) == set(idm["kode_kemendagri"].to_pylist())
    assert set(seen.values()) == {1}, "a desa of IDM came out twice"
    assert named.counts[Verdict.MOVED] > 500
    assert named.counts[Verdict.ONLY_A] < plain.counts[Verdict.ONLY_A]


def test_a_code_of_papua_that_joins_but_is_another_desa_is_found(idm: pa.Table, desa: pa.Table) -> None:
    """96.04 was Sorong Selatan in the 2024 table and is Tambrauw in 2025: the codes join, falsely."""
    named = reconcile(
        Side(idm, "kode_kemendagri", name="nama"),
        Side(desa, "KDEPUM", name="NAMOBJ"),
        moves=_moves(idm, desa),
    )
    bariat = next(row for row in named.rows if row.code_a == "96.04.15.2003")
    assert (bariat.verdict, bariat.move) == (Verdict.MOVED, Move.RENUMBERED)
    assert bariat.code_b is not None
    assert bariat.code_b.startswith("96.02.")
    assert bariat.name_b == "Bariat"


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


CODE = "32.03.01.2001"


def _difference(n: int, m: int) -> Comparison:
    return reconcile(_side([(CODE, "x", n)]), _side([(CODE, "x", m)]), [Compared("n", "n")])


def test_a_decision_holds_on_the_next_comparison_until_the_data_change() -> None:
    found = _difference(1, 2)
    book = DecisionBook().decide(found.rows[0], Action.TAKE_B, by="steward", at=NOON, reason="B lebih baru")
    again = from_json(to_json(book)).apply(_difference(1, 2))[0]
    assert again.decision is not None
    assert (again.decision.action, again.decision.reason, again.open) == (
        Action.TAKE_B,
        "B lebih baru",
        False,
    )
    changed = book.apply(_difference(1, 3))[0]
    assert changed.open
    assert changed.decision is None
    assert changed.stale == book.decisions[0]


def test_a_rule_decides_many_and_a_single_decision_goes_before_it() -> None:
    found = _difference(1, 2)
    rule = Rule(Verdict.VALUE, below="32.03.", columns=("n",), at_most=1)
    book = DecisionBook().decide(found.rows[0], Action.TAKE_A, by="s", at=NOON, reason="lapangan")
    book = book.decide(rule, Action.TAKE_B, by="s", at=NOON, reason="selisih kecil")
    assert from_json(to_json(book)) == book
    assert book.apply(found)[0].decision == book.decisions[0]
    undone = book.undo(1, by="s", at=NOON, reason="keliru")
    assert undone.apply(found)[0].decision == undone.decisions[1]
    assert undone.decisions[0].undone_reason == "keliru"
    assert undone.apply(_difference(1, 5))[0].open, "the gap is more than the rule allows"
    with pytest.raises(NotFoundError):
        undone.undo(1, by="s", at=NOON, reason="lagi")


def test_a_decision_without_a_reason_is_refused() -> None:
    with pytest.raises(QueryError):
        DecisionBook().decide(Rule(Verdict.NAME), Action.ACCEPT, by="s", at=NOON, reason=" ")


def test_moves_by_name_never_lead_two_codes_to_one() -> None:
    old = [Named("32.03.01.2001", "Sukamaju Lor", "Kota"), Named("32.03.01.2002", "Sukamaju Kidul", "Kota")]
    new = [Named("32.03.01.2001", "Sukamaju Kidul", "Kota"), Named("32.03.01.2003", "Sukamaju Lor", "Kota")]
    found = {(row.from_code, row.to_code, row.quality) for row in derive_moves(old, new)}
    assert found == {("32.03.01.2001", "32.03.01.2003", "name"), ("32.03.01.2002", "32.03.01.2001", "name")}
    double = [Named("32.03.01.2001", "Kidul", "Kota"), Named("32.03.01.2002", "Kidul", "Kota")]
    assert [row.quality for row in derive_moves(double, [Named("32.03.01.2001", "Lor", "Kota")])] == ["weak"]
