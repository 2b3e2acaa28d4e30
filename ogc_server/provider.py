"""Our layers as a pygeoapi provider plugin, so that everything of pygeoapi can work on them.

pygeoapi makes a new provider for each request, hence nothing costly happens in `__init__`: the
provider is handed the dataset and version, and leases the shared reader when it is asked.
"""

from __future__ import annotations

from typing import Any

import orjson
from pygeoapi.provider.base import BaseProvider, ProviderItemNotFoundError, ProviderQueryError

from catalog.errors import QueryError
from catalog.model import FieldDef, FieldType, LayerSchema, VersionInfo
from layers.contract import Query
from ogc_server.readers import Readers
from ogc_server.spatial import Box
from ogc_server.times import interval

PLUGIN = "ogc_server.provider.LayerProvider"

_TYPES: dict[FieldType, dict[str, str]] = {
    FieldType.TEXT: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.REAL: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.DATETIME: {"type": "string", "format": "date-time"},
}


def json_schema(field: FieldDef) -> dict[str, Any]:
    """Return the JSON Schema of one attribute."""
    described: dict[str, Any] = {"title": field.title or field.name, **_TYPES[field.type]}
    if field.description:
        described["description"] = field.description
    if field.unit:
        described["x-ogc-unit"] = field.unit
    if field.codes:
        described["description"] = "; ".join(f"{code} = {label}" for code, label in field.codes.items())
    return described


class LayerProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi has no type hints
    """One version of one layer. `provider_def["layer"]` is (VersionInfo, Readers)."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.info: VersionInfo = provider_def["layer"][0]
        self.readers: Readers = provider_def["layer"][1]
        self.schema = self.info.schema or LayerSchema(())
        self.time_field = self.schema.time_field

    @property
    def fields(self) -> dict[str, Any]:
        """Return attribute name -> JSON Schema."""
        return {field.name: json_schema(field) for field in self.schema.fields}

    def get_fields(self) -> dict[str, Any]:
        """Return attribute name -> JSON Schema."""
        return self.fields

    def query(
        self,
        offset: int = 0,
        limit: int = 10,
        resulttype: str = "results",
        bbox: list[float] | None = None,
        datetime_: str | None = None,
        properties: list[tuple[str, str]] | None = None,
        sortby: list[dict[str, str]] | None = None,
        select_properties: list[str] | None = None,
        skip_geometry: bool = False,
        filterq: Any = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Return a FeatureCollection. `bbox` is in the storage CRS; `filterq` a pygeofilter tree."""
        box: Box | None = (bbox[0], bbox[1], bbox[2], bbox[3]) if bbox else None
        question = Query(
            limit=0 if resulttype == "hits" else limit,
            offset=offset,
            bbox=box,
            time=interval("datetime", datetime_) if datetime_ else None,
            equals=tuple(properties or ()),
            filter=filterq,
            sortby=tuple((key["property"], "desc" if key["order"] == "-" else "asc") for key in sortby or ()),
            properties=tuple(select_properties) if select_properties else None,
            skip_geometry=skip_geometry,
        )
        try:
            with self.readers.lease(self.info) as reader:
                page = reader.page(question)
        except QueryError as error:
            raise ProviderQueryError(user_msg=str(error)) from error
        return {
            "type": "FeatureCollection",
            "features": [orjson.loads(feature) for feature in page.features],
            "numberMatched": page.matched,
            "numberReturned": len(page.features),
        }

    def get(self, identifier: str, **_: Any) -> dict[str, Any]:
        """Return one feature."""
        with self.readers.lease(self.info) as reader:
            feature = reader.feature(identifier)
        if feature is None:
            raise ProviderItemNotFoundError(user_msg=f"no feature {identifier}")
        loaded: dict[str, Any] = orjson.loads(feature)
        return loaded
