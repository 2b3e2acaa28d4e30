"""Starts waiting jobs in processes of their own, outside of any request, and ends what nobody works on.

Every server process has one runner; the catalog database shares the jobs out. A job's process keeps its
own lease alive, so it finishes also when the server is killed; when the server stops in order, its jobs
are given back and started again by the next one.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import timedelta

from catalog.clock import Clock
from catalog.errors import CancelledRunError, NotFoundError
from catalog.jobs import OPEN, Job, JobState
from catalog.settings import Settings
from catalog.store import Catalog
from ogc_server.processes.handing import handed
from ogc_server.processes.papers import Papers
from ogc_server.processes.register import clear_parts

LOGGER = logging.getLogger(__name__)
_PAUSE = 0.25
_ENDED = "worker-ended"
_TIDY_EVERY = 40
"""Rounds between looking for expired leases and old jobs: 10 s."""


class Runner:
    """The jobs that this server process has started."""

    def __init__(self, settings: Settings, catalog: Catalog, clock: Clock) -> None:
        self._settings, self._catalog, self._clock = settings, catalog, clock
        self._papers = Papers(settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._rounds = 0

    def start(self) -> None:
        """Begin to look for jobs."""
        if self._settings.processes.workers:
            self._thread.start()

    def stop(self) -> None:
        """Stop the jobs of this server; they wait for the next one."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        for job_id, child in self._children.items():
            _kill(child)
            with suppress(CancelledRunError):
                self._catalog.jobs.give_back(job_id)
        self._children.clear()

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE):
            try:
                self.round()
            except Exception as error:
                # the next round tries again; a database that is away must not end the runner
                LOGGER.error("jobs: %s", type(error).__name__)

    def round(self) -> None:
        """Look once: children that ended or must end, leases, waiting jobs."""
        for job_id, child in list(self._children.items()):
            self._watch(job_id, child)
        if self._rounds % _TIDY_EVERY == 0:
            self._tidy()
        self._rounds += 1
        free = self._settings.processes.workers - len(self._children)
        if free > 0 and self._catalog.jobs.waiting():
            self._begin()

    def _watch(self, job_id: str, child: subprocess.Popen[bytes]) -> None:
        try:
            job = self._catalog.jobs.get(job_id)
        except NotFoundError:
            job = None
        running = job is not None and job.state is JobState.RUNNING
        if child.poll() is None and running:
            return
        _kill(child)
        del self._children[job_id]
        # it has ended without a word: killed, out of memory
        if job is not None and running and self._again(job, child.returncode):
            return
        self._papers.drop(job_id)
        self._clear_parts()

    def _again(self, job: Job, returned: int) -> bool:
        """Let a job wait once more whose worker died; the second time it fails. Tell whether it waits.

        That is safe: its inputs are kept until it ends, answers are written at once or not at all, and a
        register goes on with its parts.
        """
        once = job.code != _ENDED and self._papers.get(job.id) is not None
        with suppress(CancelledRunError):
            if once:
                self._catalog.jobs.give_back(job.id, code=_ENDED)
                LOGGER.warning("job %s: the worker ended with code %s; once more", job.id, returned)
                return True
            self._catalog.jobs.fail(job.id, code=_ENDED, reason=f"the worker ended with code {returned}")
        return False

    def _tidy(self) -> None:
        self._catalog.jobs.reap()
        keep = timedelta(hours=self._settings.processes.keep_hours)
        self._catalog.jobs.prune(self._clock() - keep)
        for job_id in self._papers.ids():
            with suppress(NotFoundError):
                if self._catalog.jobs.get(job_id).state not in OPEN:
                    self._papers.drop(job_id)
        self._clear_parts()

    def _clear_parts(self) -> None:
        clear_parts(self._catalog, self._settings.processes.registers)

    def _begin(self) -> None:
        lease = self._settings.processes.lease_seconds
        job = self._catalog.jobs.claim(self._worker, lease_seconds=lease)
        if job is None:
            return
        command = [sys.executable, "-m", "ogc_server.processes.worker"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - our own command
        self._children[job.id] = child
        if child.stdin is not None:
            with suppress(BrokenPipeError), child.stdin as pipe:  # _watch sees a child that died at once
                pipe.write(json.dumps(handed(self._settings, job=job.id)).encode())


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
