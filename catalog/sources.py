"""A source: one YAML file in `config/sources/`. These models are its grammar and its JSON Schema.

What only one protocol understands stands under `options` and is checked by that harvester's own
model; the rest is the same for all.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from catalog.model import Access, Contact, Localized, RegionCode

_ID = r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*$"


def _no_version(value: str) -> str:
    if value in {"collections", "conformance", "api", "openapi", "processes", "jobs"}:
        raise ValueError("reserved")
    return value


def _localized(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


DatasetId = Annotated[str, Field(pattern=_ID, max_length=120), AfterValidator(_no_version)]
LocalizedText = Annotated[Localized, BeforeValidator(_localized, json_schema_input_type=str | Localized)]


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class TimeField(Strict):
    """Which attribute is the feature's time."""

    field: str | None = None


class LayerConfig(Strict):
    """One layer of a source, or a pattern (`remote: "*"`) for all that are not named."""

    remote: str = Field(description='Layer id, type name, file layer, package id; "*" takes all')
    id: DatasetId | None = Field(default=None, description="Collection id; made from the name for *")
    title: LocalizedText | None = None
    description: LocalizedText | None = None
    keywords: list[str] = Field(default_factory=list)
    feature_id: str | None = Field(default=None, description="Default: the protocol's own id")
    region_code: RegionCode | None = None
    rename: dict[str, str] = Field(default_factory=dict, description="source name -> our name")
    drop: list[str] = Field(default_factory=list)
    types: dict[str, Literal["text", "integer", "real", "boolean", "date", "datetime"]] = Field(
        default_factory=dict, description="force a type (our name -> type)"
    )
    x: str | None = Field(default=None, description="Column of the easting / longitude (tables)")
    y: str | None = Field(default=None, description="Column of the northing / latitude (tables)")
    time: TimeField = Field(default_factory=TimeField)
    crs: str | None = Field(default=None, description="CRS of the source when it does not say it")
    where: str | None = Field(default=None, description="Filter in the protocol's own language")
    access: Access = "publik"
    licence: str = ""
    cakupan: str = ""
    frekuensi: str = ""
    allow_personal: bool = False
    tiles: dict[str, Any] = Field(default_factory=dict, description="What goes into the vector tiles")
    style: dict[str, Any] = Field(default_factory=dict, description="How maps draw it by default")
    styles: dict[str, dict[str, Any]] = Field(default_factory=dict, description="More styles, by id")
    options: dict[str, Any] = Field(default_factory=dict)


class SourceConfig(Strict):
    """One upstream and the layers we take from it."""

    id: DatasetId
    type: str = Field(description="arcgis wfs csw wms wmts ckan file postgis raster palapa bmkg cap")
    url: str = Field(description="Address, or a path relative to the YAML file")
    title: LocalizedText | None = None
    produsen_data: str
    walidata: str = ""
    contact: Contact = Field(default_factory=Contact)
    enabled: bool = True
    schedule: str | None = Field(
        default=None,
        description="cron, five fields, in the deployment's time zone; `@every 30s` for feeds of warnings",
    )
    auth: dict[str, str] = Field(default_factory=dict, description="By reference only: ${ENV} or file:PATH")
    verify_tls: bool = True
    rank: int = Field(default=100, description="Lower wins when two sources hold the same dataset")
    synthetic: bool = False
    max_removed_percent: float | None = Field(default=None, ge=0, le=100)
    grace_days: float | None = Field(default=None, ge=0)
    options: dict[str, Any] = Field(default_factory=dict, description="Typed by the harvester")
    layers: list[LayerConfig] = Field(min_length=1)
