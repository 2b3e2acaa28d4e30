"""What goes into a layer's tiles: kind of geometry, attributes, label, deepest zoom.

The plan is made of the version's schema and of `tiles` of the layer in its source's file; archive and
tiles on request follow the same plan, so that nobody can tell them apart.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import PublishError
from catalog.model import FieldDef, FieldType, LayerSchema, VersionInfo
from layers.geometry import type_id

FID = "fid"
"""The attribute that holds the feature's id as `/collections/{id}/items/{fid}` knows it."""
LABELS = ":label"
"""Ends the name of the second layer of areas: one point per area to write its name at."""
FULL_ATTRIBUTES = 20_000
"""Layers up to this many features carry all attributes; larger ones code, name and style columns."""
SLIM = 7
"""Before this zoom (the archive's count) areas of large layers carry only what draws and finds them."""
DEEPEST = 16
"""The deepest zoom that is served: below the archive's own zooms tiles are made on request."""
CLUSTERED = 2_000
"""Point layers with more points than this are clustered at the zooms above the deepest."""

_NAMES = ("nama", "namobj", "name", "nm_desa", "wadmkd", "wadmkc", "wadmkk", "wadmpr", "nama_desa", "judul")
_CODE = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)

Family = Literal["point", "line", "polygon", "mixed"]


class TileOptions(BaseModel):
    """`tiles` of a layer in a source's file."""

    model_config = ConfigDict(extra="forbid")

    attributes: list[str] | None = Field(default=None, description="Attributes in the tiles; default: rule")
    label: str | None = Field(default=None, description="Attribute to write on the map; default: the name")
    max_zoom: int = Field(default=12, ge=6, le=14, description="Deepest zoom kept in the archive")
    on_request: bool = Field(default=False, description="No archive: tiles are made when asked for (PostGIS)")


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The plan of one version. `fields` are the attributes beside `fid`; `label` one of them, or None."""

    layer: str
    family: Family
    fields: tuple[FieldDef, ...]
    label: str | None
    max_zoom: int
    clustered: bool = False
    slim: tuple[str, ...] | None = None
    """What areas carry at zooms before SLIM; None: everything."""

    def names(self, zoom: int = SLIM) -> tuple[str, ...]:
        """Return the attributes' names at a zoom of the archive's count (deep ones, if it is not said)."""
        if self.slim is not None and zoom < SLIM:
            return self.slim
        return tuple(field.name for field in self.fields)


def make_plan(info: VersionInfo, options: TileOptions, styled: tuple[str, ...] = ()) -> TilePlan:
    """Return the plan of a version; `styled` are columns that its styles need.

    PublishError for a table, and for an attribute that the layer does not have.
    """
    schema = info.schema
    if schema is None or schema.geometry_type is None:
        raise PublishError("only layers with geometry have tiles", where=info.layer_id)
    family = family_of(schema.geometry_type)
    label = options.label or name_column(schema)
    _known(schema, [*(options.attributes or ()), *([label] if label else ())], info.layer_id)
    fields = tuple(
        f for f in schema.fields if f.name != FID and f.name in _chosen(info, options, label, styled)
    )
    code = schema.region_code.field if schema.region_code else None
    needed = {*styled, *(options.attributes or ()), *([code] if code else ())}
    return TilePlan(
        info.layer_id, family, fields, label, options.max_zoom,
        clustered=family == "point" and info.count > CLUSTERED,
        slim=tuple(f.name for f in fields if f.name in needed)
        if family == "polygon" and info.count > FULL_ATTRIBUTES else None,
    )  # fmt: skip


def family_of(geometry_type: str) -> Family:
    """Return what a geometry type is drawn as."""
    found: dict[int, Family] = {0: "point", 4: "point", 1: "line", 5: "line", 3: "polygon", 6: "polygon"}
    return found.get(type_id(geometry_type), "mixed")


def name_column(schema: LayerSchema) -> str | None:
    """Return the attribute that names a feature, or None."""
    texts = {f.name.lower(): f.name for f in reversed(schema.fields) if f.type is FieldType.TEXT}
    return next((texts[name] for name in _NAMES if name in texts), None)


def numeric_id(feature_id: str) -> int:
    """Return the number that stands for a feature in a tile (MVT ids are numbers).

    A code of digits and dots is its digits (`32.03.01.1006` -> 3203011006), anything else 52 bits of
    its MD5 (not for secrecy: PostgreSQL has it, too). Who a feature is says the attribute `fid`.
    """
    digits = feature_id.replace(".", "")
    if _CODE.fullmatch(digits):
        return int(digits)
    return int(hashlib.md5(feature_id.encode(), usedforsecurity=False).hexdigest()[:13], 16)


def _chosen(info: VersionInfo, options: TileOptions, label: str | None, styled: tuple[str, ...]) -> set[str]:
    schema = info.schema or LayerSchema(())
    code = schema.region_code.field if schema.region_code else None
    always = {name for name in (label, code, *styled) if name}
    if options.attributes is not None:
        return always | set(options.attributes)
    return set(schema.names()) if info.count <= FULL_ATTRIBUTES else always


def _known(schema: LayerSchema, names: list[str], where: str) -> None:
    for name in names:
        if name not in schema.names():
            raise PublishError(f"`tiles` names {name!r}, which the layer does not have", where=where)
