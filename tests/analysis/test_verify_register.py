"""Register files: only declared columns, the same verdicts, on again after a stop, nothing leaks."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import verify_register
from analysis.lookup import DesaIndex
from analysis.verify_batch import Kolom, Verifier
from analysis.verify_register import Ringkasan, Tugas
from catalog.errors import PublishError, QueryError, RecordError
from tests.analysis.test_lookup import sample

NIK = "3203010101900001"


def register(index: DesaIndex, count: int = 3000) -> pa.Table:
    x, y = sample(index, count, seed=5)
    rng = np.random.default_rng(6)
    beside = index.where(x + 0.0005, y)[0]
    claimed = np.where(beside >= 0, beside, rng.integers(0, len(index), count))
    codes = index.codes.take(pa.array(claimed)).to_pylist()
    codes[3], codes[4] = "32.03.99.2001", "?"
    return pa.table(
        {
            "nik": [NIK] * count,
            "nama": ["Siti Rahasia"] * count,
            "lon": x,
            "lat": y,
            "kode": codes,
            "no_urut": [f"R{n}" for n in range(count)],
        }
    )


def _die(*_: object) -> int:
    os._exit(9)


@pytest.fixture(scope="module")
def people(country: DesaIndex) -> pa.Table:
    return register(country)


@pytest.fixture
def job(tmp_path: Path, people: pa.Table, country: DesaIndex) -> Tugas:
    source = tmp_path / "register.parquet"
    pq.write_table(people, source, row_group_size=1000)
    return Tugas(source, tmp_path / "out.parquet", country.folder, workers=1)


def expected(index: DesaIndex, people: pa.Table) -> list[dict[str, object]]:
    batch = people.select(["lon", "lat", "kode"]).combine_chunks().to_batches()[0]
    rows: list[dict[str, object]] = Verifier(index).verify(batch).to_pylist()
    return rows


def test_a_parquet_register(job: Tugas, people: pa.Table, country: DesaIndex) -> None:
    seen: list[int] = []
    summary = verify_register.verify_register(job, progress=seen.append)
    assert summary is not None
    got = pq.read_table(job.out)
    assert got["baris"].to_pylist() == list(range(1, 3001))
    assert got.drop(["baris"]).to_pylist() == expected(country, people)
    assert seen == [1000, 2000, 3000]
    assert summary.rows == 3000
    assert summary.per_verdict()["kode_tidak_dikenal"] == 2
    assert not job.parts.exists()
    with job.summary.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["jumlah"]) for row in rows) == 3000
    kabupaten = {c.replace(".", "")[:4] for c in people["kode"].to_pylist() if c != "?"}
    assert {row["kabkota"] for row in rows} == kabupaten | {""}


def test_names_and_nik_are_in_no_file(job: Tugas) -> None:
    verify_register.verify_register(job, stop=lambda: True)
    verify_register.verify_register(job)
    for path in job.out.parent.rglob("*"):
        if path.is_file() and path != job.source:
            assert b"Rahasia" not in path.read_bytes()
    assert "nik" not in pq.read_schema(job.out).names


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_csv_register_gives_the_same(
    job: Tugas, people: pa.Table, country: DesaIndex, delimiter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.verify_csv._BLOCK_BYTES", 100_000)
    source = job.source.with_suffix(".csv")
    with source.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(people.column_names)
        for n, row in enumerate(people.to_pylist()):
            out.writerow(row.values())
            if n == 10:
                file.write(f"{NIK}{delimiter}broken\n")
    csv_job = Tugas(source, job.out.with_suffix(".csv"), job.index, Kolom(keep=("no_urut",)), workers=1)
    summary = verify_register.verify_register(csv_job)
    assert summary is not None
    assert (summary.rows, summary.unreadable) == (3000, 1)
    with csv_job.out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = expected(country, people)
    assert [row["verdik"] for row in rows] == [row["verdik"] for row in wanted]
    assert [row["kode_nyata"] for row in rows] == [row["kode_nyata"] or "" for row in wanted]
    assert rows[7]["no_urut"] == "R7"


def test_a_job_goes_on_where_it_stopped(job: Tugas) -> None:
    assert verify_register.verify_register(job, stop=lambda: True) is None
    assert not job.out.exists()
    kept = sorted(path.name for path in job.parts.glob("*.arrow"))
    assert 0 < len(kept) < 3
    marked = {name: (job.parts / name).stat().st_mtime_ns for name in kept}
    found: list[dict[str, int]] = []

    def look(_rows: int) -> None:
        found.append({name: (job.parts / name).stat().st_mtime_ns for name in kept})

    summary = verify_register.verify_register(job, progress=look)
    assert summary is not None
    assert summary.rows == 3000
    assert found[0] == marked  # not made again


def test_another_file_or_choice_starts_anew(job: Tugas) -> None:
    verify_register.verify_register(job, stop=lambda: True)
    other = Tugas(job.source, job.out, job.index, toleransi_m=5, workers=1)
    (job.parts / "000000.json").write_text('{"rows": 1, "counts": []}', "utf-8")  # would be believed
    summary = verify_register.verify_register(other)
    assert summary is not None
    assert summary.rows == 3000


def test_two_processes_give_the_same_as_one(job: Tugas, people: pa.Table, country: DesaIndex) -> None:
    two = Tugas(job.source, job.out, job.index, workers=2)
    assert verify_register.verify_register(two) is not None
    assert pq.read_table(job.out).drop(["baris"]).to_pylist() == expected(country, people)


@pytest.mark.parametrize("keep", ["nik", "tujuh"])
def test_sixteen_digits_are_not_copied(job: Tugas, people: pa.Table, keep: str) -> None:
    pq.write_table(people.append_column("tujuh", pa.array([int(NIK)] * 3000)), job.source)
    with pytest.raises(QueryError) as error:
        verify_register.verify_register(Tugas(job.source, job.out, job.index, Kolom(keep=(keep,)), workers=1))
    assert error.value.where == keep
    assert NIK not in str(error.value)


def test_wrong_files_and_columns_are_told_without_their_content(job: Tugas, tmp_path: Path) -> None:
    with pytest.raises(QueryError) as error:
        verify_register.verify_register(Tugas(job.source, job.out, job.index, Kolom(kode="kd"), workers=1))
    assert error.value.where == "kd"
    for name in ("x.parquet", "x.csv"):
        (tmp_path / name).write_bytes(b"lon,lat,kode\n\xff\xfe" + NIK.encode())
        with pytest.raises(RecordError) as wrong:
            verify_register.verify_register(Tugas(tmp_path / name, job.out, job.index, workers=1))
        assert NIK not in str(wrong.value)
        assert wrong.value.__cause__ is None
    with pytest.raises(RecordError, match="no such file"):
        verify_register.verify_register(Tugas(tmp_path / "none.csv", job.out, job.index, workers=1))


def test_a_worker_that_dies_ends_the_job_with_a_reason(job: Tugas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_register, "_part", _die)
    with pytest.raises(PublishError, match="worker"):
        verify_register.verify_register(job)
    monkeypatch.undo()
    assert verify_register.verify_register(job) is not None


def test_a_register_without_rows(job: Tugas, people: pa.Table) -> None:
    pq.write_table(people.slice(0, 0), job.source)
    with pytest.raises(RecordError, match="no rows"):
        verify_register.verify_register(job)
    assert not job.out.exists()


def test_an_empty_summary() -> None:
    assert (Ringkasan().rows, Ringkasan().per_kabupaten()) == (0, [])


def test_one_large_row_group_is_the_work_of_all(
    job: Tugas, people: pa.Table, country: DesaIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read here in parts, verified there; a stop between them costs nothing."""
    monkeypatch.setattr(verify_register, "_GROUP", 1000)
    monkeypatch.setattr(verify_register, "_ROWS", 700)
    pq.write_table(people, job.source)
    seen: list[int] = []
    assert verify_register.verify_register(job, stop=lambda: True) is None
    kept = len(list(job.parts.glob("*.arrow")))
    assert 0 < kept < 5
    summary = verify_register.verify_register(job, progress=seen.append)
    assert summary is not None
    assert seen[-1] == 3000
    assert len(seen) == 5
    got = pq.read_table(job.out)
    assert got["baris"].to_pylist() == list(range(1, 3001))
    assert got.drop(["baris"]).to_pylist() == expected(country, people)
