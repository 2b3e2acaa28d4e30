"""Makes what is derived from layers (reconciliations, tiles, files to take away) ready, beside the scheduler.

Whenever the catalog or a source's file (which holds the styles) has moved, the builders run once as
processes of their own, with low priority: harvests and answers come first. What is ready already costs
them a look.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from pathlib import Path

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
    built: tuple[int, float] | None = None
    while not stop.wait(_LOOK):
        try:
            state = app.catalog.generation(), _edited(app.config_dir / "sources")
            if state != built:
                build_all(app, stop)
                built = state
        except Exception:
            log.exception("building failed; it is tried again when the catalog moves")


def _edited(folder: Path) -> float:
    """Return when a source's file was last changed, added or removed."""
    times = [path.stat().st_mtime for path in (folder, *folder.glob("*.y*ml")) if path.exists()]
    return max(times, default=0.0)


def build_all(app: App, stop: threading.Event) -> None:
    """Run the builders one after the other; end them when `stop` is set."""
    for builder in BUILDERS:
        if stop.is_set():
            return
        code = run(app, builder, stop, nice=_NICE)
        if code and not stop.is_set():
            log.warning("%s ended with code %s", " ".join(builder), code)
