"""Closed versions: counts of persons without disclosure control, and what was made of such counts.

A dataset that holds one, current or kept for roll-back, is never public, whoever says so: an edit, a
harvest, another publication. The mark stands in the version, not in the record, so no edit takes it off;
it goes with the version. All that serves or copies a dataset (pages, features, tiles, downloads, CKAN)
looks at the access in the catalog, which is why one rule here is enough.
"""

from __future__ import annotations

from typing import ClassVar

import sqlalchemy as sa

from catalog.database import lock
from catalog.errors import AccessError
from catalog.model import Access, VersionInfo
from catalog.tables import datasets, versions

CLOSED = "closed"
"""Key in `VersionInfo.extra`; its value says in a word why."""


class ClosedError(AccessError):
    """A dataset can not be public, because a version of it is closed."""

    code: ClassVar[str] = "access-closed"
    http_status: ClassVar[int] = 409


def is_closed(info: VersionInfo | None) -> bool:
    """Tell whether this version must not be public."""
    return info is not None and bool(info.extra.get(CLOSED))


def refuse_public(connection: sa.Connection, dataset_id: str, access: Access) -> None:
    """Raise ClosedError when a dataset is to be public and one of its versions is closed."""
    if access != "publik":
        return
    lock(connection, f"versions:{dataset_id}")  # against a closed version that is registered meanwhile
    query = sa.select(versions.c.version, versions.c.info).where(
        versions.c.layer_id == dataset_id, versions.c.state.not_in(("removed", "rejected"))
    )
    for row in connection.execute(query.order_by(versions.c.version.desc())):
        if row.info.get("extra", {}).get(CLOSED):
            raise ClosedError(where=dataset_id, version=row.version)


def refuse_closed(connection: sa.Connection, info: VersionInfo) -> None:
    """Raise ClosedError when a version is closed and its dataset is public."""
    if not is_closed(info):
        return
    lock(connection, f"versions:{info.layer_id}")
    query = sa.select(datasets.c.access).where(
        datasets.c.id == info.layer_id, datasets.c.withdrawn_at.is_(None)
    )
    if connection.scalar(query) == "publik":
        raise ClosedError(where=info.layer_id, version=info.version)


__all__ = ["CLOSED", "ClosedError", "is_closed", "refuse_closed", "refuse_public"]
