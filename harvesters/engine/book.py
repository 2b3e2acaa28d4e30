"""Where a run is written: in the catalog, or (dry run) nowhere but in memory.

Whatever is written here is redacted: messages quote ids and values of the source, which may tell of
persons.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from secrets import token_hex
from typing import Any, Protocol

from catalog.clock import Clock
from catalog.model import Counts, ItemError, RunState
from catalog.runs import Phase, Run
from catalog.store import Catalog
from harvesters.privacy.texts import redact, redacted, without_numbers


class Book(Protocol):
    """What the engine tells of a run as it goes."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    def beat(self) -> bool:
        """Extend the lease; True when cancel was asked; CancelledRunError when the lease is lost."""
        ...

    def phase(self, phase: Phase) -> None:
        """Note the phase."""
        ...

    def counts(self, layer_id: str, counts: Counts) -> None:
        """Set a layer's counts."""
        ...

    def errors(self, errors: Iterable[ItemError], layer_id: str) -> None:
        """Add item errors."""
        ...

    def finish(self, state: RunState, reason: str, code: str, details: dict[str, Any]) -> Run:
        """Write the terminal state."""
        ...


def worker_name() -> str:
    """Name this process for people who look for it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _redacted(error: ItemError) -> ItemError:
    return replace(
        error,
        message=redact(error.message),
        remote_id=redact(error.remote_id),
        url=without_numbers(error.url),
    )


class LiveBook:
    """Writes to the catalog; equal phases in a row are written once."""

    def __init__(self, catalog: Catalog, source_id: str, lease_seconds: float, trigger: str) -> None:
        self._runs = catalog.runs
        self._run = self._runs.start(
            source_id, lease_seconds=lease_seconds, trigger=trigger, worker=worker_name()
        )
        self._phase: Phase = "lease"

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.id

    def beat(self) -> bool:
        """Extend the lease."""
        return self._runs.heartbeat(self.run_id)

    def phase(self, phase: Phase) -> None:
        """Note the phase."""
        if phase != self._phase:
            self._runs.phase(self.run_id, phase)
            self._phase = phase

    def counts(self, layer_id: str, counts: Counts) -> None:
        """Set a layer's counts."""
        self._runs.counts(self.run_id, redact(layer_id), counts)

    def errors(self, errors: Iterable[ItemError], layer_id: str) -> None:
        """Add item errors."""
        self._runs.errors_add(self.run_id, map(_redacted, errors), redact(layer_id))

    def finish(self, state: RunState, reason: str, code: str, details: dict[str, Any]) -> Run:
        """Write the terminal state."""
        return self._runs.finish(
            self.run_id, state, reason=redact(reason), code=code, details=redacted(details)
        )


@dataclass(slots=True)
class DryBook:
    """Keeps all in memory."""

    source_id: str
    clock: Clock
    trigger: str
    run_id: str = field(default_factory=lambda: f"dry-{token_hex(4)}")
    at: Phase = "lease"
    layers: dict[str, Counts] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)

    def beat(self) -> bool:
        """Nobody else can cancel a dry run."""
        return False

    def phase(self, phase: Phase) -> None:
        """Note the phase."""
        self.at = phase

    def counts(self, layer_id: str, counts: Counts) -> None:
        """Set a layer's counts."""
        self.layers[redact(layer_id)] = counts

    def errors(self, errors: Iterable[ItemError], layer_id: str) -> None:
        """Keep item errors for the run's details."""
        self.items += [
            {"layer": redact(layer_id), "code": e.code, "message": e.message, "remote_id": e.remote_id,
             "severity": e.severity} for e in map(_redacted, errors)
        ]  # fmt: skip

    def finish(self, state: RunState, reason: str, code: str, details: dict[str, Any]) -> Run:
        """Return the run that would have been."""
        now, total = self.clock(), Counts()
        for counts in self.layers.values():
            total.add(counts)
        return Run(
            id=self.run_id, source_id=self.source_id, state=state, phase=self.at, started=now, finished=now,
            heartbeat=now, lease_until=now + timedelta(0), counts=total, layers=self.layers,
            reason=redact(reason), code=code, trigger=self.trigger, worker=worker_name(),
            details={**redacted(details), "dry_run": True, "errors": self.items[:200]},
        )  # fmt: skip
