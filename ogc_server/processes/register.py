"""A register file of an operator's folder, verified by a job: rows stay in the folder, sums leave it.

Coordinates and ids of households are personal data (UU 27/2022), so the answer with its rows is a file
beside the register, never a download; over HTTP go counts per kabupaten/kota, each rounded to a multiple
of five by itself, so that no small count can be told from the others.
"""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from analysis.inputs import reference_for
from analysis.verify_batch import Kolom
from analysis.verify_register import Ringkasan, Tugas, verify_register
from catalog.codes import parse
from catalog.errors import CancelledRunError
from catalog.model import Scheme
from catalog.store import Catalog
from ogc_server.errors import ParameterError
from ogc_server.processes.desk import Bench

ROUNDING = 5
_ANSWERS = "hasil"
_CSV_ROW = 60
"""Bytes of a line, to guess how far the work is."""
_ID = 12
"""So much of a job's id names its answer."""
_PARTS = re.compile(rf"\.([0-9a-f]{{{_ID}}})\.(?:csv|parquet)\.parts$")
type Column = Annotated[str, Field(min_length=1, max_length=200)]


class Register(BaseModel):
    """A file in the folder of registers and its columns; no other column is read."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    berkas: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,150}\.(csv|parquet)$")
    lon: Column = "lon"
    lat: Column = "lat"
    kode: Column = "kode"
    simpan: list[Column] = Field(default_factory=list, max_length=50)


def register_path(folder: str, berkas: str) -> Path:
    """Return the file; ParameterError when no folder is configured, or it holds no such file.

    Links are refused: what they point at may be anywhere.
    """
    if not folder:
        raise ParameterError("process.input.no-registers", "inputs.berkas_register")
    root = Path(folder).resolve()
    path = root / berkas
    if path.is_symlink() or not path.is_file() or path.resolve().parent != root:
        raise ParameterError("process.input.no-register", "inputs.berkas_register.berkas")
    return path


def verified(
    bench: Bench, asked: Register, skema: Scheme | None, vintage: int | None, toleransi_m: float
) -> list[dict[str, Any]]:
    """Verify all rows, or go on with it; return rounded counts per kabupaten/kota and verdict."""
    path = register_path(bench.desk.settings.processes.registers, asked.berkas)
    with bench.desk.desa(bench.snapshot, "area") as index:
        rules = reference_for(bench.desk.catalog.regions, index, skema=skema, vintage=vintage)
        folder, own = index.folder, index.info.skema
    answers = path.parent / _ANSWERS
    answers.mkdir(mode=0o700, exist_ok=True)
    # the job's id makes the name, so that a job that is started again goes on with its own parts
    out = answers / f"{path.stem}.{bench.job[:_ID]}{path.suffix}"
    columns = Kolom(asked.lon, asked.lat, asked.kode, tuple(asked.simpan))
    task = Tugas(path, out, folder, columns, skema, vintage, toleransi_m, rules, workers=1)
    summary = verify_register(task, progress=partial(_told, bench, _rows(path)))
    if summary is None:
        raise CancelledRunError("stopped")
    return rounded(summary, skema or own)


def clear_parts(catalog: Catalog, folder: str) -> None:
    """Throw away the unfinished parts of jobs that have ended otherwise: dismissed, failed, reaped.

    Parts of jobs that this catalog does not know may be those of another deployment, and stay.
    """
    found = {path: match[1] for path in _parts(folder) if (match := _PARTS.search(path.name))}
    ended = catalog.jobs.ended(set(found.values())) if found else set()
    for path, start in found.items():
        if start in ended:
            shutil.rmtree(path, ignore_errors=True)  # what a dying worker still writes goes the next time


def _parts(folder: str) -> list[Path]:
    return list((Path(folder) / _ANSWERS).glob("*.parts")) if folder else []


def rounded(summary: Ringkasan, skema: Scheme) -> list[dict[str, Any]]:
    """Return the counts as they may be seen by anybody; `kode` is canonical, empty where no code told it."""
    found = []
    for row in summary.per_kabupaten():
        name = str(row.pop("kabkota"))
        kode = str(parse(name, skema, level="kabkota")) if name else ""
        found.append({"kode": kode, **{verdik: _rounded(count) for verdik, count in row.items()}})
    return found


def _rounded(count: int) -> int:
    return ROUNDING * ((count + ROUNDING // 2) // ROUNDING)


def _rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    return path.stat().st_size // _CSV_ROW


def _told(bench: Bench, total: int, rows: int) -> None:
    bench.report(min(rows, total), total)
