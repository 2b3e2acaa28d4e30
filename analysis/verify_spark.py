"""Verifies a register past one machine: `Verifier.verify` through `DataFrame.mapInArrow` on Apache Spark.

The job is the one of `analysis.verify_register`; only who does it differs. Spark reads the declared
columns of the Parquet file and no other (a CSV is first copied to Parquet, those columns only), hands
Arrow batches to `Verifier`, opened once in each worker process, and writes a folder of Parquet files.
The boundaries are the small side that every executor maps into memory, so nothing is shuffled but the
`GROUP BY` of the summary. Executors need the same Python packages as the driver.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.spark_session import decode_error, encode_error, session
from analysis.verify_batch import RESULT, Verifier
from analysis.verify_csv import CsvBlocks
from analysis.verify_register import BARIS, Ringkasan, Tugas, refuse_personal, write_summary
from catalog.errors import QueryError, RecordError

_ARCHIVE = "indeks-batas"
_BATCH = 200_000
_ROWS_PER_TASK = 1_000_000


def verify_spark(job: Tugas, master: str, *, ship: bool | None = None) -> Ringkasan:
    """Run a job on the Spark at `master` (`spark://host:7077`, `yarn`, `local[2]` ...); return its summary.

    Source, answer and index are paths that the executors see too. An index that they do not see is
    sent to them: `ship` says so, None finds out. The answer is a folder of Parquet files; `baris` is
    the number of the row in the register. A job that fails leaves no answer and starts anew next time.
    ConfigError when pyspark, Java or the master is missing; errors of the register as `verify_register`.
    """
    _check(job)
    scratch = Path(tempfile.mkdtemp(prefix=f".{job.out.name}.", dir=job.out.parent))
    try:
        source, unreadable = _columns_file(job, scratch)
        with session(master) as spark:
            task = _Task(replace(job, source=source), _index_text(job.index), shipped=False)
            if ship or (ship is None and not _seen(spark, task)):
                spark.sparkContext.addArchive(f"{_zipped(job.index, scratch)}#{_ARCHIVE}")
                task = replace(task, shipped=True)
            summary = _run(spark, task, scratch / "out")
        summary.unreadable = unreadable
        _put(scratch / "out", job.out)
        write_summary(job.summary, summary)
        return summary
    except Exception as error:
        raise decode_error(error, job.source.name) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check(job: Tugas) -> None:
    """Tell what does not fit before a cluster is bothered."""
    if not job.source.is_file():
        raise RecordError("there is no such file", where=str(job.source))
    if job.out.suffix.lower() != ".parquet":
        raise QueryError("Spark answers with a folder of Parquet files: name it .parquet", where="out")
    job.verifier()


def _columns_file(job: Tugas, scratch: Path) -> tuple[Path, int]:
    """Return a Parquet file of the register, and how many CSV lines could not be read."""
    names = job.kolom.names()
    if job.source.suffix.lower() != ".csv":
        try:
            there = pq.read_schema(job.source).names
        except (pa.ArrowException, OSError):
            raise RecordError("not a readable Parquet file", where=job.source.name) from None
        for name in names:
            if name not in there:
                raise QueryError(f"there is no column {name!r}", where=name)
        return job.source, 0
    blocks, path = CsvBlocks(job.source, names), scratch / "register.parquet"
    with pq.ParquetWriter(path, pa.schema([(name, pa.string()) for name in names])) as out:
        for _, _, batch in blocks.read():
            out.write_batch(batch)
    return path, blocks.unreadable


@dataclass(frozen=True, slots=True)
class _Task:
    """What goes to the worker processes. `index` is the text that tells one index from another."""

    job: Tugas
    index: str
    shipped: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Verify batches; no error carries a value of the register."""
        try:
            verifier = _verifier(self)
            for batch in batches:
                refuse_personal(batch, self.job.kolom.keep)
                yield _plain(verifier.verify(batch))
        except Exception as error:
            raise RuntimeError(encode_error(error)) from None

    def folder(self) -> Path:
        """Return where this process finds the index."""
        if not self.shipped:
            return self.job.index
        from pyspark import SparkFiles

        return Path(SparkFiles.get(_ARCHIVE))


_verifiers: dict[tuple[object, ...], Verifier] = {}
"""The one verifier of a worker process, which serves many tasks."""


def _verifier(task: _Task) -> Verifier:
    job = task.job
    choices = (task.index, task.shipped, job.kolom, job.skema, job.vintage, job.toleransi_m)
    found = _verifiers.get(choices)
    if found is None or found.rujukan != job.rujukan:
        kept = replace(job.kolom, keep=(BARIS, *job.kolom.keep))
        pa.set_cpu_count(1)
        _verifiers.clear()
        found = _verifiers[choices] = replace(job, index=task.folder(), kolom=kept).verifier()
    return found


def _plain(answer: pa.RecordBatch) -> pa.RecordBatch:
    """Spark's Arrow has no dictionaries."""
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in answer.columns]
    return pa.RecordBatch.from_arrays(columns, names=answer.schema.names)


def _index_text(folder: Path) -> str:
    return (folder / "index.json").read_text("utf-8")


def _seen(spark: Any, task: _Task) -> bool:
    """Ask the executors whether they see the index at its path."""
    context = spark.sparkContext
    look = _Look(str(task.job.index), task.index)
    count = 4 * max(context.defaultParallelism, 1)
    return all(context.parallelize(range(count), count).map(look).collect())


@dataclass(frozen=True, slots=True)
class _Look:
    folder: str
    text: str

    def __call__(self, _number: int) -> bool:
        try:
            return _index_text(Path(self.folder)) == self.text
        except OSError:
            return False


def _zipped(folder: Path, scratch: Path) -> str:
    return shutil.make_archive(str(scratch / _ARCHIVE), "zip", folder)


def _run(spark: Any, task: _Task, out: Path) -> Ringkasan:
    """Map the register to the answer, then count verdicts by a plain GROUP BY."""
    from pyspark.sql import functions as fn
    from pyspark.sql.types import StructType

    job = task.job
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", _BATCH)
    spark.conf.set("spark.sql.parquet.compression.codec", "zstd")
    register = spark.read.parquet(job.source.absolute().as_uri())
    number = (fn.col("_metadata.row_index") + 1).alias(BARIS)
    rows = register.select(number, *(_quoted(name) for name in job.kolom.names()))
    if rows.rdd.getNumPartitions() < (tasks := _tasks(spark, job.source)):
        rows = rows.repartition(tasks)  # one large row group would be one task
    answer = StructType([*rows.schema, *_result_fields()])
    rows.mapInArrow(task, answer).write.parquet(out.absolute().as_uri())
    spark.read.parquet(out.absolute().as_uri()).createOrReplaceTempView("hasil")
    counts = spark.sql(_SUMMARY.format(kode=_quoted(job.kolom.kode))).collect()
    summary = Ringkasan()
    for kabkota, verdik, count in counts:
        summary.counts[kabkota, verdik] = count
    if not summary.rows:
        raise RecordError("the register has no rows", where=job.source.name)
    return summary


_SUMMARY = """
    SELECT if(digits RLIKE '^[1-9][0-9]{{9}}$', substring(digits, 1, 4), '') AS kabkota, verdik, count(*)
    FROM (SELECT coalesce(replace(CAST({kode} AS STRING), '.', ''), '') AS digits, verdik FROM hasil)
    GROUP BY 1, 2
"""


def _tasks(spark: Any, source: Path) -> int:
    rows = pq.read_metadata(source).num_rows
    return int(min(2 * spark.sparkContext.defaultParallelism, -(-rows // _ROWS_PER_TASK)))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _result_fields() -> list[Any]:
    from pyspark.sql.types import DoubleType, StringType, StructField

    double, text = DoubleType(), StringType()
    return [StructField(f.name, double if pa.types.is_floating(f.type) else text) for f in RESULT]


def _put(made: Path, out: Path) -> None:
    """Put the folder in place of an older answer."""
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)
    os.replace(made, out)
