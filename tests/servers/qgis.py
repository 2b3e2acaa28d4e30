"""Debian's own QGIS, offscreen, with nothing of ours on its path: it opens, draws, and says what it saw."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.servers import missing

PYTHON = "/usr/bin/python3"
SIDE = 900
"""Pixels of a drawn picture's side."""

_DRAW = """
import json, sys
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
from qgis.core import (QgsApplication, QgsCoordinateReferenceSystem, QgsLayerDefinition, QgsMapRendererSequentialJob,
    QgsMapSettings, QgsRectangle, QgsVectorLayer)
folder, side = sys.argv[1], int(sys.argv[2])
application = QgsApplication([], False)
application.initQgis()
FORMS = {"sld": "loadSldStyle", "qml": "loadNamedStyle"}

def opened(job):
    if "qlr" in job:
        (layer,) = QgsLayerDefinition.loadLayerDefinitionLayers(job["qlr"])
        return layer
    layer = QgsVectorLayer(job["data"], job["name"], job.get("provider", "ogr"))
    if "style" in job:
        getattr(layer, FORMS[job["style"].rpartition(".")[2]])(job["style"])
    return layer

def drawn(layer, settings, name):
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    image.save(f"{folder}/{name}.png")
    return image, [one.message for one in job.errors()]

def inner(shape):
    if shape.type() == 2:
        shape = shape.poleOfInaccessibility(0.002)[0]
    elif shape.type() == 1:
        shape = shape.interpolate(0.43 * shape.length())
    return shape.asPoint()

told = {}
for job in json.load(open(folder + "/jobs.json")):
    layer = opened(job)
    settings = QgsMapSettings()
    settings.setOutputSize(QSize(side, side))
    settings.setBackgroundColor(QColor("#ffffff"))
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    settings.setExtent(QgsRectangle(*job["box"]))
    settings.setLayers([layer])
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    settings.setFlag(QgsMapSettings.DrawLabeling, False)
    image, errors = drawn(layer, settings, job["name"])
    place, at = settings.mapToPixel(), {}
    for feature in layer.getFeatures():
        if not feature.geometry().isNull():
            pixel = place.transform(inner(feature.geometry()))
            if 0 <= pixel.x() < side and 0 <= pixel.y() < side:
                at[str(feature[job["key"]])] = image.pixelColor(int(pixel.x()), int(pixel.y())).name()
    settings.setFlag(QgsMapSettings.DrawLabeling, True)
    named, more = drawn(layer, settings, job["name"] + "-names")
    before, after = (one.constBits().asstring(4 * side * side)[::12] for one in (image, named))
    written = sum(one != other for one, other in zip(before, after))
    renderer = layer.renderer()
    told[job["name"]] = {"valid": layer.isValid(), "title": layer.name(), "count": layer.featureCount(),
        "kind": renderer.type() if renderer else "", "errors": errors + more, "at": at, "written": written,
        "legend": [one.label() for one in renderer.legendSymbolItems()] if renderer else []}
with open(folder + "/told.json", "w") as out:
    json.dump(told, out)
application.exitQgis()
"""

_CONNECT = """
import json, sys
from qgis.PyQt.QtCore import QCoreApplication
from qgis.core import QgsApplication
from qgis.gui import QgsManageConnectionsDialog
folder = sys.argv[1]
QCoreApplication.setOrganizationName("uji")
QCoreApplication.setApplicationName("uji")
application = QgsApplication([], True)
application.initQgis()
dialog = QgsManageConnectionsDialog(
    None, QgsManageConnectionsDialog.Import, QgsManageConnectionsDialog.WFS, folder + "/connections.xml")
dialog.selectAll()
dialog.doExportImport()
told = {}
for provider in QgsApplication.dataItemProviderRegistry().providers():
    if provider.name() == "WFS":
        root = provider.createDataItem("", None)
        root.populate(True)
        for connection in root.children():
            connection.populate(True)
            told[connection.name()] = [[one.name(), one.uri()] for one in connection.children()]
with open(folder + "/told.json", "w") as out:
    json.dump(told, out)
    out.flush()
import os
os._exit(0)  # QGIS falls over its own feet when its dialogs go
"""


def draw(jobs: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Let QGIS draw each job; return by name what it saw. Pictures lie in `folder` as `{name}.png`.

    A job has `name`, `box` (west, south, east, north), `key` (an attribute), and `qlr` or `data` with
    `provider` and `style` (a path). What is told: `at` (colour at a place inside each feature, by key),
    `written` (how many of the pixels that were looked at names changed), `legend`, `kind`, `errors`.
    """
    (folder / "jobs.json").write_text(json.dumps(jobs))
    return _run(_DRAW, folder, str(SIDE))


def connect(connections: bytes, folder: Path) -> dict[str, Any]:
    """Let QGIS load a file of connections as its button does; return what its browser then lists."""
    (folder / "connections.xml").write_bytes(connections)
    return _run(_CONNECT, folder)


def _run(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    if subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False).returncode:
        missing("qgis", "apt-get install python3-qgis")
    path, out = folder / "script.py", folder / "told.json"
    path.write_text(script)
    out.unlink(missing_ok=True)
    folder.chmod(0o700)
    environment = {
        "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "PATH": "/usr/bin:/bin",
        "XDG_RUNTIME_DIR": str(folder),
    }  # fmt: skip
    done = subprocess.run(
        [PYTHON, str(path), str(folder), *arguments], capture_output=True, text=True, timeout=240,
        env=environment, check=False,
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    told: dict[str, Any] = json.loads(out.read_text())
    return told
