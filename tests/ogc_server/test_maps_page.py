"""The page of a raster collection in a real browser: picture, legend, statistics; also on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.ogc_server.rasters import WIDE, door


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with door(tmp_path_factory.mktemp("raster-page")) as (_, client):
        yield str(client.base_url).rstrip("/")


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("lang", ["id", "en"])
def test_the_page_shows_picture_legend_and_statistics(
    browser: Browser, base: str, lang: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page: Page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{base}/collections/bahaya?f=html&lang={lang}", wait_until="networkidle")
    image = page.locator(".raster-map img")
    image.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.raster-map img').naturalWidth > 0")
    assert image.evaluate("one => one.naturalWidth") == 720
    assert image.get_attribute("alt")
    words = page.locator(".legend li").all_inner_texts()
    assert [word.split()[0] for word in words] == (
        ["Rendah", "Sedang", "Tinggi"] if lang == "id" else ["Low", "Medium", "High"]
    )
    colours = page.locator(".swatch").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert colours == ["rgb(26, 152, 80)", "rgb(254, 224, 139)", "rgb(215, 48, 39)"]
    cells = page.locator("section[aria-labelledby=statistik]").inner_text()
    assert str(WIDE) in cells
    assert "indeks" in cells
    text = page.inner_text("body")
    assert "page." not in text
    assert "/items" not in text, "a raster has no items"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(base).netloc}
    assert errors == []
    context.close()
