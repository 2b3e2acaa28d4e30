"""What became of each dataset of a run, and of the run as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from catalog.model import RunState

ORDER = (
    RunState.UNCHANGED,
    RunState.OK,
    RunState.HELD,
    RunState.INCOMPLETE,
    RunState.FAILED,
    RunState.CANCELLED,
)
"""From best to worst: a run's state is the worst of its datasets' (ok beats unchanged)."""
_MAX_DETAILS = 200


@dataclass(slots=True)
class LayerResult:
    """How one dataset ended. `guards` are the reasons of a hold."""

    layer_id: str
    state: RunState
    code: str = ""
    reason: str = ""
    version: int | None = None
    guards: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return what is kept with the run."""
        facts = {
            "state": self.state.value, "code": self.code, "reason": self.reason, "version": self.version,
            "guards": self.guards, **self.notes,
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value not in ("", None, [], {})}


@dataclass(slots=True)
class Results:
    """All of a run's results; thousands of good records are only counted."""

    worst: RunState = RunState.UNCHANGED
    code: str = ""
    reason: str = ""
    published: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, result: LayerResult, *, keep: bool = True) -> None:
        """Take in one dataset's result; `keep` its details (else only when it is not good)."""
        self.counted[result.state.value] = self.counted.get(result.state.value, 0) + 1
        good = result.state in (RunState.OK, RunState.UNCHANGED)
        if result.state is RunState.OK:
            self.published.append(result.layer_id)
        if (keep or not good) and len(self.layers) < _MAX_DETAILS:
            self.layers[result.layer_id] = result.details()
        self.note(result.state, result.code, f"{result.layer_id}: {result.reason}" if result.reason else "")

    def note(self, state: RunState, code: str, reason: str) -> None:
        """Let the run's state be no better than this."""
        if ORDER.index(state) > ORDER.index(self.worst):
            self.worst, self.code, self.reason = state, code, reason

    def complete(self) -> bool:
        """Tell whether nothing failed or is incomplete: only then may missing datasets be withdrawn."""
        return ORDER.index(self.worst) <= ORDER.index(RunState.HELD)

    def details(self) -> dict[str, Any]:
        """Return what is kept with the run."""
        return {"datasets": self.layers, "states": self.counted}
