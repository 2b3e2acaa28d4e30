"""What a layer says of itself (`MapServer/0?f=json`), and its attributes turned into ours.

A coded-value field gives two attributes: the field itself holds the label, `<field>_kode` the code
as the source writes it; its `FieldDef.codes` lists code -> label. A code outside the domain keeps
itself as label. Dates (epoch milliseconds) become ISO instants in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from catalog.errors import ProtocolError
from catalog.model import FieldDef, FieldType

type Row = dict[str, Any]
type Case = Literal["keep", "upper", "lower"]

_TYPES = {
    "esriFieldTypeOID": FieldType.INTEGER,
    "esriFieldTypeSmallInteger": FieldType.INTEGER,
    "esriFieldTypeInteger": FieldType.INTEGER,
    "esriFieldTypeBigInteger": FieldType.INTEGER,
    "esriFieldTypeSingle": FieldType.REAL,
    "esriFieldTypeDouble": FieldType.REAL,
    "esriFieldTypeDate": FieldType.DATETIME,
    "esriFieldTypeTimestampOffset": FieldType.DATETIME,
    "esriFieldTypeDateOnly": FieldType.DATE,
}
_SKIPPED = {"esriFieldTypeGeometry", "esriFieldTypeBlob", "esriFieldTypeRaster"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CODE_SUFFIX = "_kode"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """The parts of a layer description that we use. `oid` is the source's name of the object id."""

    name: str
    oid: str
    fields: tuple[Mapping[str, Any], ...]
    geometry_type: str | None
    max_records: int
    stamp: str
    raw: Mapping[str, Any] = field(repr=False)


def read_layer(raw: Mapping[str, Any], where: str) -> LayerInfo:
    """Read a layer description; ProtocolError when it is not one that can be queried."""
    fields = tuple(f for f in raw.get("fields") or () if f.get("name"))
    if not fields:
        raise ProtocolError("the layer lists no fields: it can not be queried", where=where)
    table = raw.get("type") == "Table" or not raw.get("geometryType")
    editing = raw.get("editingInfo") or {}
    stamp = editing.get("dataLastEditDate") or editing.get("lastEditDate") or ""
    return LayerInfo(
        name=str(raw.get("name") or raw.get("id") or ""),
        oid=_oid(raw, fields, where),
        fields=fields,
        geometry_type=None if table else str(raw["geometryType"]),
        max_records=int(raw.get("maxRecordCount") or 1000),
        stamp=str(stamp),
        raw=raw,
    )


def _oid(raw: Mapping[str, Any], fields: tuple[Mapping[str, Any], ...], where: str) -> str:
    named = raw.get("objectIdField")
    if isinstance(named, str) and named:
        return named
    for f in fields:
        if f.get("type") == "esriFieldTypeOID":
            return str(f["name"])
    for f in fields:
        if str(f["name"]).upper() in {"OBJECTID", "FID", "OID"}:
            return str(f["name"])
    raise ProtocolError("the layer has no object id field", where=where)


class Attributes:
    """Turns `attributes` objects into rows whose names are `fields` (case as configured)."""

    def __init__(self, info: LayerInfo, case: Case = "keep") -> None:
        self._case = case
        self._names: dict[str, str] = {}
        self._convert: dict[str, Callable[[Any], Any]] = {}
        self._domains: dict[str, tuple[str, dict[str, str]]] = {}
        self.fields: tuple[FieldDef, ...] = tuple(self._define(info))
        self._exact = frozenset(self._names) if not self._domains else frozenset()
        self._plain = all(source == ours for source, ours in self._names.items())

    def cased(self, name: str) -> str:
        """Return a source name in the configured case."""
        return name if self._case == "keep" else name.upper() if self._case == "upper" else name.lower()

    def _define(self, info: LayerInfo) -> list[FieldDef]:
        found: list[FieldDef] = []
        subtypes = _subtypes(info.raw)
        taken = {self.cased(str(f["name"])) for f in info.fields}
        for f in info.fields:
            if f.get("type") in _SKIPPED:
                continue
            source, kind = str(f["name"]), _TYPES.get(str(f.get("type")), FieldType.TEXT)
            ours, title = self.cased(source), str(f.get("alias") or "")
            codes = subtypes.get(source) or _codes(f.get("domain"))
            self._names[source] = ours
            if kind in (FieldType.DATE, FieldType.DATETIME):
                self._convert[source] = _instant if kind is FieldType.DATETIME else _day
            if not codes:
                found.append(FieldDef(ours, kind, title))
                continue
            code_name = _free(ours + CODE_SUFFIX, taken)
            self._domains[source] = (code_name, codes)
            found += [FieldDef(ours, FieldType.TEXT, title), FieldDef(code_name, kind, title, codes=codes)]
        return found

    def row(self, attributes: Row) -> Row:
        """Return one row; `attributes` may be changed. Unknown attributes are left out."""
        if attributes.keys() != self._exact or not self._plain:
            attributes = self._aligned(attributes)
        for source, convert in self._convert.items():
            name = self._names[source]
            attributes[name] = convert(attributes[name])
        return attributes

    def _aligned(self, attributes: Row) -> Row:
        """Bring names into line: other case, a table prefix, missing or further attributes, codes."""
        given = attributes
        if not self._names.keys() <= given.keys():
            folded = {k.rpartition(".")[2].upper(): v for k, v in attributes.items()}
            given = {n: folded.get(n.rpartition(".")[2].upper()) for n in self._names}
        out = {ours: given[source] for source, ours in self._names.items()}
        for source, (code_name, codes) in self._domains.items():
            value = given[source]
            out[code_name] = value
            out[self._names[source]] = None if value is None else codes.get(_key(value), str(value))
        return out


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _key(value: Any) -> str:
    """Return a code as the domain's key: 1 and 1.0 are the same code."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _codes(domain: Any) -> dict[str, str]:
    values = domain.get("codedValues") if isinstance(domain, Mapping) else None
    return {_key(v.get("code")): str(v.get("name")) for v in values or ()}


def _subtypes(raw: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the labels of the subtype field (`typeIdField`), which has no domain of its own."""
    name, types = raw.get("typeIdField"), raw.get("types")
    if not name or not types:
        return {}
    return {str(name): {_key(t.get("id")): str(t.get("name")) for t in types}}


def _instant(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    try:
        return (_EPOCH + timedelta(milliseconds=value)).isoformat()
    except OverflowError:
        return None  # a year outside 1..9999 is no date


def _day(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:10] or None
    instant = _instant(value)
    return date.fromisoformat(instant[:10]).isoformat() if instant else None
