"""The plain data classes that travel between rooms."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

NAMESPACE = UUID("6f1d2c1e-3b0a-5c52-9e0e-5a7d0f2b8c11")
"""Namespace of all our UUIDv5; must never change."""

Access = Literal["publik", "terbatas", "internal"]
Kind = Literal["feature", "table", "raster", "service", "record"]
Scheme = Literal["kemendagri", "bps"]
BBox = tuple[float, float, float, float]
"""west, south, east, north in degrees, CRS84."""


def identity(source_id: str, remote_id: str) -> UUID:
    """Return the dataset's identity: UUIDv5 over (source, remote id), so a new title is an update."""
    return uuid5(NAMESPACE, f"{source_id}\x1f{remote_id}")


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=False, populate_by_name=True)


class Localized(_Value):
    """A text in Indonesian and English; English falls back to Indonesian."""

    id: str = ""
    en: str = ""

    def get(self, lang: str) -> str:
        """Return the text in `lang`, else in the other language."""
        return (self.en or self.id) if lang == "en" else (self.id or self.en)


class Contact(_Value):
    """Whom to ask: an office, never a private person."""

    organisation: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    url: str = ""
    address: str = ""


class Link(_Value):
    """A web link of a dataset; `protocol` as in ISO 19115 (`OGC:WFS`, `ESRI:REST`, `WWW:DOWNLOAD`...)."""

    href: str
    rel: str = "related"
    type: str = ""
    title: str = ""
    protocol: str = ""


class RegionCode(_Value):
    """Which field holds the region code and how it is written (kode referensi)."""

    field: str
    scheme: Scheme = "kemendagri"
    vintage: int


class DatasetRecord(_Value):
    """What is known of one dataset: the Satu Data fields (Perpres 39/2019, SNI 8843-1 profile).

    The harvested record and the steward's overlay are both of this shape; the overlay holds only
    the fields a steward set.
    """

    title: Localized = Field(default_factory=Localized)
    description: Localized = Field(default_factory=Localized)
    keywords: list[str] = Field(default_factory=list)
    topic: list[str] = Field(default_factory=list, description="ISO 19115 topic categories")
    produsen_data: str = ""
    walidata: str = ""
    contact: Contact = Field(default_factory=Contact)
    kode_referensi: RegionCode | None = None
    cakupan: str = Field(default="", description="Spatial coverage in words")
    bbox: BBox | None = None
    time_start: datetime | None = None
    time_end: datetime | None = None
    frekuensi: str = Field(default="", description="Update frequency (frekuensi penerbitan)")
    tingkat_penyajian: str = Field(default="", description="Smallest region presented")
    tahun: str = ""
    rujukan: str = Field(default="", description="Reference, legal basis")
    access: Access = "publik"
    licence: str = ""
    purpose: str = ""
    lineage: str = ""
    credit: str = ""
    language: str = "id"
    scale: int | None = Field(default=None, description="Scale denominator")
    crs: str = Field(default="", description="CRS of the data as harvested, `EPSG:4326`")
    created: datetime | None = None
    modified: datetime | None = Field(default=None, description="When the source says it changed")
    links: list[Link] = Field(default_factory=list)
    synthetic: bool = Field(default=False, description="Generated, not real; must show wherever shown")
    extras: dict[str, str] = Field(default_factory=dict)


class FieldType(StrEnum):
    """Types of attribute that a layer can store (those of JSON Schema / GeoPackage both have)."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class FieldDef:
    """One attribute of a layer. `codes` are the labels of a coded-value domain."""

    name: str
    type: FieldType = FieldType.TEXT
    title: str = ""
    description: str = ""
    unit: str = ""
    codes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerSchema:
    """Shape of a vector layer or table.

    `geometry_type` is an OGC simple-features name (`MultiPolygon`, `Point`, `Geometry`), or None
    for a table. `crs` is the stored CRS, an `EPSG:` or `OGC:` code; axis order is always x, y.
    """

    fields: tuple[FieldDef, ...]
    geometry_type: str | None = None
    crs: str = "EPSG:4326"
    time_field: str | None = None
    region_code: RegionCode | None = None
    integer_ids: bool = False

    def names(self) -> tuple[str, ...]:
        """Return the attribute names in order."""
        return tuple(f.name for f in self.fields)


@dataclass(slots=True)
class Counts:
    """What a run counted. `expected` is None when the source can not tell."""

    expected: int | None = None
    seen: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    repaired: int = 0
    corrected: int = 0
    """Values and codes that stewards' decisions put right (see `catalog.reconciliation`)."""

    def add(self, other: Counts) -> None:
        """Add another layer's counts to these."""
        if other.expected is not None:
            self.expected = (self.expected or 0) + other.expected
        for name in ("seen", "added", "updated", "unchanged", "removed", "failed", "repaired", "corrected"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class RunState(StrEnum):
    """States of a run; all but `running` are terminal."""

    RUNNING = "running"
    OK = "ok"
    UNCHANGED = "unchanged"
    INCOMPLETE = "incomplete"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ItemError:
    """One record, feature or page that failed: errors are data."""

    code: str
    message: str
    remote_id: str = ""
    url: str = ""
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One immutable version of a layer, as it stands in the store.

    `version` is an integer that grows per layer. `bbox` is in CRS84 degrees. `checksum` is over the
    content (ids, attributes, geometry), equal for equal content whatever the storage.
    """

    layer_id: str
    version: int
    kind: Kind
    count: int
    checksum: str
    schema: LayerSchema | None = None
    bbox: BBox | None = None
    time_start: str | None = None
    time_end: str | None = None
    size_bytes: int = 0
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    run_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
