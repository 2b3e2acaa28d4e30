"""The form of every process in a browser, filled with its own examples: a table comes back, on a phone too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from catalog.settings import ProcessSettings
from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import LAYERS, fill, publish_raster
from tests.ogc_server.world import make_settings, open_world
from tests.servers.browser import Watch

MORE = {"statistik-zonal": {"raster": "bahaya", "kode": '["32.03.01"]'}}
"""What an example does not hold, because it depends on the collections of the server."""
ONE_OF = {"wilayah-terdampak": ("gempa", "ambang", "kelas"), "respons-cepat": ("area",)}
"""Examples that do not go together with the first one."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("forms")
    world = open_world(make_settings(folder, processes=ProcessSettings(**LAYERS.model_dump())))
    fill(world, shared_data)
    publish_raster(world, folder)
    with running(world) as url:
        yield url
    world.close()


def _fill(page: Page, process: str) -> None:
    values = {**PROCESSES[process].examples, **MORE.get(process, {})}
    page.evaluate("document.querySelectorAll('form.ask details').forEach(one => { one.open = true })")
    for name, value in values.items():
        if name in ONE_OF.get(process, ()):
            continue
        if page.locator(f"#in-{name}").count():
            page.fill(f"#in-{name}", value)
            continue
        for part, one in json.loads(value).items():  # an earthquake has a field for each of its parts
            page.fill(f'[id="in-{name}.{part}"]', str(one))


@pytest.mark.parametrize("lang", ["id", "en"])
@pytest.mark.parametrize("process", list(PROCESSES))
def test_a_form_is_filled_and_answered(
    browser: Browser, site: str, process: str, lang: str, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    watch = Watch(page, site)
    page.goto(f"{site}/processes/{process}?f=html&lang={lang}")
    _fill(page, process)
    page.click("form.ask button[type=submit]")
    page.wait_for_selector("#jawaban", timeout=60_000)
    assert page.locator("#jawaban table tbody tr").count() > 0
    page.wait_for_selector("#peta canvas", timeout=60_000, state="attached")
    below = json.loads(page.get_attribute("#peta", "data-basemap") or "[]")
    assert [one["id"] for one in below] == [LAYERS.boundaries], "the answer lies on our own basemap"
    asked = json.loads(page.text_content("#peta-data") or "{}")["asked"]
    assert bool(asked) == (process in ("wilayah-terdampak", "bantuan-terdekat", "respons-cepat"))
    page.screenshot(path=str(tmp_path / f"{process}-{lang}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "too wide for a phone"
    assert page.locator("html").get_attribute("lang") == lang
    watch.check()
    page.close()


@pytest.mark.parametrize("lang", ["id", "en"])
def test_the_page_about_a_process_fits_a_phone(
    browser: Browser, site: str, lang: str, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    watch = Watch(page, site)
    page.goto(f"{site}/processes/wilayah-terdampak?f=html&lang={lang}")
    page.click("p.lead a")
    page.wait_for_selector("article h2")
    page.screenshot(path=str(tmp_path / f"about-{lang}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "too wide for a phone"
    watch.check()
    page.close()
