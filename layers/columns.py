"""Column names: an attribute's name as it is, but for the few that the table itself needs."""

from __future__ import annotations

from collections.abc import Collection

from catalog.errors import PublishError
from catalog.model import LayerSchema

ID = "_id"
FID = "fid"
GEOM = "geom"
RESERVED = frozenset({ID, FID, GEOM, "rowid", "oid", "_rowid_"})
POSTGRES_RESERVED = RESERVED | {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}


def column_names(
    schema: LayerSchema, *, reserved: Collection[str] = RESERVED, limit: int = 1990, longest: int = 10_000
) -> dict[str, str]:
    """Return attribute name -> column name, unlike for reserved names and names that differ by case only.

    `limit` is how many attributes the store can hold, `longest` the bytes of a name. Raises
    PublishError for too many fields, an empty name or the same name twice, before anything is written.
    """
    names = schema.names()
    if len(names) > limit:
        raise PublishError(
            f"the layer has {len(names)} fields; this store holds at most {limit}",
            hint=f"name the fields to leave out under `drop:` in the source until {limit} are left",
        )
    taken, columns = {name.lower() for name in reserved}, {}
    for name in names:
        if not name or "\0" in name or name in columns:
            raise PublishError(f"field name {name!r} is empty, broken or stands twice")
        column, n = name, 1
        while column.lower() in taken or len(column.encode()) > longest:
            n += 1
            column = f"{name.encode()[: longest - 6].decode(errors='ignore')}_{n}"
        taken.add(column.lower())
        columns[name] = column
    return columns


def quote(name: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
