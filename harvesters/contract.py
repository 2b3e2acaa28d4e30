"""What a harvester is. The engine owns leases, retries, counts, guards and transactions.

A third party adds one by an entry point in the group `satudata.harvesters`:
`name = "package.module:ClassName"`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from catalog.model import DatasetRecord, ItemError, Kind, LayerSchema
from catalog.sources import LayerConfig, SourceConfig
from harvesters.http.client import HttpClient
from layers.contract import FeatureBatch


class Options(BaseModel):
    """Base of a harvester's typed options (`options:` of the source)."""

    model_config = ConfigDict(extra="forbid")


OptionsModel = type[Options]  # named here because Harvester has an attribute `type`


@dataclass(frozen=True, slots=True)
class Listing:
    """What the source says it has. `ids` when it can tell them, else only `count`.

    `window` marks lists that show a moving part (BMKG): what leaves the list is not deleted.
    `stage` names the content's state at the source (ETag, edit date, hash of ids) so that an
    interrupted harvest of the same content resumes; empty when it can not be told.
    """

    count: int | None = None
    ids: tuple[str, ...] | None = None
    window: bool = False
    stage: str = ""
    certain: bool = False
    """`stage` alone proves that the content is the same (ETag, edit date): an equal one is not fetched."""


@dataclass(slots=True)
class FeaturePage:
    """One page of features under a key that is stable over retries of the same listing."""

    key: str
    batch: FeatureBatch
    errors: list[ItemError] = field(default_factory=list)


class FeatureContent(Protocol):
    """Vector data or a table behind a dataset. Streams; never holds the layer in memory."""

    def schema(self) -> LayerSchema:
        """Return the shape with the source's own field names."""
        ...

    def listing(self) -> Listing:
        """Ask the source what it has (called first, and once more when something is missing)."""
        ...

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the pages whose key is not in `staged`, in a fixed order."""
        ...

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Yield pages for single ids that were listed but not seen."""
        ...


class RasterContent(Protocol):
    """A raster behind a dataset."""

    def fetch(self, folder: Path, progress: Callable[[int, int | None], None]) -> Path:
        """Bring the raster into `folder` as a file rasterio reads; report bytes or tiles done."""
        ...


@dataclass(slots=True)
class RemoteDataset:
    """One dataset as the source offers it.

    `content` is None for records and for services that are registered by reference. `layer` is the
    configuration that chose it. `collection_id` is the stable id (config or slug of the name).
    """

    remote_id: str
    collection_id: str
    kind: Kind
    record: DatasetRecord
    layer: LayerConfig
    content: FeatureContent | RasterContent | None = None
    unchanged: bool = False
    """The source said "not modified" (304): nothing to fetch; the current version stays."""
    keep: dict[str, Any] = field(default_factory=dict)
    """What to remember with the version (ETag...); `Harvester.previous` gives it back next time."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Answer to "is it there and what is it?"."""

    title: str = ""
    version: str = ""
    details: dict[str, Any] = field(default_factory=dict)


type Previous = Callable[[str, LayerConfig], Mapping[str, Any]]
"""Given a collection id and its configuration: the `keep` of the version that is live.

Set by the engine before `probe`. Empty when there is no version, or when the configuration has
changed since (then everything must be fetched again).
"""


class Harvester(ABC):
    """One protocol. Small: parse and page; everything else is the engine's."""

    type: ClassVar[str]
    options_model: ClassVar[OptionsModel] = Options

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        self.source = source
        self.http = http
        self.options: Any = self.options_model.model_validate(source.options)
        self.previous: Previous = lambda collection_id, layer: {}

    @abstractmethod
    def probe(self) -> Probe:
        """Reach the source cheaply; raise SourceError when it is not what the config says."""

    @abstractmethod
    def listing(self) -> Listing:
        """List the remote ids of the datasets that the config chooses."""

    @abstractmethod
    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield each chosen dataset, or an item error for one that can not be described."""

    def close(self) -> None:  # noqa: B027 - an optional hook
        """Let go of files and connections."""
