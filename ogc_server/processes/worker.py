"""One job in a process of its own: `python -m ogc_server.processes.worker`, started by the runner.

Settings and the job's id come over standard input, so that no secret stands in the list of processes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

from catalog.errors import CancelledRunError, SatuDataError
from catalog.settings import Settings
from catalog.store import Catalog
from layers.open import open_store
from ogc_server.processes.desk import Bench, Desk
from ogc_server.processes.errors import ProcessFailedError
from ogc_server.processes.execute import reason_of, work_on
from ogc_server.processes.handing import taken_over
from ogc_server.processes.inputs import checked
from ogc_server.processes.papers import Paper, Papers, sealed
from ogc_server.processes.registry import find
from ogc_server.readers import Readers
from ogc_server.snapshot import Snapshot

LOGGER = logging.getLogger(__name__)
_BEAT = 1.0


class Heart:
    """Keeps the lease alive from a thread; ends this process when the job is not wanted any more."""

    def __init__(self, catalog: Catalog, job_id: str, lease_seconds: float) -> None:
        self._catalog, self._job, self._lease = catalog, job_id, lease_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self.progress = 0

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def report(self, done: int, total: int) -> None:
        """Take note of how far the work is."""
        self.progress = 100 * done // max(total, 1)

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT):
            try:
                self._catalog.jobs.heartbeat(self._job, lease_seconds=self._lease, progress=self.progress)
            except CancelledRunError:
                os._exit(0)  # long computations in C can not be asked to stop
            except Exception as error:
                LOGGER.warning("no heartbeat: %s", type(error).__name__)


def run(settings: Settings, job_id: str) -> None:
    """Do one job that is claimed already, and end it in whatever way it ends."""
    papers = Papers(settings)
    with Catalog.open(settings.database_url()) as catalog:
        readers = Readers(open_store(settings))
        bench = Desk(settings, catalog, readers)
        try:
            with Heart(catalog, job_id, settings.processes.lease_seconds) as heart:
                answer = _answer(bench, Snapshot.build(catalog), heart, papers.get(job_id), job_id)
            catalog.jobs.succeed(job_id, answer)
        except CancelledRunError:
            LOGGER.info("job %s is not wanted any more", job_id)
        except SatuDataError as error:
            catalog.jobs.fail(job_id, code=error.code, reason=reason_of(error))
        finally:
            papers.drop(job_id)
            readers.close()


def _answer(desk: Desk, snapshot: Snapshot, heart: Heart, asked: Paper | None, job_id: str) -> bytes:
    if asked is None:
        raise ProcessFailedError(where="inputs")
    process = find(desk.catalog.jobs.get(job_id).process_id)
    value = work_on(
        process, Bench(desk, snapshot, heart.report, job_id), checked(process.model, asked.inputs)
    )
    return sealed(_without_places(value), asked.form)


def _without_places(value: object) -> object:
    """Leave out coordinates that were asked: `usulan` repeats them repaired, and answers are kept."""
    if isinstance(value, list):
        return [_without_places(one) for one in value]
    if isinstance(value, dict) and "verdik" in value:
        return {name: one for name, one in value.items() if name != "usulan"}
    return value


def main() -> None:
    """Read what to do from standard input and do it."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(name)s %(message)s"
    )
    for talkative in ("alembic", "pygeoapi"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    said = json.load(sys.stdin)
    run(taken_over(said), said["job"])


if __name__ == "__main__":
    main()
