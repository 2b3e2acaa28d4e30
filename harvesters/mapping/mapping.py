"""From a source's columns to ours, as the layer's configuration says.

`feature_id` is not done here: only the harvester can list by it, so it makes the ids.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from catalog.errors import ConfigError
from catalog.model import DatasetRecord, FieldDef, FieldType, ItemError, LayerSchema
from catalog.reconciliation_model import Correction
from catalog.sources import LayerConfig, SourceConfig
from harvesters.mapping.codes import CodeNormaliser
from harvesters.mapping.corrections import Corrections
from harvesters.mapping.points import PointMaker
from harvesters.mapping.values import CONVERT, BadValueError
from layers.contract import FeatureBatch

_SYNTHETIC = "Contoh sintetis, bukan data nyata."
"""Stands in the lineage of all that is generated: marks get lost, a record's words travel with it."""
MAX_REPORTED = 50
"""Per kind of trouble and field: one broken column must not fill the error table."""


class Mapping:
    """One layer's mapping. Raises ConfigError at once when it names columns that are not there.

    For a pattern layer (`remote: "*"`) that stands for many shapes, names that a shape lacks are
    passed over.
    """

    def __init__(
        self, layer: LayerConfig, source_schema: LayerSchema, corrections: Sequence[Correction] = ()
    ) -> None:
        self._layer = layer
        self._strict = layer.remote != "*"
        self._have = source_schema.names()
        self._check(layer.rename, "rename")
        self._names = [(n, layer.rename.get(n, n)) for n in self._have if not self._dropped(n)]
        self._unique()
        self._plain = [n for n, _ in self._names] == list(self._have) == [n for _, n in self._names]
        self.warnings = self._unknown_drops()
        fields = {f.name: f for f in source_schema.fields}
        ours = tuple(self._field(fields[old], new) for old, new in self._names)
        self._reported: dict[tuple[str, str], int] = {}
        self._points = self._point_maker(source_schema, [f.name for f in ours])
        self.schema = self._schema(source_schema, ours)
        self.sources = {new: [old, str(fields[old].type)] for old, new in self._names}
        self.source_types = {name: str(f.type) for name, f in fields.items()}
        self._codes = self._code_normaliser()
        self.corrections = Corrections(corrections, self.schema)

    # -- shape ----------------------------------------------------------------------------------

    def _dropped(self, name: str) -> bool:
        return name in self._layer.drop or self._layer.rename.get(name, name) in self._layer.drop

    def _check(self, names: Iterable[str], what: str, among: Iterable[str] | None = None) -> None:
        known = list(self._have if among is None else among)
        for name in names:
            if name not in known and self._strict:
                raise ConfigError(f"no column {name!r}", where=what, hint=_hint(name, known))

    def _unknown_drops(self) -> list[ItemError]:
        """A column that is to be dropped and is not there does no harm, but may be misspelt."""
        known = {*self._have, *self._layer.rename.values()}
        lost = [n for n in self._layer.drop if n not in known] if self._strict else []
        return [
            ItemError("mapping-drop", f"no column {n!r} to drop; {_hint(n, known)}", severity="warning")
            for n in lost
        ]

    def _unique(self) -> None:
        seen: dict[str, str] = {}
        for old, new in self._names:
            if new in seen:
                raise ConfigError(f"columns {seen[new]!r} and {old!r} both become {new!r}", where="rename")
            seen[new] = old

    def _field(self, definition: FieldDef, name: str) -> FieldDef:
        forced = self._layer.types.get(name)
        return replace(
            definition, name=name, title=definition.title or definition.name,
            type=FieldType(forced) if forced else definition.type,
        )  # fmt: skip

    def _point_maker(self, schema: LayerSchema, ours: list[str]) -> PointMaker | None:
        x, y = self._layer.x, self._layer.y
        if x is None and y is None:
            return None
        if x is None or y is None:
            raise ConfigError("x and y are needed both", where="x" if x is None else "y")
        to_source = {new: old for old, new in self._names}
        found = [to_source.get(n, n) for n in (x, y)]
        self._check(found, "x/y")
        if not set(found) <= set(self._have) or schema.geometry_type is not None:
            return None
        return PointMaker(found[0], found[1], self._layer.crs or schema.crs)

    def _schema(self, source: LayerSchema, fields: tuple[FieldDef, ...]) -> LayerSchema:
        names = [f.name for f in fields]
        self._check(self._layer.types, "types", names)
        time = self._layer.time.field
        if time is not None:
            time = self._layer.rename.get(time, time)
            self._check([time], "time.field", names)
        else:
            time = dict(self._names).get(source.time_field or "")
        code = self._region(source, names)
        if code is not None:  # a region code is text: 32.03 the number is not 32.03 the kabupaten
            fields = tuple(replace(f, type=FieldType.TEXT) if f.name == code.field else f for f in fields)
        return replace(
            source, fields=fields, time_field=time if time in names else None,
            region_code=code, crs=self._layer.crs or source.crs,
            geometry_type="Point" if self._points else source.geometry_type,
        )  # fmt: skip

    def _region(self, source: LayerSchema, names: list[str]) -> Any:
        code = self._layer.region_code or source.region_code
        if code is None:
            return None
        field = self._layer.rename.get(code.field, code.field)
        if self._layer.region_code is not None:
            self._check([field], "region_code.field", names)
        return code.model_copy(update={"field": field}) if field in names else None

    def _code_normaliser(self) -> CodeNormaliser | None:
        return CodeNormaliser(self.schema.region_code) if self.schema.region_code else None

    # -- rows -----------------------------------------------------------------------------------

    def apply(self, batch: FeatureBatch) -> tuple[FeatureBatch, list[ItemError]]:
        """Return the batch in our shape, and what could not be done to single values."""
        errors: list[ItemError] = []
        geometries = batch.geometries
        if self._points:
            geometries, notes = self._points.make(batch.rows)
            errors += [self._item(batch.ids[i], code, text) for i, code, text in notes]
        rows = batch.rows if self._plain else [
            {new: row.get(old) for old, new in self._names} for row in batch.rows
        ]  # fmt: skip
        for name, kind in self._layer.types.items():
            if any(name == new for _, new in self._names):
                errors += self._convert(rows, batch.ids, name, CONVERT[FieldType(kind)])
        if self._codes:
            errors += [self._item(batch.ids[i], code, t) for i, code, t in self._codes.apply(rows)]
        stale = self.corrections.apply(batch.ids, rows)
        errors += [self._item(batch.ids[i], code, text) for i, code, text in stale]
        return FeatureBatch(batch.ids, rows, geometries), self._limited(errors)

    def _convert(
        self, rows: list[dict[str, Any]], ids: list[str], name: str, convert: Callable[[Any], Any]
    ) -> list[ItemError]:
        errors = []
        for at, row in enumerate(rows):
            try:
                row[name] = convert(row[name])
            except BadValueError as exc:
                row[name] = None
                errors.append(self._item(ids[at], "value", f"{name}: {exc}"))
        return errors

    def _item(self, remote_id: str, code: str, message: str) -> ItemError:
        return ItemError(code, message, remote_id, severity="warning")

    def _limited(self, errors: list[ItemError]) -> list[ItemError]:
        kept = []
        for error in errors:
            key = (error.code, error.message.partition(":")[0])
            self._reported[key] = self._reported.get(key, 0) + 1
            if self._reported[key] <= MAX_REPORTED:
                kept.append(error)
        return kept

    def totals(self) -> dict[str, int]:
        """Return how often each kind of trouble was met, also beyond what was reported one by one."""
        sums: dict[str, int] = {}
        for (code, _), count in self._reported.items():
            sums[code] = sums.get(code, 0) + count
        return sums


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5) or [
        n for n in names if n.lower() == name.lower()
    ]
    shown = ", ".join(names[:30])
    return f"did you mean {close[0]!r}? (columns: {shown})" if close else f"columns: {shown}"


def merged_record(record: DatasetRecord, layer: LayerConfig, source: SourceConfig) -> DatasetRecord:
    """Return the harvested record with what the configuration says of it laid over.

    Access is never widened by a default: unless the layer states it, the stricter of both holds.
    """
    changes: dict[str, Any] = {
        name: value
        for name in ("title", "description", "keywords", "licence", "cakupan", "frekuensi")
        if (value := getattr(layer, name))
    }
    if layer.region_code is not None:
        field = layer.rename.get(layer.region_code.field, layer.region_code.field)
        changes["kode_referensi"] = layer.region_code.model_copy(update={"field": field})
    changes["produsen_data"] = record.produsen_data or source.produsen_data
    changes["walidata"] = record.walidata or source.walidata
    if record.contact == type(record.contact)():
        changes["contact"] = source.contact
    changes["synthetic"] = record.synthetic or source.synthetic
    if changes["synthetic"] and _SYNTHETIC not in record.lineage:
        changes["lineage"] = f"{_SYNTHETIC} {record.lineage}".strip()
    changes["crs"] = layer.crs or record.crs
    order = ("publik", "terbatas", "internal")
    stated = "access" in layer.model_fields_set
    changes["access"] = layer.access if stated else max(record.access, layer.access, key=order.index)
    return record.model_copy(update=changes)
