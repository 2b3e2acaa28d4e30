"""ArcGIS REST: layers and tables of a MapServer or FeatureServer.

The source's `url` is a service (`.../BATAS_DESAKEL_AR/MapServer`), one of its layers, or a folder;
a layer's `remote` is the layer id, its name, or a path below `url` (`Folder/Service/MapServer/0`).
`"*"` takes every layer and table of the service. `crs` of a layer is the output CRS asked for
(default EPSG:4326), `where` an SQL filter in the server's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyproj
from pydantic import Field

from catalog.errors import AuthSourceError, ConfigError, SourceError
from catalog.model import BBox, DatasetRecord, ItemError, Link, Localized, RegionCode
from catalog.sources import LayerConfig, SourceConfig
from harvesters.arcgis.client import ArcGISClient, service_url
from harvesters.arcgis.content import ArcGISContent, Question
from harvesters.arcgis.layer import Attributes, Case, LayerInfo, read_layer
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.naming import slug

_GROUPS = {"Group Layer", "Raster Layer", "Raster Catalog Layer", "Annotation Layer"}


class ArcgisOptions(Options):
    """Options of `type: arcgis`."""

    page_size: int | None = Field(
        default=None, ge=1, description="Features per page; default: harvest.page_size"
    )
    field_case: Case = Field(
        default="keep",
        description="upper or lower: names of all fields, for editions that differ in case only",
    )
    geometry_precision: int | None = Field(
        default=None,
        ge=0,
        le=15,
        description="Decimals of coordinates asked for; default: all that the server has. 7 halves the bytes",
    )
    token_url: str = Field(
        default="",
        description="generateToken address; then auth.username and auth.password are used for tokens",
    )


class ArcgisHarvester(Harvester):
    """One ArcGIS service and the layers chosen from it."""

    type = "arcgis"
    options_model = ArcgisOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._url, self._layer = service_url(source.url)
        self._client = ArcGISClient(http, token_url=self.options.token_url, auth=source.auth)
        self._service: dict[str, Any] | None = None

    def probe(self) -> Probe:
        """Read the service description (or the layer's, when the address is a layer's)."""
        about = self._client.ask(f"{self._url}/{self._layer}" if self._layer else self._url, {})
        title = about.get("mapName") or about.get("name") or about.get("serviceDescription") or ""
        layers = [str(x.get("name")) for x in (*about.get("layers", ()), *about.get("tables", ()))]
        return Probe(str(title), str(about.get("currentVersion") or ""), {"layers": layers})

    def listing(self) -> Listing:
        """List the remote ids (`service/layer`) that the configuration chooses."""
        ids = tuple(remote for remote, _ in self._chosen())
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per chosen layer; a layer that can not be described is an item error."""
        taken: set[str] = set()
        for remote, layer in self._chosen():
            try:
                dataset = self._dataset(remote, layer)
                if dataset.collection_id in taken:  # two layers of one service may share a name
                    dataset.collection_id = slug(f"{dataset.collection_id}-{remote}")
                taken.add(dataset.collection_id)
                yield dataset
            except AuthSourceError:
                raise
            except SourceError as e:
                yield ItemError(e.code, e.detail or str(e), remote, e.where or self._address(remote))

    # -- which layers -------------------------------------------------------------------------

    def _chosen(self) -> list[tuple[str, LayerConfig]]:
        named = [layer for layer in self.source.layers if layer.remote != "*"]
        chosen = [(self._remote(layer.remote), layer) for layer in named]
        taken = {remote for remote, _ in chosen}
        for star in (layer for layer in self.source.layers if layer.remote == "*"):
            chosen += [(r, star) for r in self._all() if r not in taken]
        return chosen

    def _all(self) -> list[str]:
        if self._layer:
            return [self._layer]
        return [
            str(x["id"]) for x in self._entries() if not x.get("subLayerIds") and x.get("type") not in _GROUPS
        ]

    def _entries(self) -> list[dict[str, Any]]:
        if self._service is None:
            self._service = self._client.ask(self._url, {})
        return [*(self._service.get("layers") or ()), *(self._service.get("tables") or ())]

    def _remote(self, remote: str) -> str:
        """Return the layer's path below the service; a name is looked up in the service."""
        if "/" in remote or remote.isdigit():
            return remote.strip("/")
        for entry in self._entries():
            if str(entry.get("name")) == remote:
                return str(entry["id"])
        raise ConfigError(
            f"the service has no layer {remote!r}", where=self.source.id,
            hint="it has: " + ", ".join(f"{e.get('id')} {e.get('name')}" for e in self._entries()[:20]),
        )  # fmt: skip

    def _address(self, remote: str) -> str:
        return f"{self._url}/{remote}"

    # -- one layer ----------------------------------------------------------------------------

    def _dataset(self, remote: str, layer: LayerConfig) -> RemoteDataset:
        url = self._address(remote)
        info = read_layer(self._client.ask(url, {}), url)
        attributes = Attributes(info, self.options.field_case)
        question = Question(
            url=url,
            where=layer.where or "",
            out_sr=_wkid(layer.crs, self.source.id),
            page_size=self.options.page_size or self.http.settings.page_size,
            precision=self.options.geometry_precision,
            feature_id=layer.feature_id or "",
            time_field=layer.time.field or _time_field(info, attributes),
            region_code=_known(layer.region_code, attributes),
        )
        return RemoteDataset(
            remote_id=remote,
            collection_id=self._collection(layer, info.name),
            kind="table" if info.geometry_type is None else "feature",
            record=_record(info, url, question),
            layer=layer,
            content=ArcGISContent(self._client, info, attributes, question),
        )

    def _collection(self, layer: LayerConfig, name: str) -> str:
        if layer.remote == "*" or layer.id is None:
            return slug(f"{layer.id or self.source.id}-{name}")
        return layer.id


def _wkid(crs: str | None, source_id: str) -> int:
    if crs is None or crs in {"OGC:CRS84", "CRS84"}:
        return 4326
    authority, _, code = crs.rpartition(":")
    if authority.upper() not in {"EPSG", "ESRI", ""} or not code.isdigit():
        raise ConfigError(f"crs {crs!r} has no EPSG number", where=source_id, hint="write it as EPSG:4326")
    return int(code)


def _time_field(info: LayerInfo, attributes: Attributes) -> str | None:
    start = (info.raw.get("timeInfo") or {}).get("startTimeField")
    return attributes.cased(start) if start else None


def _known(code: RegionCode | None, attributes: Attributes) -> RegionCode | None:
    return code if code and code.field in {f.name for f in attributes.fields} else None


def _record(info: LayerInfo, url: str, question: Question) -> DatasetRecord:
    raw = info.raw
    return DatasetRecord(
        title=Localized(id=info.name.replace("_", " ")),
        description=Localized(id=_plain(raw.get("description"))),
        credit=_plain(raw.get("copyrightText")),
        bbox=_bbox(raw.get("extent")),
        modified=_moment(info.stamp),
        crs=f"EPSG:{question.out_sr}",
        links=[Link(href=url, rel="via", type="application/json", title=info.name, protocol="ESRI:REST")],
    )


def _plain(text: Any) -> str:
    return re.sub(r"<[^>]+>", " ", str(text or "")).strip()


def _moment(stamp: str) -> datetime | None:
    if not stamp.lstrip("-").isdigit():
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(stamp))


def _bbox(extent: Any) -> BBox | None:
    """Return the extent in degrees, clamped to the world; None when it is empty or in an unknown CRS."""
    try:
        west, south, east, north = (float(extent[k]) for k in ("xmin", "ymin", "xmax", "ymax"))
        ref = extent["spatialReference"]
        crs = pyproj.CRS.from_user_input(int(ref.get("latestWkid") or ref["wkid"]))
        if not crs.is_geographic:
            move = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
            west, south, east, north = move.transform_bounds(west, south, east, north)
    except (TypeError, KeyError, ValueError, pyproj.exceptions.ProjError):
        return None
    if not all(abs(c) < 1e6 for c in (west, south, east, north)):  # also refuses NaN and infinity
        return None
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
