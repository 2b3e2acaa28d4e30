"""Every example of docs/use.md works on the sample: in a browser with the real libraries, in Python and in R."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.cli.test_road import shop as shop  # the harvested sample
from tests.ogc_server.test_embed import site
from tests.servers import missing
from tests.servers import until as wait_until
from tests.servers.browser import Watch, pixels, until
from tests.servers.ours import HOUSE, Deployment

PAGE = (HOUSE / "docs" / "use.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
WEB = HOUSE / ".tools" / "web" / "node_modules"
LIBRARIES = {
    "": "",
    "maplibre": '<link rel="stylesheet" href="BASE/static/maplibre-gl.css"><script src="BASE/static/maplibre-gl.js"></script>',
    "leaflet": '<link rel="stylesheet" href="leaflet/dist/leaflet.css"><script src="leaflet/dist/leaflet.js"></script>',
    "openlayers": '<link rel="stylesheet" href="ol/ol.css"><script src="ol/dist/ol.js"></script>',
}


@pytest.fixture(scope="module")
def base(shop: Deployment) -> Iterator[str]:
    with shop.serving() as address:
        yield address


@pytest.mark.parametrize("library", LIBRARIES)
def test_web_examples_draw_a_map(browser: Browser, base: str, library: str, tmp_path: Path) -> None:
    (code,) = [code for kind, name, code in BLOCKS if kind == "html" and name == library]
    if library in ("leaflet", "openlayers"):
        if not WEB.is_dir():
            missing("web", "make system-packages")
        for folder in ("leaflet", "ol"):
            (tmp_path / folder).symlink_to(WEB / folder)
    head = '<!doctype html><meta charset="utf-8"><title>x</title><link rel="icon" href="data:,">'
    page_text = (
        (head + LIBRARIES[library] + code).replace("BASE", base).replace("http://127.0.0.1:8000", base)
    )
    (tmp_path / "index.html").write_text(page_text, "utf-8")
    with site(tmp_path) as other:
        page = browser.new_page(viewport={"width": 700, "height": 420})
        watch = Watch(page, base)
        page.goto(other)
        element = "satudata-peta" if not library else "#map"
        until(page, f"Boolean(document.querySelector('{element}'))")

        def colours() -> int:
            picture = pixels(page.locator(element).screenshot())
            return len(np.unique(picture.reshape(-1, 3) // 32, axis=0))

        wait_until(lambda: colours() > 5, "something is drawn", pause=0.3)
        page.wait_for_load_state("networkidle")
        assert [url for url in watch.asked if not url.startswith((base, other, "data:", "blob:"))] == []
        assert watch.wrong == []
        page.close()


def test_python_examples_run(base: str, tmp_path: Path) -> None:
    codes = [code for kind, _, code in BLOCKS if kind == "python"]
    assert len(codes) == 2
    said = []
    for code in codes:
        file = tmp_path / "contoh.py"
        file.write_text(code.replace("http://127.0.0.1:8000", base), "utf-8")
        done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "80 desa in EPSG:4326" in said[0]
    assert "verdik" in said[1]


def test_r_example_reads_and_plots(base: str, tmp_path: Path) -> None:
    program = shutil.which("Rscript")
    if program is None:
        missing("r", "make system-packages")
    (code,) = [code for kind, _, code in BLOCKS if kind == "r"]
    file = tmp_path / "contoh.R"
    file.write_text(code.replace("http://127.0.0.1:8000", base), "utf-8")
    done = subprocess.run([program, str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Simple feature collection with 80 features" in done.stdout
    assert "Geodetic CRS:  WGS 84" in done.stdout
    assert (
        tmp_path / "Rplots.pdf"
    ).stat().st_size > 5_000  # the plot: R draws into this file when no screen is there
