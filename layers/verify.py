"""Read a version back and compare it with what was recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import shapely

from catalog.errors import PublishError
from catalog.model import LayerSchema, VersionInfo
from layers.contract import FeatureBatch
from layers.prepare import content_hash, sorted_json
from layers.values import CHECKS, check_row


class Checkable(Protocol):
    """What a reader must offer to be verified."""

    schema: LayerSchema

    def checksum(self) -> str:
        """Return the checksum over the kept hashes."""
        ...

    def count_rows(self) -> int:
        """Count the table's rows."""
        ...

    def hashes(self, integer_ids: bool) -> Iterator[tuple[str, bytes]]:
        """Stream (id, kept hash)."""
        ...

    def batches(self, *, size: int = 5000) -> Iterator[FeatureBatch]:
        """Stream the content."""
        ...


def verify_reader(reader: Checkable, info: VersionInfo, *, deep: bool) -> None:
    """Compare count and checksum; `deep` also hashes every stored row again. PublishError when off."""
    where = f"{info.layer_id} v{info.version}"
    rows = reader.count_rows()
    if rows != info.count:
        raise PublishError(f"{rows} rows stored, {info.count} recorded", where=where)
    if reader.checksum() != info.checksum:
        raise PublishError("the content is not what was recorded (checksum)", where=where)
    if deep:
        _hash_again(reader, where)


def _hash_again(reader: Checkable, where: str) -> None:
    kept = reader.hashes(reader.schema.integer_ids)
    checks, names = [CHECKS[f.type] for f in reader.schema.fields], reader.schema.names()
    for batch in reader.batches(size=2000):
        wkbs = [None] * len(batch)
        if batch.geometries is not None:
            wkbs = shapely.to_wkb(batch.geometries, byte_order=1)
        for feature_id, row, wkb in zip(batch.ids, batch.rows, wkbs, strict=True):
            values = check_row(row, reader.schema.fields, checks)
            digest = content_hash(feature_id, sorted_json(dict(zip(names, values, strict=True))), wkb)
            if next(kept, None) != (feature_id, digest):
                raise PublishError(f"feature {feature_id!r} is not what was recorded", where=where)
