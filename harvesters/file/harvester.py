"""Files and tables: one file, a folder or an archive; by local path, `data:` path or http(s).

Formats: GeoPackage, Shapefile, GeoJSON (and its lines), FlatGeobuf, GML, KML/KMZ, (Geo)Parquet, CSV,
XLSX; zip and gzip around them. What a file is, its bytes say. A layer's `remote` is the layer, sheet
or file name (`*.csv` and `*` are patterns); `feature_id` a field of the file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field

from catalog.errors import NotFoundError, ProtocolError, SourceError
from catalog.model import DatasetRecord, ItemError, Link, Localized
from catalog.sources import SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.file.layers import Found, Opened, open_layer, scan
from harvesters.file.place import local_path
from harvesters.file.unpack import Budget
from harvesters.http.auth import safe_url
from harvesters.http.client import Download, HttpClient, Validators
from harvesters.naming import Choice, choose


class FileOptions(Options):
    """Options of `type: file`."""

    page_size: int | None = Field(default=None, ge=1, description="Rows per page; default: harvest.page_size")
    max_unpacked_bytes: int = Field(default=16 << 30, ge=1, description="Most bytes an archive may unpack to")
    max_unpacked_files: int = Field(default=2000, ge=1, description="Most files an archive may hold")


class FileHarvester(Harvester):
    """One file, folder or archive and the layers chosen from it."""

    type = "file"
    options_model = FileOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._kept: list[dict[str, Any]] = []
        self._validators = Validators()

    def probe(self) -> Probe:
        """Look at the file (an http file is fetched, as only its bytes tell what it is)."""
        if self._not_modified():
            return Probe(self._name, "", {"layers": [kept["remote"] for kept in self._kept]})
        names = [item.name for item in self._scanned if isinstance(item, Found)]
        return Probe(self._name, "", {"layers": names})

    def listing(self) -> Listing:
        """List the layers that the configuration chooses."""
        if self._not_modified():
            return Listing(count=len(self._kept), ids=tuple(kept["remote"] for kept in self._kept))
        ids = tuple(choice.remote for choice in self._choices)
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per chosen layer; one that is missing or unreadable is an item error."""
        if self._not_modified():
            yield from self._unchanged()
            return
        found = {item.name: item for item in self._scanned if isinstance(item, Found)}
        yield from (item for item in self._scanned if isinstance(item, ItemError))
        for choice in self._choices:
            if choice.remote not in found:
                yield ItemError(
                    "layer-missing",
                    f"{self._name} has no layer {choice.remote!r}; it has: {', '.join(list(found)[:20])}",
                    choice.remote,
                )
                continue
            try:
                yield self._dataset(found[choice.remote], choice)
            except SourceError as error:
                yield ItemError(error.code, error.message("en"), choice.remote, safe_url(self.source.url))

    def close(self) -> None:
        """Delete what was downloaded and unpacked."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    # -- the file -----------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return unquote(urlsplit(self.source.url).path.rstrip("/").rpartition("/")[2]) or self.source.id

    def _folder(self, name: str) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="satudata-")
        folder = Path(self._temporary.name) / name
        folder.mkdir(exist_ok=True)
        return folder

    @cached_property
    def _path(self) -> Path:
        try:
            local = local_path(self.source.url)
        except NotFoundError as error:
            raise ProtocolError(error.detail, where=self.source.id, hint="put the file there") from error
        if local is not None:
            return local
        download = self._download
        if download is None:
            raise ProtocolError("the server sent no file", where=safe_url(self.source.url))
        return download.path

    @cached_property
    def _download(self) -> Download | None:
        """Fetch the file; None when the server says that it is what the live versions were made of."""
        self._kept = self._known()
        validators = Validators(**self._kept[0]["validators"]) if self._kept else None
        found = self.http.download(self.source.url, self._folder("unduhan"), validators=validators)
        self._validators = found.validators if found is not None else validators or Validators()
        return found

    def _known(self) -> list[dict[str, Any]]:
        """Return what was kept of every layer, if all of them were made of one state of the file."""
        layers = self.source.layers
        if any("*" in layer.remote or layer.id is None for layer in layers):
            return []
        kept = [dict(self.previous(str(layer.id), layer)) for layer in layers]
        same = all(k.get("validators") and k["validators"] == kept[0]["validators"] for k in kept)
        return kept if same else []

    def _not_modified(self) -> bool:
        is_remote = urlsplit(self.source.url).scheme in {"http", "https"}
        return is_remote and self._download is None and bool(self._kept)

    def _unchanged(self) -> Iterator[RemoteDataset]:
        for layer, kept in zip(self.source.layers, self._kept, strict=True):
            record = DatasetRecord.model_validate(kept["record"])
            yield RemoteDataset(
                kept["remote"], str(layer.id), kept["kind"], record, layer, unchanged=True, keep=kept
            )

    @cached_property
    def _scanned(self) -> list[Found | ItemError]:
        budget = Budget(self.options.max_unpacked_files, self.options.max_unpacked_bytes)
        stem = self._name.removesuffix(".gz").rpartition(".")[0] or self._name
        return scan(self._path, self._folder("isi"), budget, stem)

    @cached_property
    def _choices(self) -> list[Choice]:
        return choose(self.source, [item.name for item in self._scanned if isinstance(item, Found)])

    # -- one layer ----------------------------------------------------------------------------

    def _dataset(self, found: Found, choice: Choice) -> RemoteDataset:
        size = self.options.page_size or self.http.settings.page_size
        opened = open_layer(found, choice.layer, page_size=size)
        record = self._record(found, opened)
        return RemoteDataset(
            remote_id=choice.remote,
            collection_id=choice.collection_id,
            kind=opened.kind,
            record=record,
            layer=choice.layer,
            content=opened.content,
            keep=self._keep(choice.remote, opened, record),
        )

    def _keep(self, remote: str, opened: Opened, record: DatasetRecord) -> dict[str, Any]:
        """Return what the next run needs to ask the server only whether anything changed."""
        if not (self._validators.etag or self._validators.last_modified):
            return {}
        return {
            "validators": asdict(self._validators), "remote": remote, "kind": opened.kind,
            "record": record.model_dump(mode="json", exclude_defaults=True),
        }  # fmt: skip

    def _record(self, found: Found, opened: Opened) -> DatasetRecord:
        remote = urlsplit(self.source.url).scheme in {"http", "https"}
        address = safe_url(self.source.url)
        schema = opened.content.schema()
        links = [Link(href=address, rel="via", title=self._name, protocol="WWW:DOWNLOAD")] if remote else []
        modified = None if remote else datetime.fromtimestamp(found.path.stat().st_mtime, UTC)
        return DatasetRecord(
            title=Localized(id=found.name.replace("_", " ")),
            bbox=opened.bbox,
            crs=schema.crs if schema.geometry_type else "",
            lineage=f"Dipanen dari berkas {self._name} ({found.kind}).",
            modified=modified,
            links=links,
            extras={f"berkas_{key.replace(' ', '_')}": value for key, value in opened.notes.items()},
        )
