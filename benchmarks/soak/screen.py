"""The page on the wall, other pages and clients, and what is measured of them."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.soak.server import PATIENCE
from benchmarks.soak.upstream import Upstream


class Screen:
    """The page on the wall, and what is measured of it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(
            locale="id-ID", viewport={"width": 800, "height": 500}, reduced_motion="reduce"
        )
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.streams = 0
        self.page.on("console", lambda said: self._error(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._error(str(error)))
        self.page.on("request", lambda asked: self._count(asked.url))
        self.page.goto(f"{url}/kendali?lang=id")
        self.page.wait_for_selector("#map[data-ready]", timeout=PATIENCE * 2000)
        self.page.locator("#bunyi").click()
        self.page.evaluate("window.same = 1")
        self.tools: CDPSession = self.context.new_cdp_session(self.page)
        self.tools.send("Performance.enable")

    def _error(self, text: str) -> None:
        if "Failed to load resource" not in text:  # the line is cut on purpose
            self.errors.append(text)

    def _count(self, url: str) -> None:
        self.streams += "/kendali/stream" in url

    def wait(self, expression: str, what: str) -> float:
        """Wait until JavaScript says so; return the seconds; the run fails when it does not come."""
        return wait(self.page, expression, what)

    def browse(self, number: int) -> None:
        """Do what an operator does: open an answer or an event, turn the tabs, close a banner."""
        names = ["#tab-fasilitas", "#tab-rencana", "#tab-desa", "#spanduk button:last-child"]
        if number % 4 == 0:
            names.insert(0, "#daftar-jawaban button" if number % 8 else "#daftar-gempa li:last-child button")
        for name in names:
            self.page.evaluate("(name) => document.querySelector(name)?.click()", name)

    def sample(self) -> dict[str, float]:
        for _ in range(3):
            self.tools.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in self.tools.send("Performance.getMetrics")["metrics"]}
        return {
            "heap": found["JSHeapUsedSize"] / 1e6,
            "nodes": found["Nodes"],
            "listeners": found["JSEventListeners"],
            "drawn": self.page.evaluate("Number(document.body.dataset.changes)"),
        }


def wait(page: Page, expression: str, what: str, seconds: float = PATIENCE) -> float:
    began = time.monotonic()
    while not page.evaluate(expression):
        if time.monotonic() - began > seconds:
            said = page.evaluate("document.getElementById('sambungan').textContent")
            raise SystemExit(
                f"FAILED: stuck, did not come in {seconds:.0f} s: {what} (the page says: {said})"
            )
        page.wait_for_timeout(50)
    return time.monotonic() - began


CONNECTED = "document.getElementById('sambungan').dataset.state === 'tersambung'"


def sleep_a_laptop(browser: Browser, url: str, upstream: Upstream) -> None:
    """A page that is open while its computer sleeps: timers stand, then hours have gone."""
    context = browser.new_context(viewport={"width": 800, "height": 500}, reduced_motion="reduce")
    page = context.new_page()
    page.clock.install()
    page.goto(f"{url}/kendali?lang=en")
    wait(page, CONNECTED, "the laptop's page is connected")
    page.clock.fast_forward("08:00:00")
    wait(page, f"{CONNECTED} && {knows_the_time()}", "the laptop's page wakes up and knows the time")
    page.clock.set_system_time(datetime.now(UTC) + timedelta(days=1))  # the clock of the PC is set wrong
    page.wait_for_timeout(2500)
    wait(page, f"{CONNECTED} && {knows_the_time()}", "a wrong clock of the PC does not matter")
    wait(page, shows(upstream), "the laptop's page shows what is newest")
    context.close()


def knows_the_time() -> str:
    """JavaScript: the page's time is that of the server, whatever the clock of the PC says."""
    return f"Math.abs(kendali.serverNow() - {time.time() * 1000:.0f}) < 60000"


def shows(upstream: Upstream) -> str:
    """JavaScript: the page's lists hold the newest earthquake and the newest warning."""
    at = datetime.fromisoformat(upstream.newest).timestamp() * 1000
    return (
        f"(kendali.state?.gempa ?? []).some((one) => Date.parse(one.waktu) === {at:.0f})"
        f" && document.querySelector('#daftar-peringatan li[data-id=\"{upstream.warning}\"]') !== null"
    )


def swarm(port: int, many: int = 8) -> None:
    """Clients that open the stream, read the state, and leave: half of them without a word."""
    socks = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(many)]
    for one in socks:
        one.sendall(b"GET /kendali/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for number, one in enumerate(socks):
        seen = b""
        while b"event: state" not in seen and (data := one.recv(65536)):
            seen += data
        if number % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        one.close()
