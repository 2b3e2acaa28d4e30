"""What `satudata analyse` does with an answer: files in four forms, layers with their lineage."""

from __future__ import annotations

import json
from pathlib import Path

import fiona
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import shape

from catalog.store import Catalog
from tests.cli.test_analyse import Shop
from tests.servers.ours import Deployment, sample_upstream


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("terbit"))
    with sample_upstream(Deployment(made.folder)):
        made.ok("harvest", "contoh-batas")
    return made


@pytest.fixture(scope="module")
def area(shop: Shop) -> Path:
    path = shop.folder / "banjir.geojson"
    path.write_text(shapely.to_geojson(shop.desa[0]["geometry"].buffer(0.01)), "utf-8")
    return path


def _affected(area: Path) -> list[str]:
    return ["analyse", "affected", "--area", str(area), "--boundaries", "contoh-batas-desa"]


@pytest.mark.parametrize("form", ["json", "geojson", "csv", "parquet"])
def test_affected_desa_as_a_file(shop: Shop, area: Path, form: str) -> None:
    out = shop.folder / f"kena.{form}"
    shop.ok(*_affected(area), "--people", "contoh-penerima-bantuan", "--out", str(out))
    if form == "geojson":
        with fiona.open(out) as layer:
            kinds = {shape(one.geometry).geom_type for one in layer}
        assert kinds == {"MultiPolygon"}
    elif form == "parquet":
        table = pq.read_table(out)
        assert {"kode", "jumlah_jumlah_keluarga", "geometry"} <= set(table.column_names)
        assert b"geo" in table.schema.metadata
    else:
        assert shop.desa[0]["KDEPUM"] in out.read_text("utf-8")


def test_another_suffix_is_refused_before_the_work(shop: Shop, area: Path) -> None:
    shown = shop.run(*_affected(area), "--out", "kena.shp")
    assert shown.exit_code == 1
    assert ".geojson" in shown.output


def test_a_result_is_published_with_its_lineage(shop: Shop, area: Path) -> None:
    given = [*_affected(area), "--people", "contoh-penerima-bantuan", "--publish", "desa-kena-banjir"]
    shop.ok(*given, "--title", "Desa kena banjir", "--title-en", "Desa hit by flood")
    with Catalog.open(f"sqlite:///{shop.folder}/data/catalog.sqlite") as catalog:
        record = catalog.datasets.get("desa-kena-banjir").record
        info = catalog.versions.current("desa-kena-banjir")
        assert info is not None
        assert info.schema is not None
        assert info.schema.geometry_type == "MultiPolygon"
        assert info.schema.region_code is not None
        assert info.schema.region_code.field == "kode"
    assert info.count > 0
    for part in (
        "satudata analyse affected",
        "contoh-batas-desa v1",
        "contoh-penerima-bantuan v1",
        "sha256:",
    ):
        assert part in record.lineage
    assert record.title.en == "Desa hit by flood"
    assert record.synthetic, "it was made of invented data"
    assert record.access == "internal", "the area came from a file"
    shop.ok(*given, "--title", "Desa kena banjir", "--publish-access", "publik")
    with Catalog.open(f"sqlite:///{shop.folder}/data/catalog.sqlite") as catalog:
        assert catalog.datasets.get("desa-kena-banjir").record.access == "publik"


def test_publishing_needs_a_title_and_an_id_of_its_own(shop: Shop, area: Path) -> None:
    assert shop.run(*_affected(area), "--publish", "tanpa-judul").exit_code == 1
    taken = shop.run(*_affected(area), "--publish", "contoh-logistik", "--title", "X")
    assert taken.exit_code == 1
    assert "contoh-logistik" in taken.output


def _register(folder: Path, shop: Shop, **more: list[str]) -> Path:
    path = folder / "register.parquet"
    codes = [d["KDEPUM"] for d in shop.desa[:3] for _ in range(20)]
    pq.write_table(pa.table({"kode": codes, **{k: (v * 60)[:60] for k, v in more.items()}}), path)
    return path


def test_counts_are_published_protected_as_a_layer(shop: Shop, tmp_path: Path) -> None:
    register = _register(tmp_path, shop, program=["PKH"] * 59 + ["BPNT"])
    given = ["analyse", "aggregate", str(register), "--by", "program", "--level", "desa"]
    given += ["--boundaries", "contoh-batas-desa", "--publish", "jumlah-penerima", "--title", "Jumlah"]
    refused = shop.run(*given, "--unprotected")
    assert refused.exit_code == 1, "a public layer is always protected"
    shop.ok(*given)
    with Catalog.open(f"sqlite:///{shop.folder}/data/catalog.sqlite") as catalog:
        assert catalog.datasets.get("jumlah-penerima").record.access == "publik"
    shop.ok(
        *given[:-4], "--unprotected", "--access", "internal", "--publish", "rahasia", "--title", "Rahasia"
    )
    people = ["--people", "rahasia", "--publish", "bocor", "--title", "Bocor", "--publish-access", "publik"]
    area = tmp_path / "a.geojson"
    area.write_text(shapely.to_geojson(shop.desa[0]["geometry"]), "utf-8")
    leak = shop.run(*_affected(area), *people)
    assert leak.exit_code == 1, "what is made of internal counts can not be public"
    assert "internal" in leak.output
    opened = shop.run("dataset", "edit", "rahasia", "access=publik")
    assert opened.exit_code == 1, "nor can the counts themselves be made public later"
    assert "disclosure control" in opened.output
    shop.ok(*_affected(area), *people[:-2])
    assert shop.run("dataset", "edit", "bocor", "access=publik").exit_code == 1, "made of closed counts"
    assert shop.run(*given[:-4], "--publish", "rahasia", "--title", "R").exit_code == 1, "version 1 is there"
    with Catalog.open(f"sqlite:///{shop.folder}/data/catalog.sqlite") as catalog:
        assert {"rahasia", "bocor"} <= set(catalog.datasets.ids(access="internal"))
        assert "dataset.refuse" in {line.action for line in catalog.audit.list("rahasia")}


def test_personal_data_is_not_published(shop: Shop, tmp_path: Path) -> None:
    a = tmp_path / "a.csv"
    a.write_text("kode,nama\n32.03.01.1006,3203011234560001\n32.03.01.1007,3203012345670002\n", "utf-8")
    b = tmp_path / "b.csv"
    b.write_text("kode,nama\n32.03.01.1006,Sayang\n", "utf-8")
    given = [
        "analyse",
        "reconcile",
        str(a),
        str(b),
        "--key-a",
        "kode",
        "--name-a",
        "nama",
        "--name-b",
        "nama",
    ]
    shown = shop.run(*given, "--publish", "beda", "--title", "Beda")
    assert shown.exit_code == 1
    assert "3203011234560001" not in shown.output
    with Catalog.open(f"sqlite:///{shop.folder}/data/catalog.sqlite") as catalog:
        assert catalog.versions.list("beda") == []


def test_the_nearest_are_points_and_a_plan_is_lines(shop: Shop, tmp_path: Path) -> None:
    near = tmp_path / "dekat.geojson"
    shop.ok(
        "analyse", "nearest", "--facilities", "contoh-logistik", "--point", "108.28,-8.93", "--out", str(near)
    )
    assert {one["geometry"]["type"] for one in json.loads(near.read_text())["features"]} == {"Point"}
    stock, need = tmp_path / "stok.csv", tmp_path / "butuh.csv"
    stock.write_text("gudang,item,jumlah,lon,lat\nW,beras,10,107,-6.8\n", "utf-8")
    need.write_text("kode,item,jumlah,lon,lat\n32.03.01.1006,beras,9,107.1,-6.8\n", "utf-8")
    plan = tmp_path / "rencana.geojson"
    shop.ok("analyse", "allocate", "--stock", str(stock), "--need", str(need), "--out", str(plan))
    assert [one["geometry"]["type"] for one in json.loads(plan.read_text())["features"]] == ["LineString"]


def test_zonal_statistics_keep_the_polygons(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "zonal.parquet"
    sample = shop.folder / "data" / "sample"
    shop.ok(
        "analyse", "zonal", "--raster", str(sample / "bahaya-banjir.tif"), "--zones", str(sample / "batas.gpkg"),
        "--layer", "desa", "--code", "KDEPUM", "--out", str(out),
    )  # fmt: skip
    assert not pa.types.is_null(pq.read_table(out)["geometry"].type)
