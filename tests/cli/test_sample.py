"""`satudata sample register|facilities|hazard|shakemap` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fiona
import pyarrow.csv
import pytest
import rasterio
from click.testing import CliRunner

from analysis.shakemap import read_grid_xml
from cli.main import main


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["--lang", "en", "sample", *arguments], prog_name="satudata")
    assert done.exit_code == 0, done.output
    return done


def test_a_register_over_real_boundaries(tmp_path: Path, shared_data: Path) -> None:
    out = tmp_path / "r.csv"
    done = run(
        "register", "--rows", "500", "--boundaries", str(shared_data / "cianjur_desa.gpkg"), "--trouble", "semua=0",
        "--trouble", "nol=0.5", "--truth", "--out", str(out),
    )  # fmt: skip
    assert "synthetic" in done.output
    table = pyarrow.csv.read_csv(out)
    assert table.num_rows == 500
    assert {code[:5] for code in table["kode_desa"].to_pylist()} == {"32.03"}
    assert set(table["masalah"].to_pylist()) == {"", "nol"}


def test_facilities_over_the_sample(tmp_path: Path) -> None:
    run("facilities", "--count", "50", "--out", str(tmp_path / "f.gpkg"))
    with fiona.open(tmp_path / "f.gpkg") as source:
        assert len(source) == 50
        assert {"status", "jam_buka", "beras_kg"} <= set(source.schema["properties"])


def test_a_hazard_index_and_its_zones(tmp_path: Path) -> None:
    out, zones = tmp_path / "h.tif", tmp_path / "z.geojson"
    run("hazard", "--bbox", "107,-7.2,107.2,-7", "--cell", "0.002", "--zones", str(zones), "--out", str(out))
    with rasterio.open(out) as source:
        assert (source.width, source.height) == (100, 100)
    with fiona.open(zones) as found:
        assert {f["properties"]["kelas"] for f in found} == {"sedang", "tinggi"}


def test_a_shakemap_is_read_by_our_own_reader_and_peaks_at_the_epicentre(tmp_path: Path) -> None:
    out = tmp_path / "grid.xml"
    run("shakemap", "--lon", "107.05", "--lat", "-6.86", "--magnitude", "5.6", "--depth", "11", "--reach", "60",
        "--out", str(out))  # fmt: skip
    assert "SINTETIS" in out.read_text("utf-8")
    grid = read_grid_xml(out.read_bytes())
    assert grid is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["register", "--rows", "5", "--out", "r.xlsx"], "only .csv or .parquet"),
        (["register", "--rows", "5", "--trouble", "x", "--out", "r.csv"], "NAME=SHARE"),
        (["register", "--rows", "5", "--trouble", "x=1", "--out", "r.csv"], "there are: tertukar"),
        (["facilities", "--out", "f.shp"], "only .geojson"),
        (["hazard", "--bbox", "1,2", "--out", "h.tif"], "west,south,east,north"),
        (["shakemap", "--lon", "1", "--lat", "1", "--magnitude", "5", "--depth", "9", "--spacing", "0", "--out", "g.xml"],
         "above 0"),
    ],
)  # fmt: skip
def test_wrong_options_are_explained(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["--lang", "en", "sample", *arguments], prog_name="satudata")
    assert done.exit_code != 0
    assert said in done.output
    assert "Traceback" not in done.output


def test_json_says_that_it_is_synthetic(tmp_path: Path) -> None:
    done = run("facilities", "--count", "3", "--out", str(tmp_path / "f.fgb"), "--json")
    assert json.loads(done.stdout) == {"file": str(tmp_path / "f.fgb"), "count": 3, "synthetic": True}
