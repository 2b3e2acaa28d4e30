"""Which provinsi and kabupaten a layer has, with their names: what a person chooses a part by."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from catalog.codes import Code, Level, parse
from catalog.errors import RecordError
from catalog.model import VersionInfo
from ogc_server.service import Service

_LEVELS: tuple[Level, ...] = ("provinsi", "kabkota")
_KEPT = 32


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a layer and how many of its features lie in it."""

    code: str
    level: Level
    name: str
    count: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def regions_of(service: Service, info: VersionInfo) -> list[Region]:
    """Return the regions in the order of their codes; read once per version."""
    key = (info.layer_id, info.version)
    found = service.region_lists.get(key)
    if found is None:
        if len(service.region_lists) >= _KEPT:
            service.region_lists.clear()
        found = service.region_lists[key] = _read(service, info)
    return found


def _read(service: Service, info: VersionInfo) -> list[Region]:
    declared = info.schema.region_code if info.schema else None
    if declared is None:
        return []
    counts: Counter[Code] = Counter()
    with service.readers.lease(info) as reader:
        for batch in reader.batches([declared.field], geometry=False):
            for row in batch.rows:
                counts.update(_above(row[declared.field], declared.scheme))
    named = {code: _name(service, code, declared.vintage) for code in counts}
    made = [Region(str(code), code.level, named[code], number) for code, number in counts.items()]
    return sorted(made, key=lambda one: one.code)


def _above(text: Any, scheme: Any) -> list[Code]:
    try:
        code = parse(text, scheme) if text else None
    except RecordError:
        return []
    if code is None:
        return []
    return [code.at(level) for level in _LEVELS if len(code.parts) > _LEVELS.index(level)]


def _name(service: Service, code: Code, vintage: int) -> str:
    known = service.catalog.regions.get(code.scheme, vintage, str(code))
    return known.name if known else str(code)
