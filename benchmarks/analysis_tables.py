"""Reconciliation of two national tables (under 3 s is asked) and protection of a national one; made-up data.

With a folder of real data as argument (`idm2024_desa.csv.gz`, `desa_2025.parquet`) that is reconciled too.
"""

from __future__ import annotations

import gzip
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from analysis.disclosure import ROOT, CountTable, Disclosure, suppressed
from analysis.moves import Named, derive_moves
from analysis.reconcile import Compared, Side, reconcile

DESA = [
    f"{p}.{k:02d}.{c:02d}.{2001 + d}"
    for p in range(11, 45)
    for k in range(1, 15)
    for c in range(1, 15)
    for d in range(13)
]


def made_up() -> None:
    rng = np.random.default_rng(1)
    full = pa.table({"kode": DESA[:83_000], "jiwa": rng.integers(100, 9000, 83_000)})
    part = full.take(pa.array(np.sort(rng.choice(83_000, 75_000, replace=False))))
    other = part.set_column(1, "jiwa", pa.array(np.asarray(part["jiwa"]) + (rng.random(75_000) < 0.1)))
    start = time.perf_counter()
    found = reconcile(Side(full, "kode"), Side(other, "kode"), [Compared("jiwa", "jiwa")])
    print(f"reconcile 83,000 x 75,000: {time.perf_counter() - start:.2f} s, {dict(found.counts)}")


def real(folder: Path) -> None:
    types = pacsv.ConvertOptions(column_types={"kode_kemendagri": pa.string()})
    with gzip.open(folder / "idm2024_desa.csv.gz") as file:
        idm = pacsv.read_csv(file, convert_options=types)
    desa = pq.read_table(folder / "desa_2025.parquet", columns=["KDEPUM", "NAMOBJ", "WADMKC"])
    start = time.perf_counter()
    moves = list(
        derive_moves(_named(idm, "kode_kemendagri", "nama", "kecamatan"), _named(desa, *desa.column_names))
    )
    middle = time.perf_counter()
    found = reconcile(
        Side(idm, "kode_kemendagri", name="nama"), Side(desa, "KDEPUM", name="NAMOBJ"), moves=moves
    )
    end = time.perf_counter()
    print(
        f"IDM 2024 with 2025: moves {middle - start:.2f} s, reconcile {end - middle:.2f} s, {dict(found.counts)}"
    )


def _named(table: pa.Table, *columns: str) -> list[Named]:
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return [Named(code, name or "", above or "") for code, name, above in rows]


def protection(desa: int, categories: int, mean: int) -> None:
    rng = np.random.default_rng(1)
    parent: dict[str, str] = {}
    for code in DESA[:desa]:
        parent.update({code: code[:8], code[:8]: code[:5], code[:5]: code[:2], code[:2]: ROOT})
    rates = rng.gamma(1.5, mean / 1.5, (desa, 1)) * rng.dirichlet(np.full(categories, 2.0), desa) * categories
    counts = rng.poisson(rates)
    leaves = {(c, str(j)): int(counts[i, j]) for i, c in enumerate(DESA[:desa]) for j in range(categories)}
    start = time.perf_counter()
    table = CountTable(leaves, parent)
    hidden = suppressed(table, Disclosure())
    seconds = time.perf_counter() - start
    print(
        f"protect {len(table.counts):,} cells, {len(table.small(5)):,} small: {len(hidden):,} hidden, {seconds:.1f} s"
    )


def main() -> None:
    made_up()
    if len(sys.argv) > 1:
        real(Path(sys.argv[1]))
    protection(8_000, 10, 30)
    protection(75_000, 10, 30)


if __name__ == "__main__":
    main()
