"""The catalog's front door: one object that opens the database and holds the books."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import sqlalchemy as sa

from catalog.audit import AuditLog
from catalog.clock import Clock, utc_now
from catalog.corrections import CorrectionBook
from catalog.database import Database
from catalog.datasets import DatasetBook
from catalog.decisions import DecisionBook
from catalog.jobs import JobBook
from catalog.notify.outbox import Outbox
from catalog.reconciliation import ReconciliationBook
from catalog.regions import RegionBook
from catalog.responses import ResponseBook
from catalog.runs import RunBook
from catalog.tables import counters
from catalog.versions import VersionBook


class Catalog:
    """All that is known of the data. Safe for threads; several processes may open the same URL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.audit = AuditLog(database, clock)
        self.runs = RunBook(database, clock, self.audit)
        self.datasets = DatasetBook(database, clock, self.audit)
        self.versions = VersionBook(database, clock, self.audit)
        self.regions = RegionBook(database, clock, self.audit)
        self.jobs = JobBook(database, clock)
        self.reconciliations = ReconciliationBook(database, clock, self.audit)
        self.decisions = DecisionBook(database, clock, self.audit)
        self.corrections = CorrectionBook(database, clock, self.audit)
        self.responses = ResponseBook(database, clock, self.audit)
        self.outbox = Outbox(database, clock, self.audit)

    @classmethod
    def open(cls, url: str, clock: Clock = utc_now) -> Catalog:
        """Open (and create or migrate) the database at a SQLAlchemy URL.

        `sqlite:///path` or `postgresql+psycopg://...`; ConfigError for anything else or a database
        of a newer program.
        """
        database = Database(url)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return cls(database, clock)

    def generation(self) -> int:
        """Return a number that grows with every change that servers must see (one cheap query)."""
        query = sa.select(counters.c.value).where(counters.c.name == "generation")
        with self.database.read() as connection:
            return int(connection.scalar(query) or 0)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
