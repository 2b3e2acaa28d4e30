"""Rasters: GeoTIFF by path, `data:` path or http(s), and ArcGIS ImageServers through exportImage.

A layer's `remote` is the file's name without suffix (a folder or archive may hold several), or the
name of the image service; `*` takes all. `crs` of a layer is taken when the file names none.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError

from catalog.errors import ConfigError, NotFoundError, ProtocolError, SourceError
from catalog.model import DatasetRecord, ItemError, Link, Localized
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.file.place import local_path
from harvesters.file.unpack import Budget, unpack_gzip, unpack_zip, walk
from harvesters.http.auth import safe_url
from harvesters.http.client import HttpClient, Validators
from harvesters.naming import Choice, choose
from harvesters.raster.check import RasterFacts, check_raster, facts, is_tiff, with_crs
from harvesters.raster.service import ImageService


class RasterOptions(Options):
    """Options of `type: raster`."""

    max_bytes: int = Field(default=32 << 30, ge=1, description="Most bytes a raster may have when unpacked")
    tile: int = Field(default=1024, ge=64, le=8192, description="Width and height of one exportImage")


class RasterLayerOptions(Options):
    """What `options:` of a raster layer may say."""

    nodata: float | None = Field(default=None, description="Value that means no data, when the file lacks it")
    bbox: tuple[float, float, float, float] | None = Field(
        default=None, description="Part of an image service to take: west, south, east, north in degrees"
    )
    pixel_size: float | None = Field(
        default=None, gt=0, description="Cell size of an image service in its units"
    )


class RasterHarvester(Harvester):
    """One GeoTIFF, a folder or archive of them, or one image service."""

    type = "raster"
    options_model = RasterOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def probe(self) -> Probe:
        """Reach the service, or look whether the file is there and a raster."""
        if self._service is not None:
            return Probe(self._service.name, self._service.version, {"layers": [self._service.name]})
        if urlsplit(self.source.url).scheme in {"http", "https"}:
            self._reach()
        return Probe(self._name, "", {"layers": self._names})

    def _reach(self) -> None:
        """Ask for the headers of an http file; a server that knows no HEAD is let off."""
        try:
            self.http.request("HEAD", self.source.url)
        except SourceError as error:
            if error.params.get("status") not in {405, 501}:
                raise

    def listing(self) -> Listing:
        """List the rasters that the configuration chooses."""
        ids = tuple(choice.remote for choice in self._choices)
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per raster."""
        for choice in self._choices:
            if not choice.present:
                message = f"{self._name} has no raster {choice.remote!r}; it has: {', '.join(self._names)}"
                yield ItemError("layer-missing", message, choice.remote)
                continue
            try:
                yield self._dataset(choice)
            except SourceError as error:
                yield ItemError(error.code, error.message("en"), choice.remote, safe_url(self.source.url))

    def close(self) -> None:
        """Delete what was unpacked."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    # -- what there is ------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        path = unquote(urlsplit(self.source.url).path).rstrip("/")
        return path.rpartition("/")[2] or self.source.id

    @cached_property
    def _service(self) -> ImageService | None:
        if not urlsplit(self.source.url).path.rstrip("/").endswith("/ImageServer"):
            return None
        return ImageService(self.http, self.source.url, self.options.tile)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Local rasters by name; empty for a remote one."""
        try:
            local = local_path(self.source.url)
        except NotFoundError as error:
            raise ProtocolError(error.detail, where=self.source.id, hint="put the file there") from error
        if local is None:
            return {}
        if local.is_dir():
            return {path.stem: path for path in walk(local) if is_tiff(path)}
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="satudata-")
        return unpacked(local, Path(self._temporary.name), self.options.max_bytes)

    @cached_property
    def _names(self) -> list[str]:
        if self._service is not None:
            return [self._service.name]
        remote = urlsplit(self.source.url).scheme in {"http", "https"}
        return (
            [self._name.removesuffix(".gz").rpartition(".")[0] or self._name] if remote else list(self._files)
        )

    @cached_property
    def _choices(self) -> list[Choice]:
        return choose(self.source, self._names)

    # -- one raster ---------------------------------------------------------------------------

    def _dataset(self, choice: Choice) -> RemoteDataset:
        options = _layer_options(choice.layer)
        if self._service is not None:
            content: Any = ServiceContent(self._service, options)
            return self._remote(choice, content, self._service.facts(options.bbox, options.pixel_size))
        if choice.remote in self._files:
            path = self._files[choice.remote]
            found = facts(path, choice.layer.crs, self.options.max_bytes)
            return self._remote(choice, FileRaster(path, choice.layer, self.options.max_bytes), found)
        keep: dict[str, Any] = {}
        content = HttpRaster(self.http, self.source.url, choice, self.options.max_bytes, keep)
        dataset = self._remote(choice, content, None)
        dataset.keep = keep
        dataset.unchanged = self._same(choice)
        return dataset

    def _same(self, choice: Choice) -> bool:
        """Ask the server whether the file is still the one that the live version was made of."""
        kept = self.previous(choice.collection_id, choice.layer).get("validators")
        if not kept:
            return False
        try:
            return self.http.request("HEAD", self.source.url, validators=Validators(**kept)) is None
        except SourceError:
            return False  # a server without HEAD: fetch the file

    def _remote(self, choice: Choice, content: Any, found: RasterFacts | None) -> RemoteDataset:
        address = safe_url(self.source.url)
        links = [Link(href=address, rel="via", title=self._name)] if "://" in address else []
        record = DatasetRecord(
            title=Localized(id=choice.remote.replace("_", " ")),
            lineage=f"Raster dipanen dari {self._name}.",
            links=links,
        )
        if found is not None:
            record = record.model_copy(
                update={"bbox": found.bbox, "crs": found.crs, "extras": found.extras()}
            )
        return RemoteDataset(choice.remote, choice.collection_id, "raster", record, choice.layer, content)


def _layer_options(layer: LayerConfig) -> RasterLayerOptions:
    try:
        return RasterLayerOptions.model_validate(layer.options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("options", *first["loc"]))
        known = ", ".join(RasterLayerOptions.model_fields)
        raise ConfigError(f"{place}: {first['msg']}", where=layer.remote, hint=f"known: {known}") from error


def unpacked(path: Path, folder: Path, most: int) -> dict[str, Path]:
    """Return the GeoTIFFs by name in a file that is one, or holds them packed; ProtocolError without any."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        path = unpack_gzip(path, folder, Budget(bytes=most, ratio=2000))
        return unpacked(path, folder, most)
    if head == b"PK\x03\x04":
        files = unpack_zip(path, folder, Budget(bytes=most, ratio=2000))
        found = {file.stem: file for file in files if is_tiff(file)}
    else:
        found = {path.name.removesuffix(".gz").rpartition(".")[0] or path.name: path} if is_tiff(path) else {}
    if not found:
        raise ProtocolError("no GeoTIFF in it", where=path.name, hint="a raster source needs a GeoTIFF")
    return found


type Report = Callable[[int, int | None], None]


class FileRaster:
    """A GeoTIFF on this machine."""

    def __init__(self, path: Path, layer: LayerConfig, most: int) -> None:
        self._path, self._layer, self._most = path, layer, most

    def fetch(self, folder: Path, progress: Report) -> Path:
        """Check every block of the file and return it (a copy when it lacks its CRS)."""
        path = with_crs(self._path, self._layer.crs, folder)
        check_raster(path, self._most, progress, _layer_options(self._layer).nodata)
        return path


class HttpRaster:
    """A GeoTIFF (perhaps packed) at an http address."""

    def __init__(self, http: HttpClient, url: str, choice: Choice, most: int, keep: dict[str, Any]) -> None:
        self._http, self._url, self._choice, self._most, self._keep = http, url, choice, most, keep

    def fetch(self, folder: Path, progress: Report) -> Path:
        """Download into `folder` (an interrupted one goes on), unpack, check."""
        download = self._http.download(self._url, folder, progress=progress)
        if download is None:
            raise ProtocolError("the server sent no file", where=safe_url(self._url))
        inside = folder / "isi"
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        files = unpacked(download.path, inside, self._most)
        path = files.get(self._choice.remote) or next(iter(files.values()))
        if len(files) > 1 and self._choice.remote not in files:
            raise ProtocolError(
                f"several rasters in the archive: {', '.join(files)}", where=safe_url(self._url)
            )
        path = with_crs(path, self._choice.layer.crs, folder)
        check_raster(path, self._most, progress, _layer_options(self._choice.layer).nodata)
        if download.validators != Validators():
            self._keep["validators"] = asdict(download.validators)
        return path


class ServiceContent:
    """An image service, or a part of it."""

    def __init__(self, service: ImageService, options: RasterLayerOptions) -> None:
        self._service, self._options = service, options

    def fetch(self, folder: Path, progress: Report) -> Path:
        """Export tile by tile into one GeoTIFF; tiles already in `folder` are not asked for again."""
        return self._service.export(
            folder,
            progress,
            bbox=self._options.bbox,
            pixel=self._options.pixel_size,
            nodata=self._options.nodata,
        )
