"""QGIS and GDAL open our rasters over HTTP, each through its own code, and find the source's values."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, door, index
from tests.servers import missing

PLACES = [(150, 200), (10, 100), (290, 30), (5, 5)]
"""Column and row; the last one has no data."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with door(tmp_path_factory.mktemp("map-clients")) as (_, client):
        yield str(client.base_url).rstrip("/")


def test_debians_gdal_reads_the_cog_and_the_coverage(base: str, tmp_path: Path) -> None:
    if not shutil.which("gdalinfo"):
        missing("gdal", "apt-get install gdal-bin")
    told = subprocess.run(
        ["gdalinfo", "-json", f"/vsicurl/{base}/collections/bahaya/cog"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    said = json.loads(told.stdout)
    assert said["size"] == [WIDE, HIGH]
    assert said["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    part = httpx.get(f"{base}/collections/bahaya/coverage?bbox=107,-6.8,107.1,-6.7", trust_env=False)
    (tmp_path / "part.tif").write_bytes(part.content)
    where = f"{WEST + 120.5 * CELL} {NORTH - 120.5 * CELL}"
    found = subprocess.run(
        ["gdallocationinfo", "-valonly", "-geoloc", str(tmp_path / "part.tif"), *where.split()],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert float(found.stdout) == pytest.approx(float(index()[120, 120]), abs=1e-6)


QGIS_SCRIPT = """
import json, sys
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsMapRendererParallelJob, QgsMapSettings,
                       QgsPointXY, QgsRasterLayer, QgsRectangle)
from qgis.PyQt.QtCore import QSize
application = QgsApplication([], False)
application.initQgis()
base, out, places, picture = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
cog = QgsRasterLayer("/vsicurl/" + base + "/collections/bahaya/cog", "cog")
template = base + "/collections/bahaya/map/tiles/WebMercatorQuad/{z}/{y}/{x}"
tiles = QgsRasterLayer("type=xyz&zmin=0&zmax=18&url=" + template, "tiles", "wms")
told = {"cog": cog.isValid(), "tiles": tiles.isValid(), "values": []}
for x, y in places:
    value, good = cog.dataProvider().sample(QgsPointXY(x, y), 1)
    told["values"].append(value if good else None)
settings = QgsMapSettings()
settings.setLayers([tiles])
settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
settings.setExtent(QgsRectangle(11888921, -779000, 11955700, -725000))
settings.setOutputSize(QSize(600, 480))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(picture)
with open(out, "w") as file:
    json.dump(told, file)
application.exitQgis()
"""


def test_qgis_opens_the_cog_and_draws_the_tiles(base: str, tmp_path: Path) -> None:
    from PIL import Image

    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import qgis.core"], capture_output=True).returncode:
        missing("qgis", "apt-get install python3-qgis")
    script, out, picture = tmp_path / "read.py", tmp_path / "out.json", tmp_path / "map.png"
    script.write_text(textwrap.dedent(QGIS_SCRIPT))
    places = [(WEST + (column + 0.5) * CELL, NORTH - (row + 0.5) * CELL) for column, row in PLACES]
    environment = {
        "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)
    }  # fmt: skip
    done = subprocess.run(
        [python, str(script), base, str(out), json.dumps(places), str(picture)],
        capture_output=True, text=True, timeout=180, env=environment,
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["cog"], "QGIS does not open the COG"
    assert told["tiles"], "QGIS does not open the tiles"
    truth = [float(index()[row, column]) for column, row in PLACES]
    assert told["values"][:3] == pytest.approx(truth[:3], abs=1e-6)
    assert told["values"][3] is None
    drawn = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    parts = [float((np.abs(drawn.astype(int) - colour).max(axis=1) < 6).mean())
             for colour in ((0x1A, 0x98, 0x50), (0xFE, 0xE0, 0x8B), (0xD7, 0x30, 0x27))]  # fmt: skip
    assert min(parts) > 0.15, parts  # green, yellow and red each fill about a third
