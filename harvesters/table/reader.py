"""Tables as a `Reader`: CSV, TSV and XLSX; two streaming passes, one to learn the types, one to read.

`options.wkt` names a column with geometry; points of `x` and `y` columns are the engine's mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import shapely

from catalog.errors import ConfigError, ProtocolError
from catalog.model import BBox, FieldDef, FieldType, ItemError, LayerSchema
from catalog.sources import LayerConfig
from harvesters.file.content import FileLayerOptions, Ids, layer_options
from harvesters.file.crs import authority
from harvesters.file.rows import Item
from harvesters.table.read import CELL_ERRORS, UNCACHED, Rows, SheetRows, TextRows
from harvesters.table.sniff import Header, dialect, find_header
from harvesters.table.types import EMPTY, Column, Parse, decide, decimal_mark, native

_LOOK = 25
"""Rows in which the names are looked for."""
_FOOT = re.compile(r"(?:sumber|catatan|keterangan|note|notes|source)\b\s*:?|\*", re.IGNORECASE)


@dataclass(slots=True)
class _Learned:
    """What the first pass found."""

    header: Header
    fields: tuple[FieldDef, ...]
    parsers: list[Parse]
    keep: list[int]
    """Positions of the columns that are read."""
    count: int
    notes: dict[str, str] = field(default_factory=dict)


def read_csv(path: Path, layer: LayerConfig) -> TableReader:
    """Return a reader of a text table."""
    options = layer_options(layer)
    found = dialect(path, options.encoding, options.delimiter)
    reader = TableReader(path, TextRows(path, found), layer)
    reader.notes |= {"encoding": found.encoding, "delimiter": found.delimiter.replace("\t", "tab")}
    return reader


def read_xlsx(path: Path, sheet: str, layer: LayerConfig) -> TableReader:
    """Return a reader of one sheet."""
    reader = TableReader(path, SheetRows(path, sheet), layer)
    reader.notes["sheet"] = sheet
    return reader


class TableReader:
    """Reads rows; the first pass decides names and types and counts."""

    def __init__(self, path: Path, rows: Rows, layer: LayerConfig) -> None:
        self._path, self._rows, self._layer = path, rows, layer
        self._options: FileLayerOptions = layer_options(layer)
        self.notes: dict[str, str] = {}

    # -- first pass ---------------------------------------------------------------------------

    @cached_property
    def _learned(self) -> _Learned:
        rows = iter(self._rows)
        first = list(islice(rows, _LOOK))
        header = self._header(first)
        keep = self._kept(header.names)
        columns = [Column(header.names[n]) for n in keep]
        count, short, last = 0, 0, []
        for row in chain(first[header.skip :], rows):
            if _blank(row) or self._foot(row, len(header.names)):
                continue
            count += 1
            short += len(row) < len(header.names)
            last = row
            for column, at in zip(columns, keep, strict=True):
                column.see(_clean(row[at]) if at < len(row) else None)
        if isinstance(self._rows, TextRows) and count and self._rows.cut(last, len(header.names)):
            raise ProtocolError("the file ends in the middle of a row: it is cut", where=self._path.name)
        learned = self._decided(header, columns, keep, count)
        if short:
            learned.notes["short_rows"] = f"{short} rows have fewer cells than names; the rest is empty"
        self.notes |= learned.notes
        return learned

    def _header(self, first: list[list[Any]]) -> Header:
        if all(_blank(row) for row in first):
            raise ProtocolError("the table is empty", where=self._path.name)
        return find_header(first, self._options.header_row, self._options.header_rows)

    def _kept(self, names: tuple[str, ...]) -> list[int]:
        wanted = self._options.columns
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ConfigError(
                f"no column {missing[0]!r}", where=self._path.name, hint="there are: " + ", ".join(names[:40])
            )
        keep = [n for n, name in enumerate(names) if not wanted or name in wanted]
        if len(keep) > self._options.max_columns:
            raise ProtocolError(
                f"{len(keep)} columns; {self._options.max_columns} can be kept",
                where=self._path.name, hint="name the ones you need in the layer's options.columns",
            )  # fmt: skip
        return keep

    def _decided(self, header: Header, columns: list[Column], keep: list[int], count: int) -> _Learned:
        mark = decimal_mark(columns, self._options.decimal)
        fields, parsers, notes = [], [], {}
        for column in columns:
            kind, parse, unclear = decide(column, mark)
            fields.append(FieldDef(column.name, kind))
            parsers.append(parse)
            if unclear:
                notes[f"column {column.name}"] = f"left as text: {unclear}"
        if mark:
            notes["decimal"] = mark
        if header.title:
            notes["title_rows"] = header.title[:500]
        if header.renamed:
            notes["renamed_columns"] = "; ".join(header.renamed)[:2000]
        return _Learned(header, tuple(fields), parsers, keep, count, notes)

    def _foot(self, row: list[Any], width: int) -> bool:
        """Tell a note below the table: one cell alone that says Sumber, Catatan ..."""
        return (
            width >= 3 and isinstance(row[0], str) and bool(_FOOT.match(row[0].strip())) and _blank(row[1:])
        )

    # -- the reader ---------------------------------------------------------------------------

    def schema(self) -> LayerSchema:
        """Return the shape: any geometry with WKT, else a table."""
        learned = self._learned
        names = {f.name for f in learned.fields}
        wanted = (("feature_id", self._layer.feature_id), ("options.wkt", self._options.wkt))
        for key, name in wanted:
            if name is not None and name not in names:
                raise ProtocolError(
                    f"the table has no column {name!r} ({key})", where=self._path.name,
                    hint="it has: " + ", ".join(f.name for f in learned.fields[:40]),
                )  # fmt: skip
        layer, code = self._layer, self._layer.region_code
        return LayerSchema(
            fields=learned.fields,
            geometry_type="Geometry" if self._options.wkt else None,
            crs=authority(layer.crs, layer.remote) if layer.crs else "EPSG:4326",
            time_field=layer.time.field,
            region_code=code if code and code.field in names else None,
        )

    def count(self) -> int:
        """Return the number of rows the first pass saw."""
        return self._learned.count

    def bbox(self) -> BBox | None:
        """Not known without reading the coordinates."""
        return None

    def items(self) -> Iterator[Item | ItemError]:
        """Stream the rows as items; a row that can not be used is an item error."""
        learned = self._learned
        ids = Ids(self._layer.feature_id, self._options.ids)
        width, number = len(learned.header.names), 0
        for row in islice(iter(self._rows), learned.header.skip, None):
            if _blank(row) or self._foot(row, width):
                continue
            number += 1
            if not _blank(row[width:]):
                message = f"row {number} has {len(row)} cells for {width} names"
                yield ItemError("row-width", message, str(number))
            else:
                yield self._item(row, number, learned, ids)

    def _item(self, row: list[Any], number: int, learned: _Learned, ids: Ids) -> Item | ItemError:
        values: dict[str, Any] = {}
        warnings: list[ItemError] = []
        for definition, parse, at in zip(learned.fields, learned.parsers, learned.keep, strict=True):
            cell = _clean(row[at]) if at < len(row) else None
            if cell is UNCACHED:
                message = f"row {number}, {definition.name!r}: {UNCACHED!r}"
                return ItemError("formula-uncached", message, str(number))
            if isinstance(cell, str) and cell in CELL_ERRORS:
                message = f"row {number}, {definition.name!r}: {cell}"
                warnings.append(ItemError("cell-error", message, str(number), severity="warning"))
                cell = None
            values[definition.name] = _typed(cell, definition.type, parse)
        found = ids.of(values, number)
        if isinstance(found, ItemError):
            return found
        geometry = self._geometry(values, found)
        if isinstance(geometry, ItemError):
            return geometry
        return Item(found, values, geometry, warnings)

    def _geometry(self, values: dict[str, Any], id_: str) -> shapely.Geometry | ItemError | None:
        text = values.get(self._options.wkt) if self._options.wkt else None
        try:
            return shapely.from_wkt(text) if text else None
        except shapely.errors.ShapelyError as error:
            return ItemError("geometry-unreadable", str(error), id_)


def _typed(cell: Any, kind: FieldType, parse: Parse) -> Any:
    if cell is None:
        return None
    if not isinstance(cell, str):
        return native(cell, kind)
    if kind is FieldType.TEXT:
        return cell or None
    return None if cell in EMPTY else parse(cell)


def _clean(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _blank(row: list[Any]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in row)
