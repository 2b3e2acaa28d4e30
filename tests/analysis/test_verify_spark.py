"""A real Spark master with two executors gives every verdict that the processes of one machine give."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from analysis.lookup import DesaIndex
from analysis.spark_session import decode_error, encode_error
from analysis.verify import Rujukan
from analysis.verify_batch import Kolom
from analysis.verify_register import Tugas, verify_register
from analysis.verify_spark import _Task, verify_spark
from catalog.errors import ConfigError, PublishError, QueryError, RecordError
from tests.analysis.test_lookup import sample
from tests.servers import free_port
from tests.servers.spark import Spark, cluster

NIK = "3203010101900001"
ROWS = 20_000
OLD, SPLIT = "32.03.99.2001", "32.03.99.2002"


@pytest.fixture(scope="module")
def spark() -> Iterator[Spark]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def people(country: DesaIndex) -> pa.Table:
    """A quarter on or next to borders; swapped, empty and 0/0 coordinates; old, unknown and short codes."""
    x, y = sample(country, ROWS, seed=61)
    rng = np.random.default_rng(62)
    beside = country.where(x + 0.0005, y)[0]
    claimed = np.where((beside >= 0) & (rng.random(ROWS) < 0.95), beside, rng.integers(0, len(country), ROWS))
    codes = country.codes.take(pa.array(claimed)).to_numpy(zero_copy_only=False)
    kind = rng.integers(0, 60, ROWS)
    codes = np.where(kind % 2, codes, np.char.replace(codes.astype(str), ".", ""))
    for number, code in enumerate([OLD, SPLIT, "32.03.99.2077", "32.03", ""]):
        codes[kind == number + 10] = code
    x, y = np.where(kind == 1, y, x), np.where(kind == 1, x, y)
    x[kind == 2], y[kind == 2] = 0.0, 0.0
    lon = pa.array(x, mask=kind == 3)
    return pa.table(
        {
            "nik": [NIK] * ROWS,
            "nama": ["Siti Rahasia"] * ROWS,
            "lon": lon,
            "lat": y,
            "kode": pa.array(codes.tolist(), pa.string()),
            "no_urut": np.arange(ROWS),
        }
    )


@pytest.fixture
def job(tmp_path: Path, people: pa.Table, country: DesaIndex) -> Tugas:
    source = tmp_path / "register.parquet"
    pq.write_table(people, source, row_group_size=10_000)
    first, second = country.code(0), country.code(1)
    known = Rujukan({OLD: (first,), SPLIT: (first, second)}, {}, frozenset({"32.03.99.2077"}))
    return Tugas(source, tmp_path / "local.parquet", country.folder, Kolom(keep=("no_urut",)), rujukan=known)


def on_cluster(spark: Spark, job: Tugas, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `verify_spark` in a process of its own, as the command does: Java keeps its first environment."""
    call = (
        "import pickle, sys; from analysis.verify_spark import _Task, verify_spark;"
        "job, master, more = pickle.load(sys.stdin.buffer);"
        "print(sorted(verify_spark(job, master, **more).counts.items()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", call], input=pickle.dumps((job, spark.master, more)),
        env=spark.environment, capture_output=True, timeout=280,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def in_order(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).sort_by("baris").to_pylist()
    return rows


def test_every_verdict_is_the_one_of_the_local_engine(spark: Spark, job: Tugas) -> None:
    summary = verify_register(replace(job, workers=1))
    assert summary is not None
    there = replace(job, out=job.out.with_name("spark.parquet"))
    done = on_cluster(spark, there, ship=True)  # as if the executors did not see the index
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted(summary.counts.items()))
    found = in_order(there.out)
    assert found == in_order(job.out)
    assert {row["verdik"] for row in found} >= {
        "sesuai", "dalam_toleransi", "tidak_sesuai", "di_luar_wilayah", "kode_lama", "kode_tidak_dikenal",
        "kode_tanpa_poligon", "koordinat_tidak_sah",
    }  # fmt: skip
    assert there.summary.read_text() == job.summary.read_text()
    state = spark.state()
    assert (state["aliveworkers"], len(state["completedapps"])) == (2, 1)
    assert "Rahasia" not in done.stderr + done.stdout
    for path in there.out.rglob("*"):
        assert b"Rahasia" not in path.read_bytes()
    assert [p.name for p in there.out.parent.iterdir() if p.name.startswith(".")] == []


def test_errors_of_an_executor_come_back_without_values(job: Tugas, people: pa.Table) -> None:
    """Spark hands over the text of an error, between pages of its own; only our words are in it."""
    [batch] = people.select(["nik", "lon", "lat", "kode"]).combine_chunks().to_batches()
    numbered = batch.append_column("baris", pa.array(range(1, ROWS + 1)))
    task = _Task(replace(job, kolom=Kolom(keep=("nik",))), "an index", shipped=False)
    with pytest.raises(RuntimeError) as raised:
        list(task(iter([numbered])))
    assert NIK not in str(raised.value)
    told = decode_error(Exception(f"Job aborted. RuntimeError: {raised.value}\n\tat org.apache"), "register")
    assert isinstance(told, QueryError)
    assert "'nik' holds 16-digit numbers" in str(told)
    strange = decode_error(RuntimeError(encode_error(ValueError(NIK))), "register")
    assert isinstance(strange, RecordError)
    assert NIK not in str(strange)
    assert isinstance(decode_error(RuntimeError("lost an executor"), "register"), PublishError)


def test_the_command_on_a_csv(
    spark: Spark, shared_data: Path, country: DesaIndex, people: pa.Table, tmp_path: Path
) -> None:
    """The workers see the index in the data folder; broken lines are left out as by the local engine.

    The cluster stands in the test before; here one Java machine is enough, with Python workers of its own.
    """
    boundaries, source = tmp_path / "batas.parquet", tmp_path / "register.csv"
    kabupaten = pq.read_table(shared_data / "desa_2025.parquet", filters=[("KDPKAB", "=", "32.03")])
    pq.write_table(kabupaten, boundaries)
    pacsv.write_csv(people.slice(0, 2000), source)
    with source.open("a", encoding="utf-8") as file:
        file.write(f"{NIK},broken\n")
    answers = []
    for number, engine in enumerate((["local", "--workers", "1"], ["spark", "--master", "local[1]"])):
        out = tmp_path / f"{number}.parquet"
        done = subprocess.run(
            [
                sys.executable, "-m", "cli.main", "--data", str(tmp_path / "data"), "--lang", "en", "analyse",
                "verify", str(source), "--boundaries", str(boundaries), "--boundary-code", "KDEPUM",
                "--boundary-name", "WADMKD", "--boundary-scheme", "kemendagri", "--boundary-vintage", "2025",
                "--out", str(out), "--json", "--engine", *engine,
            ],
            env=spark.environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers.append(
            (json.loads(done.stdout), in_order(out), out.with_name(f"{number}.ringkasan.csv").read_text())
        )
    assert answers[0] == answers[1]
    assert sum(row["rows"] for row in answers[1][0]) == 2000


def test_what_is_missing_is_said_at_once(job: Tugas, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match="not a Spark master"):
        verify_spark(job, "http://localhost:8080")
    with pytest.raises(ConfigError, match="no Spark master answers"):
        verify_spark(job, f"spark://127.0.0.1:{free_port()}")
    with pytest.raises(QueryError, match="folder of Parquet"):
        verify_spark(replace(job, out=job.out.with_suffix(".csv")), "local[1]")
    with pytest.raises(QueryError, match="no column 'kd'"):
        verify_spark(replace(job, kolom=Kolom(kode="kd")), "local[1]")
    with pytest.raises(RecordError, match="no such file"):
        verify_spark(replace(job, source=job.source.with_name("none.parquet")), "local[1]")
    with monkeypatch.context() as patch:
        patch.delenv("JAVA_HOME", raising=False)
        patch.setenv("PATH", "")
        with pytest.raises(ConfigError, match="needs Java") as error:
            verify_spark(job, "local[1]")
        assert "default-jre-headless" in error.value.hint()
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ConfigError, match="pyspark") as error:
        verify_spark(job, "local[1]")
    assert "[spark]" in error.value.hint()
    assert [path.name for path in job.source.parent.iterdir()] == ["register.parquet"]
