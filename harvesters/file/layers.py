"""Which layers a file, a folder or an archive holds, judged by the bytes, and the content of each.

Also for other harvesters that meet files (a CKAN resource, a download link of a CSW record):
`scan(path, folder)` lists, `open_layer(found, layer)` reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import ProtocolError, SourceError
from catalog.model import BBox, ItemError, Kind
from catalog.sources import LayerConfig
from harvesters.file.content import FileContent, Reader
from harvesters.file.kml import KmlReader
from harvesters.file.parquet import ParquetReader
from harvesters.file.sniff import Format, check_whole, sniff
from harvesters.file.unpack import Budget, unpack_gzip, unpack_zip, walk
from harvesters.file.vector import DRIVERS, VectorReader, layer_names
from harvesters.table.read import sheet_names
from harvesters.table.reader import read_csv, read_xlsx

MAX_DEPTH = 2
_BESIDE = {
    ".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qpj", ".xml", ".txt", ".pdf", ".md", ".qml",
    ".gpkg-wal", ".gpkg-shm", ".tfw", ".sld", ".lyr", ".jpg", ".png", ".html", ".docx",
}  # fmt: skip
"""Files that come along with data and are none themselves."""
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    "gpkg": (".gpkg",), "sqlite": (".sqlite", ".db"), "flatgeobuf": (".fgb",), "gml": (".gml", ".xml"),
    "geojson": (".geojson", ".json"), "geojsonseq": (".geojsonl", ".geojsons", ".ndjson", ".jsonl"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One layer that can be read. `name` is what `remote` of a layer says."""

    name: str
    path: Path
    kind: Format
    layer: str = ""


@dataclass(slots=True)
class Opened:
    """A layer made ready: its kind, content, extent and what was found out about the file."""

    kind: Kind
    content: FileContent
    bbox: BBox | None
    notes: dict[str, str]


def scan(
    path: Path, folder: Path, budget: Budget | None = None, name: str | None = None
) -> list[Found | ItemError]:
    """List the layers of a file or folder; archives are unpacked into `folder` (an empty one).

    A single file's layer is named by the file (without suffix), several by `file:layer` or, in one
    file alone, by their own names. In a folder the names keep the suffix, so that `*.csv` can be
    asked for. A file in a folder or archive that can not be read is an item error; alone, ProtocolError.
    """
    place = _Place(folder, budget or Budget())
    if path.is_dir():
        return list(_many(path, walk(path), place, suffix=True))
    return _single(path, place, name or _stem(path))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where archives are unpacked, what they may spend, and how deep we are in them."""

    folder: Path
    budget: Budget
    depth: int = 0

    def fresh(self) -> Path:
        """Return a new folder."""
        number = sum(1 for _ in self.folder.iterdir()) if self.folder.is_dir() else 0
        fresh = self.folder / f"isi-{number:04d}"
        fresh.mkdir(parents=True)
        return fresh


def _single(path: Path, place: _Place, name: str) -> list[Found | ItemError]:
    kind = sniff(path)
    if kind == "gzip":
        return _single(unpack_gzip(path, place.fresh(), place.budget), place, name)
    if kind in {"zip", "kmz"}:
        return _archive(path, replace(place, depth=place.depth + 1))
    if kind == "tiff":
        raise ProtocolError("a raster (GeoTIFF)", where=path.name, hint="harvest it with `type: raster`")
    check_whole(path, kind)
    if kind == "xlsx":
        sheets = sheet_names(path)
        if len(sheets) == 1:
            return [Found(name, path, kind, sheets[0])]
        return [Found(sheet, path, kind, sheet) for sheet in sheets]
    path = _rightly_named(path, kind, place)
    layers = layer_names(path, kind)
    if not layers:
        raise ProtocolError("the file holds no layer", where=path.name)
    if kind not in {"gpkg", "sqlite", "gml"}:
        return [Found(name, path, kind)]
    return [Found(layer, path, kind, layer) for layer in layers]


def _rightly_named(path: Path, kind: Format, place: _Place) -> Path:
    """Return the file, or a link to it with the suffix that GDAL believes in."""
    suffixes = _SUFFIXES.get(kind)
    if suffixes is None or path.suffix.lower() in suffixes:
        return path
    link = place.fresh() / f"{_stem(path)}{suffixes[0]}"
    link.symlink_to(path.resolve())
    return link


def _archive(path: Path, place: _Place) -> list[Found | ItemError]:
    if place.depth > MAX_DEPTH:
        raise ProtocolError(f"archives more than {MAX_DEPTH} deep in each other", where=path.name)
    target = place.fresh()
    files = unpack_zip(path, target, place.budget)
    found = list(_many(target, iter(sorted(files)), place, suffix=False))
    if not any(isinstance(item, Found) for item in found):
        problems = [item.message for item in found if isinstance(item, ItemError)]
        raise ProtocolError(problems[0] if problems else "the archive holds no data", where=path.name)
    return found


def _many(root: Path, files: Iterator[Path], place: _Place, *, suffix: bool) -> Iterator[Found | ItemError]:
    paths = [p for p in files if p.suffix.lower() not in _BESIDE or _lonely_dbf(p)]
    stems = Counter(str(p.relative_to(root).with_suffix("")) for p in paths)
    for path in paths:
        relative = path.relative_to(root)
        short = str(relative.with_suffix(""))
        name = str(relative) if suffix or stems[short] > 1 else short
        try:
            inside = _single(path, place, name)
        except SourceError as error:
            yield ItemError(error.code, error.message("en"), name)
            continue
        for item in inside:
            if isinstance(item, Found) and (len(inside) > 1 or suffix) and item.name != name:
                yield replace(item, name=f"{name}:{item.name}" if len(inside) > 1 else name)
            else:
                yield item


def _lonely_dbf(path: Path) -> bool:
    return path.suffix.lower() == ".dbf" and not any(
        other.suffix.lower() == ".shp" for other in path.parent.glob(f"{path.stem}.*")
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def open_layer(found: Found, layer: LayerConfig, *, page_size: int = 1000) -> Opened:
    """Make one layer ready to be harvested; ProtocolError when it can not be read after all."""
    reader = _reader(found, layer)
    schema = reader.schema()
    settings = (found.layer, layer.feature_id, layer.crs, sorted(layer.options.items(), key=str))
    content = FileContent(found.path, reader, settings=settings, page_size=page_size)
    bbox = reader.bbox()
    notes = {"format": found.kind, **reader.notes}
    return Opened("table" if schema.geometry_type is None else "feature", content, bbox, notes)


def _reader(found: Found, layer: LayerConfig) -> Reader:
    if found.kind == "csv":
        return read_csv(found.path, layer)
    if found.kind == "xlsx":
        return read_xlsx(found.path, found.layer, layer)
    if found.kind == "parquet":
        return ParquetReader(found.path, layer)
    if found.kind == "kml":
        return KmlReader(found.path, layer)
    if found.kind in DRIVERS:
        return VectorReader(found.path, found.kind, found.layer, layer)
    raise ProtocolError(f"no reader for {found.kind}", where=found.path.name)
