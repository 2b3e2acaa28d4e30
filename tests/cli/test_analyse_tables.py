"""The table questions on the command line, on files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from catalog.region_model import CrosswalkRow
from catalog.store import Catalog
from cli.main import main
from harvesters.sample.generate import generate


@pytest.fixture
def run(tmp_path: Path):
    def call(*arguments: object) -> Result:
        folders = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
        return CliRunner().invoke(main, [*folders, "analyse", *map(str, arguments)])

    return call


def _file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_allocate(run, tmp_path: Path) -> None:
    stock = _file(
        tmp_path,
        "stok.csv",
        "gudang,item,jumlah,lon,lat,status\nW,beras,10,107,-6.8,dirilis\nX,beras,9,107,-6.8,kosong\n",
    )
    need = _file(tmp_path, "butuh.csv", "kode,item,jumlah,lon,lat\n32.03.01.1006,beras,20,107.1,-6.8\n")
    done = run("allocate", "--stock", stock, "--need", need, "--json")
    assert done.exit_code == 0, done.output
    sent, unmet = json.loads(done.output)
    assert (sent["gudang"], sent["jumlah"], sent["biaya"]) == ("W", 10, pytest.approx(11_055, rel=1e-2))
    assert (unmet["jumlah"], unmet["alasan"]) == (10, "stok_kurang")
    wrong = run("allocate", "--stock", need, "--need", need)
    assert wrong.exit_code == 1
    assert "stok[0].gudang" in wrong.output


def test_reconcile(run, tmp_path: Path) -> None:
    a = _file(tmp_path, "a.csv", "kode,nama,jiwa\n32.03.01.1006,Pamoyanan,10\n3203011007,Sayang,5\n")
    b = _file(tmp_path, "b.csv", "kode;nama;jiwa\n3203011006;PAMOYANAN;12\n32.03.01.1008;Solokpandan;7\n")
    out = tmp_path / "beda.csv"
    done = run(
        "reconcile",
        a,
        b,
        "--key-a",
        "kode",
        "--name-a",
        "nama",
        "--name-b",
        "nama",
        "--value",
        "jiwa",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    lines = out.read_text("utf-8").splitlines()
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == [
        "nilai_berbeda",
        "hanya_di_a",
        "hanya_di_b",
    ]
    assert run("reconcile", a, b, "--key-a", "code").exit_code == 1


def test_reconcile_takes_the_catalog_s_crosswalk(run, tmp_path: Path) -> None:
    for folder in ("data", "config"):
        (tmp_path / folder).mkdir()
    catalog = Catalog.open(
        f"sqlite:///{tmp_path}/data/catalog.sqlite", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    pairs = [CrosswalkRow("3203010001", "32.03.01.1006", 1.0, "official")]
    catalog.regions.load_crosswalk("bps", 2020, "kemendagri", 2025, pairs, "tes")
    catalog.close()
    a = _file(tmp_path, "a.csv", "kode_bps,jiwa\n3203010001,10\n")
    b = _file(tmp_path, "b.csv", "kode,jiwa\n32.03.01.1006,10\n")
    arguments = [
        "reconcile",
        a,
        b,
        "--key-a",
        "kode_bps",
        "--key-b",
        "kode",
        "--scheme-a",
        "bps",
        "--all",
        "--json",
    ]
    assert run(*arguments).exit_code == 1, "two schemes without a crosswalk"
    done = run(*arguments, "--vintage-a", 2020, "--vintage-b", 2025)
    assert done.exit_code == 0, done.output
    assert [row["kelas"] for row in json.loads(done.output)] == ["cocok"]


def test_aggregate(run, tmp_path: Path) -> None:
    rows = [("32.03.01.1006", "PKH")] * 9 + [("32.03.01.1007", "PKH")] * 2 + [("32.03.01.1008", "PKH")] * 7
    path = tmp_path / "register.parquet"
    pq.write_table(pa.table({"kode": [r[0] for r in rows], "program": [r[1] for r in rows]}), path)
    done = run("aggregate", path, "--by", "program", "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert next(r["jumlah"] for r in shown if r["kode"] == "32.03.01.1007" and r["program"]) is None
    assert run("aggregate", path, "--by", "program").exit_code == 0
    refused = run("aggregate", path, "--unprotected")
    assert refused.exit_code == 1


def test_zonal(run, tmp_path: Path) -> None:
    generate(tmp_path, 2026)
    done = run(
        "zonal", "--raster", tmp_path / "bahaya-banjir.tif", "--zones", tmp_path / "batas.gpkg", "--layer", "desa", "--code", "KDEPUM",
        "--break", 0, "--break", 0.5, "--break", 1, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)
    assert all(row["kode"].startswith("99.") for row in rows)
    assert sum(row["rata_rata"] is not None for row in rows) > 20
    assert all(0 <= row["rata_rata"] <= 1 for row in rows if row["rata_rata"] is not None)
