"""The pages of a raster's map tile sets: the tiles themselves, how far the archive is, the address to paste."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from tests.ogc_server.rasters import door

TILES = "/collections/bahaya/map/tiles"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with door(tmp_path_factory.mktemp("map-tiles-page")) as (_, made):
        yield made


@pytest.mark.parametrize("path", [TILES, f"{TILES}/WebMercatorQuad", f"{TILES}/WorldCRS84Quad"])
def test_map_tile_sets_have_pages(client: httpx.Client, path: str) -> None:
    page = client.get(path, headers={"accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (
        f"{TILES}/{path.rpartition('/')[2].replace('tiles', 'WebMercatorQuad')}/{{z}}/{{y}}/{{x}}"
        in page.text
    )
    assert "Tile archive" in client.get(path, params={"f": "html", "lang": "en"}).text
    doc = client.get(path)
    assert doc.headers["content-type"] == "application/json"
    rels = {link["rel"]: link for link in doc.json()["links"]}
    assert rels["alternate"]["type"] == "text/html"
    assert client.get(rels["alternate"]["href"]).headers["content-type"].startswith("text/html")
    assert rels["self"]["type"] == "application/json"
    described = client.get("/api").json()["paths"]["/collections/{collectionId}/map/tiles"]["get"]
    assert "text/html" in described["responses"]["200"]["content"]


def test_the_page_draws_the_tiles_on_a_phone(browser: Browser, client: httpx.Client) -> None:
    base = str(client.base_url).rstrip("/")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{base}{TILES}?f=html&lang=en")
    page.wait_for_selector("satudata-peta[data-ready]", timeout=60_000)
    assert any("/map/tiles/WebMercatorQuad/" in url for url in asked)
    assert {urlsplit(url).netloc for url in asked if url.startswith("http")} == {urlsplit(base).netloc}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert wrong == []
    page.close()
