"""How soon the map shows on a slow line: `python -m benchmarks.viewer --base http://127.0.0.1:8000`.

A real Chromium (WebGL in software) opens `/peta` of a running server with an empty cache, on a line as
Lighthouse's "slow 4G" has it, on a phone and on a desk. Two moments count: the *first picture* of the
basemap on screen (the page's own mark, or the browser's first contentful paint if that is later), and the
*whole map*, when MapLibre has drawn all of the basemap. Each page must end with the picture gone and the map
there, else the run fails. Medians of the runs; the first, which warms the server, is left out. What does not
depend on how busy the machine is: requests and bytes that the whole map had to wait for.
"""

from __future__ import annotations

import argparse
import os
import statistics
from dataclasses import dataclass

from playwright.sync_api import Browser

from tests.servers.browser import chromium


@dataclass(frozen=True, slots=True)
class Line:
    """A line to the server: milliseconds before each answer begins, kbit/s down and up."""

    name: str
    latency: float
    down: float
    up: float


# lighthouse/core/config/constants.js, mobileSlow4G: what it simulates, and what it asks of DevTools
LINES = (
    Line("slow 4G: 150 ms, 1.6 Mbit/s", 150, 1_638.4, 750),
    Line("slow 4G as DevTools applies it: 562 ms a request, 1.4 Mbit/s", 562.5, 1_474.56, 675),
)
SCREENS = {"phone": (390, 800), "desk": (1366, 768)}
_WAITED = """(() => {
    const end = performance.getEntriesByName("map-complete")[0].startTime;
    const had = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter((e) => e.responseEnd && e.responseEnd <= end && e.name.startsWith("http"));
    return [had.length, had.reduce((sum, e) => sum + e.transferSize, 0)];
})()"""
_MARKS = """Object.fromEntries(performance.getEntries().filter((e) => ["mark", "paint"].includes(e.entryType))
    .map((e) => [e.name, e.startTime]))"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One page: milliseconds to the first picture and to the whole map; what had come until then; all bytes."""

    picture: float
    whole: float
    requests: int
    waited: float
    size: float


def opened(browser: Browser, url: str, line: Line, size: tuple[int, int], slowdown: float) -> Seen:
    """Open the map once with nothing in the cache."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    told = context.new_cdp_session(page)
    told.send("Network.enable")
    told.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": line.latency,
            "downloadThroughput": line.down * 1000 / 8,
            "uploadThroughput": line.up * 1000 / 8,
        },
    )
    if slowdown > 1:
        told.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    received: list[float] = []
    told.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#map[data-ready]", timeout=120_000)
    if page.locator("#first").count():
        raise SystemExit("the first picture still lies over the map")
    marks = page.evaluate(_MARKS)
    requests, waited = page.evaluate(_WAITED)
    context.close()
    picture = max(marks["map-first-paint"], marks["first-contentful-paint"])
    return Seen(picture, marks["map-complete"], requests, waited, sum(received))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--base", default="http://127.0.0.1:8000", help="a running server, such as `make run`"
    )
    parser.add_argument("--at", default="", help="the view, as the map's address has it: #map=10/-7/107&l=")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--cpu", type=float, default=1, help="make the page's processor so many times slower")
    arguments = parser.parse_args()
    print("| line | screen | first picture | whole map | requests, kB until then | kB in all | load |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with chromium() as browser:
        for line in LINES:
            for screen, size in SCREENS.items():
                url = f"{arguments.base}/peta{arguments.at}"
                seen = [opened(browser, url, line, size, arguments.cpu) for _ in range(arguments.runs + 1)][
                    1:
                ]
                picture, whole, requests, waited, sent = (
                    [getattr(one, name) for one in seen]
                    for name in ("picture", "whole", "requests", "waited", "size")
                )
                print(
                    f"| {line.name} | {screen} | {show(picture)} | {show(whole)} "
                    f"| {statistics.median(requests):.0f}, {statistics.median(waited) / 1000:.0f} "
                    f"| {statistics.median(sent) / 1000:.0f} | {os.getloadavg()[0]:.1f} |",
                    flush=True,
                )


def show(times: list[float]) -> str:
    """Return the median and the range in seconds."""
    return f"{statistics.median(times) / 1000:.2f} s ({min(times) / 1000:.2f}-{max(times) / 1000:.2f})"


if __name__ == "__main__":
    main()
