"""A layer in a file as `FeatureContent`: a `Reader` knows the format, this knows the engine's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
from pydantic import Field, ValidationError

from catalog.errors import ConfigError, ProtocolError, TransientSourceError
from catalog.model import BBox, ItemError, LayerSchema
from catalog.sources import LayerConfig
from harvesters.contract import FeaturePage, Listing, Options
from harvesters.file.rows import Item, paginate

_BLOCK = 1 << 20
_ENGINE = {"region_reference", "region_crosswalk"}
"""Layer options that the engine reads, whatever the harvester."""


class FileLayerOptions(Options):
    """What `options:` of a layer may say for files and tables. All is found out when left empty."""

    encoding: str | None = Field(default=None, description="Text encoding: utf-8, windows-1252 ...")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="CSV delimiter")
    decimal: Literal[".", ","] | None = Field(default=None, description="Decimal mark of numbers")
    header_row: int | None = Field(default=None, ge=0, description="Row of the names, from 1; 0 = none")
    header_rows: int = Field(default=1, ge=1, le=5, description="Rows that together make the names")
    wkt: str | None = Field(default=None, description="Column with WKT geometry")
    columns: list[str] = Field(default_factory=list, description="Read these columns alone")
    max_columns: int = Field(default=1500, ge=1, le=1500, description="More columns than this is an error")
    swap_xy: bool = Field(default=False, description="The file holds latitude before longitude")
    ids: Literal["row", "hash"] = Field(
        default="row",
        description="Ids without `feature_id`: the row's number (stable while rows are appended) or a hash "
        "of its content (stable while rows are moved; equal rows are numbered)",
    )


def layer_options(layer: LayerConfig) -> FileLayerOptions:
    """Validate a layer's `options`; ConfigError names the wrong key."""
    try:
        ours = {key: value for key, value in layer.options.items() if key not in _ENGINE}
        return FileLayerOptions.model_validate(ours)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("options", *first["loc"]))
        known = ", ".join(FileLayerOptions.model_fields)
        raise ConfigError(f"{place}: {first['msg']}", where=layer.remote, hint=f"known: {known}") from error


class Reader(Protocol):
    """Reads one layer of one file; every method may be called more than once."""

    notes: dict[str, str]
    """What was found out or repaired, for the dataset's record."""

    def schema(self) -> LayerSchema:
        """Return the shape with the file's own names."""
        ...

    def count(self) -> int:
        """Return the number of rows the file says or proves to have."""
        ...

    def items(self) -> Iterator[Item | ItemError]:
        """Stream the rows."""
        ...

    def bbox(self) -> BBox | None:
        """Return the extent in degrees, None when it is not known cheaply."""
        ...


@dataclass(slots=True)
class Ids:
    """Makes feature ids: of the configured field, else the file's own, else row number or hash."""

    name: str | None
    mode: Literal["row", "hash"] = "row"
    _seen: dict[str, int] = field(default_factory=dict)

    def of(self, row: dict[str, Any], number: int, own: str | None = None) -> str | ItemError:
        """Return the id of a row; an item error when the configured field is empty in it."""
        if self.name is not None:
            value = row.get(self.name)
            if value is None or value == "":
                return ItemError("id-missing", f"row {number} has no value in {self.name!r}", str(number))
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        if self.mode == "hash":
            text = orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
            digest = hashlib.blake2b(text, digest_size=10).hexdigest()
            times = self._seen[digest] = self._seen.get(digest, 0) + 1
            return digest if times == 1 else f"{digest}-{times}"
        return own if own is not None else str(number)


class FileContent:
    """Implements `FeatureContent` over a reader."""

    def __init__(self, path: Path, reader: Reader, *, settings: object = "", page_size: int = 1000) -> None:
        self._path, self._reader, self._size = path, reader, page_size
        self._settings = settings
        self._stamp: tuple[int, int] | None = None

    def schema(self) -> LayerSchema:
        """Return the shape with the file's own field names."""
        return self._reader.schema()

    def listing(self) -> Listing:
        """Return the count; `stage` is the hash of the file and of what decides the pages."""
        self._stamp = self._state()
        digest = hashlib.sha256(repr((self._settings, self._size)).encode())
        for part in parts_of(self._path):
            with part.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        return Listing(count=self._reader.count(), stage=digest.hexdigest()[:32], certain=True)

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield the pages that are not staged; ProtocolError when rows are missing at the end."""
        yield from paginate(self._counted(listing), spatial=self._spatial(), size=self._size, staged=staged)
        if self._stamp is not None and self._stamp != self._state():
            raise TransientSourceError("the file changed while it was read", where=self._path.name)

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Read the file again for single ids."""
        wanted = frozenset(ids)
        items = (item for item in self._reader.items() if isinstance(item, Item) and item.id in wanted)
        for page in paginate(items, spatial=self._spatial(), size=self._size):
            page.key = f"refetch-{page.key}"
            yield page

    def _counted(self, listing: Listing) -> Iterator[Item | ItemError]:
        seen = 0
        for item in self._reader.items():
            seen += isinstance(item, Item) or item.severity == "error"
            yield item
        if listing.count is not None and seen < listing.count:
            raise ProtocolError(
                f"the file says {listing.count} rows and gives {seen}: it is cut", where=self._path.name
            )

    def _spatial(self) -> bool:
        return self._reader.schema().geometry_type is not None

    def _state(self) -> tuple[int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size


def parts_of(path: Path) -> list[Path]:
    """Return the files that make up one: a shapefile's siblings, else the file itself."""
    if path.suffix.lower() != ".shp":
        return [path]
    return sorted(p for p in path.parent.iterdir() if p.stem == path.stem and p.is_file())
