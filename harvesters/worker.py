"""One harvest in a process of its own: `python -m harvesters.worker SOURCE --config DIR --data DIR`.

SIGTERM and SIGINT cancel the run cleanly. The exit code is that of `satudata harvest`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from catalog.config import load_settings, load_sources
from catalog.errors import NotFoundError, SatuDataError
from catalog.model import RunState
from harvesters.engine.engine import opened
from harvesters.privacy.texts import redact

log = logging.getLogger(__name__)
_EXIT = {RunState.OK: 0, RunState.UNCHANGED: 0, RunState.HELD: 5}


def harvest(source_id: str, config: Path, data: Path, trigger: str, cancel: threading.Event) -> int:
    """Run one source; return the exit code."""
    settings = load_settings(config, data)
    source = next((s for s in load_sources(config) if s.id == source_id), None)
    if source is None:
        raise NotFoundError(f"no source {source_id!r}", where=str(config))
    with opened(settings) as engine:
        run = engine.run(source, trigger=trigger, cancel=cancel)
    log.info("run %s of %s: %s %s", run.id, source_id, run.state.value, run.reason)
    return _EXIT.get(run.state, 3)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="harvesters.worker", description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trigger", default="schedule")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    cancel = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cancel.set())
    try:
        return harvest(given.source, given.config, given.data, given.trigger, cancel)
    except SatuDataError as error:
        log.error("%s: %s", given.source, redact(str(error)))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
