"""Writes a version, or a part of it, as one file of a format; GDAL (pyogrio) where it has the driver.

The path is a scratch file of the caller with the format's suffix: nobody reads it before it is whole.
"""

from __future__ import annotations

import csv
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pyarrow as pa
import shapely

from catalog.errors import PublishError
from catalog.model import LayerSchema
from layers.arrow import GEOMETRY, ID, arrow_schema, names_of, record_batches
from layers.columns import GEOM
from layers.contract import FeatureBatch, LayerReader, Query
from layers.crs import is_lonlat, transform
from layers.downloads.about import About
from layers.downloads.csvt import companions
from layers.downloads.csvw import GEOMETRY as WKT
from layers.downloads.csvw import SUFFIX, csvw
from layers.downloads.formats import Format
from layers.geometry import type_name
from layers.geopackage.format import put_iso
from layers.geoparquet import write_geoparquet
from layers.spreadsheet import cell
from layers.values import stored_form

_DBF_NAME = 10
_LABELS = ("nama", "name", "namobj", "judul", "title")


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be written: features of one reader that fit a condition (None: all)."""

    reader: LayerReader
    where: Query | None
    about: About

    @property
    def schema(self) -> LayerSchema:
        """Return the layer's schema; PublishError for a raster."""
        if self.reader.info.schema is None:
            raise PublishError("only vector layers and tables are written", where=self.about.dataset)
        return self.reader.info.schema

    def batches(self) -> Iterator[FeatureBatch]:
        """Stream the features in id order."""
        return self.reader.batches(where=self.where)


def write(kind: Format, piece: Piece, path: Path) -> int:
    """Write a piece to `path`; return the number of features. PublishError when the format can not."""
    if not kind.holds(piece.schema):
        raise PublishError(f"{kind.name} can not hold this layer", where=piece.about.dataset)
    counted = _Counted(piece.batches)
    _WRITERS[kind.name](piece, counted, path)
    return counted.rows


class _Counted:
    """A stream that can be begun again, and knows how many features came in the last."""

    def __init__(self, make: Callable[[], Iterable[FeatureBatch]]) -> None:
        self._make = make
        self.rows = 0

    def __iter__(self) -> Iterator[FeatureBatch]:
        self.rows = 0
        for batch in self._make():
            self.rows += len(batch)
            yield batch


def _geoparquet(piece: Piece, batches: _Counted, path: Path) -> None:
    about = piece.about
    texts = {
        "title": about.title,
        "description": about.description,
        **about.texts,
        "iso19139": about.iso.decode(),
    }
    schema = piece.schema
    write_geoparquet(path, arrow_schema(schema), record_batches(schema, batches), schema.crs, texts)


def _geopackage(piece: Piece, batches: _Counted, path: Path) -> None:
    add_layer(path, piece, batches)
    with closing(sqlite3.connect(path)) as db, db:
        put_iso(db, piece.about.iso)


def add_layer(path: Path, piece: Piece, batches: Iterable[FeatureBatch]) -> None:
    """Write a layer into a GeoPackage, which is made when it is not there; its table is the dataset's id."""
    schema, about = piece.schema, piece.about
    options = {"FID": "fid", "IDENTIFIER": about.title, "DESCRIPTION": about.plain()}
    if schema.geometry_type is not None:
        options["GEOMETRY_NAME"] = GEOM
    _gdal(path, "GPKG", piece, record_batches(schema, batches), arrow_schema(schema), options)


def _flatgeobuf(piece: Piece, batches: _Counted, path: Path) -> None:
    about = piece.about
    options = {"TITLE": about.title, "DESCRIPTION": about.plain()}
    schema = arrow_schema(piece.schema)
    try:
        _gdal(path, "FlatGeobuf", piece, record_batches(piece.schema, batches), schema, options)
    except PublishError as error:
        if "NULL geometry" not in str(error):
            raise
        options["SPATIAL_INDEX"] = "NO"  # the format can not index features without geometry
        _gdal(path, "FlatGeobuf", piece, record_batches(piece.schema, batches), schema, options)


def _shapefile(piece: Piece, batches: _Counted, path: Path) -> None:
    schema, about = arrow_schema(piece.schema), piece.about
    short = dbf_names([name for name in schema.names if name != GEOMETRY])
    renamed = pa.schema([one.with_name(short.get(one.name, one.name)) for one in schema])
    made = (batch.rename_columns(renamed.names) for batch in record_batches(piece.schema, batches))
    with TemporaryDirectory(dir=path.parent, prefix=".shp-") as folder:
        target = Path(folder) / f"{about.dataset}.shp"
        _gdal(target, "ESRI Shapefile", piece, made, renamed, {"ENCODING": "UTF-8"})
        target.with_suffix(".shp.xml").write_bytes(about.iso)
        notes = [
            about.title,
            about.plain(),
            "",
            *(f"{new} = {old}" for old, new in short.items() if new != old),
        ]
        target.with_suffix(".txt").write_text("\n".join(notes), "utf-8")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in sorted(target.parent.iterdir()):
                archive.write(part, part.name)


def dbf_names(names: Iterable[str]) -> dict[str, str]:
    """Return name -> a name of at most 10 bytes, unlike the others; dBASE has no longer ones."""
    taken: set[str] = set()
    short: dict[str, str] = {}
    for name in names:
        cut, number = name.encode()[:_DBF_NAME].decode(errors="ignore"), 1
        while cut.lower() in taken:
            number += 1
            cut = name.encode()[: _DBF_NAME - len(str(number))].decode(errors="ignore") + str(number)
        taken.add(cut.lower())
        short[name] = cut
    return short


def _geojson(piece: Piece, batches: _Counted, path: Path) -> None:
    """Write RFC 7946 from the ready texts, so that they are those that the API gives."""
    after: str | None = None
    head = {
        "type": "FeatureCollection",
        "name": piece.about.dataset,
        "metadata": orjson.loads(piece.about.json()),
    }
    asked = piece.where or Query()
    with path.open("wb") as file:
        file.write(orjson.dumps(head)[:-1] + b',"features":[')
        while True:
            page = piece.reader.page(Query(limit=5000, after=after, bbox=asked.bbox, filter=asked.filter))
            file.write((b",\n" if batches.rows and page.features else b"") + b",\n".join(page.features))
            batches.rows += len(page.features)
            after = page.next
            if after is None:
                break
        file.write(b"]}")


def _csv(piece: Piece, batches: _Counted, path: Path) -> None:
    """Write RFC 4180; geometry as WKT in longitude, latitude, points also as `lon` and `lat`."""
    schema = piece.schema
    columns = names_of(schema)
    spatial = schema.geometry_type is not None
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([ID, *columns.values(), *([WKT] if spatial else [])])
        for batch in batches:
            shapes: Iterable[Any] = [None] * len(batch)
            if spatial and batch.geometries is not None:
                moved = transform(batch.geometries, schema.crs, "OGC:CRS84")
                shapes = shapely.to_wkt(moved, rounding_precision=7, trim=True)
            for feature_id, row, shape in zip(batch.ids, batch.rows, shapes, strict=True):
                values = [_text(row.get(name)) for name in columns]
                out.writerow([cell(feature_id), *values, *([shape or ""] if spatial else [])])


def _csvw(piece: Piece, batches: _Counted, path: Path) -> None:
    """Write a ZIP of the CSV, its types as CSVW and for GDAL, the ISO 19139 record, a text for people."""
    about = piece.about
    name = f"{about.dataset}.csv"
    with TemporaryDirectory(dir=path.parent, prefix=".csv-") as folder:
        table = Path(folder) / name
        _csv(piece, batches, table)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(table, name)
            archive.writestr(name + SUFFIX, csvw(about, piece.schema, name))
            for ending, text in companions(piece.schema).items():
                archive.writestr(about.dataset + ending, text)
            archive.writestr(f"{about.dataset}.xml", about.iso)
            notes = [
                about.title,
                about.description,
                "",
                *(f"{key}: {said}" for key, said in about.texts.items()),
            ]
            archive.writestr(f"{about.dataset}.txt", "\n".join(notes))


def _text(value: Any) -> Any:
    """Return a value as the API writes it, safe in a spreadsheet."""
    return cell(stored_form(value))


def _kml(piece: Piece, batches: _Counted, path: Path) -> None:
    """Write KML 2.2, which knows longitude and latitude only; `Name` is what a globe shows."""
    schema, about = piece.schema, piece.about
    columns = names_of(schema)
    label = next((columns[n] for n in columns if n.lower() in _LABELS and n != "Name"), None)
    shape = arrow_schema(schema)
    if label is not None and "Name" not in shape.names:
        shape = shape.append(pa.field("Name", pa.string()))

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in _lonlat(schema, batches):
            for made in record_batches(schema, [batch]):
                names = [made.column(label).cast(pa.string())] if shape.names[-1] == "Name" and label else []
                yield pa.RecordBatch.from_arrays([*made.columns, *names], schema=shape)

    options = {"NAME": about.title, "DESCRIPTION": about.plain()}
    _gdal(path, "LIBKML", piece, rows(), shape, options, crs="EPSG:4326")


def _lonlat(schema: LayerSchema, batches: Iterable[FeatureBatch]) -> Iterator[FeatureBatch]:
    for batch in batches:
        if batch.geometries is not None and not is_lonlat(schema.crs):
            moved = transform(batch.geometries, schema.crs, "OGC:CRS84")
            yield FeatureBatch(batch.ids, batch.rows, moved)
        else:
            yield batch


def _gdal(
    target: Path, driver: str, piece: Piece, rows: Iterable[pa.RecordBatch], schema: pa.Schema,
    options: dict[str, str], crs: str | None = None,
) -> None:  # fmt: skip
    import pyogrio  # heavy (it brings pandas), and a server seldom writes
    from pyogrio.errors import DataLayerError

    declared = piece.schema
    spatial: dict[str, Any] = {}
    if declared.geometry_type is not None:
        kind = type_name(declared.geometry_type)
        spatial = {
            "geometry_name": GEOMETRY, "crs": crs or declared.crs,
            "geometry_type": "Unknown" if kind == "Geometry" else kind,
        }  # fmt: skip
    reader = pa.RecordBatchReader.from_batches(schema, rows)
    try:
        pyogrio.write_arrow(
            reader, str(target), layer=piece.about.dataset, driver=driver, layer_options=options,
            dataset_options={"VERSION": "1.3"} if driver == "GPKG" else None,  # 1.4 makes older readers doubt
            **spatial,
        )  # fmt: skip
    except DataLayerError as error:
        raise PublishError(f"{driver}: {error}", where=piece.about.dataset) from error


_WRITERS: dict[str, Callable[[Piece, _Counted, Path], None]] = {
    "gpkg": _geopackage, "geoparquet": _geoparquet, "flatgeobuf": _flatgeobuf, "shapefile": _shapefile,
    "geojson": _geojson, "csv": _csv, "csvw": _csvw, "kml": _kml,
}  # fmt: skip
