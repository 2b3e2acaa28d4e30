"""The map viewer in a real browser: right colours at known places, each tool works, on a phone and by keyboard."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from catalog.regions import Region
from catalog.settings import ViewerSettings
from layers.contract import FeatureBatch
from tests.ogc_server import rasters
from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, desa, make_settings, open_world
from tests.servers.browser import Watch, pixels, until

DESA = LayerSchema(
    (FieldDef("kode"), FieldDef("nama")), "MultiPolygon", region_code=RegionCode(field="kode", vintage=2025)
)
COUNTS = LayerSchema(
    (FieldDef("kode"), FieldDef("penerima", FieldType.INTEGER)),
    region_code=RegionCode(field="kode", vintage=2025),
)
QUAKES = LayerSchema(
    (FieldDef("waktu", FieldType.DATETIME), FieldDef("magnitudo", FieldType.REAL)),
    "Point",
    time_field="waktu",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    """Cianjur's desa, counts in them, earthquakes on three days, a hazard index."""
    folder = tmp_path_factory.mktemp("peta")
    settings = make_settings(folder)
    processes = settings.processes.model_copy(update={"boundaries": "batas"})
    made = open_world(settings.model_copy(update={"processes": processes}))
    villages = desa(shared_data)
    rows = [{"kode": i, "nama": row["nama"]} for i, row in zip(villages.ids, villages.rows, strict=True)]
    made.publish("batas", DESA, FeatureBatch(villages.ids, rows, villages.geometries), title="Batas Desa")
    counts = [{"kode": i, "penerima": 10 * n} for n, i in enumerate(villages.ids)]
    made.publish("penerima", COUNTS, FeatureBatch(villages.ids, counts), kind="table", title="Penerima")
    import shapely

    from tests.layers.conftest import batch

    days = [f"2025-01-0{n}T06:00:00.000Z" for n in (1, 2, 9)]
    places = [shapely.Point(107.0 + n / 10, -7.0) for n in range(3)]
    events = {str(n): {"waktu": _moment(day), "magnitudo": 5.0} for n, day in enumerate(days)}
    made.publish("gempa", QUAKES, batch(events, list(places)), title="Gempa")
    made.catalog.regions.load(
        "kemendagri", 2025,
        [Region("32", "provinsi", "Jawa Barat", None), Region("32.03", "kabkota", "Kabupaten Cianjur", "32")],
        source="tests",
    )  # fmt: skip
    rasters.publish(
        made, "bahaya", rasters.index(), folder, title="Indeks bahaya", nodata=-9999, names=("indeks",)
    )
    yield made
    made.close()


def _moment(text: str) -> object:
    from datetime import datetime

    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[str]:
    with running(world) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="id-ID", viewport={"width": 1200, "height": 800})
    yield context.new_page()
    context.close()


def open_map(page: Page, base: str, anchor: str = "", lang: str = "id") -> Watch:
    watch = Watch(page, base)
    page.goto(f"{base}/peta?lang={lang}{anchor}")
    page.wait_for_selector("#map[data-ready]", timeout=60_000)
    return watch


def settle(page: Page) -> None:
    """Wait until the map has drawn all it has."""
    until(page, "window.viewer.map.loaded() && window.viewer.map.areTilesLoaded()")
    page.evaluate("new Promise((done) => { viewer.map.once('render', done); viewer.map.triggerRepaint(); })")


def colour_at(page: Page, lon: float, lat: float) -> np.ndarray:
    """Return the mean colour of the map around a place."""
    return colours_at(page, [(lon, lat)])[0][0]


def colours_at(page: Page, places: list[tuple[float, float]]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the mean colours of the map around places, and the picture that they were taken from."""
    settle(page)
    points = page.evaluate("(places) => places.map((place) => viewer.map.project(place))", places)
    box = page.locator("#map").bounding_box()
    assert box is not None
    picture = pixels(page.screenshot())
    found = [(int(box["x"] + point["x"]), int(box["y"] + point["y"])) for point in points]
    return [picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(axis=0) for x, y in found], picture


AT = "#map=9.5/-7.0/107.1"


def test_layers_show_in_their_colours_and_the_sea_does_not(page: Page, base: str) -> None:
    watch = open_map(page, base, f"{AT}&l=batas:1")
    land, sea = colour_at(page, 107.13, -6.95), colour_at(page, 106.73, -6.7)
    assert land[2] - land[0] > 60  # the default style's blue
    assert np.abs(sea - [223, 234, 242]).max() < 12
    page.get_by_label("Kepekatan Batas Desa").fill("10")
    paler = colour_at(page, 107.13, -6.95)
    assert paler.mean() > land.mean() + 30
    watch.check()


def test_a_raster_shows_its_classes_and_its_value(page: Page, base: str) -> None:
    watch = open_map(page, base, "#map=10/-6.7/107.1&l=bahaya:1")
    low, high = colour_at(page, 106.95, -6.72), colour_at(page, 107.38, -6.72)
    assert low[1] > low[0]  # green: low hazard in the west
    assert high[0] > high[1]  # red: high hazard in the east
    where = page.evaluate("viewer.map.project([107.38, -6.72])")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + where["x"], box["y"] + where["y"])
    expect(page.locator("#info-body .value")).to_have_text(re.compile(r"^0,[89]\d*$"))
    expect(page.locator("#shown-layers .legend li")).to_have_count(3)
    watch.check()


def test_a_place_is_found_by_name_and_by_code_with_the_keyboard(page: Page, base: str) -> None:
    watch = open_map(page, base)
    page.locator("#place").fill("cianjur")
    expect(page.locator("#places li").first).to_contain_text("Kabupaten Cianjur")
    page.locator("#place").fill("32.03.01.1006")
    expect(page.locator("#places li").first).to_contain_text("32.03.01.1006")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, "viewer.map.getZoom() > 11 && !viewer.map.isMoving()")
    page.locator("#map canvas").focus()
    page.keyboard.press("Enter")  # what is at the centre
    expect(page.locator("#info-body")).to_contain_text("32.03.01.1006")
    watch.check()


def test_a_click_tells_of_the_area_below_it_and_not_of_its_neighbours(page: Page, base: str) -> None:
    watch = open_map(page, base, "#map=8/-7.0/107.13&l=batas:1")  # desa are some pixels wide
    page.locator("#map canvas").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#info-body article")).to_have_count(1)
    watch.check()


def test_the_table_shows_what_is_in_view_and_leads_to_it(page: Page, base: str) -> None:
    watch = open_map(page, base, f"{AT}&l=batas:1&p=table")
    expect(page.locator("#table-count")).to_contain_text(re.compile(r"1–25 dari 3\d\d"))
    page.get_by_role("button", name="Berikutnya").click()
    expect(page.locator("#table-count")).to_contain_text("26–50")
    page.locator("#table-body tbody button").first.click()
    until(page, "viewer.map.getZoom() > 10.5")
    watch.check()


def test_the_table_is_sorted_and_what_is_chosen_is_marked_in_it_and_on_the_map(page: Page, base: str) -> None:
    watch = open_map(page, base, f"{AT}&l=batas:1&p=table")
    names = page.locator("#table-body tbody tr > td:nth-child(2)")
    heading = page.get_by_role("button", name="nama")
    heading.focus()
    for direction, found in (
        ("ascending", sorted),
        ("descending", lambda these: sorted(these, reverse=True)),
    ):
        page.keyboard.press("Enter")
        expect(page.locator("#table-body th[aria-sort]")).to_have_attribute("aria-sort", direction)
        expect(heading).to_be_focused()  # to be pressed again
        told = names.all_inner_texts()
        assert told == found(told)
        assert len(set(told)) > 5
    page.locator("#table-body tbody button").nth(3).click()
    chosen = page.locator("#table-body tbody tr").nth(3).get_attribute("data-id")
    until(page, "viewer.map.getZoom() > 10.5 && !viewer.map.isMoving()")
    until(page, "viewer.map.queryRenderedFeatures({layers: ['selected:line']}).length > 0")
    expect(page.locator("#table-body tr[aria-current]")).to_have_attribute("data-id", str(chosen))
    # the other way round: what is clicked on the map is marked in the table
    page.locator("#map canvas").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#info-body article")).to_have_attribute("data-feature", str(chosen))
    watch.check()


def test_the_list_of_layers_can_be_filtered_and_comes_back(page: Page, base: str) -> None:
    """Once nothing was found, its groups stayed closed."""
    watch = open_map(page, base)
    box, found = page.locator("#catalogue-filter"), page.locator("#catalogue label:visible")
    before = found.count()
    box.fill("gempa")
    expect(found).to_have_count(1)
    box.fill("tidak ada yang begini")
    expect(found).to_have_count(0)
    expect(page.locator("#catalogue-none")).to_be_visible()
    box.fill("")
    expect(found).to_have_count(before)
    expect(page.locator("#catalogue-none")).to_be_hidden()
    watch.check()


def test_the_address_keeps_all_that_is_shown_when_it_is_opened_again(page: Page, base: str) -> None:
    """Time, comparison and panel were lost from it; a time is a day, whatever comes after it."""
    watch = open_map(page, base, f"{AT}&l=gempa:1,batas:0.5&t=2025-01-02.1&c=batas&p=tools")
    shown = page.url
    assert "t=2025-01-02.1&c=batas&p=tools" in shown
    expect(page.locator("#time-label")).to_contain_text("2 Jan 2025")
    page.reload()
    page.wait_for_selector("#map[data-ready]", timeout=60_000)
    assert page.url == shown
    expect(page.locator("#panel-tools")).to_be_visible()
    page.wait_for_selector("#compare-map[data-ready=batas]")
    watch.check()


def test_a_table_becomes_a_thematic_map(page: Page, base: str) -> None:
    watch = open_map(page, base, AT + "&l=")
    page.locator("#catalogue").get_by_label("Penerima").check()
    page.locator("#catalogue select").select_option("penerima")
    expect(page.locator("#shown-layers .legend li").nth(4)).to_be_visible()
    settle(page)
    picture = pixels(page.locator("#map").screenshot())
    assert len(np.unique(picture.reshape(-1, 3) // 24, axis=0)) > 8  # several classes of colour
    assert "penerima:1:penerima" in page.evaluate("decodeURIComponent(location.hash)")
    watch.check()


def test_the_legend_of_a_thematic_map_tells_its_colours(page: Page, base: str, shared_data: Path) -> None:
    """The desa of a class have the colour that the legend gives to it, also when the layer is made paler."""
    villages = desa(shared_data)
    assert villages.geometries is not None
    watch = open_map(page, base, "#map=8.6/-7.05/107.1&l=penerima:1:penerima")
    legend = page.evaluate("viewer.layers.get('penerima').legend.filter((one) => !one.noData)")
    assert len(legend) == 5
    page.evaluate(
        "viewer.layers.ids('penerima').filter((id) => viewer.map.getLayer(id).type === 'symbol')"
        ".forEach((id) => viewer.map.setLayoutProperty(id, 'visibility', 'none'))"
    )
    places = []
    for entry in legend:
        low, high = entry["min"] or 0, entry["max"] if entry["max"] is not None else 10**9
        members = [shape for n, shape in enumerate(villages.geometries) if low <= 10 * n < high]
        place = max(members, key=lambda shape: shape.area).point_on_surface()
        places.append((place.x, place.y))
    for share in ("100", "60"):
        page.locator("#shown-layers input[type=range]").fill(share)
        page.locator("#shown-layers .swatch").last.scroll_into_view_if_needed()
        colours, picture = colours_at(page, places)
        for entry, colour, swatch in zip(
            legend, colours, page.locator("#shown-layers .swatch").all(), strict=False
        ):
            box = swatch.bounding_box()
            assert box is not None
            left, top = int(box["x"]) + 4, int(box["y"]) + 4
            told = picture[top : int(box["y"] + box["height"]) - 4, left : int(box["x"] + box["width"]) - 4]
            assert told.size, "the legend is in the picture"
            assert np.abs(colour - told.reshape(-1, 3).mean(axis=0)).max() < 6, (share, entry)
    watch.check()


def test_layers_without_a_style_of_their_own_differ_in_colour(page: Page, base: str) -> None:
    watch = open_map(page, base, f"{AT}&l=gempa:1,batas:1")
    colours = page.evaluate("viewer.layers.shown.map((one) => one.legend[0].color)")
    assert len(set(colours)) == 2
    # who works by keyboard keeps the place after the list was drawn anew
    page.get_by_role("button", name="Turunkan Gempa").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('[data-layer]').dataset.layer") == "gempa"
    watch.check()


def test_a_link_to_a_layer_alone_shows_all_of_it(page: Page, base: str) -> None:
    watch = open_map(page, base, "#l=gempa:1")
    for n in range(3):
        assert page.evaluate(f"viewer.map.getBounds().contains([{107.0 + n / 10}, -7.0])")
    assert page.evaluate("viewer.map.getZoom()") > 9
    watch.check()


def test_time_keeps_only_what_had_happened(page: Page, base: str) -> None:
    watch = open_map(page, base, f"{AT}&l=gempa:1")
    count = "viewer.map.queryRenderedFeatures({layers: viewer.layers.ids('gempa')}).length"
    until(page, f"{count} === 3")
    page.locator("#time-at").fill("1")
    until(page, f"{count} === 2")
    expect(page.locator("#time-label")).to_contain_text("2 Jan 2025")
    page.locator("#time-days").select_option("1")
    until(page, f"{count} === 1")
    watch.check()


def test_compare_shows_another_layer_on_the_right(page: Page, base: str) -> None:
    watch = open_map(page, base, "#map=10/-6.8/107.2&l=batas:1,bahaya:1")
    page.locator("#tab-tools").click()
    page.locator("#compare-layer").select_option("bahaya")
    page.wait_for_selector("#compare-map[data-ready=bahaya]")
    high = colour_at(page, 107.3, -6.8)
    assert high[0] > high[2] + 30  # the raster alone
    page.locator("#compare-at").fill("100")
    covered = colour_at(page, 107.3, -6.8)
    assert np.abs(covered - high).max() > 25
    watch.check()


def test_measuring_is_right_on_the_sphere(page: Page, base: str) -> None:
    watch = open_map(page, base, "#map=10/-7/107.5&l=")
    page.locator("#tab-tools").click()
    page.get_by_role("button", name="Ukur jarak").click()
    box = page.locator("#map").bounding_box()
    assert box is not None
    for place in ([107.4, -7.0], [107.6, -7.0], [107.6, -7.1]):
        where = page.evaluate(f"viewer.map.project({place})")
        page.mouse.click(box["x"] + where["x"], box["y"] + where["y"])
    text = page.locator("#measure-result").inner_text()
    km = float(re.findall(r"Jarak ([\d,]+) km", text)[0].replace(",", "."))
    km2 = float(re.findall(r"Luas ([\d,]+) km", text)[0].replace(",", "."))
    assert km == pytest.approx(22.08 + 11.06, rel=0.01)  # pyproj.Geod on WGS 84
    assert km2 == pytest.approx(22.08 * 11.06 / 2, rel=0.015)
    page.get_by_role("button", name="Hapus titik terakhir").click()  # who has no keyboard
    expect(page.locator("#measure-result")).to_have_text(re.compile(r"^Jarak 22,\d+ km$"))
    page.locator("#map canvas").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#measure-result")).to_have_text("")
    expect(page.locator("#measure-back")).to_be_hidden()
    watch.check()


def test_a_link_shows_the_same_to_others(page: Page, base: str, browser: Browser) -> None:
    open_map(page, base, f"{AT}&l=batas:0.5,bahaya:-0.8")
    page.get_by_role("button", name="Naikkan Indeks bahaya").click()
    shared = page.url
    assert "l=bahaya:-0.8,batas:0.5" in shared
    context = browser.new_context(locale="en-US", viewport={"width": 1200, "height": 800})
    other = context.new_page()
    other.goto(shared)
    other.wait_for_selector("#map[data-ready]", timeout=60_000)
    assert other.evaluate("viewer.layers.shown.map((one) => [one.id, one.opacity, one.visible])") == [
        ["bahaya", 0.8, False], ["batas", 0.5, True],
    ]  # fmt: skip
    assert abs(other.evaluate("viewer.map.getZoom()") - 9.5) < 0.01
    context.close()


def test_the_printed_sheet_has_map_scale_legend_and_sources(page: Page, base: str) -> None:
    watch = open_map(page, base, "#map=10/-6.7/107.1&l=batas:1,bahaya:1&p=tools")
    page.evaluate("void (window.print = () => { window.printed = true; })")  # a bare function would be called
    page.locator("#print-title").fill("Bahaya di Cianjur")
    page.get_by_role("button", name="Cetak").click()
    until(page, "window.printed")
    across = (
        page.evaluate("viewer.map.getBounds().getEast() - viewer.map.getBounds().getWest()")
        * 111_320
        * 0.9932
    )
    page.emulate_media(media="print")
    sheet = page.locator("#sheet")
    expect(sheet.locator("h1")).to_have_text("Bahaya di Cianjur")
    expect(sheet).to_contain_text("Batas Desa · Badan Informasi Geospasial · CC-BY-4.0 · versi 1")
    expect(sheet.locator("li", has_text="Batas Desa")).to_have_count(1)
    picture = pixels(sheet.locator("img").screenshot())
    assert len(np.unique(picture.reshape(-1, 3) // 32, axis=0)) > 5
    ratio = float(re.sub(r"[^\d]", "", re.findall(r"1 : ([\d.]+)", sheet.inner_text())[0]))
    assert ratio == pytest.approx(across / 0.18, rel=0.02)
    watch.check()


def test_a_printed_sheet_names_whose_boundaries_lie_below(page: Page, base: str) -> None:
    open_map(page, base, "#map=10/-6.7/107.1&l=bahaya:1&p=tools")
    page.evaluate("void (window.print = () => { window.printed = true; })")
    page.get_by_role("button", name="Cetak").click()
    until(page, "window.printed")
    expect(page.locator("#sheet li", has_text="Batas Desa · Badan Informasi Geospasial")).to_have_count(1)


def test_it_fits_a_phone_and_speaks_english(browser: Browser, base: str) -> None:
    context = browser.new_context(
        locale="en-US", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    watch = open_map(page, base, lang="en")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("tab", name="Layers")).to_be_visible()
    page.locator("#toggle-side").tap()
    expect(page.locator("#panel-layers")).to_be_hidden()
    canvas = page.locator("#map").bounding_box()
    assert canvas is not None
    assert canvas["height"] > 500
    watch.check()
    context.close()


def test_layers_that_are_gone_are_said_and_do_not_stop_the_map(page: Page, base: str) -> None:
    open_map(page, base, f"{AT}&l=hilang:1,batas:1")
    expect(page.locator("#shown-layers > li")).to_have_count(1)


def test_places_over_http(base: str) -> None:
    with httpx.Client(base_url=base, trust_env=False) as client:
        found = client.get("/places?q=CIANJUR&limit=3").json()["features"]
        assert found[0]["id"] == "32.03"
        assert found[0]["properties"]["tingkat"] == "kabkota"
        assert len(client.get("/places?q=suka&limit=3").json()["features"]) == 3
        west, south, east, north = found[0]["bbox"]
        assert west < 107.1 < east
        assert south < -7 < north
        assert client.get("/places?q=tidakada").json()["features"] == []
        assert client.get("/places?q=").status_code == 400


def test_another_host_is_asked_only_when_it_is_configured(world: World) -> None:
    online = ViewerSettings(
        online_basemap="https://peta.example.go.id/{z}/{x}/{y}.png", online_attribution="BIG"
    )
    with running(world) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert "example.go.id" not in client.get("/peta?f=html").headers["content-security-policy"]
    changed = World(world.settings.model_copy(update={"viewer": online}), world.catalog, world.store)
    with running(changed) as url, httpx.Client(base_url=url, trust_env=False) as client:
        answer = client.get("/peta?f=html")
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert "https://peta.example.go.id" in policy["img-src"]
        assert "example.go.id" not in policy["script-src"]
        assert 'id="online"' in answer.text


def test_a_basemap_of_others_is_asked_for_by_choice_and_ours_stays_when_it_does_not_answer(
    world: World, page: Page
) -> None:
    """Once our land went with the switch, and who had no network saw nothing but sea."""
    online = ViewerSettings(
        online_basemap="https://peta.example.go.id/{z}/{x}/{y}.png", online_attribution="BIG"
    )
    changed = World(world.settings.model_copy(update={"viewer": online}), world.catalog, world.store)
    asked: list[str] = []

    def cut(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("https://peta.example.go.id/**", cut)
    with running(changed) as url:
        open_map(page, url, "#l=&p=tools")
        land = colour_at(page, 107.13, -6.95)
        assert asked == []
        page.get_by_label("Peta dasar daring").check()
        expect(page.locator("#viewer-status")).to_have_text("Peta dasar daring tidak terjangkau.")
        assert asked
        assert np.abs(colour_at(page, 107.13, -6.95) - land).max() < 12


def page_with_picture(client: httpx.Client) -> httpx.Response:
    """Ask for the page until its first picture is made, in the background."""
    for _ in range(300):
        answer = client.get("/peta?f=html")
        if 'id="first"' in answer.text:
            return answer
        time.sleep(0.1)
    raise AssertionError("no first picture after 30 s")


def test_a_slow_line_gets_the_first_map_with_the_page_and_little_else_before_it_is_drawn(base: str) -> None:
    """On slow 4G (1.6 Mbit/s, 150 ms) each round trip and each 20 kB cost a tenth of a second."""
    with httpx.Client(base_url=base, trust_env=False, headers={"Accept-Encoding": "br"}) as client:
        answer = page_with_picture(client)
        assert int(answer.headers["content-length"]) < 32_000
        above = answer.text.partition("<svg")[0]
        assert 'rel="stylesheet"' not in above  # nothing to wait for
        files = re.findall(r'(?:href|src)="[^"]*(/static/[^"]+)"', answer.text)
        assert len(files) < 10
        sizes = {name: int(client.head(name).raise_for_status().headers["content-length"]) for name in files}
        assert sum(sizes.values()) < 235_000, sizes


def test_scripts_are_packed_as_well_as_can_be_meanwhile(base: str) -> None:
    """Who asks first does not wait for the best; the bytes mean the same."""
    with httpx.Client(base_url=base, trust_env=False) as client:
        best = 205_000
        for _ in range(300):
            head = client.head("/static/maplibre-gl.js", headers={"Accept-Encoding": "br"}).headers
            if int(head["content-length"]) < best:
                break
            time.sleep(0.1)
        assert int(head["content-length"]) < best
        packed = client.get("/static/maplibre-gl.js", headers={"Accept-Encoding": "br"})
        plain = client.get("/static/maplibre-gl.js", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "br"
        assert packed.text == plain.text
        again = client.get("/static/maplibre-gl.js", headers={"If-None-Match": packed.headers["etag"]})
        assert again.status_code == 304


def test_the_first_picture_is_the_map_that_comes_after_it(browser: Browser, base: str) -> None:
    """Same borders at the same pixels, on a desk, on a phone, and in another place; no fake."""
    with httpx.Client(base_url=base, trust_env=False) as client:
        page_with_picture(client)
    for wide, high, anchor in ((1200, 800, "#l="), (390, 800, "#l="), (1200, 800, "#map=9/-7.1/107.0&l=")):
        context = browser.new_context(locale="id-ID", viewport={"width": wide, "height": high})
        page = context.new_page()
        page.route("**/maplibre-gl.js", lambda route: route.abort())
        page.goto(f"{base}/peta?lang=id{anchor}")
        first = pixels(page.locator("#stage").screenshot())
        page.close()
        page = context.new_page()
        watch = open_map(page, base, anchor)  # asked for again, a page keeps its policy
        settle(page)
        assert page.locator("#first").count() == 0
        after = pixels(page.locator("#stage").screenshot())
        assert first.shape == after.shape
        land = [np.abs(one.astype(int) - [247, 244, 236]).max(axis=2) < 6 for one in (first, after)]
        assert land[0].mean() > 0.1
        sea = [np.abs(one.astype(int) - [223, 234, 242]).max(axis=2) < 6 for one in (first, after)]
        assert (sea[0] & land[1]).mean() + (sea[1] & land[0]).mean() < 0.003  # coasts lie where they lie
        # and borders: the pictures are most alike as they lie, not when one is moved by a pixel
        middle = [side // 2 for side in first.shape[:2]]
        inside = tuple(slice(at - 120, at + 120) for at in middle)
        apart = {
            (down, right): np.abs(np.roll(first, (down, right), (0, 1))[inside].astype(int) - after[inside]).mean()
            for down in (-1, 0, 1) for right in (-1, 0, 1)
        }  # fmt: skip
        assert min(apart, key=lambda shift: apart[shift]) == (0, 0), apart
        watch.check()
        context.close()


def test_a_first_view_needs_no_tile_and_a_deeper_one_has_them(page: Page, base: str) -> None:
    """The first picture is the map's own data while it is exact to a pixel; then tiles, with no gap between."""
    with httpx.Client(base_url=base, trust_env=False) as client:
        page_with_picture(client)
    watch = open_map(page, base, "#l=")
    assert not [url for url in watch.asked if "/tiles/" in url]
    land = colour_at(page, 107.13, -6.95)
    assert land[0] > land[2] + 5  # the sea is blue
    page.evaluate("viewer.map.jumpTo({center: [107.13, -6.95], zoom: 13})")
    until(page, "viewer.map.getLayoutProperty('overview:fill', 'visibility') === 'none'")
    assert [url for url in watch.asked if "/tiles/" in url]
    deeper = colour_at(page, 107.13, -6.95)
    assert deeper[0] > deeper[2] + 5
    assert page.evaluate("viewer.map.queryRenderedFeatures({layers: ['base:batas:fill']}).length") > 0
    page.evaluate("viewer.map.jumpTo({zoom: 8})")
    assert page.evaluate("viewer.map.getLayoutProperty('overview:fill', 'visibility')") == "visible"
    watch.check()


def test_a_server_that_starts_again_has_the_picture_in_its_first_page(world: World, base: str) -> None:
    with httpx.Client(base_url=base, trust_env=False) as client:
        made = page_with_picture(client).text.partition('id="first"')[2].partition("</svg>")[0]
    with running(world) as again, httpx.Client(base_url=again, trust_env=False) as client:
        page = client.get("/peta?f=html").text
    assert page.partition('id="first"')[2].partition("</svg>")[0] == made != ""


def test_a_view_too_deep_for_the_first_picture_comes_without(page: Page, base: str) -> None:
    with httpx.Client(base_url=base, trust_env=False) as client:
        page_with_picture(client)
    page.route("**/maplibre-gl.js", lambda route: route.abort())
    page.goto(f"{base}/peta?lang=id#map=13/-6.9/107.1&l=")
    assert page.locator("#first").count() == 0


def test_no_boundaries_no_picture_but_a_map(fresh: World, browser: Browser) -> None:
    with running(fresh) as url:
        context = browser.new_context(locale="id-ID")
        page = context.new_page()
        watch = open_map(page, url)
        expect(page.locator("#no-layers")).to_be_visible()
        watch.check()
        context.close()
