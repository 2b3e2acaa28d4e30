"""The book of corrections: cells that stewards' decisions put right on every later harvest.

A correction says what the source said (`was`). While it still does, the cell becomes what was
decided; when the source says something else, the correction is stale, is not applied, and the
difference is back in the queue: curation lasts and never hides a newer truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any

import orjson
import sqlalchemy as sa

from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.database import Database
from catalog.reconciliation_model import Cell, Correction
from catalog.reconciliation_rows import active
from catalog.tables import corrections
from catalog.tables import reconciliation_decisions as decisions
from catalog.tables import reconciliation_items as items

_BATCH = 500
_JOINED = corrections.join(decisions, corrections.c.decision == decisions.c.number)


class CorrectionBook:
    """Reads corrections, and notes what a harvest did with them."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def active(self, dataset_id: str) -> Sequence[Correction]:
        """Return the corrections that a harvest of the dataset tries, also those that are stale now."""
        return self._select(corrections.c.dataset_id == dataset_id, active(self._clock()))

    def of_decision(self, number: int) -> Sequence[Correction]:
        """Return the corrections that a decision made, also ended ones."""
        return self._select(corrections.c.decision == number)

    def digest(self, dataset_id: str) -> str:
        """Name the corrections of a dataset: when it changes, all is fetched again. Empty without any."""
        found = [(one.cell.feature_id, one.cell.field, one.cell.code, one.cell.was, one.cell.becomes)
                 for one in self.active(dataset_id)]  # fmt: skip
        return hashlib.sha256(orjson.dumps(sorted(found, key=repr))).hexdigest()[:20] if found else ""

    def noted(self, dataset_id: str, *, applied: Iterable[int], stale: Iterable[int], run_id: str) -> None:
        """Remember what a harvest applied and what no longer fits; the latter's items are opened again."""
        now = self._clock()
        with self._db.write() as connection:
            for part in batched(applied, _BATCH, strict=False):
                query = corrections.update().where(corrections.c.number.in_(part))
                connection.execute(query.values(applied=now, run_id=run_id, stale_since=None))
            fresh = [
                number
                for part in batched(stale, _BATCH, strict=False)
                for number in connection.scalars(
                    sa.select(corrections.c.number).where(
                        corrections.c.number.in_(part), corrections.c.stale_since.is_(None)
                    )
                )
            ]
            for part in batched(fresh, _BATCH, strict=False):
                query = corrections.update().where(corrections.c.number.in_(part))
                connection.execute(query.values(stale_since=now, run_id=run_id))
                self._reopen(connection, part)
            if fresh:
                details = {"corrections": len(fresh), "run": run_id}
                self._audit.write(
                    connection, "reconcile.stale", dataset_id, by=f"harvest:{run_id}", details=details
                )

    def _reopen(self, connection: sa.Connection, numbers: Sequence[int]) -> None:
        c = decisions.c
        about = sa.select(c.reconciliation_id, c.item_key).select_from(_JOINED)
        touched = {tuple(row) for row in connection.execute(about.where(corrections.c.number.in_(numbers)))}
        for id_, key in touched:
            query = items.update().where(items.c.reconciliation_id == id_, items.c.key == key)
            connection.execute(query.values(state="open", note="stale", decision=None, changed=self._clock()))

    def _select(self, *where: sa.ColumnElement[bool]) -> Sequence[Correction]:
        query = sa.select(corrections).select_from(_JOINED).where(*where).order_by(corrections.c.number)
        with self._db.read() as connection:
            return [_correction(row) for row in connection.execute(query)]


def _correction(row: sa.Row[Any]) -> Correction:
    cell = Cell(
        row.dataset_id, row.feature_id, row.field, row.code_field, row.code, row.was, row.becomes
    )  # fmt: skip
    return Correction(row.number, row.decision, cell, row.stale_since, row.applied, row.run_id)
