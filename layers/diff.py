"""Compare two versions by merging their (id, content hash) streams, both in id order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from layers.contract import Diff

type Hashed = tuple[str, bytes]


def _key(feature_id: str, integer_ids: bool) -> tuple[int, bytes]:
    return (int(feature_id) if integer_ids else 0, feature_id.encode())


def compare(new: Iterable[Hashed], old: Iterable[Hashed], integer_ids: bool) -> Diff:
    """Count rows added, updated, unchanged and removed; both streams sorted by id."""
    added = updated = unchanged = removed = 0
    fresh, past = iter(new), iter(old)
    a, b = _take(fresh), _take(past)
    while a is not None or b is not None:
        if b is None or (a is not None and _key(a[0], integer_ids) < _key(b[0], integer_ids)):
            added, a = added + 1, _take(fresh)
        elif a is None or _key(a[0], integer_ids) > _key(b[0], integer_ids):
            removed, b = removed + 1, _take(past)
        else:
            updated, unchanged = updated + (a[1] != b[1]), unchanged + (a[1] == b[1])
            a, b = _take(fresh), _take(past)
    return Diff(added=added, updated=updated, unchanged=unchanged, removed=removed)


def _take(rows: Iterator[Hashed]) -> Hashed | None:
    return next(rows, None)
