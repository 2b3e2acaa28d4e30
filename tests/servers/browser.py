"""A real Chromium, and a watch that a page asks no other host and says no error."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from tests.servers import PATIENCE, missing
from tests.servers import until as wait_until

ARGUMENTS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; WebGL by SwiftShader."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium", "apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)  # Playwright's own five seconds are few on a busy machine
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), timeout=PATIENCE * 1000
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file of tests.

    There can be one Playwright at a time in a process, and while it runs nothing else in this thread can
    have an event loop.
    """
    with chromium() as launched:
        yield launched


class Watch:
    """Takes note of what a page asks and says; `check` fails on another host, an error, a status >= 400."""

    def __init__(self, page: Page, base: str) -> None:
        self._base = base
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("response", lambda answer: self._status(answer.status, answer.url))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.wrong.append(text)

    def _status(self, status: int, url: str) -> None:
        if status >= 400:
            self.wrong.append(f"{status} {url}")

    def check(self) -> None:
        """Fail when something was wrong."""
        foreign = [url for url in self.asked if not url.startswith((self._base, "data:", "blob:"))]
        assert foreign == []
        assert self.wrong == []


def pixels(picture: bytes) -> npt.NDArray[np.uint8]:
    """Return a PNG as rows x columns x 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a screenshot has no place on earth
        with MemoryFile(io.BytesIO(picture)) as memory, memory.open() as image:
            bands: npt.NDArray[np.uint8] = image.read([1, 2, 3])
    return np.moveaxis(bands, 0, 2)


def until(page: Page, expression: str, seconds: float = PATIENCE) -> None:
    """Wait until JavaScript says so; from outside, as the pages' policy forbids `eval` inside."""
    wait_until(lambda: page.evaluate(expression), expression, seconds=seconds, pause=0.1)
