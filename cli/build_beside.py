"""Makes what is derived from layers (reconciliations, tiles, files to take away) ready, beside the scheduler.

Whenever the catalog has moved, the builders run once as processes of their own, with low priority:
harvests and answers come first. What is ready already costs them a look.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager

from cli.app import App
from cli.beside import beside, run

log = logging.getLogger(__name__)
BUILDERS: tuple[tuple[str, ...], ...] = (
    ("reconcile", "run", "--due"),
    ("tiles", "build", "--all"),
    ("downloads", "build"),
)
_LOOK = 2.0
_NICE = 10


def builders_beside(app: App) -> AbstractContextManager[None]:
    """Build from a thread that looks every two seconds, while in the context."""
    return beside("build", lambda stop: _watch(app, stop))


def _watch(app: App, stop: threading.Event) -> None:
    built = -1
    while not stop.wait(_LOOK):
        try:
            generation = app.catalog.generation()
            if generation != built:
                build_all(app, stop)
                built = generation
        except Exception:
            log.exception("building failed; it is tried again when the catalog moves")


def build_all(app: App, stop: threading.Event) -> None:
    """Run the builders one after the other; end them when `stop` is set."""
    for builder in BUILDERS:
        if stop.is_set():
            return
        code = run(app, builder, stop, nice=_NICE)
        if code and not stop.is_set():
            log.warning("%s ended with code %s", " ".join(builder), code)
