"""Starting sources when their `schedule` says so: jitter, quiet hours, never two runs of one source.

Each run is a process of its own, so that a crash (or a leak) in one harvest can not touch the server
or another harvest. The lease in the database keeps two machines from running one source at once.
"""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalog.clock import Clock, utc_now
from catalog.errors import ConfigError
from catalog.settings import Settings
from catalog.sources import SourceConfig
from harvesters.engine.engine import Engine
from harvesters.schedule.cron import QuietHours, next_time, trigger

log = logging.getLogger(__name__)
TICK = 1.0
REAP = timedelta(seconds=30)
RELOAD = timedelta(seconds=5)
GRACE = 15.0
"""Seconds that running harvests get to end when the scheduler stops."""


class Handle(Protocol):
    """A run under way."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        ...

    def terminate(self) -> None:
        """Ask it to stop."""
        ...

    def kill(self) -> None:
        """Stop it."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ...


type Launch = Callable[[SourceConfig], Handle]
type Sources = Sequence[SourceConfig] | Callable[[], Sequence[SourceConfig]]


def in_process_of_its_own(settings: Settings) -> Launch:
    """Return a launcher that runs `python -m harvesters.worker` per source."""

    def launch(source: SourceConfig) -> Handle:
        command = [
            sys.executable, "-m", "harvesters.worker", source.id,
            "--config", str(settings.config_dir), "--data", str(settings.data_dir),
        ]  # fmt: skip
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command

    return launch


@dataclass(slots=True)
class Plan:
    """When one source is due next. `due` includes jitter; `planned` is what cron said."""

    source: SourceConfig
    planned: datetime | None
    due: datetime | None


class Scheduler:
    """Call `tick` often (or `run`, which does). Nothing here sleeps or reads the clock by itself.

    `sources` may be a function: it is asked again every few seconds, so changed files are taken in.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        engine_factory: Callable[[], Engine],
        *,
        launch: Launch | None = None,
        clock: Clock = utc_now,
        dice: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._sources: Callable[[], Sequence[SourceConfig]] = (
            sources if callable(sources) else lambda: sources
        )
        self._runs, self._clock = engine_factory().catalog.runs, clock
        self._launch = launch or in_process_of_its_own(settings)
        self._dice = dice or random.Random()  # noqa: S311 - spreads load, guards nothing
        try:
            self._zone = ZoneInfo(settings.scheduler.timezone)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ConfigError(f"unknown time zone: {exc}", where="scheduler.timezone") from exc
        self._quiet = QuietHours(settings.scheduler.quiet_hours, self._zone)
        self._plans: dict[str, Plan] = {}
        self._running: dict[str, Handle] = {}
        self._reaped: datetime | None = None
        self._loaded: datetime | None = None

    # -- time goes on -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due now. An error in one source's plan or start never stops the others."""
        now = self._clock()
        self._collect()
        self._reap(now)
        self._reload(now)
        for plan in sorted(self._plans.values(), key=lambda p: (p.due or now, p.source.rank)):
            if plan.due is not None and plan.due <= now:
                self._due(plan, now)

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop`, then ask running harvests to end (they cancel cleanly) and wait a while."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception:
                log.exception("the scheduler stumbled; it goes on")
            stop.wait(TICK)
        self.shutdown()

    def shutdown(self) -> None:
        """End the harvests that this scheduler started."""
        for handle in self._running.values():
            handle.terminate()
        for source_id, handle in self._running.items():
            try:
                handle.wait(GRACE)
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop in time", source_id)
                handle.kill()
                handle.wait(GRACE)
        self._running.clear()

    def next_times(self) -> dict[str, datetime | None]:
        """Return when each scheduled source is due (aware)."""
        return {source_id: plan.due for source_id, plan in self._plans.items()}

    # -- parts of a tick --------------------------------------------------------------------------

    def _collect(self) -> None:
        for source_id, handle in list(self._running.items()):
            code = handle.poll()
            if code is not None:
                log.info("harvest of %s ended with exit code %s", source_id, code)
                del self._running[source_id]

    def _reap(self, now: datetime) -> None:
        if self._reaped is not None and now - self._reaped < REAP:
            return
        self._reaped = now
        try:
            for run in self._runs.reap():
                log.warning("run %s of %s stopped answering and was ended", run.id, run.source_id)
        except Exception:
            log.exception("could not end expired runs")

    def _reload(self, now: datetime) -> None:
        """Take in changed source files; a broken one leaves the plans as they were."""
        if self._loaded is not None and now - self._loaded < RELOAD:
            return
        self._loaded = now
        try:
            wanted = {s.id: s for s in self._sources() if s.enabled and s.schedule}
        except Exception as exc:
            log.error("sources were not reloaded: %s", exc)
            return
        for source_id in self._plans.keys() - wanted.keys():
            del self._plans[source_id]
        for source_id, source in wanted.items():
            known = self._plans.get(source_id)
            if known is None or known.source.schedule != source.schedule:
                self._plan(source, now)
            else:
                known.source = source

    def _plan(self, source: SourceConfig, now: datetime) -> None:
        """Plan a new source: a start that was missed while nobody scheduled is made up for."""
        try:
            last = self._runs.last(source.id)
            base = last.started if last is not None and last.started < now else now
            self._plans[source.id] = self._after(source, base, now)
        except Exception as exc:
            log.error("source %s is not scheduled: %s", source.id, exc)
            self._plans.pop(source.id, None)

    def _after(self, source: SourceConfig, base: datetime, now: datetime) -> Plan:
        planned = next_time(trigger(source.schedule or "", self._zone), base)
        if planned is None:
            return Plan(source, None, None)
        spread = 0 if _urgent(source) else self._settings.scheduler.jitter_seconds
        jitter = timedelta(seconds=self._dice.uniform(0, spread))
        return Plan(source, planned, max(planned, now) + jitter)

    def _due(self, plan: Plan, now: datetime) -> None:
        urgent = _urgent(plan.source)
        quiet = self._quiet.end(now)
        if quiet is not None and not urgent:
            jitter = timedelta(seconds=self._dice.uniform(0, self._settings.scheduler.jitter_seconds))
            plan.due = quiet + jitter
            return
        if plan.source.id in self._running:  # still at it: this turn is skipped, not queued
            log.log(
                logging.DEBUG if urgent else logging.WARNING,
                "%s is due again and still running",
                plan.source.id,
            )
            self._plans[plan.source.id] = self._after(plan.source, now, now)
            return
        if not urgent and self._busy() >= self._settings.scheduler.workers:
            return
        self._plans[plan.source.id] = self._after(plan.source, now, now)
        try:
            self._running[plan.source.id] = self._launch(plan.source)
        except Exception:
            log.exception("could not start the harvest of %s", plan.source.id)

    def _busy(self) -> int:
        """Return how many runs count against `scheduler.workers`."""
        return sum(not (one in self._plans and _urgent(self._plans[one].source)) for one in self._running)


def _urgent(source: SourceConfig) -> bool:
    """Tell a feed of warnings (`@every 30s`): it waits for no quiet hours, no jitter and no other harvest."""
    return (source.schedule or "").startswith("@")
