"""A table of CKAN's datastore as content: paged by `_id`, its total compared, never held in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from datetime import UTC, date, datetime
from typing import Any

from catalog.errors import ConfigError, IncompleteError, ProtocolError
from catalog.model import FieldDef, FieldType, ItemError, LayerSchema
from harvesters.ckan.api import CkanClient
from harvesters.contract import FeaturePage, Listing
from layers.contract import FeatureBatch

_TYPES = {
    "int": FieldType.INTEGER, "int2": FieldType.INTEGER, "int4": FieldType.INTEGER, "int8": FieldType.INTEGER,
    "integer": FieldType.INTEGER, "bigint": FieldType.INTEGER, "smallint": FieldType.INTEGER,
    "numeric": FieldType.REAL, "float": FieldType.REAL, "float4": FieldType.REAL, "float8": FieldType.REAL,
    "double precision": FieldType.REAL, "bool": FieldType.BOOLEAN, "boolean": FieldType.BOOLEAN,
    "date": FieldType.DATE, "timestamp": FieldType.DATETIME, "timestamptz": FieldType.DATETIME,
}  # fmt: skip
_PAGE_KEY = re.compile(r"(\d+)\+(\d+)")


class DatastoreContent:
    """`datastore_search` of one resource. Feature ids are the datastore's `_id`, or a column's values.

    `mark` is the table's state as far as CKAN tells it; `id_field` the column that names the rows.
    """

    def __init__(
        self, client: CkanClient, resource: str, rows: int, *, mark: str = "", id_field: str | None = None
    ) -> None:
        self._client, self._resource, self._rows, self._mark = client, resource, rows, mark
        self._id = id_field or "_id"
        self._schema: LayerSchema | None = None

    def schema(self) -> LayerSchema:
        """Return the columns with the source's own names; a table, so without geometry."""
        if self._schema is None:
            answer = self._ask(limit=0)
            fields = answer.get("fields")
            if not isinstance(fields, list):
                raise ProtocolError("datastore_search without `fields`", where=self._where())
            columns = tuple(_field(f) for f in fields if f.get("id") not in (None, "_id", "_full_text"))
            names = [column.name for column in columns]
            if self._id not in ("_id", *names):
                raise ConfigError(f"the table has no column {self._id!r}", where=self._where(),
                                  hint=f"feature_id can be: {', '.join(names)}")  # fmt: skip
            self._schema = LayerSchema(fields=columns, geometry_type=None, integer_ids=self._id == "_id")
        return self._schema

    def listing(self) -> Listing:
        """Return how many rows there are."""
        total = self._total(self._ask(limit=0))
        return Listing(count=total, stage=f"{self._mark}/{total}" if self._mark else "")

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the pages that are not staged; their key is `offset+rows`."""
        done = {int(m[1]): int(m[2]) for key in staged if (m := _PAGE_KEY.fullmatch(key))}
        offset, last, total = 0, 0, listing.count or 0
        while offset < total:
            if offset in done:
                offset += done[offset]
                continue
            answer = self._ask(limit=self._rows, offset=offset, sort="_id asc")
            ids = self._check(answer, total, offset, last)
            yield self._page(f"{offset:09d}+{len(ids)}", answer["records"])
            offset, last = offset + len(ids), ids[-1]

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Yield pages for single rows."""
        for start in range(0, len(ids), 100):
            chosen = ids[start : start + 100]
            wanted = [int(i) for i in chosen] if self._id == "_id" else list(chosen)
            answer = self._ask(limit=self._rows, filters={self._id: wanted}, sort="_id asc")
            yield self._page(f"refetch-{chosen[0]}", answer.get("records", []))

    def _ask(self, **question: Any) -> dict[str, Any]:
        answer = self._client.call(
            "datastore_search", resource_id=self._resource, include_total=True, **question
        )
        if not isinstance(answer, dict):
            raise ProtocolError("datastore_search gave no table", where=self._where())
        return answer

    def _total(self, answer: dict[str, Any]) -> int:
        total = answer.get("total")
        if not isinstance(total, int) or answer.get("total_was_estimated"):
            raise ProtocolError("datastore_search does not count its rows", where=self._where())
        return total

    def _check(self, answer: dict[str, Any], total: int, offset: int, last: int) -> list[int]:
        """Return the page's ids; raise when the table changed or the server repeats a page."""
        if (now := self._total(answer)) != total:
            raise IncompleteError(f"the table changed while read: {total} rows, now {now}",
                                  where=self._where())  # fmt: skip
        try:
            ids = [int(record["_id"]) for record in answer["records"]]
        except (KeyError, TypeError, ValueError) as exc:
            raise ProtocolError("datastore rows without `_id`", where=self._where()) from exc
        if not ids:
            raise IncompleteError(f"empty page at row {offset} of {total}", where=self._where())
        if ids != sorted(set(ids)) or ids[0] <= last:
            raise ProtocolError(f"page at row {offset} repeats or is unsorted", where=self._where())
        return ids

    def _page(self, key: str, records: list[dict[str, Any]]) -> FeaturePage:
        """Make a page; a row whose id column is empty is an item error."""
        fields = self.schema().fields
        page = FeaturePage(key, FeatureBatch([], []))
        for record in records:
            name = record.get(self._id)
            if name is None or name == "":
                said = f"row {record.get('_id')} has no value in {self._id!r}"
                page.errors.append(ItemError("id-missing", said, str(record.get("_id"))))
                continue
            page.batch.ids.append(str(name))
            page.batch.rows.append({f.name: _value(record.get(f.name), f.type) for f in fields})
        return page

    def _where(self) -> str:
        return f"{self._client.address} datastore {self._resource}"


def _field(described: dict[str, Any]) -> FieldDef:
    told = described.get("info")
    info = told if isinstance(told, dict) else {}
    kind = str(described.get("type", "text")).lower()
    return FieldDef(
        str(described["id"]), _TYPES.get(kind, FieldType.TEXT), title=str(info.get("label") or ""),
        description=str(info.get("notes") or ""), unit=str(info.get("unit") or ""),
    )  # fmt: skip


def _value(value: Any, kind: FieldType) -> Any:
    """Read what JSON brought as the column's type; numeric comes as a text or a number."""
    if value is None or value == "":
        return None
    try:
        if kind is FieldType.REAL:
            return float(value)
        if kind is FieldType.INTEGER:
            return int(value)
        if kind is FieldType.DATE:
            return date.fromisoformat(str(value)[:10])
        if kind is FieldType.DATETIME:
            found = datetime.fromisoformat(str(value))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return value  # the store refuses it as an item error, with the value to see
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value if kind is FieldType.BOOLEAN else str(value)
