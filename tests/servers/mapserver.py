"""MapServer 8 (Debian `cgi-mapserver`) behind lighttpd: the real Cianjur desa and generated points.

`mapserver` is a WFS + WMS. `desa` is EPSG:4326 with its code as id; `pos` is a small generated point
layer in UTM (EPSG:32748) with a date and a code that begins with zeros.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiona
import pytest

from tests.servers import PATIENCE, end, free_port, missing

MAPSERV = Path("/usr/lib/cgi-bin/mapserv")
POINTS: list[dict[str, Any]] = [
    {"id": n, "kode": f"00{n:02d}", "nama": f"Pos uji {n}", "buka": "2024-05-06", "stok": n * 1.5}
    for n in range(1, 26)
]


@dataclass
class MapServer:
    """A running server. `gpkg` is the source data behind layer `desa`."""

    url: str
    gpkg: Path

    @property
    def utm_url(self) -> str:
        """The points alone, in EPSG:32748."""
        return self.url + "utm"

    @property
    def json_url(self) -> str:
        """The same layers with GeoJSON among the output formats."""
        return self.url + "json"


def _points(path: Path) -> None:
    schema = {
        "geometry": "Point",
        "properties": {"id": "int", "kode": "str", "nama": "str", "buka": "date", "stok": "float"},
    }
    with fiona.open(path, "w", driver="GPKG", layer="pos", crs="EPSG:32748", schema=schema) as sink:
        for point in POINTS:
            at = {"type": "Point", "coordinates": (730000.0 + 100 * point["id"], 9245000.0)}
            sink.write({"type": "Feature", "properties": point, "geometry": at})


def _layer(name: str, kind: str, data: Path, layer: str, key: str, epsg: int, types: str) -> str:
    return f"""
  LAYER
    NAME "{name}" TYPE {kind} STATUS ON
    CONNECTIONTYPE OGR CONNECTION "{data}" DATA "{layer}"
    PROJECTION "init=epsg:{epsg}" END
    METADATA
      "ows_title" "{name} (uji)" "ows_abstract" "Data uji" "ows_keywordlist" "batas,uji"
      "gml_include_items" "all" "gml_featureid" "{key}" "wms_include_items" "all"
      {types}
      "wfs_srs" "EPSG:{epsg} EPSG:4326" "wms_srs" "EPSG:4326 EPSG:3857"
      "wms_enable_request" "*" "wfs_enable_request" "*"
    END
    CLASS NAME "{name}" STYLE COLOR 200 80 80 OUTLINECOLOR 0 0 0 SIZE 6 END END
  END"""


def _mapfile(folder: Path, desa: Path, points: Path, *, json: bool = False, epsg: int = 4326) -> Path:
    geojson = (
        'OUTPUTFORMAT NAME "geojson" DRIVER "OGR/GEOJSON" MIMETYPE "application/json; subtype=geojson" '
        'FORMATOPTION "STORAGE=memory" FORMATOPTION "FORM=SIMPLE" END'
    )
    formats = '"wfs_getfeature_formatlist" "gml,geojson"' if json else ""
    desa_types = '"gml_TIPADM_type" "Integer" "gml_LUASWH_type" "Real" "gml_LAT_CTR_type" "Real"'
    pos_types = '"gml_id_type" "Integer" "gml_buka_type" "Date" "gml_stok_type" "Real"'
    text = f"""MAP
  NAME "cianjur"
  EXTENT 106.7 -7.6 107.5 -6.5
  UNITS DD
  IMAGETYPE PNG
  PROJECTION "init=epsg:{epsg}" END
  {geojson if json else ""}
  WEB METADATA
    "ows_title" "Cianjur (uji)" "ows_onlineresource" "http://salah.example.go.id/ows?"
    "ows_enable_request" "*"
    "wfs_compute_number_matched" "true" "ows_encoding" "UTF-8" {formats}
  END END
  {_layer("desa", "POLYGON", desa, "desa", "KDEPUM", 4326, desa_types) if epsg == 4326 else ""}
  {_layer("pos", "POINT", points, "pos", "kode", 32748, pos_types)}
END
"""
    path = folder / f"{epsg}{'json' if json else 'gml'}.map"
    path.write_text(text)
    return path


def _config(folder: Path, port: int, maps: dict[str, Path]) -> Path:
    scripts = folder / "www"
    scripts.mkdir()
    for name, mapfile in maps.items():
        conf = folder / f"{name}.conf"
        conf.write_text(f'CONFIG\n ENV\n  MS_MAPFILE "{mapfile}"\n  OGR_SQLITE_JOURNAL "OFF"\n END\nEND\n')
        script = scripts / name
        script.write_text(f"#!/bin/sh\nMAPSERVER_CONFIG_FILE={conf} exec {MAPSERV}\n")
        script.chmod(0o755)
    path = folder / "lighttpd.conf"
    path.write_text(f"""
server.modules = ("mod_cgi")
server.document-root = "{scripts}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder / "error.log"}"
cgi.assign = ("" => "")
""")
    return path


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            missing("mapserver", f"lighttpd ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if b"WFS_Capabilities" in answer.read():
                    return
        except OSError:
            time.sleep(0.1)
    missing("mapserver", "did not answer in time")


@pytest.fixture(scope="session")
def mapserver(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[MapServer]:
    """A running MapServer, or a skip with the reason."""
    lighttpd = shutil.which("lighttpd") or shutil.which("lighttpd", path="/usr/sbin:/sbin")
    if lighttpd is None or not MAPSERV.exists():
        missing("mapserver", "Debian packages cgi-mapserver and lighttpd are not installed")
    folder = tmp_path_factory.mktemp("mapserver")
    desa = folder / "desa.gpkg"  # a copy: GDAL must be able to write beside the file
    shutil.copy(shared_data / "cianjur_desa.gpkg", desa)
    desa.chmod(0o644)
    _points(folder / "pos.gpkg")
    port = free_port()
    url = f"http://127.0.0.1:{port}/ows"
    maps = {
        "ows": _mapfile(folder, desa, folder / "pos.gpkg"),
        "owsjson": _mapfile(folder, desa, folder / "pos.gpkg", json=True),
        "owsutm": _mapfile(folder, desa, folder / "pos.gpkg", epsg=32748),
    }
    config = _config(folder, port, maps)
    process = subprocess.Popen([lighttpd, "-D", "-f", str(config)])
    try:
        _wait(f"{url}?service=WFS&version=2.0.0&request=GetCapabilities", process)
        yield MapServer(url, desa)
    finally:
        end(process)
