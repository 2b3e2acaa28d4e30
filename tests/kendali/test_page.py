"""The page of pusat kendali in a real browser, as an operator meets it through a day and a night."""

from __future__ import annotations

import io
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pypdf
import pytest
from playwright.sync_api import Browser, CDPSession, Page, Route, expect

from catalog.model import RunState
from ogc_server.kendali import stream
from ogc_server.kendali.state import state as true_state
from tests.kendali.world import AREA, ID, happen, serving, warn
from tests.response.world import Desk, quake
from tests.servers import free_port
from tests.servers.browser import Watch, pixels, until

SHOWN = f"#jawaban[data-shown='{ID}']"

SEEN = """
const line = document.getElementById("sambungan");
window.seen = [];
new MutationObserver(() => window.seen.push(line.dataset.state)).observe(line, {attributeFilter: ["data-state"]});
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        locale="id-ID", viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def look(page: Page, url: str, lang: str = "id") -> Watch:
    watch = Watch(page, url)
    page.goto(f"{url}/kendali?lang={lang}")
    page.wait_for_selector("#map[data-ready]", timeout=60_000)
    expect(page.locator("#sambungan")).to_have_attribute("data-state", "tersambung")
    return watch


def colour_at(page: Page, lon: float, lat: float) -> np.ndarray:
    until(page, "kendali.map.loaded() && !kendali.map.isMoving()")
    page.evaluate(
        "new Promise((done) => { kendali.map.once('render', done); kendali.map.triggerRepaint(); })"
    )
    where = page.evaluate(f"kendali.map.project([{lon}, {lat}])")
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = int(box["x"] + where["x"]), int(box["y"] + where["y"])
    around = pixels(page.screenshot())[y - 6 : y + 7, x - 6 : x + 7].reshape(-1, 3)
    return np.asarray(np.median(around, axis=0))  # borders and lines of the plan lie in between


def click(page: Page, lon: float, lat: float) -> None:
    where = page.evaluate(f"kendali.map.project([{lon}, {lat}])")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + where["x"], box["y"] + where["y"])


def test_an_operator_sees_who_is_hit_what_is_near_and_what_is_missing(page: Page, address: str) -> None:
    watch = look(page, address)
    page.wait_for_selector(SHOWN)
    expect(page.locator("#daftar-jawaban li")).to_have_count(1)
    expect(page.locator("#daftar-gempa li").first).to_contain_text("M5,6")
    expect(page.locator("#daftar-peringatan li")).to_contain_text("Hujan Lebat")
    expect(page.locator("#ringkasan .utama").first).to_contain_text("217")
    expect(page.locator("#isi-tab tbody tr")).to_have_count(150)
    expect(page.locator("#daftar-umpan")).to_contain_text("Gempa BMKG")
    page.get_by_role("button", name="Nama").click()
    names = page.locator("#isi-tab tbody tr td:first-child").all_inner_texts()
    assert names == sorted(names, key=str.casefold)
    page.get_by_role("button", name="perkiraan jiwa").click()
    many = [
        int(text.replace(".", ""))
        for text in page.locator("#isi-tab tbody tr td:nth-child(4)").all_inner_texts()
    ]
    assert many == sorted(many, reverse=True)
    page.get_by_role("tab", name=re.compile("Fasilitas")).click()
    expect(page.locator("#isi-tab tbody tr").first).to_contain_text("400.000")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#isi-tab thead")).to_contain_text("Jumlah")
    page.get_by_role("tab", name=re.compile("Belum terpenuhi")).click()
    expect(page.locator("#isi-tab tbody tr").first).to_contain_text("stok kurang")
    near, far, sea = (colour_at(page, *at) for at in ((107.02, -6.80), (107.33, -6.78), (106.6, -6.9)))
    assert near[0] > 150 > near[2]  # MMI 6 or 7: yellow to orange
    assert near[0] - far[0] > 30  # MMI 5: green
    assert sea.mean() < 60  # the dark
    watch.check()


def test_a_new_event_and_its_answer_come_by_themselves_with_banner_and_sound(page: Page, desk: Desk) -> None:
    with serving(desk) as url:
        watch = look(page, url)
        expect(page.locator("#daftar-gempa")).to_contain_text("Belum ada gempa")
        page.locator("#bunyi").click()
        expect(page.locator("#bunyi")).to_have_text("Bunyi menyala")
        page.evaluate("window.same = true; delete document.body.dataset.sounded")
        happen(desk, answer=False)
        expect(page.locator("#spanduk")).to_contain_text("Gempa baru: M5,6")
        expect(page.locator("body")).to_have_attribute("data-sounded", "alarm")
        assert [one.state for one in desk.responder().run()] == ["answered"]
        expect(page.locator("#spanduk p").first).to_contain_text("217 desa terdampak")
        page.wait_for_selector(SHOWN)  # nobody had chosen anything: the newest answer is shown
        happen(desk, quake(Magnitude="5.4"))  # BMKG revises it
        expect(page.locator("#spanduk p").first).to_contain_text("Revisi 2")
        expect(page.locator("#kepala")).to_contain_text("revisi 2")
        assert page.evaluate("window.same") is True  # never reloaded
        for _ in range(page.locator("#spanduk p").count()):
            page.get_by_role("button", name="Tutup").first.click()
        expect(page.locator("#spanduk")).to_be_hidden()
        page.reload()
        page.wait_for_selector(SHOWN)
        expect(page.locator("#spanduk")).to_be_hidden()  # what was there before is no news
        expect(page.locator("#bunyi")).to_have_attribute("aria-pressed", "true")  # remembered
        page.locator("#bunyi").click()  # "tap for sound" turns it on, not off
        expect(page.locator("#bunyi")).to_have_text("Bunyi menyala")
        watch.check()


def test_it_says_that_the_line_is_cut_and_comes_back_by_itself(page: Page, desk: Desk) -> None:
    happen(desk)
    port = free_port()
    with serving(desk, port) as url:
        watch = look(page, url)
        page.wait_for_selector(SHOWN)
    expect(page.locator("#sambungan")).to_contain_text("Terputus sejak")
    expect(page.locator("#usang")).to_contain_text("data terakhir")
    expect(page.locator("#daftar-gempa li").first).to_contain_text("M5,6")  # the data stays
    warn(desk, "sementara-itu")
    with serving(desk, port):
        expect(page.locator("#sambungan")).to_have_attribute("data-state", "tersambung")
        expect(page.locator("#usang")).to_be_hidden()
        expect(page.locator("#daftar-peringatan")).to_contain_text("Hujan Lebat")
        expect(page.locator("#spanduk")).to_contain_text("Peringatan baru")  # what came meanwhile is news
        assert [one for one in watch.wrong if "ERR_" not in one] == []
        page.goto("about:blank")


def test_a_stream_that_falls_silent_is_opened_again(
    page: Page, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.5)
    with serving(desk) as url:
        watch = look(page, url)
        began = len([one for one in watch.asked if "/stream" in one])
        page.evaluate(SEEN)  # it may be cut for a moment only, so the page itself takes note
        monkeypatch.setattr(stream, "BEAT_SECONDS", 600.0)  # the server says nothing any more
        until(page, "window.seen.includes('terputus')")
        expect(page.locator("#sambungan")).to_have_attribute("data-state", "tersambung")
        assert len([one for one in watch.asked if "/stream" in one]) > began
        watch.check()


def test_without_a_stream_the_state_is_asked_for(
    page: Page, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 3.0)
    happen(desk)
    page.route("**/kendali/stream*", lambda route: route.abort())
    with serving(desk) as url:
        page.goto(f"{url}/kendali")
        expect(page.locator("#sambungan")).to_have_attribute("data-state", "tanya")
        page.wait_for_selector(SHOWN)
        page.unroute("**/kendali/stream*")
        expect(page.locator("#sambungan")).to_have_attribute("data-state", "tersambung")


def test_a_proxy_that_holds_the_stream_back_delays_by_seconds_only(page: Page, quiet: Desk) -> None:
    with serving(quiet) as url:
        page.clock.install()
        page.route("**/kendali/stream*", lambda route: None)  # asked for, and not one word comes
        page.goto(f"{url}/kendali")
        page.clock.run_for(20_000)  # less than the silence that a stream which did speak may keep
        expect(page.locator("#sambungan")).to_have_attribute("data-state", "tanya")
        page.wait_for_selector(SHOWN)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/state" in request.url else None)
        for _ in range(100):  # ten seconds after each answer, however long that takes
            if len(asked) >= 2:
                break
            page.clock.run_for(11_000)
            page.wait_for_timeout(100)
        assert len(asked) >= 2
        page.goto("about:blank")


def test_a_computer_that_slept_for_hours_asks_at_once(page: Page, quiet: Desk) -> None:
    def sleep_on_windows() -> None:
        page.clock.fast_forward(8 * 3_600_000)  # performance.now() tells of the sleep

    def sleep_on_linux() -> None:
        page.clock.set_system_time(time.time() + 30 * 3600)  # only the time of day has moved

    with serving(quiet) as url:
        page.clock.install()
        watch = look(page, url)
        for sleep in (sleep_on_windows, sleep_on_linux):
            page.evaluate(SEEN)
            began = len([one for one in watch.asked if "/stream" in one])
            sleep()
            until(page, "window.seen.includes('menyambung') && window.seen.at(-1) === 'tersambung'")
            assert len([one for one in watch.asked if "/stream" in one]) > began
            off = page.evaluate("kendali.serverNow()") / 1000 - quiet.clock().timestamp()
            assert abs(off) < 600  # ages are right again
        watch.check()


def test_a_failing_upstream_is_shown_with_its_reason_and_the_data_stays(page: Page, desk: Desk) -> None:
    happen(desk)
    with serving(desk) as url:
        watch = look(page, url)
        page.wait_for_selector(SHOWN)
        desk.url = f"http://127.0.0.1:{free_port()}/"
        desk.clock.forward(minutes=42)
        assert desk.harvest().state is RunState.FAILED
        feed = page.locator("#daftar-umpan li.gagal")
        expect(feed).to_contain_text("gagal:")
        expect(feed).to_contain_text("Gempa BMKG")
        page.reload()
        expect(feed.locator("time")).to_have_text("42 mnt lalu")
        expect(page.locator("#daftar-gempa li").first).to_contain_text("M5,6")
        page.wait_for_selector(SHOWN)
        watch.check()


def test_an_area_is_drawn_by_clicks_keys_or_text(page: Page, address: str) -> None:
    watch = look(page, address)
    page.wait_for_selector(SHOWN)
    until(page, "!kendali.map.isMoving()")
    page.get_by_role("button", name="Gambar area").click()
    for lon, lat in ((107.12, -6.72), (107.2, -6.75), (107.2, -6.9), (107.1, -6.92)):
        click(page, lon, lat)
    expect(page.locator("#jumlah-titik")).to_have_text("4 titik")
    page.get_by_role("button", name="Hitung").click()
    page.wait_for_selector("#jawaban[data-shown=area]")
    expect(page.locator("#kepala")).to_contain_text("Area yang digambar")
    count = int(page.locator("#ringkasan dd").first.inner_text())
    assert 20 < count < 150

    page.get_by_role("button", name="Gambar area").click()  # the map has the focus now
    for key in ("Enter", "ArrowRight", "Enter", "ArrowDown", "Enter", "Enter", "Backspace"):
        page.keyboard.press(key)
        until(page, "!kendali.map.isMoving()")
    expect(page.locator("#jumlah-titik")).to_have_text("3 titik")
    page.keyboard.press("Escape")
    expect(page.locator("#lembar-gambar")).to_be_hidden()

    page.get_by_role("button", name="Gambar area").click()
    for wrong, said in {
        "107.05 -6.9\n107.2 selatan": "tidak terbaca: 107.2 selatan",
        "-6.9 107.05\n-6.9 107.2\n-6.7 107.2": "Tulis bujur dulu",
        "107,05 -6,9\n107,2 -6,9": "sedikitnya tiga titik",
    }.items():
        page.locator("#teks-area").fill(wrong)
        page.get_by_role("button", name="Hitung").click()
        expect(page.locator("#jumlah-titik")).to_contain_text(said)
    page.locator("#teks-area").fill("107.05, -6.9\n107.2 -6.9\n107.2;-6.75\n107.05 -6.75")
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#ringkasan dd").first).to_have_text("94")
    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill(json.dumps({"type": "Feature", "properties": {}, "geometry": AREA}))
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#lembar-gambar")).to_be_hidden()
    expect(page.locator("#ringkasan dd").first).to_have_text("94")
    with page.expect_download() as taken:
        page.get_by_role("button", name="PDF").click()
    assert "Area yang digambar" in pypdf.PdfReader(taken.value.path()).pages[0].extract_text()

    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill("107.0 -7.0\n107.2 -6.8\n107.2 -7.0\n107.0 -6.8")
    expect(page.locator("#jumlah-titik")).to_contain_text("saling memotong")
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#lembar-gambar")).to_be_hidden()
    assert 20 < int(page.locator("#ringkasan dd").first.inner_text()) < 150
    expect(page.get_by_role("button", name="Gambar area")).to_be_focused()
    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill("105 -9\n105.2 -9\n105.2 -8.8")  # the sea
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#kepala")).to_contain_text("Tidak ada desa yang terdampak")
    watch.check()
    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill("107 -7\n107.1 -7\n107.2 -7")  # no area: what the server says shows
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#jumlah-titik")).to_contain_text("harus GeoJSON poligon")


def test_an_area_waits_for_boundaries_that_are_being_prepared(page: Page, address: str) -> None:
    look(page, address)
    page.wait_for_selector(SHOWN)
    asked: list[str] = []

    def door(route: Route) -> None:
        asked.append(route.request.method)
        if len(asked) == 1:  # as the server answers while the index of new boundaries is being made
            route.fulfill(status=503, headers={"Retry-After": "30"}, json={"title": "belum siap"})
        else:
            route.continue_()

    page.route("**/kendali/jawaban*", door)
    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill("107.05, -6.9\n107.2 -6.9\n107.2;-6.75\n107.05 -6.75")
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#viewer-status")).to_contain_text("sedang menyiapkan batas wilayah")
    expect(page.locator("#ringkasan dd").first).to_have_text("94")
    expect(page.locator("#viewer-status")).to_have_text("")
    assert asked == ["POST", "POST"]

    missing = {"title": "Lapisan belum ada", "code": "process-not-configured"}
    page.route(
        "**/kendali/jawaban*",
        lambda route: route.fulfill(status=503, headers={"Retry-After": "30"}, json=missing),
    )
    page.get_by_role("button", name="Gambar area").click()
    page.locator("#teks-area").fill("107.05 -6.9\n107.2 -6.9\n107.2 -6.75")
    page.get_by_role("button", name="Hitung").click()
    expect(page.locator("#jumlah-titik")).to_contain_text("Lapisan belum ada")  # said at once


def test_the_report_is_taken_in_both_forms(page: Page, address: str, tmp_path: Path) -> None:
    watch = look(page, address, "en")
    page.wait_for_selector(SHOWN)
    expect(page.locator("#tab-desa")).to_contain_text("Villages hit")
    for form in ("PDF", "XLSX"):
        with page.expect_download() as taken:
            page.get_by_role("button", name=form).click()
        assert taken.value.suggested_filename == f"laporan-{ID}.{form.lower()}"
        body = Path(taken.value.path()).read_bytes()
        if form == "PDF":
            assert "Situation report" in pypdf.PdfReader(io.BytesIO(body)).pages[0].extract_text()
        else:
            assert "Villages hit" in openpyxl.load_workbook(io.BytesIO(body)).sheetnames
    watch.check()


def test_it_can_be_used_on_a_phone(browser: Browser, address: str) -> None:
    context = browser.new_context(
        locale="id-ID", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    watch = look(page, address)
    page.wait_for_selector(SHOWN)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#tab-kurang").tap()
    expect(page.locator("#isi-tab tbody tr").first).to_contain_text("stok kurang")
    watch.check()
    context.close()


BOUNDS = {"JSHeapUsedSize": 3_000_000, "Nodes": 400, "JSEventListeners": 100}  # a row more or less


def least(tools: CDPSession, found: dict[str, float], times: int) -> dict[str, float]:
    """Measure and keep the least of each: what waits for the collector is no leak."""
    for _ in range(times):
        time.sleep(0.25)
        tools.send("HeapProfiler.collectGarbage")
        for one in tools.send("Performance.getMetrics")["metrics"]:
            found[one["name"]] = min(one["value"], found.get(one["name"], one["value"]))
    return found


def grown(first: dict[str, float], last: dict[str, float]) -> dict[str, float]:
    """Return by how much what grew beyond its bound has grown."""
    return {name: last[name] - first[name] for name in BOUNDS if last[name] - first[name] >= BOUNDS[name]}


def test_three_hundred_changes_leave_memory_and_page_as_they_were(
    page: Page, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change brings a new earthquake, a new warning and a revision; every one is drawn and announced."""
    happen(desk)
    warn(desk, "hujan-1")
    counter = itertools.count(1)

    def changing(*given: Any) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(json.dumps(true_state(*given)))
        n = next(counter)
        said["gempa"] = [
            said["gempa"][0] | {"id": f"g{n + i}", "lon": 100 + (n + i) % 40} for i in range(20, 0, -1)
        ]
        said["peringatan"] = [said["peringatan"][0] | {"id": f"p{n}"}]
        said["jawaban"][0] |= {"revisi": n}
        return said

    monkeypatch.setattr(stream, "state", changing)
    monkeypatch.setattr(stream, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(stream, "_ANEW_SECONDS", 0.01)
    with serving(desk) as url:
        watch = look(page, url)
        page.locator("#bunyi").click()
        page.wait_for_selector(SHOWN)
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable")

        def measured(changes: int) -> dict[str, float]:
            until(page, f"Number(document.body.dataset.changes) >= {changes}")
            for _ in range(4):  # an operator goes to and fro between the answer and an event
                for name in ("#daftar-jawaban button", "#tab-fasilitas", "#tab-desa"):
                    page.evaluate(
                        f"document.querySelector('{name}').click()"
                    )  # rows are replaced all the time
            until(page, "document.getElementById('jawaban').getAttribute('aria-busy') === 'false'")
            return least(tools, {}, 6)

        first = measured(60)
        last = measured(360)
        for _ in range(60):  # a leak grows while we look; what a busy machine has not yet collected goes
            if grown(first, last):
                least(tools, last, 1)
        assert grown(first, last) == {}
        assert page.locator("#spanduk p").count() <= 4
        assert page.locator("#daftar-gempa li").count() == 20
        watch.check()
