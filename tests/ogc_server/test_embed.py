"""The embed in a page of another host: one script, one element; and the examples of the docs."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, fill, make_settings, open_world
from tests.servers.browser import Watch, pixels, until


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve a folder as another site would."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("sisip")))
    fill(made, shared_data, ("desa", "gudang"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[str]:
    with running(world) as url:
        yield url


def test_one_script_and_one_element_show_the_layer(browser: Browser, base: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        f'<!doctype html><title>x</title><link rel="icon" href="data:,"><script src="{base}/static/embed.js" async></script>'
        '<satudata-peta lapisan="desa,gudang" pusat="107.13,-6.95" zoom="10" style="height: 400px"></satudata-peta>'
        "<script>addEventListener('pilih', () => {}, true)</script>"
    )
    with site(tmp_path) as other:
        page = browser.new_page(viewport={"width": 600, "height": 450})
        watch = Watch(page, base)
        page.goto(other)
        until(page, "Boolean(document.querySelector('satudata-peta[data-ready]'))")
        picture = pixels(page.locator("satudata-peta").screenshot())
        assert len(np.unique(picture.reshape(-1, 3) // 32, axis=0)) > 4
        centre = picture[190:210, 290:310].reshape(-1, 3).mean(axis=0)
        assert centre[2] > centre[0] + 40  # the layer's blue
        page.evaluate(
            "document.querySelector('satudata-peta').addEventListener('pilih', (e) => { window.told = e.detail; })"
        )
        page.mouse.click(300, 150)
        until(page, "Boolean(window.told)")
        told = page.evaluate("window.told")
        assert told["collection"] == "desa"
        assert re.fullmatch(r"32\.03\.\d\d\.\d{4}", told["id"])
        expect(page.locator("satudata-peta dl")).to_be_visible()
        page.evaluate("document.querySelector('satudata-peta').remove()")
        assert [url for url in watch.asked if not url.startswith((base, other, "data:", "blob:"))] == []
        assert watch.wrong == []
        page.close()


def test_a_layer_that_is_not_there_is_said(browser: Browser, base: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        f'<script src="{base}/static/embed.js"></script><satudata-peta lapisan="tidak-ada" bahasa="en"></satudata-peta>'
    )
    with site(tmp_path) as other:
        page = browser.new_page()
        page.goto(other)
        expect(page.locator("satudata-peta")).to_contain_text("The map could not be loaded")
        page.close()
