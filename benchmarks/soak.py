"""Whether pusat kendali runs for days: `python -m benchmarks.soak --minutes 30`.

A small deployment (the desa of Cianjur, five stores) is served as people serve it, `satudata serve` with
two workers, and watched by a real Chromium through a line that we can cut. Each round an upstream brings
new and revised earthquakes, which are harvested and answered as the scheduler does it, warnings are
replaced, and the page must show what is new. Meanwhile:

* the line is reset, goes silent, or the browser is offline; other clients come, and vanish without a word;
* the upstream fails and comes back; old versions are pruned; a worker is killed, and the server restarted
  (in the last 40 % of the run, so that the first processes live long enough to be judged);
* the screen's page is frozen; a second page, a laptop, sleeps for hours with its clock standing still.

What stays is sampled: JavaScript heap after collection, DOM nodes, listeners, memory of the browser's and
the server's processes, descriptors, threads, connections held, seconds until a change shows. The run ends
with a line fitted to each (`benchmarks.trend`) and fails when something grew for certain by more than is
allowed, or when a change did not show within two minutes. Light by design: a round a second or two.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.measure import children
from benchmarks.trend import trend
from catalog.clock import utc_now
from tests.kendali import world as kendali
from tests.ogc_server.world import World
from tests.response import world as response
from tests.servers import end, free_port
from tests.servers.browser import chromium
from tests.servers.ours import HOUSE, Deployment, environment, wait_until_serving

PATIENCE = 120.0
"""Seconds within which a change must show: a page that does not show it is stuck."""
RESTARTS = 6
LONG_LIFE = 0.6
"""The part of the run that the first server process lives; the restarts share the rest."""
CUT_EVERY, SWARM_EVERY, FAIL_EVERY, ANSWER_EVERY = 3, 10, 25, 10
CHAPTER_SECONDS = 120.0
"""How often something rarer happens: silence, sleep, freezing, pruning, in turn."""
SAMPLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limit:
    """By how much a quantity may grow over the judged part of a run; `life` of the first server alone."""

    allowed: float
    unit: str
    life: bool = False


LIMITS = {
    "heap": Limit(1.5, "MB of JavaScript after collection"),
    "nodes": Limit(300, "DOM nodes"),
    "listeners": Limit(60, "event listeners"),
    "browser": Limit(60, "MiB of the browser's processes"),
    "server": Limit(25, "MiB of the server's processes", life=True),
    "files": Limit(8, "open descriptors of the server", life=True),
    "threads": Limit(6, "threads of the server", life=True),
    "held": Limit(2, "connections held by the server"),
    "shown": Limit(2, "seconds until a change shows"),
}


class Relay:
    """A line to the server on a port of its own, that can be reset or swallow all that comes."""

    def __init__(self, target: int) -> None:
        self.port, self.silent, self.opened = free_port(), False, 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(asyncio.start_server(self._meet, "127.0.0.1", self.port))

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, forth}
        await asyncio.gather(
            self._pump(reader, forth), self._pump(back, writer, swallow=True), return_exceptions=True
        )
        for one in (writer, forth):
            self._open.discard(one)
            one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, swallow: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if swallow and self.silent:
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        """Reset all connections."""

        async def reset() -> None:
            for one in list(self._open):
                one.transport.abort()

        self._do(reset())

    def close(self) -> None:
        """Cut, and end the thread."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)


@dataclass
class Server:
    """`satudata serve` with two workers on one port, started again and again."""

    deployment: Deployment
    port: int
    child: subprocess.Popen[bytes] | None = None
    restarts: int = -1
    seen: set[int] = field(default_factory=set)

    def start(self) -> None:
        log = self.deployment.folder / "serve.log"
        command = self.deployment.command(
            "serve", "--port", str(self.port), "--workers", "2", "--no-schedule"
        )
        with log.open("ab") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=out, env=environment())
        wait_until_serving(f"http://127.0.0.1:{self.port}", self.child, log, seconds=10 * PATIENCE)
        self.restarts += 1

    def stop(self) -> None:
        assert self.child is not None
        if self.child.poll() is None:
            self.seen |= set(self.pids())
        end(self.child)
        deadline = time.monotonic() + PATIENCE
        while left := [pid for pid in self.seen if Path(f"/proc/{pid}").exists()]:
            if time.monotonic() > deadline:
                names = [_proc(pid, "cmdline").replace(b"\0", b" ").decode() for pid in left]
                raise SystemExit(f"FAILED: processes of the server stay after its end: {names}")
            time.sleep(0.1)
        self.seen.clear()

    def pids(self) -> list[int]:
        assert self.child is not None
        return children(self.child.pid)

    def workers(self) -> list[int]:
        return [pid for pid in self.pids() if b"spawn_main" in _proc(pid, "cmdline")]

    def kill_a_worker(self) -> None:
        os.kill(self.workers()[0], signal.SIGKILL)

    def held(self) -> int:
        """Return how many connections of clients are open, as the kernel has them (state 01)."""
        port = f":{self.port:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(one[1].endswith(port) and one[3] == "01" for one in lines)


class Upstream:
    """Makes things happen: thousands of earthquakes, some answered and revised, and warnings."""

    def __init__(self, desk: response.Desk) -> None:
        self.desk = desk
        self.changes = self.answers = self.failures = 0
        self.newest = self.warning = ""

    def round(self, number: int) -> None:
        """Let an earthquake come and be revised, and replace the warnings; now and then, more than that."""
        self.desk.clock.now = now = datetime.now(UTC)
        fresh = self._quake(now, "3.9", f"{-2 - number % 60 / 10:.2f}", f"{118 + number % 97 / 10:.2f}")
        if number % ANSWER_EVERY == 0:  # one of twelve strong ones, new at first, then revised
            which = number // ANSWER_EVERY % 12
            strong = now.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=10 * which + 60)
            magnitude = f"{5.4 + number // ANSWER_EVERY // 12 % 9 / 10:.1f}"
            felt = self._quake(strong, magnitude, f"-6.{80 + which}", f"107.{10 + which}")
            self.desk.feeds["gempadirasakan"] = [felt]
        for revised in (fresh, fresh | {"Magnitude": "4.1", "Dirasakan": "III uji"}):
            self.desk.feeds["autogempa"] = [revised]
            self._harvest(good=True)
        self.newest = fresh["DateTime"]
        for part in "abc":
            self.warning = f"hujan-{number}{part}"
            kendali.warn(self.desk, self.warning, f"angin-{number // 7}")
        self.changes += 5
        if number % ANSWER_EVERY == 0:
            made = self.desk.responder().run()
            self.answers += sum(one.state == "answered" for one in made)
            self.changes += len(made)
        if number % FAIL_EVERY == 0:
            url, self.desk.url = self.desk.url, f"http://127.0.0.1:{free_port()}/"
            self._harvest(good=False)
            self.desk.url = url
            self.failures += 1
            self.changes += 1

    def prune(self) -> None:
        """Remove old versions as `satudata prune` does, some of them while a reader has them open."""
        catalog, store = self.desk.catalog, self.desk.store
        for name in catalog.datasets.ids():
            for version in catalog.versions.prunable(name, self.desk.settings.harvest.keep_versions):
                catalog.versions.mark_removed(name, version, by="soak")
                store.remove(name, version)

    def _harvest(self, *, good: bool) -> None:
        state = self.desk.harvest().state.value
        if (state == "ok") != good:
            raise SystemExit(f"FAILED: a harvest ended as {state}")

    @staticmethod
    def _quake(at: datetime, magnitude: str, lat: str, lon: str) -> dict[str, Any]:
        return response.quake(
            DateTime=at.isoformat(timespec="seconds"), Magnitude=magnitude, Coordinates=f"{lat},{lon}"
        )


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


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def own_mib(pids: list[int]) -> float:
    """Return the memory that these processes share with nobody."""
    lines = b"\n".join(_proc(pid, "smaps_rollup") for pid in pids).splitlines()
    return sum(int(one.split()[1]) for one in lines if one.startswith(b"Private_")) / 1024


def counted(pids: list[int], name: str) -> int:
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/{name}"))
    return total


@contextmanager
def deployed(folder: Path, data: Path) -> Iterator[response.Desk]:
    """Make the deployment, its answers ready to be made, and BMKG on loopback."""
    desk = response.make(folder)
    response.fill(World(desk.settings, desk.catalog, desk.store), data)
    desk.clock.now = utc_now()
    with response.bmkg(desk):
        kendali.prepare(desk)
        said = desk.settings.model_dump(
            mode="json", include={"processes", "response", "server", "harvest"}, exclude_defaults=True
        )
        (folder / "config" / "satudata.yml").write_text(yaml.safe_dump(said), "utf-8")
        desk.responder().run()
        yield desk
    desk.close()


@dataclass
class Soak:
    """One run."""

    desk: response.Desk
    server: Server
    relay: Relay
    screen: Screen
    browser: Browser
    minutes: float
    out: Any
    rows: list[dict[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cuts: int = 0
    chapters: dict[str, int] = field(default_factory=dict)

    def run(self) -> Upstream:
        upstream = Upstream(self.desk)
        rare = itertools.cycle([self._sleep, self._freeze, self._prune, self._offline, self._silence])
        began = time.monotonic()
        length = self.minutes * 60
        chapter = sampled = 0.0
        for number in itertools.count():
            at = time.monotonic() - began
            if at >= length:
                return upstream
            upstream.round(number)
            self.waits.append(self.screen.wait(shows(upstream), f"change {upstream.changes}"))
            self.screen.browse(number)
            if at - sampled >= SAMPLE_SECONDS:
                sampled = at
                self.screen.wait(CONNECTED, "connected")
                self._sample(at, upstream)
            if number % SWARM_EVERY == 0:
                swarm(self.server.port)
            if number % CUT_EVERY == 0:
                self.relay.cut()
                self.cuts += 1
            if at - chapter >= min(CHAPTER_SECONDS, length / 10):
                chapter = at
                self._note(next(rare), upstream)
            if at >= length * (LONG_LIFE + (1 - LONG_LIFE) * self.server.restarts / RESTARTS):
                self._restart()
        raise AssertionError

    def _note(self, what: Callable[[Upstream], None], upstream: Upstream) -> None:
        self.chapters[what.__name__[1:]] = self.chapters.get(what.__name__[1:], 0) + 1
        what(upstream)
        self.screen.wait(CONNECTED, f"connected again after {what.__name__[1:]}")

    def _sleep(self, upstream: Upstream) -> None:
        sleep_a_laptop(self.browser, f"http://127.0.0.1:{self.server.port}", upstream)

    def _freeze(self, _: Upstream) -> None:
        self.screen.tools.send("Page.setWebLifecycleState", {"state": "frozen"})
        time.sleep(3)
        self.screen.tools.send("Page.setWebLifecycleState", {"state": "active"})

    def _prune(self, upstream: Upstream) -> None:
        upstream.prune()

    def _offline(self, _: Upstream) -> None:
        self.screen.context.set_offline(True)
        self.relay.cut()
        self.screen.page.wait_for_timeout(4000)
        self.screen.context.set_offline(False)

    def _silence(self, _: Upstream) -> None:
        self.relay.silent = True
        self.screen.wait(f"!({CONNECTED})", "the page notes that the line is silent")
        self.relay.silent = False
        self.relay.cut()

    def _restart(self) -> None:
        self.server.kill_a_worker()  # and the other a moment later, in order
        self.screen.page.wait_for_timeout(random.uniform(200, 3000))
        self.screen.wait(CONNECTED, "connected again after a worker was killed")
        self.server.stop()
        self.screen.page.wait_for_timeout(random.uniform(200, 3000))
        self.server.start()
        self.screen.wait(CONNECTED, "connected again after a restart")

    def _sample(self, at: float, upstream: Upstream) -> None:
        pids = self.server.pids()
        self.server.seen |= set(pids)
        browser = [pid for pid in children(os.getpid()) if b"chromium" in _proc(pid, "cmdline")]
        row = self.screen.sample() | {
            "t": round(at), "life": self.server.restarts, "changes": upstream.changes,
            "server": own_mib(pids), "files": counted(pids, "fd"), "threads": counted(pids, "task"),
            "held": self.server.held(), "browser": own_mib(browser), "shown": statistics.median(self.waits[-10:]),
            "load": os.getloadavg()[0],
        }  # fmt: skip
        self.rows.append(row)
        if self.out:
            self.out.write(json.dumps(row) + "\n")
            self.out.flush()


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """Print what each quantity did; return what grew."""
    print("\n| what | first | last | growth | allowed |\n| --- | --- | --- | --- | --- |")
    wrong = []
    for name, limit in LIMITS.items():
        chosen = [row for row in rows if not limit.life or row["life"] == 0]
        found = trend([row["t"] for row in chosen], [row[name] for row in chosen])
        if found is None:
            wrong.append(f"too few samples of {limit.unit}: run longer")
            continue
        print(
            f"| {limit.unit} | {found.first:.1f} | {found.last:.1f} | {found.growth:+.1f} | {limit.allowed:g} |"
        )
        if found.leaks(limit.allowed):
            wrong.append(f"{limit.unit} grew by {found.growth:.1f}; allowed are {limit.allowed:g}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    shared = Path(os.environ.get("SATUDATA_SHARED", HOUSE.parent / "shared"))
    parser.add_argument(
        "--shared-data", type=Path, default=shared / "data", help="real boundaries of Cianjur"
    )
    parser.add_argument("--out", type=argparse.FileType("w"), help="a file for the samples, as lines of JSON")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with deployed(folder, arguments.shared_data) as desk, chromium() as browser:
            server = Server(Deployment(folder), free_port())
            server.start()
            relay = Relay(server.port)
            try:
                screen = Screen(browser, f"http://127.0.0.1:{relay.port}")
                soak = Soak(desk, server, relay, screen, browser, arguments.minutes, arguments.out)
                upstream = soak.run()
                same = screen.page.evaluate("window.same === 1")
                report(soak, upstream)
                wrong = judge(soak.rows)
                wrong += [f"the page said: {one}" for one in screen.errors[:5]]
                wrong += [] if same else ["the page was loaded anew"]
            finally:
                relay.close()
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if wrong:
        raise SystemExit("FAILED:\n" + "\n".join(wrong))
    print("nothing grew")


def report(soak: Soak, upstream: Upstream) -> None:
    waits = sorted(soak.waits)
    print(
        f"{soak.minutes:g} minutes: {upstream.changes} changes of the catalog ({len(waits)} rounds, {upstream.answers} "
        f"answers, {upstream.failures} failed harvests), {soak.rows[-1]['drawn']:.0f} states drawn, {soak.screen.streams} "
        f"openings of the stream by one page, {soak.cuts} resets of the line, {soak.server.restarts} restarts (each after a killed worker), {soak.chapters}; "
        f"a change showed within {statistics.median(waits):.1f} s (median), {waits[int(len(waits) * 0.99)]:.1f} s (p99), "
        f"{waits[-1]:.1f} s (longest); load {statistics.median(row['load'] for row in soak.rows):.1f}"
    )


if __name__ == "__main__":
    main()
