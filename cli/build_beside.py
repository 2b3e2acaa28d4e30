"""Makes what is derived from layers (comparisons, tiles, files to take away) ready, beside the scheduler.

Whenever the catalog has moved, the builders run once as processes of their own, with low priority:
harvests and answers come first. What is ready already costs them a look.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from cli.app import App

log = logging.getLogger(__name__)
BUILDERS: tuple[tuple[str, ...], ...] = (
    ("reconcile", "run", "--due"),
    ("tiles", "build", "--all"),
    ("downloads", "build"),
)
_LOOK = 2.0
_NICE = 10


@contextmanager
def builders_beside(app: App) -> Iterator[None]:
    """Build from a thread that looks every two seconds, while in the context."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(app, stop), name="build", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


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
        if not stop.is_set():
            _run(app, builder, stop)


def _run(app: App, builder: Sequence[str], stop: threading.Event) -> None:
    command = [sys.executable, "-m", "cli.main", "--config", str(app.config_dir), "--data", str(app.data_dir)]
    child = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *builder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
    while child.poll() is None:
        if stop.wait(0.2):
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            return
    if child.returncode:
        log.warning("%s ended with code %s", " ".join(builder), child.returncode)
