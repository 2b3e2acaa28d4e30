"""The plain data classes of reconciliation: what is compared, the queue, decisions, corrections.

A fingerprint stands for all that both sides said of a difference. A decision holds while it is the
same; a correction is applied while the source still says what it said when the decision was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog.model import Scheme

ItemState = Literal["open", "decided", "closed"]
ITEM_STATES: tuple[ItemState, ...] = get_args(ItemState)
ItemNote = Literal["", "changed", "returned", "stale", "lapsed", "undone", "gone", "applied"]
"""Why an item is in its state: both sides changed, it came back, a correction no longer fits ..."""
Action = Literal["pakai_a", "pakai_b", "isi", "kode_menjadi", "wilayah_sama", "abaikan"]
"""What is decided: A is right, B is right, neither (a value is given), the code became another,
both codes are one region, or the difference is known and stays."""
ACTIONS: tuple[Action, ...] = get_args(Action)


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SideSpec(_Value):
    """One side: a dataset of the catalog or a file, and its columns of code, name and kecamatan name."""

    dataset: str | None = None
    file: str | None = None
    key: str
    name: str | None = None
    above: str | None = None
    scheme: Scheme | None = None
    vintage: int | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.dataset is None) == (self.file is None):
            raise ValueError("a side is a dataset or a file")
        return self


class ValueSpec(_Value):
    """A value that both sides have, and how far apart the two may be."""

    a: str
    b: str
    absolute: float = Field(default=0.0, ge=0)
    relative: float = Field(default=0.0, ge=0)


class Definition(_Value):
    """What a reconciliation compares."""

    a: SideSpec
    b: SideSpec
    values: tuple[ValueSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A defined reconciliation."""

    id: str
    definition: Definition
    by: str
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class ReconciliationRun:
    """One comparison: the versions compared, rows per class, and what became of the queue.

    `queue` has `opened`, `reopened`, `closed` (by this run) and `open`, `decided` (now).
    """

    number: int
    at: datetime
    by: str
    versions: dict[str, dict[str, Any]]
    counts: dict[str, int]
    queue: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference as a comparison found it; `key` is the same in every run."""

    key: str
    verdict: str
    code: str
    facts: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A difference in the queue; `run` is the last run that changed it."""

    key: str
    verdict: str
    code: str
    facts: dict[str, Any]
    fingerprint: str
    state: ItemState
    note: ItemNote
    decision: int | None
    run: int
    changed: datetime


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a dataset that a decision changes; `code` is the feature's region code, as a guard."""

    dataset_id: str
    feature_id: str
    field: str
    code_field: str
    code: str
    was: Any
    becomes: Any


@dataclass(frozen=True, slots=True)
class Choice:
    """What is decided about one item, and the cells it changes on the next harvest."""

    key: str
    action: Action
    details: dict[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what about which item, when and why; `undone_*` when it was taken back."""

    number: int
    key: str
    fingerprint: str
    facts: dict[str, Any]
    action: Action
    details: dict[str, Any]
    rule: int | None
    reason: str
    by: str
    at: datetime
    until: datetime | None
    undone_at: datetime | None
    undone_by: str
    undone_reason: str


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule as data: which items it fits (see `analysis.reconcile_decide.Rule`) and what it decides."""

    number: int
    fits: dict[str, Any]
    action: Action
    reason: str
    by: str
    at: datetime
    until: datetime | None
    undone_at: datetime | None
    undone_by: str
    undone_reason: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A cell that is put right on every harvest while the source still says `was`."""

    number: int
    decision: int
    cell: Cell
    stale_since: datetime | None = None
    applied: datetime | None = None
    run_id: str = ""
