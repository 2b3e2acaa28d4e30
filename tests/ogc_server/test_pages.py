"""The web pages in a real browser: what a person sees, in two languages, from our own host only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize
from rasterio.io import MemoryFile

from tests.servers import until
from tests.servers.ours import cianjur

PAGES = (
    "/",
    "/collections",
    "/collections/desa-cianjur",
    "/collections/desa-cianjur/items",
    "/collections/desa-cianjur/items/1",
    "/collections/desa-cianjur/queryables",
    "/collections/katalog/items",
    "/collections/katalog/items?q=desa",
    "/conformance",
    "/processes",
    "/processes/verifikasi-lokasi",
    "/processes/wilayah-terdampak",
    "/jobs",
    "/api",
    "/health",
    "/collections/tidak-ada",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[str]:
    with cianjur(tmp_path_factory.mktemp("pages"), shared_data).serving() as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="id-ID", viewport=DESK)
    yield context.new_page()
    context.close()


PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1200, "height": 900}
NAMELESS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, img, th')].filter(e => {
    const label = e.labels && e.labels.length ? e.labels[0].textContent : '';
    const alt = e.tagName === 'IMG' ? (e.hasAttribute('alt') ? 'x' : '') : '';
    return !(e.textContent.trim() || label.trim() || alt || e.getAttribute('aria-label') || e.title);
}).map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("lang", "size"), [("id", PHONE), ("en", DESK)], ids=["id-phone", "en-desk"])
@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_whole_named_fits_a_phone_and_asks_no_other_host(
    page: Page, base: str, path: str, lang: str, size: ViewportSize
) -> None:
    """In Indonesian as a phone loads it; in English as a desk does, made narrow afterwards."""
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size(size)
    answer = page.goto(
        f"{base}{path}{'&' if '?' in path else '?'}f=html&lang={lang}", wait_until="networkidle"
    )
    assert answer is not None
    assert answer.status == (404 if "tidak-ada" in path else 200)
    assert page.locator("html").get_attribute("lang") == lang
    assert page.locator("h1").count() == 1
    assert page.title().strip(" ·") != "Satu Data Geo"
    assert "page." not in page.inner_text("body"), "a text is missing from the catalogue"
    assert page.evaluate(NAMELESS) == [], "a control or picture has no name"
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    host = urlsplit(base).netloc
    elsewhere = [
        url for url in asked if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != host
    ]
    assert elsewhere == []
    assert [e for e in errors if "404" not in e] == []


def test_the_dataset_page_shows_its_parts_in_the_order_people_need(page: Page, base: str) -> None:
    page.goto(f"{base}/collections/desa-cianjur?f=html&lang=id")
    headings = page.locator("h1, h2").all_inner_texts()
    wanted = ["Batas Desa Cianjur", "Kesegaran dan kesehatan sumber", "Cara memakai", "Kolom",
              "Asal-usul dan hitungan", "Lisensi", "Kontak"]  # fmt: skip
    assert headings == wanted
    assert "Badan Informasi Geospasial" in page.inner_text("main")
    assert "360" in page.inner_text("section[aria-labelledby=asal]")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # a screenshot has none
def test_the_map_draws_the_desa(page: Page, base: str) -> None:
    page.goto(f"{base}/collections/desa-cianjur?f=html&lang=id")
    page.wait_for_selector("#peta[data-shown='360']", timeout=60_000)
    canvas = page.locator("#peta canvas")
    until(lambda: len(_colours(canvas.screenshot())) > 20, "the map is drawn", pause=0.3)


def _colours(png: bytes) -> set[tuple[int, ...]]:
    with MemoryFile(png) as memory, memory.open() as picture:
        pixels = picture.read()
    flat = pixels[:3, ::4, ::4].reshape(3, -1).T
    return {tuple(int(v) for v in row) for row in flat}


def test_the_language_link_switches_and_stays(page: Page, base: str) -> None:
    page.goto(f"{base}/collections?f=html&lang=id")
    page.click("nav.langs a[lang=en]")
    assert page.locator("html").get_attribute("lang") == "en"
    page.click("text=Villages of Cianjur")
    assert page.locator("html").get_attribute("lang") == "en"
    assert "Freshness and source health" in page.inner_text("main")


def test_search_finds_the_dataset_by_a_word(page: Page, base: str) -> None:
    page.goto(f"{base}/?f=html&lang=id")
    page.fill("#q", "kecamatan")
    page.keyboard.press("Enter")
    page.wait_for_selector("ol.records li")
    found = page.locator("ol.records li h2").all_inner_texts()
    assert found == ["Batas Kecamatan Cianjur"]


def test_a_keyboard_user_reaches_the_content_first(page: Page, base: str) -> None:
    page.goto(f"{base}/collections?f=html&lang=id")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "isi"


def test_titles_in_a_table_keep_their_words_whole_on_a_phone(browser: Browser, base: str) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{base}/collections?f=html&lang=id", wait_until="networkidle")
    broken = page.evaluate(
        """() => [...document.querySelectorAll('tbody th a')].filter(link => {
            const text = link.firstChild;
            return [...text.data.matchAll(/\\S+/g)].some(word => {
                const range = document.createRange();
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                return range.getClientRects().length > 1;
            });
        }).map(link => link.textContent)"""
    )
    context.close()
    assert broken == []
