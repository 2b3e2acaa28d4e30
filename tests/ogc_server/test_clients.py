"""QGIS, GDAL and owslib read every feature, with the same geometry as the source.

The clients that people really use; each through its own code, none of ours in between.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import fiona
import pytest
import shapely
from owslib.ogcapi.features import Features
from shapely.geometry import shape

from tests.servers import missing
from tests.servers.ours import cianjur

TOLERANCE = 2e-7
"""Degrees: answers carry 7 decimals, 1 cm."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[str]:
    with cianjur(tmp_path_factory.mktemp("clients"), shared_data).serving() as address:
        yield address


@pytest.fixture(scope="module")
def source(shared_data: Path) -> dict[str, shapely.Geometry]:
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as layer:
        return {feature["properties"]["KDEPUM"]: shape(feature["geometry"]) for feature in layer}


def assert_same(found: dict[str, shapely.Geometry], source: dict[str, shapely.Geometry]) -> None:
    assert set(found) == set(source)
    far = {code for code in source if shapely.hausdorff_distance(found[code], source[code]) > TOLERANCE}
    assert far == set()


def test_gdal_reads_every_desa(base: str, source: dict[str, shapely.Geometry], tmp_path: Path) -> None:
    if not shutil.which("ogr2ogr"):
        missing("gdal", "apt-get install gdal-bin")
    out = tmp_path / "out.geojsonl"
    subprocess.run(
        [
            "ogr2ogr",
            "-f",
            "GeoJSONSeq",
            str(out),
            f"OAPIF:{base}",
            "desa-cianjur",
            "-lco",
            "COORDINATE_PRECISION=15",
        ],
        check=True,
        timeout=120,
    )
    features = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(features) == 360
    assert_same({f["properties"]["KDEPUM"]: shape(f["geometry"]) for f in features}, source)


def test_gdal_counts_without_reading(base: str) -> None:
    if not shutil.which("ogrinfo"):
        missing("gdal", "apt-get install gdal-bin")
    told = subprocess.run(
        ["ogrinfo", "-so", f"OAPIF:{base}", "desa-cianjur"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "Feature Count: 360" in told


def test_owslib_reads_every_desa(base: str, source: dict[str, shapely.Geometry]) -> None:
    client = Features(base)
    assert "desa-cianjur" in client.feature_collections()
    found: dict[str, shapely.Geometry] = {}
    while len(found) < 360:
        answer = client.collection_items("desa-cianjur", limit=100, offset=len(found))
        assert answer["numberMatched"] == 360
        assert answer["features"]
        found |= {f["properties"]["KDEPUM"]: shape(f["geometry"]) for f in answer["features"]}
    assert_same(found, source)


QGIS_SCRIPT = """
import json, sys
from qgis.core import QgsApplication, QgsVectorLayer, QgsDataSourceUri, QgsFeatureRequest
application = QgsApplication([], False)
application.initQgis()
uri = f"url='{sys.argv[1]}' typename='desa-cianjur' pagingEnabled='true' pageSize='100'"
layer = QgsVectorLayer(uri, "desa", "OAPIF")
if not layer.isValid():
    raise SystemExit("layer is not valid: " + layer.dataProvider().error().message() if layer.dataProvider() else "no provider")
found = {f["KDEPUM"]: f.geometry().asWkt(12) for f in layer.getFeatures()}
told = {"count": layer.featureCount(), "crs": layer.crs().authid(), "found": found}
rectangle = layer.extent()
request = QgsFeatureRequest().setFilterExpression("\\"KDEPUM\\" = '32.03.01.1006'")
told["filtered"] = [f["KDEPUM"] for f in layer.getFeatures(request)]
with open(sys.argv[2], "w") as out:
    json.dump(told, out)
application.exitQgis()
"""


def test_qgis_reads_every_desa(base: str, source: dict[str, shapely.Geometry], tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    probe = subprocess.run([python, "-c", "import qgis.core"], capture_output=True)
    if probe.returncode:
        missing("qgis", "apt-get install python3-qgis")
    script, out = tmp_path / "read.py", tmp_path / "out.json"
    script.write_text(textwrap.dedent(QGIS_SCRIPT))
    # Debian's own Python with nothing of ours on its path
    environment = {
        "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)
    }  # fmt: skip
    done = subprocess.run(
        [python, str(script), base, str(out)], capture_output=True, text=True, timeout=180, env=environment
    )
    assert out.exists(), done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["count"] == 360
    assert told["filtered"] == ["32.03.01.1006"]
    assert_same({code: shapely.from_wkt(wkt) for code, wkt in told["found"].items()}, source)
