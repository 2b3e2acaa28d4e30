"""`satudata analyse` with rasters, ShakeMaps, events, roads and points, on the synthetic sample."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import yaml
from rasterio.transform import from_origin

from analysis.earthquake import Gempa
from tests.analysis.test_shakemap import grid_xml
from tests.cli.test_analyse import Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("questions"))


def affected(shop: Shop, *more: str) -> Any:
    return shop.json("analyse", "affected", "--boundaries", str(shop.boundaries), *more)


def test_the_flood_raster_of_the_sample_hits_desa(shop: Shop) -> None:
    shop.ok("harvest", "contoh-bahaya-banjir")
    given = ["--threshold", "0.33", "--threshold", "0.66", "--class", "sedang", "--class", "tinggi"]
    found = affected(shop, "--raster", "contoh-bahaya-banjir", *given, "--people", "contoh-penerima-bantuan")
    assert {one["kelas"] for one in found} <= {"sedang", "tinggi"}
    assert all(0 < one["bagian"] <= 1 for one in found)
    hit = [one for one in found if one.get("jumlah")]
    assert hit[0]["perkiraan"]["jumlah_keluarga"] <= hit[0]["jumlah"]["jumlah_keluarga"]
    most = affected(shop, "--raster", "contoh-bahaya-banjir", *given, "--class-rule", "most")
    assert {one["kode"] for one in most} == {one["kode"] for one in found}


def test_a_shakemap_file(shop: Shop) -> None:
    place = shop.desa[0]["geometry"].centroid
    quake = Gempa(round(place.x, 2), round(place.y, 2), 6.0, 10)
    path = shop.folder / "grid.xml"
    path.write_text(grid_xml(quake, nodes=61), "utf-8")
    found = affected(shop, "--shakemap", str(path), "--least-mmi", "6")
    assert found
    assert all(one["mmi"] >= 6 for one in found)
    raster = shop.folder / "mmi.tif"
    with rasterio.open(
        raster, "w", driver="GTiff", width=2, height=2, count=1, dtype="float32",
        transform=from_origin(place.x - 0.1, place.y + 0.1, 0.1, 0.1),
    ) as file:  # fmt: skip
        file.write(np.full((2, 2), 7.2, np.float32), 1)
    assert {one["mmi"] for one in affected(shop, "--shakemap", str(raster))} == {7.2}


def test_an_event_of_a_layer(shop: Shop) -> None:
    """An area as a file source, asked by the id of its feature."""
    hit = shop.desa[0]["geometry"].buffer(-1e-6)
    feature = {
        "type": "Feature",
        "properties": {"id": "p1", "jenis": "Cancel"},
        "geometry": json.loads(shapely.to_geojson(hit)),
    }
    add_source(shop, "peringatan", [feature])
    found = affected(shop, "--event", "p1", "--events", "peringatan")
    assert [one["kode"] for one in found] == [shop.desa[0]["KDEPUM"]]
    said = shop.ok(
        "analyse", "affected", "--boundaries", str(shop.boundaries), "--event", "p1", "--events", "peringatan"
    )
    assert "cancelled" in said


def add_source(shop: Shop, name: str, features: list[dict[str, Any]]) -> None:
    """Harvest GeoJSON as a layer."""
    path = shop.folder / "data/sample" / f"{name}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    source = {
        "id": f"uji-{name}", "type": "file", "url": f"data:sample/{path.name}", "produsen_data": "uji",
        "layers": [{"remote": name, "id": name, "feature_id": "id"}],
    }  # fmt: skip
    (shop.folder / "config/sources" / f"{name}.yml").write_text(yaml.safe_dump(source), "utf-8")
    shop.ok("harvest", f"uji-{name}")  # a layer that is held would not be served


def test_the_nearest_over_roads(shop: Shop) -> None:
    [crow] = shop.json(
        "analyse", "nearest", "--facilities", "contoh-logistik", "--point", "108.28,-8.93", "-k", "1"
    )
    way = [[108.28, -8.93], [108.28, -8.5], [crow["lon"], -8.5], [crow["lon"], crow["lat"]]]
    line = {
        "type": "Feature", "properties": {"id": "j1", "kmh": 60.0, "searah": "no"},
        "geometry": {"type": "LineString", "coordinates": way},
    }  # fmt: skip
    add_source(shop, "jalan", [line])
    given = ["--facilities", "contoh-logistik", "--point", "108.28,-8.93", "-k", "99", "--roads", "jalan"]
    found = shop.json("analyse", "nearest", *given, "--speed", "kmh", "--oneway", "searah")
    assert {one["jarak_jenis"] for one in found} == {"jalan", "geodesik"}
    [road] = [one for one in found if one["id"] == crow["id"]]
    assert road["jarak_jenis"] == "jalan"
    assert road["jarak_m"] > crow["jarak_m"]
    assert road["waktu_menit"] == pytest.approx(road["jarak_m"] / 1000, abs=0.2)
    wrong = shop.run("analyse", "nearest", *given, "--speed", "laju")
    assert wrong.exit_code != 0
    assert "laju" in wrong.output


def test_points_per_h3_cell_and_per_desa(shop: Shop) -> None:
    rng = np.random.default_rng(1)
    shapes = [one["geometry"].point_on_surface() for one in shop.desa[:5]]
    rows = [f"{p.x},{p.y},{'PKH' if rng.random() < 0.5 else 'BPNT'}" for p in shapes for _ in range(40)]
    register = shop.folder / "titik.csv"
    register.write_text("\n".join(["x,y,program", *rows]), "utf-8")
    out = shop.folder / "sel.parquet"
    given = ["analyse", "aggregate", str(register), "--lon", "x", "--lat", "y", "--by", "program"]
    shop.ok(*given, "--h3", "5", "--h3", "7", "--out", str(out))
    table = pq.read_table(out)
    shapes_ = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    kinds = dict(zip(table["tingkat"].to_pylist(), shapes_, strict=True))
    assert set(kinds) == {"semua", "h3-5", "h3-7"}
    assert kinds["h3-7"].geom_type == "Polygon"
    by_desa = shop.json(*given, "--boundaries", str(shop.boundaries), "--level", "desa")
    counted = {row["kode"]: row["jumlah"] for row in by_desa if row["program"] is None and row["kode"]}
    assert counted == {one["KDEPUM"]: 40 for one in shop.desa[:5]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["affected", "--boundaries", "x.parquet", "--raster", "a", "--quake", "1,2,3,4"], "one of"),
        (["affected", "--boundaries", "B", "--raster", "tidak-ada", "--threshold", "1"], "tidak-ada"),
        (["affected", "--boundaries", "B", "--raster", "B"], "ambang"),
        (["affected", "--boundaries", "B", "--shakemap", "x.xml"], "x.xml"),
        (["affected", "--boundaries", "B", "--shakemap", "JUNK"], "ShakeMap"),
        (["affected", "--boundaries", "B", "--event", "e", "--events", "contoh-logistik"], "e"),
        (
            ["nearest", "--facilities", "contoh-logistik", "--point", "107,-7", "--roads", "contoh-logistik"],
            "lines",
        ),
        (["aggregate", "JUNK", "--lon", "x"], "lat"),
        (["aggregate", "JUNK", "--lon", "x", "--lat", "y", "--h3", "12"], "0 to 8"),
    ],
)
def test_wrong_questions_are_refused_with_a_reason(shop: Shop, arguments: list[str], said: str) -> None:
    junk = shop.folder / "junk.xml"
    junk.write_text("x,y\n1,2\n", "utf-8")
    names = {"B": str(shop.boundaries), "JUNK": str(junk)}
    result = shop.run("analyse", *(names.get(one, one) for one in arguments))
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)  # told, not thrown
    assert said in result.output
