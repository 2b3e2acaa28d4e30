"""WFS 2.0, 1.1 and 1.0: feature types of a service.

The source's `url` is the service (`https://host/geoserver/wfs`; `?map=` and the like are kept); a
layer's `remote` is the type name, with or without its workspace, or a pattern (`palapa:*`).
`where` is an OGC `<Filter>`, or CQL where the server is GeoServer.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from catalog.errors import AuthSourceError, CancelledRunError, SourceError
from catalog.model import DatasetRecord, ItemError, Link, Localized
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.naming import Choice, choose
from harvesters.wfs.content import Question, WfsContent
from harvesters.wfs.read import Axis
from harvesters.wfs.service import FeatureType, WfsService


class WfsOptions(Options):
    """Options of `type: wfs`."""

    version: str = Field(
        default="auto", pattern=r"^(auto|2\.0\.0|1\.1\.0|1\.0\.0)$", description="WFS version to speak"
    )
    page_size: int | None = Field(
        default=None, ge=1, description="Features per page; default: harvest.page_size"
    )
    axis: Axis = Field(
        default="declared", description="xy or yx for servers that send another order than they declare"
    )
    sort_by: list[str] = Field(default_factory=list, description="Properties to sort by while paging")
    output_format: str = Field(default="", description="Default: GeoJSON when offered, else GML")


class WfsHarvester(Harvester):
    """One WFS and the types chosen from it."""

    type = "wfs"
    options_model = WfsOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._service = WfsService(source.url, http, version=self.options.version)

    def probe(self) -> Probe:
        """Read the capabilities."""
        found = self._service.capabilities
        return Probe(found.title, found.version, {"types": len(found.types), "geojson": found.json_format()})

    def listing(self) -> Listing:
        """List the type names that the configuration chooses."""
        ids = tuple(choice.remote for choice in self._chosen())
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per chosen type; one that can not be described is an item error."""
        for choice in self._chosen():
            if not choice.present:
                yield ItemError("not-found", "the service has no such type", choice.remote, self._service.url)
                continue
            try:
                yield self._dataset(choice)
            except (AuthSourceError, CancelledRunError):
                raise
            except SourceError as exc:
                yield ItemError(exc.code, exc.detail or str(exc), choice.remote, exc.where)

    def _chosen(self) -> list[Choice]:
        return choose(self.source, self._service.capabilities.types)

    def _dataset(self, choice: Choice) -> RemoteDataset:
        kind = self._service.capabilities.types[choice.remote]
        content = WfsContent(self._service, self._question(choice.layer, kind))
        return RemoteDataset(
            remote_id=choice.remote,
            collection_id=choice.collection_id,
            kind="table" if content.schema().geometry_type is None else "feature",
            record=_record(kind, self._service.url, content.schema().crs),
            layer=choice.layer,
            content=content,
        )

    def _question(self, layer: LayerConfig, kind: FeatureType) -> Question:
        return Question(
            type=kind,
            page_size=self.options.page_size or self.http.settings.page_size,
            feature_id=layer.feature_id or "",
            where=layer.where or "",
            sort_by=tuple(self.options.sort_by),
            axis=self.options.axis,
            output_format=self.options.output_format,
            crs=layer.crs or "",
            time_field=layer.time.field,
            region_code=layer.region_code,
        )


def _record(kind: FeatureType, url: str, crs: str) -> DatasetRecord:
    links = [Link(href=url, rel="via", title=kind.name, protocol="OGC:WFS")]
    links += [Link(href=m, rel="describedby", protocol="WWW:LINK") for m in kind.metadata_urls]
    return DatasetRecord(
        title=Localized(id=kind.title or kind.name.rsplit(":", 1)[-1].replace("_", " ")),
        description=Localized(id=kind.abstract),
        keywords=list(kind.keywords),
        bbox=kind.bbox,
        crs=crs,
        links=links,
    )
