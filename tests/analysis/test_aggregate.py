"""Aggregation of generated registers (nobody in them is real), and what of it may be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from analysis.aggregate import Aggregate, Question, aggregate
from analysis.aggregate_read import batches_of
from analysis.disclosure import Disclosure
from catalog.errors import AccessError, ProtocolError, QueryError

NIK = "3203010101900001"
DESA = [f"32.03.{kec:02d}.{2000 + n}" for kec in range(1, 5) for n in range(1, 9)]
BY_PROGRAMME = Question("kode", by=("program",))


@pytest.fixture(scope="module")
def register() -> pa.Table:
    rng = np.random.default_rng(7)
    rows = 6000
    # few in one programme, so that there are small cells
    return pa.table(
        {
            "nik": [NIK] * rows,
            "kode": rng.choice(DESA, rows, p=rng.dirichlet(np.full(len(DESA), 2.0))),
            "program": rng.choice(["PKH", "SEMBAKO", "ATENSI"], rows, p=[0.4, 0.58, 0.02]),
            "desil": rng.integers(1, 5, rows),
            "tahun": rng.choice([2024, 2025], rows),
            "anggota": rng.integers(1, 7, rows),
        }
    )


def _lookup(found: Aggregate) -> dict[tuple[object, ...], int | None]:
    names = [
        name for name in found.table.column_names if name not in ("tingkat", "jumlah", "bagian", "ditekan")
    ]
    return {tuple(row[n] for n in names): row["jumlah"] for row in found.table.to_pylist()}


def test_counts_are_those_of_the_register(register: pa.Table) -> None:
    found = aggregate(register, BY_PROGRAMME, access="internal", unprotected=True)
    cells = _lookup(found)
    rows = register.to_pylist()
    for desa in DESA:
        assert cells[desa, None] == sum(row["kode"] == desa for row in rows)
    assert cells["32.03.02", "PKH"] == sum(
        r["kode"][:8] == "32.03.02" and r["program"] == "PKH" for r in rows
    )
    assert cells["32.03", None] == cells["32", None] == cells["", None] == len(rows)
    shares = [r["bagian"] for r in found.table.to_pylist() if r["kode"] == "32.03" and r["program"]]
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_public_counts_are_protected_by_default(register: pa.Table) -> None:
    true = _lookup(aggregate(register, BY_PROGRAMME, access="internal", unprotected=True))
    found = aggregate(register, BY_PROGRAMME)
    assert found.disclosure == Disclosure()
    assert 0 < found.suppressed < found.table.num_rows / 2
    for cell, count in _lookup(found).items():
        assert count is None or count == true[cell]
        assert count is None or not 0 < count < 5
    for row in found.table.to_pylist():
        assert (row["jumlah"] is None) == row["ditekan"]
        if row["jumlah"] is None:
            assert row["bagian"] is None


def test_a_share_never_gives_a_suppressed_total_back() -> None:
    counts = {"32.03.01.2001": (3, 0), "32.03.01.2002": (40, 9), "32.03.01.2003": (50, 60)}
    rows = [
        (kode, p) for kode, both in counts.items() for p, n in zip("ab", both, strict=True) for _ in range(n)
    ]
    table = pa.table({"kode": [r[0] for r in rows], "program": [r[1] for r in rows]})
    shown = aggregate(table, BY_PROGRAMME).table.to_pylist()
    totals = {row["kode"]: row["jumlah"] for row in shown if row["program"] is None}
    assert None in totals.values()
    assert all(row["bagian"] is None for row in shown if totals[row["kode"]] is None)


def test_control_can_not_be_switched_off_for_the_public(register: pa.Table) -> None:
    with pytest.raises(AccessError):
        aggregate(register, BY_PROGRAMME, unprotected=True)
    with pytest.raises(AccessError):
        aggregate(register, BY_PROGRAMME, access="publik", unprotected=True)


def test_rounded_shares_come_from_rounded_counts(register: pa.Table) -> None:
    found = aggregate(register, BY_PROGRAMME, disclosure=Disclosure(rounding=5))
    shown = _lookup(found)
    for row in found.table.to_pylist():
        assert row["jumlah"] is None or row["jumlah"] % 5 == 0
        if row["bagian"] is not None:
            assert row["bagian"] == pytest.approx(row["jumlah"] / shown[row["kode"], None], abs=1e-6)


def test_each_year_is_a_table_of_its_own(register: pa.Table) -> None:
    question = Question("kode", by=("program", "desil"), slice="tahun", levels=("kecamatan", "kabkota"))
    cells = _lookup(aggregate(register, question, access="internal", unprotected=True))
    years = [cells["", year, None, None] for year in ("2024", "2025")]
    assert None not in years
    assert sum(n or 0 for n in years) == register.num_rows
    assert {len(str(key[0])) for key in cells} == {0, 5, 8}


def test_a_weight_is_added_up(register: pa.Table) -> None:
    question = Question("kode", weight="anggota", levels=("provinsi",))
    cells = _lookup(aggregate(register, question, access="internal", unprotected=True))
    assert cells[("32",)] == sum(register["anggota"].to_pylist())


def test_a_large_sum_of_few_rows_is_small() -> None:
    """Six persons in one family are one family."""
    rows = [("32.03.01.2001", 6)] + [("32.03.01.2002", 2)] * 5 + [("32.03.01.2003", 3)] * 8
    table = pa.table({"kode": [r[0] for r in rows], "anggota": [r[1] for r in rows]})
    cells = _lookup(aggregate(table, Question("kode", weight="anggota")))
    assert cells[("32.03.01.2001",)] is None
    assert sum(cells[(f"32.03.01.200{n}",)] is None for n in (1, 2, 3)) == 2
    assert cells[("32.03.01",)] == 40


@pytest.mark.parametrize("suffix", ["parquet", "csv", "semicolon.csv"])
def test_files_give_the_same_and_only_declared_columns_are_read(
    register: pa.Table, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"register.{suffix}"
    if suffix == "parquet":
        pq.write_table(register, path, row_group_size=999)
    else:
        pacsv.write_csv(register, path, pacsv.WriteOptions(delimiter=";" if "semi" in suffix else ","))
    seen: set[str] = set()

    def spy(source, columns):
        for batch in batches_of(source, columns):
            seen.update(batch.column_names)
            yield batch

    monkeypatch.setattr("analysis.aggregate.batches_of", spy)
    assert aggregate(path, BY_PROGRAMME).table == aggregate(register, BY_PROGRAMME).table
    assert seen == {"kode", "program"}


def test_rows_without_a_region_are_counted_apart() -> None:
    table = pa.table({"kode": ["32.03.01.2001", "-", None, NIK], "program": ["a"] * 4})
    found = aggregate(table, BY_PROGRAMME)
    assert (found.rows, found.without_region) == (4, 3)
    assert NIK not in str(found)


@pytest.mark.parametrize(
    ("values", "column"),
    [(["PKH", NIK], "program"), ([f"Nama {n}" for n in range(1200)], "program")],
)
def test_a_column_of_persons_is_refused_and_not_repeated(values: list[str], column: str) -> None:
    table = pa.table({"kode": ["32.03.01.2001"] * len(values), "program": values})
    with pytest.raises(QueryError) as caught:
        aggregate(table, BY_PROGRAMME)
    assert caught.value.where == column
    assert NIK not in str(caught.value)


def test_wrong_inputs_are_named(register: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(QueryError) as caught:
        aggregate(register, Question("kode_desa"))
    assert caught.value.where == "kode_desa"
    with pytest.raises(QueryError):
        aggregate(register, Question("kode", weight="program"))
    broken = tmp_path / "x.parquet"
    broken.write_bytes(b"PAR1 not really")
    with pytest.raises(ProtocolError):
        aggregate(broken, BY_PROGRAMME)
    ragged = tmp_path / "x.csv"
    ragged.write_text(f"kode,program\n32.03.01.2001,a,{NIK}\n", "utf-8")
    with pytest.raises(ProtocolError) as refused:
        aggregate(ragged, BY_PROGRAMME)
    assert NIK not in str(refused.value)
