"""The book of stewards' decisions about differences: one by one or by rule, explained, undone.

Nothing is deleted: undoing is recorded too, and what held before holds again. A decision holds while
both sides say what they said when it was taken, and until its date, if it has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalog.audit import AuditLog, clean
from catalog.clock import Clock
from catalog.database import Database, lock
from catalog.errors import NotFoundError, QueryError
from catalog.reconciliation_model import Action, Cell, Choice, Decision, RuleEntry
from catalog.reconciliation_rows import LINK, active, holding_of, in_force
from catalog.tables import corrections
from catalog.tables import reconciliation_decisions as decisions
from catalog.tables import reconciliation_items as items
from catalog.tables import reconciliation_rules as rules

_NOT_UNDONE: dict[str, Any] = {"undone_at": None, "undone_by": "", "undone_reason": ""}


class DecisionBook:
    """Writes and reads decisions and rules. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def decide(
        self,
        id_: str,
        choices: Sequence[Choice],
        *,
        by: str,
        reason: str,
        until: datetime | None = None,
        rule: int | None = None,
    ) -> Sequence[int]:
        """Decide about items that are not closed; return the decisions' numbers.

        QueryError without a person or a reason, NotFoundError for an item that is not there.
        """
        self._explained(by, reason, until)
        with self._db.write() as connection:
            lock(connection, f"reconcile:{id_}")
            numbers = [
                self._one(connection, id_, choice, by=by, reason=reason, until=until, rule=rule)
                for choice in choices
            ]
            details = {"decisions": len(numbers), "first": numbers[:1], "rule": rule, "reason": reason}
            if len(choices) == 1:
                details |= {"key": choices[0].key, "what": choices[0].action}
            self._audit.write(connection, "reconcile.decide", f"reconcile:{id_}", by=by, details=details)
        return numbers

    def add_rule(
        self,
        id_: str,
        fits: Mapping[str, Any],
        action: Action,
        *,
        by: str,
        reason: str,
        until: datetime | None = None,
    ) -> int:
        """Keep a rule; it decides in every run until it is undone. Return its number."""
        self._explained(by, reason, until)
        with self._db.write() as connection:
            number = connection.scalar(
                rules.insert()
                .values(
                    reconciliation_id=id_, fits=dict(fits), action=action, reason=reason.strip(), actor=by,
                    at=self._clock(), until=until, **_NOT_UNDONE,
                )
                .returning(rules.c.number)
            )  # fmt: skip
            details = {"rule": number, "fits": dict(fits), "what": action, "reason": reason}
            self._audit.write(connection, "reconcile.rule", f"reconcile:{id_}", by=by, details=details)
        return int(number or 0)

    def rules(self, id_: str, *, holding: bool = False) -> Sequence[RuleEntry]:
        """Return the rules in their order; `holding` leaves out those undone or past their date."""
        query = sa.select(rules).where(rules.c.reconciliation_id == id_).order_by(rules.c.number)
        if holding:
            now = self._clock()
            query = query.where(rules.c.undone_at.is_(None), rules.c.until.is_(None) | (rules.c.until > now))
        with self._db.read() as connection:
            return [_rule(row) for row in connection.execute(query)]

    def list(self, id_: str, *, key: str | None = None, rule: int | None = None) -> Sequence[Decision]:
        """Return all decisions, oldest first; of one item, or of one rule."""
        c = decisions.c
        query = sa.select(decisions).where(c.reconciliation_id == id_).order_by(c.number)
        if key is not None:
            query = query.where(c.item_key == key)
        if rule is not None:
            query = query.where(c.rule == rule)
        with self._db.read() as connection:
            return [_decision(row) for row in connection.execute(query)]

    def pairs(self, id_: str) -> Sequence[tuple[str, str]]:
        """Return the codes (of A, of B) that decisions declare one region."""
        c = decisions.c
        query = sa.select(c.facts, c.details).where(c.reconciliation_id == id_, c.action == LINK)
        with self._db.read() as connection:
            rows = connection.execute(query.where(in_force(self._clock())).order_by(c.number.desc())).all()
        found: dict[str, str] = {}
        for facts, details in rows:
            code_a = facts.get("code_a") or details.get("code")
            found.setdefault(code_a, facts.get("code_b") or details.get("code"))
        return list(found.items())

    def lapsed(self, id_: str, since: datetime) -> bool:
        """Tell whether a decision came past its date after an instant."""
        c = decisions.c
        query = sa.select(c.number).where(
            c.reconciliation_id == id_, c.undone_at.is_(None), c.until > since, c.until <= self._clock()
        )
        with self._db.read() as connection:
            return connection.scalar(query.limit(1)) is not None

    def undo(self, id_: str, number: int, *, by: str, reason: str) -> None:
        """Take a decision back; NotFoundError when there is none that is not undone already."""
        self._explained(by, reason, None)
        with self._db.write() as connection:
            lock(connection, f"reconcile:{id_}")
            self._undo(connection, id_, [number], by, reason)
            details = {"decision": number, "reason": reason}
            self._audit.write(connection, "reconcile.undo", f"reconcile:{id_}", by=by, details=details)

    def undo_rule(self, id_: str, number: int, *, by: str, reason: str) -> int:
        """Take a rule back, and every decision that it made; return how many these were."""
        self._explained(by, reason, None)
        with self._db.write() as connection:
            lock(connection, f"reconcile:{id_}")
            query = rules.update().where(
                rules.c.reconciliation_id == id_, rules.c.number == number, rules.c.undone_at.is_(None)
            )
            if not connection.execute(query.values(**self._undone(by, reason))).rowcount:
                raise NotFoundError(f"no rule {number} that holds", where=id_)
            c = decisions.c
            made = list(
                connection.scalars(sa.select(c.number).where(c.rule == number, c.undone_at.is_(None)))
            )
            self._undo(connection, id_, made, by, reason)
            details = {"rule": number, "decisions": len(made), "reason": reason}
            self._audit.write(connection, "reconcile.undo", f"reconcile:{id_}", by=by, details=details)
        return len(made)

    # -- parts ------------------------------------------------------------------------------------

    def _explained(self, by: str, reason: str, until: datetime | None) -> None:
        if not reason.strip() or not by:
            raise QueryError("a decision says who took it and why", where="reason")
        if until is not None and (until.tzinfo is None or until <= self._clock()):
            raise QueryError("the date until which it holds lies in the future", where="until")

    def _undone(self, by: str, reason: str) -> dict[str, Any]:
        return {"undone_at": self._clock(), "undone_by": by, "undone_reason": reason.strip()}

    def _one(
        self,
        connection: sa.Connection,
        id_: str,
        choice: Choice,
        *,
        by: str,
        reason: str,
        until: datetime | None,
        rule: int | None,
    ) -> int:
        where = (items.c.reconciliation_id == id_, items.c.key == choice.key)
        row = connection.execute(sa.select(items).where(*where, items.c.state != "closed")).one_or_none()
        if row is None:
            raise NotFoundError(f"no difference {choice.key!r} that is not closed", where=id_)
        number = connection.scalar(
            decisions.insert()
            .values(
                reconciliation_id=id_, item_key=row.key, fingerprint=row.fingerprint, facts=row.facts,
                action=choice.action, details=clean(choice.details), rule=rule, reason=reason.strip(),
                actor=by, at=self._clock(), until=until, **_NOT_UNDONE,
            )
            .returning(decisions.c.number)
        )  # fmt: skip
        for cell in choice.cells:
            self._correct(connection, int(number or 0), cell)
        connection.execute(
            items.update()
            .where(*where)
            .values(state="decided", note="", decision=number, changed=self._clock())
        )
        return int(number or 0)

    def _correct(self, connection: sa.Connection, number: int, cell: Cell) -> None:
        """Add a correction. What it sees may be an older one's work: then the source says what that knew."""
        if clean(cell.was) != cell.was or clean(cell.becomes) != cell.becomes:
            raise QueryError("a value may be a person's number; it is not kept", where=cell.field)
        c, now = corrections.c, self._clock()
        joined = corrections.join(decisions, c.decision == decisions.c.number)
        query = sa.select(c.number, c.was, c.becomes, c.code).select_from(joined)
        same = (c.dataset_id == cell.dataset_id, c.feature_id == cell.feature_id, c.field == cell.field)
        was, code = cell.was, cell.code
        for old in connection.execute(query.where(*same, active(now))):
            if old.becomes == cell.was:
                was, code = old.was, old.code
            connection.execute(
                corrections.update().where(c.number == old.number).values(superseded_by=number)
            )
        connection.execute(
            corrections.insert().values(
                decision=number, dataset_id=cell.dataset_id, feature_id=cell.feature_id, field=cell.field,
                code_field=cell.code_field, code=code, was=was, becomes=cell.becomes, created=now, run_id="",
            )
        )  # fmt: skip

    def _undo(
        self, connection: sa.Connection, id_: str, numbers: Sequence[int], by: str, reason: str
    ) -> None:
        c, now = decisions.c, self._clock()
        keys: set[str] = set()
        for number in numbers:
            query = decisions.update().where(
                c.reconciliation_id == id_, c.number == number, c.undone_at.is_(None)
            )
            key = connection.scalar(query.values(**self._undone(by, reason)).returning(c.item_key))
            if key is None:
                raise NotFoundError(f"no decision {number} that holds", where=id_)
            keys.add(key)
            own = corrections.update().where(corrections.c.decision == number, corrections.c.ended.is_(None))
            connection.execute(own.values(ended=now))
            before = corrections.update().where(corrections.c.superseded_by == number)
            connection.execute(before.values(superseded_by=None))
        holding = holding_of(connection, id_, now)
        for key in keys:
            where = (items.c.reconciliation_id == id_, items.c.key == key)
            row = connection.execute(sa.select(items).where(*where)).one()
            held = holding.of(key, row.fingerprint)
            state = row.state if row.state == "closed" else "open" if held is None else "decided"
            note = "" if state == "decided" else "undone"
            connection.execute(
                items.update().where(*where).values(state=state, note=note, decision=held, changed=now)
            )


def _decision(row: sa.Row[Any]) -> Decision:
    return Decision(
        row.number, row.item_key, row.fingerprint, row.facts, row.action, row.details, row.rule,
        row.reason, row.actor, row.at, row.until, row.undone_at, row.undone_by, row.undone_reason,
    )  # fmt: skip


def _rule(row: sa.Row[Any]) -> RuleEntry:
    return RuleEntry(
        row.number, row.fits, row.action, row.reason, row.actor, row.at, row.until, row.undone_at,
        row.undone_by, row.undone_reason,
    )  # fmt: skip
