"""Watches, beside the scheduler or after a harvest, whether events wait, and has them answered.

The answer runs in a process of its own, as harvests do: whatever happens in it, the harvests go on.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager

from cli.app import App
from cli.beside import beside, run

log = logging.getLogger(__name__)
_LOOK, _AFTER_FAILURE = 1.0, 15.0


def responder_beside(app: App) -> AbstractContextManager[None]:
    """Answer events from a thread that looks once a second, while in the context."""
    return beside("respond", lambda stop: _watch(app, stop))


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
    code = run(app, ("respond", "--pending"), stop)
    if code:
        log.warning("answering events ended with code %s", code)
    return code
