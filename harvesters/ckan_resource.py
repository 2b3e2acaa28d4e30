"""The data behind a CKAN resource: a datastore table, or a file judged by its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from catalog.model import Kind
from catalog.sources import LayerConfig, SourceConfig
from harvesters.ckan_api import CkanClient
from harvesters.ckan_datastore import DatastoreContent
from harvesters.contract import FeatureContent

_DATA = re.compile(
    r"\b(csv|tsv|xlsx|geojson|json|gpkg|geopackage|shp|shapefile|shz|fgb|flatgeobuf|kml|kmz|zip|gml)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a resource; without content it is kept by reference."""

    kind: Kind
    content: FeatureContent | None = None


def is_candidate(resource: dict[str, Any]) -> bool:
    """Tell whether any of the resource's hints promises data; only the bytes will prove it."""
    if resource.get("datastore_active") is True:
        return True
    address = urlsplit(str(resource.get("url") or ""))
    suffix = address.path.rpartition("/")[2].rpartition(".")[2]
    hints = (resource.get("format"), resource.get("mimetype"), suffix)
    return address.scheme in {"http", "https", ""} and any(_DATA.search(str(h or "")) for h in hints)


def resource_content(
    resource: dict[str, Any], client: CkanClient, layer: LayerConfig, rows: int, source: SourceConfig
) -> Behind:
    """Find out what the resource is: a table of the datastore, a file of data, or neither."""
    mark = str(resource.get("last_modified") or resource.get("metadata_modified") or "")
    if resource.get("datastore_active") is True:
        return Behind("table", DatastoreContent(client, str(resource["id"]), rows, mark))
    return Behind("record")
