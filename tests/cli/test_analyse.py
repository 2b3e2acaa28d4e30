"""`satudata analyse` on the synthetic sample: harvested layers in, answers out."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import fiona
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from click.testing import CliRunner, Result
from shapely.geometry import shape

from cli.app import App
from cli.main import main
from tests.servers.ours import HOUSE

DATASETS = ["contoh-fasilitas", "contoh-logistik", "contoh-penerima-bantuan"]


class Shop:
    """A deployment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(HOUSE / "config", folder / "config")
        self.ok("sample", "generate")
        self.ok("harvest", *DATASETS)
        self.boundaries = folder / "batas.parquet"
        with fiona.open(folder / "data/sample/batas.gpkg", layer="desa") as layer:
            self.desa = [{**f["properties"], "geometry": shape(f["geometry"])} for f in layer]
        rows = [{**d, "geometry": d["geometry"].wkb} for d in self.desa]
        pq.write_table(pa.Table.from_pylist(rows), self.boundaries)

    def run(self, *arguments: str) -> Result:
        places = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data")]
        app = App()
        try:
            return CliRunner().invoke(
                main, [*places, "--lang", "en", *arguments], prog_name="satudata", obj=app
            )
        finally:  # a process of its own would end here
            for name in {"store", "catalog"} & vars(app).keys():
                getattr(app, name).close()

    def ok(self, *arguments: str) -> str:
        shown = self.run(*arguments)
        assert shown.exit_code == 0, shown.output
        return shown.output

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_verify(shop: Shop) -> None:
    points = [d["geometry"].point_on_surface() for d in shop.desa]
    rows = [
        {"x": p.x, "y": p.y, "kode": d["KDEPUM"], "nama": "Rahasia"}
        for p, d in zip(points, shop.desa, strict=True)
    ]
    rows[0]["kode"] = shop.desa[-1]["KDEPUM"]
    register, out = shop.folder / "register.csv", shop.folder / "out.csv"
    with register.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    counts = shop.json(
        "analyse", "verify", str(register), "--lon", "x", "--lat", "y", "--code", "kode", "--scheme", "kemendagri",
        "--boundaries", str(shop.boundaries), "--workers", "1", "--out", str(out),
    )  # fmt: skip
    assert counts == [
        {"verdict": "sesuai", "rows": len(rows) - 1}, {"verdict": "tidak_sesuai", "rows": 1}
    ]  # fmt: skip
    assert "Rahasia" not in out.read_text("utf-8")
    with out.open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["verdik"], first["kode_nyata"]) == ("tidak_sesuai", shop.desa[0]["KDEPUM"])


def test_affected(shop: Shop) -> None:
    area = shop.folder / "area.geojson"
    hit = shop.desa[0]["geometry"].buffer(-1e-6)
    feature = {
        "type": "Feature",
        "properties": {"kelas": "tinggi"},
        "geometry": json.loads(shapely.to_geojson(hit)),
    }
    area.write_text(json.dumps(feature), "utf-8")
    given = ["analyse", "affected", "--area", str(area), "--boundaries", str(shop.boundaries)]
    given += ["--people", "contoh-penerima-bantuan"]
    [desa] = shop.json(*given)
    assert (desa["kode"], desa["kelas"]) == (shop.desa[0]["KDEPUM"], "tinggi")
    assert desa["bagian"] == pytest.approx(1, abs=1e-3)
    assert desa["jumlah"]["jumlah_keluarga"] > 0
    out = shop.folder / "hit.csv"
    shop.ok(*given, "--level", "kabkota", "--out", str(out))
    with out.open(encoding="utf-8") as file:
        [kabupaten] = list(csv.DictReader(file))
    assert kabupaten["kode"] == "99.01"
    assert float(kabupaten["jumlah_jumlah_keluarga"]) == desa["jumlah"]["jumlah_keluarga"]
    assert shop.desa[0]["KDEPUM"] in shop.ok(*given)


def test_an_earthquake_out_of_the_relation_warns(shop: Shop) -> None:
    place = shop.desa[0]["geometry"].centroid
    quake = f"{place.x},{place.y},8.5,100"
    shown = shop.ok("analyse", "affected", "--quake", quake, "--boundaries", str(shop.boundaries))
    assert "outside of the relation" in shown
    assert "shallow crustal" in shown


def test_nearest(shop: Shop) -> None:
    place = shop.desa[0]["geometry"].centroid
    found = shop.json(
        "analyse", "nearest", "--facilities", "contoh-logistik", "--point", f"{place.x},{place.y}", "-k", "2"
    )
    assert [one["urutan"] for one in found] == [1, 2]
    assert found[0]["jarak_m"] <= found[1]["jarak_m"]
    assert found[0]["jarak_jenis"] == "geodesik"
    assert found[0]["stok"]["beras_kg"] >= 0
    code = shop.desa[0]["KDEPUM"]
    given = ["--facilities", "contoh-fasilitas", "--kind", "puskesmas", "--desa", code]
    [near] = shop.json("analyse", "nearest", *given, "--boundaries", str(shop.boundaries), "-k", "1")
    assert (near["asal"], near["jenis"]) == (code, "puskesmas")


@pytest.mark.parametrize(
    "arguments",
    [
        ["affected", "--boundaries", "x.parquet"],
        ["affected", "--quake", "1,2,3", "--boundaries", "BATAS"],
        ["affected", "--quake", "1,2,30,4", "--boundaries", "BATAS"],
        ["nearest", "--facilities", "contoh-logistik"],
        ["nearest", "--facilities", "contoh-logistik", "--point", "1;2"],
        ["nearest", "--facilities", "contoh-logistik", "--point", "1,2", "--kind", "bank"],
        ["nearest", "--facilities", "none", "--point", "1,2"],
        ["nearest", "--facilities", "contoh-logistik", "--desa", "99.01.01.1001"],
        ["verify", "x.txt", "--boundaries", "BATAS", "--out", "y.csv"],
        ["verify", "x.csv", "--boundaries", "BATAS", "--out", "y.csv"],
        ["verify", "x.csv", "--boundaries", "BATAS", "--out", "y.csv", "--engine", "spark"],
    ],
)
def test_wrong_questions_end_with_a_reason(shop: Shop, arguments: list[str]) -> None:
    shown = shop.run("analyse", *[str(shop.boundaries) if a == "BATAS" else a for a in arguments])
    assert shown.exit_code in {1, 2}
    assert shown.exception is None or isinstance(shown.exception, SystemExit)
    assert shown.output.strip()
