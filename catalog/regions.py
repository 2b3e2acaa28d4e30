"""The reference of region codes (kode wilayah): versioned by scheme and vintage, with crosswalks.

A reference is itself harvested data: the engine hands the rows of a layer that declares
`region_reference` to `load_from_rows`. Nothing about single regions is written in code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import batched
from typing import Any

import sqlalchemy as sa

from catalog.audit import AuditLog
from catalog.clock import Clock
from catalog.codes import Level, parse
from catalog.database import Database, bump
from catalog.errors import NotFoundError
from catalog.model import ItemError, Scheme
from catalog.region_model import QUALITIES, CrosswalkRow, Match, Quality, Region
from catalog.region_moves import moves
from catalog.region_rows import crosswalk_of, crosswalk_options, reference_options, regions_of
from catalog.tables import crosswalk, crosswalk_sets, region_sets, regions

__all__ = [
    "CrosswalkRow", "Match", "Quality", "Region", "RegionBook", "load_crosswalk_from_rows", "load_from_rows",
]  # fmt: skip

_BATCH = 2000


class RegionBook:
    """Keeps references and crosswalks. A load replaces the whole set in one transaction."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog) -> None:
        self._db = database
        self._clock = clock
        self._audit = audit

    def load(self, scheme: Scheme, vintage: int, rows: Iterable[Region], *, source: str) -> int:
        """Replace the reference of a scheme and vintage; return how many regions it has."""
        ready = list(rows)  # read and checked before the write lock is taken
        at = {"scheme": scheme, "vintage": vintage}
        with self._db.write() as connection:
            for table in (regions, region_sets):
                connection.execute(table.delete().where(table.c.scheme == scheme, table.c.vintage == vintage))
            for batch in batched(ready, _BATCH, strict=False):
                values = [
                    {**at, "code": r.code, "level": r.level, "name": r.name, "parent": r.parent}
                    for r in batch
                ]
                connection.execute(regions.insert(), values)
            connection.execute(
                region_sets.insert().values(source=source, loaded=self._clock(), rows=len(ready), **at)
            )
            self._audit.write(
                connection, "regions.load", f"{scheme}-{vintage}", by=source, details={"rows": len(ready)}
            )
            bump(connection)
        return len(ready)

    def vintages(self, scheme: Scheme) -> list[int]:
        """Return the vintages that are loaded, oldest first."""
        query = sa.select(region_sets.c.vintage).where(region_sets.c.scheme == scheme)
        with self._db.read() as connection:
            return list(connection.scalars(query.order_by(region_sets.c.vintage)))

    def get(self, scheme: Scheme, vintage: int, code: str) -> Region | None:
        """Return a region by its code in any writing of the scheme; None when the vintage lacks it."""
        canonical = str(parse(code, scheme))
        query = _region_select(scheme, vintage).where(regions.c.code == canonical)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return Region(*row) if row else None

    def children(self, scheme: Scheme, vintage: int, code: str | None = None) -> list[Region]:
        """Return the regions one level below, by code; without `code` the provinces."""
        parent = None if code is None else str(parse(code, scheme))
        query = _region_select(scheme, vintage).where(regions.c.parent == parent)
        with self._db.read() as connection:
            return [Region(*row) for row in connection.execute(query.order_by(regions.c.code))]

    def all(self, scheme: Scheme, vintage: int, level: Level | None = None) -> Iterator[Region]:
        """Yield a reference in code order."""
        query = _region_select(scheme, vintage).order_by(regions.c.code)
        if level is not None:
            query = query.where(regions.c.level == level)
        with self._db.read() as connection:
            for row in connection.execution_options(yield_per=_BATCH).execute(query):
                yield Region(*row)

    def load_crosswalk(
        self,
        from_scheme: Scheme,
        from_vintage: int,
        to_scheme: Scheme,
        to_vintage: int,
        rows: Iterable[CrosswalkRow],
        source: str,
    ) -> int:
        """Replace the crosswalk between two references; return how many pairs it has."""
        key = {
            "from_scheme": from_scheme, "from_vintage": from_vintage,
            "to_scheme": to_scheme, "to_vintage": to_vintage,
        }  # fmt: skip
        ready = list(rows)
        with self._db.write() as connection:
            same = [crosswalk_sets.c[name] == value for name, value in key.items()]
            old = sa.select(crosswalk_sets.c.number).where(*same)
            connection.execute(crosswalk.delete().where(crosswalk.c.set_number.in_(old)))
            connection.execute(crosswalk_sets.delete().where(*same))
            number = connection.scalar(
                crosswalk_sets.insert()
                .values(source=source, loaded=self._clock(), rows=len(ready), **key)
                .returning(crosswalk_sets.c.number)
            )
            for batch in batched(ready, _BATCH, strict=False):
                connection.execute(crosswalk.insert(), [_crosswalk_values(number, row) for row in batch])
            subject = f"{from_scheme}-{from_vintage}:{to_scheme}-{to_vintage}"
            self._audit.write(connection, "crosswalk.load", subject, by=source, details={"rows": len(ready)})
            bump(connection)
        return len(ready)

    def derive_crosswalk(self, scheme: Scheme, old: int, new: int, *, source: str = "derived") -> int:
        """Make the crosswalk between two loaded vintages from their codes and names alone.

        How sure each row is, is told by its quality (see `catalog.region_moves`); shares stay
        unknown. NotFoundError when a vintage is not loaded.
        """
        loaded = self.vintages(scheme)
        for vintage in (old, new):
            if vintage not in loaded:
                raise NotFoundError(f"no {scheme} reference of {vintage} is loaded")
        rows = moves(self.all(scheme, old), self.all(scheme, new))
        return self.load_crosswalk(scheme, old, scheme, new, rows, source)

    def translate(self, code: str, *, from_: tuple[Scheme, int], to: tuple[Scheme, int]) -> list[Match]:
        """Return where a code went, best quality and largest share first; empty when nowhere.

        A crosswalk is read in both directions. Matches of quality `weak` are not `certain`: they are
        for a person to look at. NotFoundError when no such crosswalk is loaded.
        """
        canonical = str(parse(code, from_[0]))
        with self._db.read() as connection:
            forward = _set_number(connection, from_, to)
            if forward is not None:
                c = crosswalk.c
                query = sa.select(c.to_code, c.share, c.quality).where(c.from_code == canonical)
                query = query.where(c.set_number == forward)
            else:
                query = self._backward(connection, canonical, from_, to)
            found = [Match(*row) for row in connection.execute(query)]
        return sorted(found, key=lambda m: (QUALITIES.index(m.quality), -(m.share or 0), m.code))

    def pairs(self, *, from_: tuple[Scheme, int], to: tuple[Scheme, int]) -> Iterator[CrosswalkRow]:
        """Yield all rows of a crosswalk, whichever way round it was loaded; none when there is none."""
        c = crosswalk.c
        forward = sa.select(c.from_code, c.to_code, c.share, c.quality, c.share_back)
        back = sa.select(c.to_code, c.from_code, c.share_back, c.quality, c.share)
        with self._db.read() as connection:
            number = _set_number(connection, from_, to)
            if number is not None:
                query = forward.where(c.set_number == number)
            else:
                query = back.where(c.set_number == _set_number(connection, to, from_))
            for row in connection.execution_options(yield_per=_BATCH).execute(query):
                yield CrosswalkRow(*row)

    def _backward(
        self, connection: sa.Connection, code: str, from_: tuple[Scheme, int], to: tuple[Scheme, int]
    ) -> sa.Select[Any]:
        number = _set_number(connection, to, from_)
        if number is None:
            raise NotFoundError(f"no crosswalk between {from_[0]} {from_[1]} and {to[0]} {to[1]} is loaded")
        c = crosswalk.c
        return sa.select(c.from_code, c.share_back, c.quality).where(
            c.set_number == number, c.to_code == code
        )


def load_from_rows(
    book: RegionBook, rows: Iterable[Mapping[str, Any]], reference: Mapping[str, Any], *, source: str
) -> tuple[int, list[ItemError]]:
    """Fill a reference from the rows of a harvested layer.

    `reference` is the layer's option `region_reference`: `scheme`, `vintage`, and the names of the
    columns `code`, `name` and (optional) `parent`. Returns how many regions were loaded and an item
    error for every row that is none (placeholder, wrong code, doubled). ConfigError when the option
    is wrong.
    """
    options = reference_options(reference)
    errors: list[ItemError] = []
    count = book.load(options.scheme, options.vintage, regions_of(rows, options, errors), source=source)
    return count, errors


def load_crosswalk_from_rows(
    book: RegionBook, rows: Iterable[Mapping[str, Any]], reference: Mapping[str, Any], *, source: str
) -> tuple[int, list[ItemError]]:
    """Fill a crosswalk from the rows of a harvested table.

    `reference` is the layer's option `region_crosswalk`: `from` and `to` (each `scheme`, `vintage`,
    `code`: a column), and the columns `share`, `share_back` and `quality` where there are such.
    """
    options = crosswalk_options(reference)
    errors: list[ItemError] = []
    count = book.load_crosswalk(
        options.from_.scheme, options.from_.vintage, options.to.scheme, options.to.vintage,
        crosswalk_of(rows, options, errors), source,
    )  # fmt: skip
    return count, errors


def _region_select(scheme: Scheme, vintage: int) -> sa.Select[Any]:
    c = regions.c
    return sa.select(c.code, c.level, c.name, c.parent).where(c.scheme == scheme, c.vintage == vintage)


def _crosswalk_values(number: int | None, row: CrosswalkRow) -> dict[str, Any]:
    return {
        "set_number": number, "from_code": row.from_code, "to_code": row.to_code, "share": row.share,
        "share_back": row.share_back, "quality": row.quality,
    }  # fmt: skip


def _set_number(connection: sa.Connection, from_: tuple[str, int], to: tuple[str, int]) -> int | None:
    c = crosswalk_sets.c
    query = sa.select(c.number).where(
        c.from_scheme == from_[0], c.from_vintage == from_[1], c.to_scheme == to[0], c.to_vintage == to[1]
    )
    return connection.scalar(query)
