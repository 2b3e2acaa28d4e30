"""Runs the soak and tells what it found."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

import benchmarks.soak
from benchmarks.measure import children
from benchmarks.soak.processes import counted, own_mib, proc
from benchmarks.soak.relay import Relay
from benchmarks.soak.screen import CONNECTED, Screen, shows, sleep_a_laptop, swarm
from benchmarks.soak.server import Server
from benchmarks.soak.upstream import Upstream, deployed
from benchmarks.soak.verdict import judge
from tests.response import world as response
from tests.servers import free_port
from tests.servers.browser import chromium
from tests.servers.ours import HOUSE, Deployment

RESTARTS = 6
LONG_LIFE = 0.6
"""The part of the run that the first server process lives; the restarts share the rest."""
CUT_EVERY, SWARM_EVERY = 2, 10
CHAPTER_SECONDS = 120.0
"""How often something rarer happens: silence, sleep, freezing, pruning, in turn."""
SAMPLE_SECONDS = 10.0


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
        browser = [pid for pid in children(os.getpid()) if b"chromium" in proc(pid, "cmdline")]
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=benchmarks.soak.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
