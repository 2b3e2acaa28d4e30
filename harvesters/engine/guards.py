"""Guards: pure questions about a complete version before it may replace the live one.

Each returns reasons to hold it for a steward; an empty list lets it through. Texts stand in
`messages.yml` under `guard.<code>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.messages import text
from catalog.model import BBox, LayerSchema
from harvesters.privacy.detect import Finding
from layers.contract import Diff

GEOMETRY_LIMIT = 10.0
"""Percent of features more than before whose geometry is missing or had to be repaired."""
_WIDE = {"Polygon": "MultiPolygon", "LineString": "MultiLineString", "Point": "MultiPoint"}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a version is held; `params` fill the text and are kept with the run."""

    code: str
    params: dict[str, Any] = field(default_factory=dict)

    def text(self, lang: str = "id") -> str:
        """Say it to a person."""
        return text(f"guard.{self.code}", lang, **self.params)


def removed(diff: Diff, limit: float) -> list[Reason]:
    """Hold when more than `limit` percent of the live rows would go."""
    old = diff.updated + diff.unchanged + diff.removed
    percent = 100 * diff.removed / old if old else 0.0
    if percent <= limit:
        return []
    params = {"removed": diff.removed, "total": old, "percent": round(percent, 1), "limit": f"{limit:g}"}
    return [Reason("removed", params)]


def shrink(diff: Diff, limit: float) -> list[Reason]:
    """Hold a layer that became empty, or lost more than `limit` percent of its rows net."""
    old = diff.updated + diff.unchanged + diff.removed
    new = diff.updated + diff.unchanged + diff.added
    if not old or new >= old * (1 - limit / 100) > 0:
        return []
    return [Reason("empty" if new == 0 else "shrink", {"before": old, "after": new})] if new < old else []


type Origin = Mapping[str, Any]
"""What the source's shape was: `{"fields": {our name: [source name, type]}, "source": {name: type}}`."""


def drift(old: LayerSchema, new: LayerSchema, was: Origin, now: Origin) -> list[Reason]:
    """Hold when the source took a field away, or changed a type or the kind of geometry.

    What a steward changed in the mapping is meant: a column that the source still has, with the type
    it had, is no drift. `was` and `now` are origins; an empty `was` compares our columns alone.
    """
    reasons = []
    types = {f.name: str(f.type) for f in new.fields}
    for definition in old.fields:
        name, kind = definition.name, str(definition.type)
        if types.get(name) == kind or _kept_at_source(name, was, now):
            continue
        if name not in types:
            reasons.append(Reason("field-removed", {"field": name}))
        else:
            reasons.append(Reason("field-type", {"field": name, "before": kind, "after": types[name]}))
    return reasons + _geometry_drift(old, new)


def _kept_at_source(name: str, was: Origin, now: Origin) -> bool:
    source_name, kind = (was.get("fields") or {}).get(name, (None, None))
    return source_name is not None and (now.get("source") or {}).get(source_name) == kind


def _geometry_drift(old: LayerSchema, new: LayerSchema) -> list[Reason]:
    before, after = old.geometry_type, new.geometry_type
    if before == after or (before and after and _WIDE.get(before, before) == _WIDE.get(after, after)):
        return []
    return [Reason("geometry-type", {"before": before or "-", "after": after or "-"})]


def crs(old: LayerSchema, new: LayerSchema, stated: str | None) -> list[Reason]:
    """Hold when the CRS changed and the configuration does not state it."""
    if old.geometry_type is None or old.crs == new.crs or stated == new.crs:
        return []
    return [Reason("crs", {"before": old.crs, "after": new.crs})]


def geometry(bad_before: float | None, bad_now: float) -> list[Reason]:
    """Hold when the share (percent) of missing or repaired geometries jumped."""
    if bad_before is None or bad_now - bad_before <= GEOMETRY_LIMIT:
        return []
    return [Reason("geometry-bad", {"before": round(bad_before, 1), "after": round(bad_now, 1)})]


def place(old: BBox | None, new: BBox | None) -> list[Reason]:
    """Hold coordinates that are none, and a layer that jumped to where it never was."""
    if new is None:
        return []
    if new[0] < -180 or new[2] > 180 or new[1] < -90 or new[3] > 90:
        return [Reason("outside", {"bbox": _shown(new)})]
    apart = old is not None and (new[0] > old[2] or new[2] < old[0] or new[1] > old[3] or new[3] < old[1])
    return [Reason("moved", {"before": _shown(old), "after": _shown(new)})] if apart and old else []


def _shown(box: BBox) -> str:
    return ", ".join(f"{value:.2f}" for value in box)


def personal(findings: Iterable[Finding], *, allowed: bool) -> list[Reason]:
    """Hold personal data, unless the layer is internal and says that it may hold some."""
    if allowed:
        return []
    return [Reason("personal", {"field": f.field, "kind": f.kind, "count": f.count}) for f in findings]


def missing(gone: int, known: int, limit: float) -> list[Reason]:
    """Hold (nothing is withdrawn) when more than `limit` percent of a source's datasets vanished."""
    if not known or 100 * gone / known <= limit:
        return []
    return [Reason("datasets-missing", {"missing": gone, "total": known, "limit": f"{limit:g}"})]
