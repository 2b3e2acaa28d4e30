"""pygeoapi's `API` object over a snapshot, and what we take from it.

pygeoapi describes collections, their schemas and queryables for us, and is the host of the provider
plugin, so that its tiles, processes and coverages can be mounted on the same object. We answer
ourselves what it does not do rightly in 0.24 (see docs of each module): parameters, negotiation,
items (keyset pages, spliced texts), conformance, OpenAPI, HTML, errors.

`resources` is a lazy mapping over the snapshot: nothing is made per collection at start, so 5,000
collections cost nothing until they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pygeoapi.api import API, APIRequest, get_collection_schema
from pygeoapi.api.collection import gen_collection

from catalog.datasets import Dataset
from catalog.model import VersionInfo
from catalog.settings import Settings
from ogc_server.ask import Ask
from ogc_server.crs import offered, storage
from ogc_server.provider import PLUGIN
from ogc_server.readers import Readers
from ogc_server.snapshot import COLLECTIONS, Snapshot

WORLD = [-180.0, -90.0, 180.0, 90.0]
CRS84_URI = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


class Resources(Mapping[str, dict[str, Any]]):
    """pygeoapi resource definitions, each made when it is looked up."""

    def __init__(self, snapshot: Snapshot, readers: Readers) -> None:
        self._snapshot = snapshot
        self._readers = readers

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key not in self._snapshot.listed:
            raise KeyError(key)
        dataset, info = self._snapshot.layer(key, None, COLLECTIONS)
        return resource(dataset, info, self._readers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._snapshot.visible())

    def __len__(self) -> int:
        return len(self._snapshot.visible())

    def __deepcopy__(self, memo: Any) -> Resources:
        """Keep pygeoapi's copy for templates from copying every collection."""
        return self


def resource(dataset: Dataset, info: VersionInfo, readers: Readers) -> dict[str, Any]:
    """Return the pygeoapi resource definition of one version of a dataset."""
    record = dataset.record
    code = info.schema.crs if info.schema else "OGC:CRS84"
    temporal = {}
    if info.time_start or info.time_end:
        temporal = {
            "temporal": {
                "begin": _instant(info.time_start, "00:00:00"),
                "end": _instant(info.time_end, "23:59:59"),
            }
        }
    return {
        "type": "collection",
        "title": {"id": record.title.get("id") or dataset.id, "en": record.title.get("en") or dataset.id},
        "description": {"id": record.description.get("id"), "en": record.description.get("en")},
        "keywords": record.keywords,
        "links": [],
        "extents": {
            "spatial": {"bbox": list(info.bbox or record.bbox or WORLD), "crs": CRS84_URI},
            **temporal,
        },
        "providers": [
            {
                "type": "feature", "name": PLUGIN, "data": dataset.id, "layer": (info, readers),
                "crs": list(offered(code)), "storage_crs": storage(code).uri,
            }
        ],
    }  # fmt: skip


def _instant(text: str | None, clock: str) -> str | None:
    """Return an RFC 3339 instant; layers dated by the day name the day alone."""
    return f"{text}T{clock}Z" if text is not None and len(text) == 10 else text


class _Request:
    """What pygeoapi's APIRequest reads of a web framework's request."""

    def __init__(self, ask: Ask) -> None:
        self.query_params = {"lang": ask.lang, "f": "json"}
        self.headers: dict[str, str] = {}
        self.scope = {"path": ask.path}


def make_api(settings: Settings, base: str, snapshot: Snapshot, readers: Readers) -> API:
    """Return an API object for one snapshot and base address."""
    server = settings.server
    config: dict[str, Any] = {
        "server": {
            "url": base, "languages": ["id", "en"], "encoding": "utf-8", "mimetype": "application/json",
            "limits": {"default_items": server.limit_default, "max_items": server.limit_max},
            "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": server.title.model_dump(), "description": server.description.model_dump(),
                "keywords": [], "terms_of_service": "", "url": base,
            },
            "provider": {"name": server.contact.organisation, "url": server.contact.url},
            "contact": {"email": server.contact.email},
            "license": {"name": "", "url": ""},
        },
        "resources": {},
    }  # fmt: skip
    api = API(config, {})
    # Only now: API's constructor walks all resources, and copies them for templates.
    api.config["resources"] = Resources(snapshot, readers)
    return api


class GeoApi:
    """What we ask of pygeoapi, for one snapshot and base address."""

    def __init__(self, settings: Settings, base: str, snapshot: Snapshot, readers: Readers) -> None:
        self.api = make_api(settings, base, snapshot, readers)
        self._readers = readers

    def collection(self, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
        """Return pygeoapi's description of a collection, without its links."""
        one = _One(self.api, dataset, info, self._readers)
        request = APIRequest(_Request(ask), self.api.locales)
        described: dict[str, Any] = gen_collection(one, request, dataset.id, request.locale)
        del described["links"]
        return described

    def schema(self, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
        """Return pygeoapi's schema of a collection's items."""
        return self._schema(get_collection_schema, ask, dataset, info)

    def queryables(self, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
        """Return pygeoapi's queryables of a collection."""
        from pygeoapi.api.itemtypes import get_collection_queryables  # builds the grammar of CQL2 (1 s)

        return self._schema(get_collection_queryables, ask, dataset, info)

    def _schema(self, make: Any, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
        one = _One(self.api, dataset, info, self._readers)
        request = APIRequest(_Request(ask), self.api.locales)
        _, status, content = make(one, request, dataset.id)
        if int(status) != 200:
            raise RuntimeError(f"pygeoapi answered {status} for {dataset.id}: {content}")
        loaded: dict[str, Any] = orjson.loads(content)
        return loaded


class _One:
    """pygeoapi's API object seen through one version of one collection (`?version=`)."""

    def __init__(self, api: API, dataset: Dataset, info: VersionInfo, readers: Readers) -> None:
        self._api = api
        self.config = {**api.config, "resources": {dataset.id: resource(dataset, info, readers)}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)
