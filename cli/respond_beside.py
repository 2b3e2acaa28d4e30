"""Watches, beside the scheduler or after a harvest, whether events wait, and has them answered.

The answer runs in a process of its own, as harvests do: whatever happens in it, the harvests go on.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cli.app import App

log = logging.getLogger(__name__)
_LOOK, _AFTER_FAILURE = 1.0, 15.0
_STDERR = 2
"""Where the child's words go: standard output may be the JSON of `satudata harvest --json`."""


@contextmanager
def responder_beside(app: App) -> Iterator[None]:
    """Answer events from a thread that looks once a second, while in the context."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(app, stop), name="respond", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


def _watch(app: App, stop: threading.Event) -> None:
    from ogc_server.response.responder import Responder  # heavy; not for --help

    responder = Responder(app.settings, app.catalog, app.store)
    pause, warmed = _LOOK, ""
    while not stop.wait(pause):
        pause = _LOOK
        try:
            cold = responder.cold()
            if not responder.pending() and cold in ("", warmed):
                continue
            warmed = cold
            failed = answer(app, stop)
            if failed or responder.pending():  # not at once again: something does not get better by itself
                pause = _AFTER_FAILURE
        except Exception:
            log.exception("looking for events failed; it goes on")
            pause = _AFTER_FAILURE


def answer_waiting(app: App, stop: threading.Event) -> None:
    """Answer what waits after a harvest by hand; what fails is reported and waits."""
    if not app.settings.response.enabled:
        return
    from ogc_server.response.responder import Responder

    if Responder(app.settings, app.catalog, app.store).pending():
        answer(app, stop)


def answer(app: App, stop: threading.Event) -> int:
    """Run `satudata respond --pending`; end it when `stop` is set. Return its exit code."""
    command = [sys.executable, "-m", "cli.main", "--config", str(app.config_dir), "--data", str(app.data_dir)]
    child = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "respond", "--pending"], stdin=subprocess.DEVNULL, stdout=_STDERR
    )
    while child.poll() is None:
        if stop.wait(0.2):
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    if child.returncode:
        log.warning("answering events ended with code %s", child.returncode)
    return child.returncode
