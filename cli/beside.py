"""Work beside a command: a thread that looks again and again, and children of our own program.

Whatever happens in a child, those beside it go on; none is left behind when its parent stops.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from cli.app import App
from cli.signals import PARENT

_GRACE = 10.0
_STDERR = 2


@contextmanager
def beside(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` in a thread while in the context; it ends when its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * _GRACE)


def command(app: App, *arguments: str) -> list[str]:
    """Return the command line of our own program with the same folders."""
    folders = ("--config", str(app.config_dir), "--data", str(app.data_dir))
    return [sys.executable, "-m", "cli.main", *folders, *arguments]


def run(app: App, arguments: Sequence[str], stop: threading.Event, *, nice: int = 0) -> int:
    """Run a command of ours to its end and return its exit code; end it when `stop` is set.

    Its words go to standard error: standard output may be the JSON of a command. A `nice` child is
    background work: it says nothing and gives way to others. It ends with us, not with whose child we are.
    """
    words = subprocess.DEVNULL if nice else _STDERR
    environment = {**os.environ, PARENT: str(os.getpid())}
    child = subprocess.Popen(  # noqa: S603 - our own command
        command(app, *arguments), stdin=subprocess.DEVNULL, stdout=words, env=environment
    )
    if nice:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, nice)
    while child.poll() is None:
        if stop.wait(0.2):
            end(child)
    return child.returncode


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to stop, and make it when it does not."""
    child.terminate()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
