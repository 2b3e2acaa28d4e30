"""The page of a raster asks for values at a point and in a box; histogram, schema and STAC for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.ogc_server.rasters import CELL, HIGH, NORTH, WEST, WIDE, classes, door, index, publish
from tests.ogc_server.world import World
from tests.servers import until

SMALL = {"id": "tanpa data", "en": "no data"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    folder: Path = tmp_path_factory.mktemp("raster-asked")
    with door(folder) as (world, client):
        half = np.stack([np.full((20, 30), -9999, "float32"), np.ones((20, 30), "float32")])
        publish(world, "separuh", half, folder, nodata=-9999, names=("kosong", "isi"))
        until(lambda: client.get("/collections/separuh").status_code == 200, "the raster of two bands")
        yield world, client


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


def numbers(text: str) -> list[float]:
    return [float(one.replace(",", ".")) for one in re.findall(r"-?\d+(?:[.,]\d+)?", text)]


@pytest.mark.parametrize(("width", "lang"), [(1200, "id"), (390, "en")])
def test_a_point_and_a_box_are_asked_from_the_page(
    browser: Browser, client: httpx.Client, width: int, lang: str
) -> None:
    base, pixels = str(client.base_url).rstrip("/"), index()
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{base}/collections/bahaya?f=html&lang={lang}", wait_until="networkidle")
    column, row = 150, 200
    page.fill("[name=lon]", f"{WEST + (column + 0.5) * CELL:.4f}".replace(".", ","))
    page.fill("[name=lat]", f"{NORTH - (row + 0.5) * CELL:.4f}")
    page.press("[name=lat]", "Enter")
    page.wait_for_selector("#hasil dl")
    said = page.inner_text("#hasil dd")
    assert numbers(said)[0] == pytest.approx(float(pixels[row, column]), rel=1e-5)

    image = page.locator("#gambar")
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 20, box["y"] + box["height"] / 20)
    expect(page.locator("#hasil dd")).to_have_text(SMALL[lang])

    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.9, steps=3)
    page.mouse.up()
    page.wait_for_selector("#hasil table")
    assert float(page.input_value("[name=west]")) == pytest.approx(WEST + 0.5 * WIDE * CELL, abs=4 * CELL)
    assert float(page.input_value("[name=north]")) == pytest.approx(NORTH - 0.5 * HIGH * CELL, abs=4 * CELL)

    for name, at in (("west", WEST + 100 * CELL), ("east", WEST + 150 * CELL),
                     ("south", NORTH - 120 * CELL), ("north", NORTH - 100 * CELL)):  # fmt: skip
        page.fill(f"#kotak [name={name}]", f"{at:.4f}")
    page.press("#kotak [name=north]", "Enter")
    cells = pixels[100:120, 100:150].astype(float)
    wanted = [1000 if lang == "en" else 1.0, cells.min(), cells.mean(), cells.max()]
    expect(page.locator("#hasil td").first).to_have_text(re.compile("^1[.,]000$"))
    found = [numbers(one.replace(",", "") if lang == "en" else one)[0]
             for one in page.locator("#hasil td").all_inner_texts()]  # fmt: skip
    assert found == pytest.approx(wanted, rel=1e-5)
    part = page.get_attribute("#hasil a[href*='f=tif']", "href")
    assert part is not None
    assert httpx.get(part, trust_env=False).headers["content-type"].startswith("image/tiff")

    page.fill("[name=lon]", "timur")
    page.press("[name=lon]", "Enter")
    assert page.locator("#hasil .bad").count() == 1
    assert page.get_attribute("[name=lon]", "aria-invalid") == "true"
    page.fill("[name=lon]", "10")
    page.press("[name=lon]", "Enter")
    expect(page.locator("#hasil .bad")).to_contain_text("106.8")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    context.close()


def test_the_histogram_is_that_of_the_cells(client: httpx.Client) -> None:
    page = client.get("/collections/bahaya", params={"f": "html", "lang": "en"}).text
    valid = index()[index() > -9999].astype(float)
    told = [int(one.replace(",", "")) for one in re.findall(r"<title>[^<:]+: ([\d,]+)</title>", page)]
    assert told == np.histogram(valid, 20)[0].tolist()
    fills = re.findall(r'<rect [^>]*fill="(#\w{6})"', page)
    assert (fills[0], fills[-1]) == ("#1a9850", "#d73027"), "the bars have the colours of the map"
    few = client.get("/collections/kelas", params={"f": "html", "lang": "en"}).text
    each = np.unique(classes()[0], return_counts=True)[1]
    assert re.findall(r"<title>([123]): ([\d,]+)</title>", few) == [
        (str(at), f"{count:,}") for at, count in enumerate(each, start=1)
    ]


def test_a_band_without_any_value_is_told_and_another_one_is_drawn(client: httpx.Client) -> None:
    doc = client.get("/collections/separuh/map/legend", params={"f": "json"}).json()
    assert doc["band"] == "isi"
    answer = client.get("/collections/separuh", params={"f": "html", "lang": "id"})
    assert answer.status_code == 200
    assert "<code>-9999</code>" in answer.text


def test_schema_and_stac_have_pages(client: httpx.Client) -> None:
    page = client.get("/collections/kelas/schema", params={"f": "html", "lang": "en"}).text
    assert "<td>m</td><td>0.0 – 71999.0</td>" in page
    browser = {"accept": "text/html", "accept-language": "id"}
    item = "/stac/collections/kelas/items/1"
    for path, words in (("/stac", "Tutupan"), ("/stac/collections/kelas", "v1, "), (item, "300 × 240")):
        answer = client.get(path, headers=browser)
        assert answer.headers["content-type"].startswith("text/html"), path
        assert words in answer.text
        assert "page." not in answer.text
        assert client.get(path).headers["content-type"].startswith("application/"), "programs get JSON"
    bands = client.get(item).json()["assets"]["data"]["bands"]
    assert bands[0]["raster:histogram"]["buckets"] == np.unique(classes()[0], return_counts=True)[1].tolist()
