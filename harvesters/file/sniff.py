"""What a file is, by its bytes: names and media types lie, and half a file must not pass for a whole.

`sniff` names the format; `check_whole` raises ProtocolError for a file that was cut or is something
else than data (a login page, an old .xls).
"""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import zipfile
from pathlib import Path
from typing import Literal

from catalog.errors import ProtocolError

Format = Literal[
    "gpkg", "sqlite", "zip", "xlsx", "kmz", "flatgeobuf", "parquet", "shp", "dbf", "tiff", "gzip",
    "geojson", "geojsonseq", "kml", "gml", "csv",
]  # fmt: skip
HEAD = 65536
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"fgb\x03fgb", "flatgeobuf"), (b"PAR1", "parquet"), (b"\x00\x00\x27\x0a", "shp"), (b"\x1f\x8b", "gzip"),
    (b"II*\x00", "tiff"), (b"MM\x00*", "tiff"), (b"II+\x00", "tiff"), (b"MM\x00+", "tiff"),
)  # fmt: skip
_DBF = {0x03, 0x30, 0x31, 0x83, 0x8B, 0xF5}
_GEOJSON = re.compile(
    rb'"type"\s*:\s*"(?:FeatureCollection|Feature|Point|MultiPoint|LineString|MultiLineString|Polygon|'
    rb'MultiPolygon|GeometryCollection)"'
)
_OPENERS = b"{["


def sniff(path: Path) -> Format:
    """Name the format of `path`; ProtocolError when it is empty or nothing that we read."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.removeprefix(b"\xef\xbb\xbf").strip(b"\x00\r\n\t "):
        raise ProtocolError("the file is empty", where=path.name)
    if head.startswith(b"SQLite format 3\x00"):
        return "gpkg" if head[68:72] in {b"GPKG", b"GP10", b"GP11"} else "sqlite"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(path)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if path.suffix.lower() == ".dbf" and head[0] in _DBF:
        return "dbf"
    return _text_kind(head, path.name)


def _zip_kind(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ProtocolError(f"the zip is cut or broken: {error}", where=path.name) from error
    if "xl/workbook.xml" in names:
        return "xlsx"
    only_kml = [n for n in names if n.lower().endswith(".kml")]
    data = [n for n in names if n.lower().endswith((".shp", ".csv", ".gpkg", ".geojson", ".zip", ".tif"))]
    return "kmz" if only_kml and not data else "zip"


def _text_kind(head: bytes, name: str) -> Format:
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise ProtocolError("an old binary Office file (.xls)", where=name, hint="save it as .xlsx or CSV")
    if head.startswith(b"%PDF"):
        raise ProtocolError("a PDF, which holds no data we can read", where=name)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _wide(head):
        return "csv"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    start = text[:2000].lower()
    if text[:1] == b"<":
        return _markup_kind(start, name)
    if text[:1] and text[:1] in _OPENERS:
        return _json_kind(text, name)
    if b"\x00" in head:
        raise ProtocolError("the file's bytes are of no format that we read", where=name)
    return "csv"


def _wide(head: bytes) -> bool:
    """Tell UTF-16 without a byte order mark: every other byte of plain text is NUL."""
    sample = head[:2000]
    return len(sample) >= 4 and max(sample[::2].count(0), sample[1::2].count(0)) > len(sample) * 0.4


def _markup_kind(start: bytes, name: str) -> Format:
    if b"<html" in start or b"<!doctype html" in start:
        raise ProtocolError("a web page (login or error?) instead of a data file", where=name)
    if b"<kml" in start:
        return "kml"
    if b"gml" in start or b"featurecollection" in start:
        return "gml"
    raise ProtocolError("XML that is neither KML nor GML", where=name)


def _json_kind(text: bytes, name: str) -> Format:
    if not _GEOJSON.search(text):
        raise ProtocolError("JSON that is not GeoJSON", where=name)
    first, newline, rest = text.partition(b"\n")
    one_line = newline and first.rstrip().endswith(b"}") and rest.lstrip(b" \r\n\x1e").startswith(b"{")
    return "geojsonseq" if one_line and b'"FeatureCollection"' not in first[:200] else "geojson"


def check_whole(path: Path, kind: Format) -> None:
    """Raise ProtocolError when the file is shorter than it says of itself."""
    size = path.stat().st_size
    if kind in {"gpkg", "sqlite"}:
        _check_sqlite(path, size)
    elif kind == "shp":
        _check_shapefile(path)
    elif kind == "parquet" and _tail(path, 4) != b"PAR1":
        raise ProtocolError("the Parquet file is cut: no footer", where=path.name)


def _tail(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(count, path.stat().st_size), os.SEEK_END)
        return file.read(count)


def _check_sqlite(path: Path, size: int) -> None:
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100:
        raise ProtocolError("the database file is cut", where=path.name)
    page = struct.unpack(">H", head[16:18])[0]
    page = 65536 if page == 1 else page
    pages, counter, valid_for = (struct.unpack(">I", head[at : at + 4])[0] for at in (28, 24, 92))
    if counter == valid_for and size < pages * page:
        raise ProtocolError(f"the file is cut: {size} of {pages * page} bytes", where=path.name)
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ProtocolError(f"the database can not be read: {error}", where=path.name) from error


def _check_shapefile(path: Path) -> None:
    """Compare lengths that .shp and .dbf state in their headers with what is there."""
    with path.open("rb") as file:
        head = file.read(100)
    stated = struct.unpack(">i", head[24:28])[0] * 2 if len(head) == 100 else 100
    if path.stat().st_size < stated:
        raise ProtocolError(f"the .shp is cut: {path.stat().st_size} of {stated} bytes", where=path.name)
    for suffix in (".shx", ".dbf"):
        if sibling(path, suffix) is None:
            raise ProtocolError(f"the shapefile comes without its {suffix}", where=path.name)
    dbf = sibling(path, ".dbf")
    if dbf is not None:
        with dbf.open("rb") as file:
            head = file.read(32)
        count, header, width = struct.unpack("<IHH", head[4:12]) if len(head) == 32 else (1, 32, 1)
        if dbf.stat().st_size < header + count * width:
            raise ProtocolError("the .dbf is cut", where=dbf.name)


def sibling(path: Path, suffix: str) -> Path | None:
    """Return the file beside `path` with another suffix, in whatever letter case."""
    for other in path.parent.iterdir():
        if other.stem == path.stem and other.suffix.lower() == suffix:
            return other
    return None
