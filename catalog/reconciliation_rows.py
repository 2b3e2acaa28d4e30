"""Which decisions hold: taken, not undone, not past their date, none of their corrections stale."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from catalog.tables import corrections
from catalog.tables import reconciliation_decisions as decisions

LINK = "wilayah_sama"
"""The action that declares two codes one region."""


@dataclass(slots=True)
class Holding:
    """Decisions that hold, newest first per item; `acting` are the items whose decision changes data."""

    by_item: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    acting: set[str] = field(default_factory=set)

    def of(self, key: str, fingerprint: str) -> int | None:
        """Return the newest decision about an item as it stands now."""
        return next((number for number, about in self.by_item.get(key, []) if about == fingerprint), None)


def in_force(now: datetime) -> sa.ColumnElement[bool]:
    """Select decisions that were not undone and are not past their date."""
    c = decisions.c
    return c.undone_at.is_(None) & (c.until.is_(None) | (c.until > now))


def active(now: datetime) -> sa.ColumnElement[bool]:
    """Select corrections (joined with their decisions) that the next harvest tries."""
    return corrections.c.ended.is_(None) & corrections.c.superseded_by.is_(None) & in_force(now)


def holding_of(connection: sa.Connection, id_: str, now: datetime) -> Holding:
    """Read which decisions of a reconciliation hold."""
    c = decisions.c
    joined = corrections.join(decisions, corrections.c.decision == c.number)
    of_this = sa.select(corrections.c.decision, corrections.c.stale_since).select_from(joined)
    acting: set[int] = set()
    stale: set[int] = set()
    for number, since in connection.execute(of_this.where(c.reconciliation_id == id_, active(now))):
        (acting if since is None else stale).add(number)
    query = sa.select(c.number, c.item_key, c.fingerprint, c.action).where(c.reconciliation_id == id_)
    found = Holding()
    for row in connection.execute(query.where(in_force(now)).order_by(c.number.desc())):
        if row.number not in stale:
            found.by_item[row.item_key].append((row.number, row.fingerprint))
            if row.number in acting or row.action == LINK:
                found.acting.add(row.item_key)
    return found
