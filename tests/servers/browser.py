"""A real Chromium, and a watch that a page asks no other host and says no error."""

from __future__ import annotations

import io
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, Page, sync_playwright
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from tests.servers import missing

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
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


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


def until(page: Page, expression: str, seconds: float = 60) -> None:
    """Wait until JavaScript says so; from outside, as the pages' policy forbids `eval` inside."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        time.sleep(0.1)
