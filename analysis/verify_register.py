"""Verifies a register file of any size: in parts, in several processes, resumable after a stop.

Only the declared columns are read; names, NIK and all else never leave the file, and no message
carries a value of it. Each part (a Parquet row group, a block of CSV lines) is written whole or not
at all, so a job that is started again goes on with the parts that are missing. Memory does not grow
with the file; the parts need as much disk as the answer until they are joined.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.lookup import DesaIndex
from analysis.verify import TOLERANSI_M, VERDIK, Rujukan
from analysis.verify_batch import Kolom, Verifier
from analysis.verify_codes import kabkota_numbers
from analysis.verify_csv import CsvBlocks, CsvOut
from catalog.errors import PublishError, QueryError, RecordError
from catalog.model import Scheme

_ROWS = 250_000
_GROUP = 1_000_000
"""Rows of a row group up to which one process does it: memory, and work for all of them."""
_BUFFER = 4 * 2**20
_DICTIONARY = 8 * 2**20
_PARTS = 2
"""Version of how a register is cut and parts are written: those of another are not gone on with."""
_ALL_POLYGONS = 10**9
BARIS = "baris"
"""Column of the answer: number of the row in the register, from 1."""
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_DIED = "Run the same command again: it goes on. Fewer workers need less memory."
_SIXTEEN = r"^\s*[0-9]{16}(\.0)?\s*$"


@dataclass(frozen=True, slots=True)
class Tugas:
    """One job: which file against which index. `source` and `out` are `.parquet` or `.csv`."""

    source: Path
    out: Path
    index: Path
    kolom: Kolom = field(default_factory=Kolom)
    skema: Scheme | None = None
    vintage: int | None = None
    toleransi_m: float = TOLERANSI_M
    rujukan: Rujukan = field(default_factory=Rujukan)
    workers: int = 0
    """Processes; 0 means one per core."""

    @property
    def parts(self) -> Path:
        """Folder of the finished parts, beside the answer."""
        return self.out.with_name(self.out.name + ".parts")

    @property
    def summary(self) -> Path:
        """File of the summary per kabupaten/kota, beside the answer."""
        return self.out.with_name(self.out.stem + ".ringkasan.csv")

    def verifier(self) -> Verifier:
        """Open the index for this job; QueryError when the choices do not fit it."""
        index = DesaIndex(self.index, cached_vertices=_ALL_POLYGONS)
        return Verifier(
            index,
            skema=self.skema,
            vintage=self.vintage,
            toleransi_m=self.toleransi_m,
            rujukan=self.rujukan,
            kolom=self.kolom,
        )


@dataclass(slots=True)
class Ringkasan:
    """How many rows got which verdict, per claimed kabupaten/kota ("" where the code tells none)."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: int = 0
    """CSV lines with a wrong number of cells, which are in no part."""

    @property
    def rows(self) -> int:
        """Return how many rows were verified."""
        return self.counts.total()

    def per_verdict(self) -> dict[str, int]:
        """Return verdict -> rows, all verdicts."""
        total: Counter[str] = Counter()
        for (_, verdik), count in self.counts.items():
            total[verdik] += count
        return {verdik: total[verdik] for verdik in VERDIK}

    def per_kabupaten(self) -> list[dict[str, Any]]:
        """Return one row per kabupaten/kota with a column per verdict."""
        found = []
        for kabkota in sorted({key[0] for key in self.counts}):
            row: dict[str, Any] = {verdik: self.counts[kabkota, verdik] for verdik in VERDIK}
            found.append({"kabkota": kabkota, "jumlah": sum(row.values()), **row})
        return found


def verify_register(
    job: Tugas, *, progress: Callable[[int], None] | None = None, stop: Callable[[], bool] | None = None
) -> Ringkasan | None:
    """Run a job, or go on with it; return the summary, None when `stop` said so (parts are kept).

    `progress` gets the rows done so far. QueryError names a column that is missing or holds
    16-digit numbers (NIK, KK); RecordError a file that can not be read.
    """
    job.verifier()  # choices that do not fit are told before any process starts
    _prepare(job)
    blocks = CsvBlocks(job.source, job.kolom.names()) if job.source.suffix.lower() == ".csv" else None
    units = (_Unit(*block) for block in blocks.read()) if blocks else _row_groups(job)
    total = 0
    with _Answer(job) as answer:
        for count in _run(job, units, stop or (lambda: False)):
            if count is None:
                return None
            total += count
            if progress:
                progress(total)
            answer.advance()
        return answer.finish(blocks.unreadable if blocks else 0)


class _Unit(NamedTuple):
    """Number of the part, rows before it, and its rows or the row group that holds them."""

    number: int
    before: int
    rows: pa.RecordBatch | int


def _row_groups(job: Tugas) -> Iterator[_Unit]:
    """Yield the row groups, to be read by the processes; very large ones are read here, for all of them."""
    try:
        file = pq.ParquetFile(job.source, buffer_size=_BUFFER, pre_buffer=False)
    except (pa.ArrowException, OSError):
        raise RecordError("not a readable Parquet file", where=job.source.name) from None
    with file:
        for name in job.kolom.names():
            if name not in file.schema_arrow.names:
                raise QueryError(f"there is no column {name!r}", where=name)
        number = before = 0
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if rows <= _GROUP:
                yield _Unit(number, before, group)
                number, before = number + 1, before + rows
                continue
            for batch in _batches(file, job, group):
                yield _Unit(number, before, batch)
                number, before = number + 1, before + batch.num_rows


def _run(job: Tugas, units: Iterator[_Unit], stop: Callable[[], bool]) -> Iterator[int | None]:
    """Give units to the processes, a few ahead, and yield rows as they are done."""
    workers = job.workers or os.cpu_count() or 1
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start, initargs=(job,))
    waiting: set[Future[int]] = set()
    try:
        for unit in units:
            done = _rows_done(job, unit.number)
            if done is not None:
                yield done
                continue
            waiting.add(pool.submit(_part, job, unit))
            while len(waiting) >= 2 * workers:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in finished)
            if stop():
                yield None
                return
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in finished)
    except BrokenProcessPool:
        raise PublishError("a worker process died", hint=_DIED) from None
    finally:
        pool.shutdown(cancel_futures=True)


_verifier: Verifier | None = None


def _start(job: Tugas) -> None:
    global _verifier
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the work cleanly
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    pa.set_cpu_count(1)
    _verifier = job.verifier()


def _end_with_parent() -> None:
    """End this process when its parent was killed: the pool would wait for ever for its next part."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _part(job: Tugas, unit: _Unit) -> int:
    """Verify one part in a worker; no error carries a value of the register."""
    assert _verifier is not None  # noqa: S101 - set by _start in every worker
    target = job.parts / f"{unit.number:06}.arrow"
    counts: Counter[tuple[str, str]] = Counter()
    rows = 0
    scratch = target.with_suffix(f".{os.getpid()}")
    try:
        batches = _row_group(job, unit.rows) if isinstance(unit.rows, int) else [unit.rows]
        writer: pa.RecordBatchWriter | None = None
        for one in batches:
            refuse_personal(one, job.kolom.keep)
            answer = numbered(_verifier.verify(one), unit.before + rows)
            writer = writer or part_writer(scratch, answer.schema)
            writer.write_batch(answer)
            counts += counted(answer, job.kolom.kode)
            rows += one.num_rows
        if writer:
            writer.close()
            os.replace(scratch, target)
    except pa.ArrowException as error:
        where = f"{job.source.name}, part {unit.number}"
        raise RecordError(f"unreadable ({type(error).__name__})", where=where) from None
    finally:
        scratch.unlink(missing_ok=True)
    _note(job, unit.number, rows, counts)
    return rows


def _row_group(job: Tugas, group: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(job.source) as file:
        yield from _batches(file, job, group)


def _batches(file: pq.ParquetFile, job: Tugas, group: int) -> Iterator[pa.RecordBatch]:
    yield from file.iter_batches(_ROWS, row_groups=[group], columns=job.kolom.names(), use_threads=False)


def refuse_personal(batch: pa.RecordBatch, keep: tuple[str, ...]) -> None:
    """Refuse to copy a column of 16-digit numbers, whatever its name."""
    for name in keep:
        column = batch.column(name)
        if pa.types.is_floating(column.type):
            continue
        if pc.any(pc.match_substring_regex(column.cast(pa.string()), _SIXTEEN)).as_py():
            raise QueryError(f"the column {name!r} holds 16-digit numbers like NIK or KK", where=name)


def numbered(answer: pa.RecordBatch, before: int) -> pa.RecordBatch:
    """Put the number of the row in the register (from 1) in front: the way back to it."""
    numbers = pa.array(np.arange(before + 1, before + 1 + answer.num_rows, dtype=np.int64))
    fields = [pa.field(BARIS, pa.int64()), *answer.schema]
    return pa.RecordBatch.from_arrays([numbers, *answer.columns], schema=pa.schema(fields))


def counted(answer: pa.RecordBatch, kode: str) -> Counter[tuple[str, str]]:
    """Count rows per claimed kabupaten/kota and verdict."""
    verdik = answer.column("verdik").indices.to_numpy().astype(np.int64)
    kabkota = kabkota_numbers(answer.column(kode))
    counts = np.bincount(kabkota * len(VERDIK) + verdik)
    there = np.flatnonzero(counts)
    named = ((str(n) if n else "", VERDIK[v]) for n, v in zip(*divmod(there, len(VERDIK)), strict=True))
    return Counter(dict(zip(named, counts[there].tolist(), strict=True)))


def part_writer(path: Path, schema: pa.Schema) -> pa.RecordBatchWriter:
    """Open a part for writing: a stream, so that each batch may have dictionaries of its own."""
    return pa.ipc.new_stream(str(path), schema, options=_LZ4)


def _note(job: Tugas, number: int, rows: int, counts: Counter[tuple[str, str]]) -> None:
    note = {"rows": rows, "counts": [[*key, count] for key, count in counts.items()]}
    path = job.parts / f"{number:06}.json"
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(note), "utf-8")
    os.replace(scratch, path)


def _rows_done(job: Tugas, number: int) -> int | None:
    path = job.parts / f"{number:06}.json"
    return int(json.loads(path.read_text("utf-8"))["rows"]) if path.is_file() else None


def _prepare(job: Tugas) -> None:
    """Keep the parts of the same job over the same file; throw those of another away."""
    if not job.source.is_file():
        raise RecordError("there is no such file", where=str(job.source))
    mark = job.parts / "job.json"
    wanted = _fingerprint(job)
    if not mark.is_file() or mark.read_text("utf-8") != wanted:
        shutil.rmtree(job.parts, ignore_errors=True)
        job.parts.mkdir(parents=True)
        mark.write_text(wanted, "utf-8")


def _fingerprint(job: Tugas) -> str:
    stat = job.source.stat()
    rules = [sorted(job.rujukan.lama.items()), sorted(job.rujukan.alih.items())]
    choices = [rules, sorted(job.rujukan.tanpa_poligon), asdict(job.kolom), job.skema, job.vintage]
    index = (job.index / "index.json").read_text("utf-8")
    whole = [_PARTS, stat.st_size, stat.st_mtime_ns, index, job.toleransi_m, choices]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


class _Answer:
    """Makes one file of the parts, in the order of the register, as they get ready; summary beside it."""

    def __init__(self, job: Tugas) -> None:
        self._job, self._next = job, 0
        self._scratch = job.parts / f"answer.{os.getpid()}"  # goes with the parts if we are killed
        self._writer: Any = None
        self._summary = Ringkasan()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
        self._scratch.unlink(missing_ok=True)

    def advance(self) -> None:
        """Take the parts that are ready and next in order."""
        while (note := self._job.parts / f"{self._next:06}.json").is_file():
            for kabkota, verdik, count in json.loads(note.read_text("utf-8"))["counts"]:
                self._summary.counts[kabkota, verdik] += count
            part = note.with_suffix(".arrow")
            if part.is_file():  # a row group without rows has none
                self._append(part)
            self._next += 1

    def _append(self, part: Path) -> None:
        with pa.OSFile(str(part)) as source, pa.ipc.open_stream(source) as file:
            self._writer = self._writer or answer_writer(self._job.out, self._scratch, file.schema)
            for batch in file:
                self._writer.write_batch(batch)

    def finish(self, unreadable: int) -> Ringkasan:
        """Put the answer in place and throw the parts away; RecordError for a register without rows."""
        self.advance()
        if self._writer is None:
            raise RecordError("the register has no rows", where=self._job.source.name)
        self._writer.close()
        self._writer = None
        os.replace(self._scratch, self._job.out)
        self._summary.unreadable = unreadable
        write_summary(self._job.summary, self._summary)
        shutil.rmtree(self._job.parts)
        return self._summary


def answer_writer(out: Path, scratch: Path, schema: pa.Schema) -> Any:
    """Open the answer for writing, in the format that the name `out` asks for."""
    if out.suffix.lower() == ".csv":
        return CsvOut(scratch, schema)
    numbers = [f.name for f in schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    return pq.ParquetWriter(
        scratch,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in numbers],
        dictionary_pagesize_limit=_DICTIONARY,
        write_statistics=numbers,  # of texts they cost two fifths of the writing
    )


def write_summary(path: Path, summary: Ringkasan) -> None:
    """Write one line per kabupaten/kota, CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ["kabkota", "jumlah", *VERDIK])
        out.writeheader()
        out.writerows(summary.per_kabupaten())
