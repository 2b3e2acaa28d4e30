"""Reads what the questions need out of stored layers, of the region reference, and of GeoJSON."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import shapely

from analysis.affected import Bahaya
from analysis.counts import Counts
from analysis.lookup import DesaIndex
from analysis.lookup_build import from_parquet, from_reader, in_degrees, opened
from analysis.nearest import Fasilitas
from analysis.verify import Moves, Rujukan
from catalog.codes import LEVELS, canonical
from catalog.errors import NotFoundError, QueryError, RecordError
from catalog.model import FieldDef, FieldType, Scheme
from catalog.region_model import CrosswalkRow
from catalog.regions import RegionBook
from layers.contract import LayerReader

_CODES = ("KDEPUM", "kode_desa", "kode", "kode_kemendagri", "bps_kode")
_NAMES = ("WADMKD", "NAMOBJ", "nama", "nama_desa", "bps_nama")
_NUMBERS = {FieldType.INTEGER, FieldType.REAL}
_NO_COUNT = re.compile(
    r"(?i)^(tahun|year)$|(^|_)(persen\w*|percent\w*|pct|rata|ratarata|rerata|rasio|ratio|indeks|index"
    r"|bagian|proporsi|kepadatan|density)(_|$)"
)


@dataclass(frozen=True, slots=True)
class BoundaryColumns:
    """Where boundaries hold code and name, and what the codes are; empty means: find out."""

    code: str = ""
    name: str = ""
    scheme: Scheme | None = None
    vintage: int | None = None


def index_of_reader(reader: LayerReader, folder: Path, columns: BoundaryColumns, *, cells: bool) -> DesaIndex:
    """Open (or build) the index of a stored layer version; its declared region code is the default."""
    info = reader.info
    if info.schema is None:
        raise QueryError(f"{info.layer_id} is no layer of features", where="boundaries")
    declared = info.schema.region_code
    names = info.schema.names()
    code = columns.code or (declared.field if declared and declared.field in names else _pick(names, _CODES))
    name = columns.name or _pick(names, _NAMES)
    scheme = columns.scheme or (declared.scheme if declared else None) or "kemendagri"
    vintage = columns.vintage or (declared.vintage if declared else None) or 0
    version = f"{info.layer_id}-{info.version}-{info.checksum}-{code}-{name}"
    rows = from_reader(reader, code=code, name=name)
    return opened(rows, folder, skema=scheme, vintage=vintage, version=version, cells=cells)


def index_of_file(path: Path, folder: Path, columns: BoundaryColumns, *, cells: bool) -> DesaIndex:
    """Open (or build) the index of a GeoParquet file in lon/lat."""
    if not path.is_file():
        raise NotFoundError(f"there is no file {path.name}", where="boundaries")
    names = pq.read_schema(path).names
    code, name = columns.code or _pick(names, _CODES), columns.name or _pick(names, _NAMES)
    stat = path.stat()
    version = f"{path.name}-{stat.st_size}-{stat.st_mtime_ns}-{code}-{name}"
    rows = from_parquet(path, code=code, name=name)
    scheme, vintage = columns.scheme or "kemendagri", columns.vintage or 0
    return opened(rows, folder, skema=scheme, vintage=vintage, version=version, cells=cells)


def boundary_columns(names: Iterable[str]) -> tuple[str, str]:
    """Return the columns of code and name that boundaries with these columns have."""
    names = list(names)
    return _pick(names, _CODES), _pick(names, _NAMES)


def _pick(names: Iterable[str], wanted: Sequence[str]) -> str:
    there = {name.lower(): name for name in names}
    for one in wanted:
        if one.lower() in there:
            return there[one.lower()]
    raise QueryError(f"name the column; there are: {', '.join(there.values())}", where="boundaries")


def reference_for(
    book: RegionBook, index: DesaIndex, *, skema: Scheme | None = None, vintage: int | None = None
) -> Rujukan:
    """Gather what the catalog knows of codes: those without polygon, what old ones became.

    Rows of quality `weak` are left out: they are no truth.
    """
    own, scheme = (index.info.skema, index.info.vintage), skema or index.info.skema
    known = set(index.codes.to_pylist())
    desa = (region.code for region in book.all(*own, "desa"))
    without = frozenset(code for code in desa if code not in known)
    vintages = [vintage] if vintage is not None else sorted(book.vintages(scheme))
    moves: dict[str, tuple[str, ...]] = {}
    for year in vintages:
        if (scheme, year) != own:
            moves |= _moves(book.pairs(from_=(scheme, year), to=own))  # newer vintages win
    if scheme == own[0]:
        return Rujukan(lama=moves, tanpa_poligon=without)
    return Rujukan(alih=moves, tanpa_poligon=without)


def region_names(book: RegionBook, index: DesaIndex) -> dict[str, str]:
    """Return the names of provinsi, kabupaten/kota and kecamatan by code, as far as the catalog has them."""
    at = (index.info.skema, index.info.vintage)
    return {region.code: region.name for level in LEVELS[:-1] for region in book.all(*at, level)}


def _moves(rows: Iterable[CrosswalkRow]) -> Moves:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.quality != "weak":
            found[row.from_code].append(row.to_code)
    return {code: tuple(sorted(became)) for code, became in found.items()}


def facilities_of(reader: LayerReader, *, jenis: str = "jenis", nama: str = "nama") -> list[Fasilitas]:
    """Read facilities: points with `jenis`, `nama` and `status`; columns of numbers are the stock."""
    schema = reader.info.schema
    if schema is None:
        raise QueryError(f"{reader.info.layer_id} is no layer of features", where="facilities")
    stock = [f.name for f in schema.fields if f.type in _NUMBERS]
    found = []
    for batch in reader.batches():
        places = None if batch.geometries is None else in_degrees(batch.geometries, schema.crs)
        for number, row in enumerate(batch.rows):
            place = None if places is None else places[number]
            if place is None or place.is_empty:
                continue
            point = place.point_on_surface()
            amounts = {name: float(row[name]) for name in stock if row.get(name) is not None}
            rest = {
                k: str(v)
                for k, v in row.items()
                if v is not None and k not in {*stock, jenis, nama, "status"}
            }
            found.append(
                Fasilitas(
                    batch.ids[number],
                    str(row.get(nama) or ""),
                    str(row.get(jenis) or ""),
                    point.x,
                    point.y,
                    amounts,
                    str(row.get("status") or ""),
                    rest,
                )
            )
    return found


def aggregates_of(reader: LayerReader, *, code: str = "", counts: Sequence[str] = ()) -> Counts:
    """Read published counts per desa; `counts` empty takes all columns of numbers that are counts.

    Percentages, averages, indices and years are none: added up over desa, or taken in part, they would
    mean nothing. Rows of one desa are summed. Counts that were withheld (empty) are unknown, not zero:
    they are left out of the desa's counts.
    """
    schema = reader.info.schema
    if schema is None:
        raise QueryError(f"{reader.info.layer_id} has no columns", where="people")
    declared = schema.region_code
    column = code or (declared.field if declared else _pick(schema.names(), _CODES))
    scheme = declared.scheme if declared else "kemendagri"
    chosen = list(counts) or [field.name for field in schema.fields if is_count(field)]
    for name in chosen:
        if name not in schema.names():
            raise QueryError(
                f"there is no column {name!r}; there are: {', '.join(schema.names())}", where="count"
            )
    total: dict[str, dict[str, float]] = defaultdict(dict)
    for batch in reader.batches([column, *chosen], geometry=False):
        for row in batch.rows:
            try:
                desa = canonical(row[column], scheme, "desa")
            except RecordError:
                continue  # rows of kecamatan and totals
            for name in chosen:
                if row[name] is not None:
                    total[desa][name] = total[desa].get(name, 0.0) + float(row[name])
    return Counts.of(total)


def is_count(field: FieldDef) -> bool:
    """Tell whether a column holds what can be added up, by its type, name and unit."""
    return field.type in _NUMBERS and "%" not in field.unit and not _NO_COUNT.search(field.name)


def hazards_of(geojson: Mapping[str, Any], *, kelas: str = "kelas") -> list[Bahaya]:
    """Read the areas of GeoJSON (geometry, Feature or FeatureCollection, lon/lat).

    `kelas` is the property of the class; classes rank by their order of first appearance.
    """
    return [
        Bahaya(shape, str(properties.get(kelas) or "")) for shape, properties in _features(geojson, "area")
    ]


def geometry_of(geojson: Mapping[str, Any], *, where: str = "area") -> shapely.Geometry:
    """Return all geometry of GeoJSON as one; errors name `where`."""
    shapes = [shape for shape, _ in _features(geojson, where)]
    return shapes[0] if len(shapes) == 1 else shapely.GeometryCollection(shapes)


def _features(geojson: object, where: str) -> list[tuple[shapely.Geometry, Mapping[str, Any]]]:
    if not isinstance(geojson, Mapping):
        raise QueryError("this is not GeoJSON", where=where)
    kind = geojson.get("type")
    if kind == "FeatureCollection":
        features = geojson.get("features")
        if not isinstance(features, list):
            raise QueryError("a FeatureCollection has a list of features", where=where)
        return [pair for feature in features for pair in _features(feature, where)]
    properties = geojson.get("properties") if kind == "Feature" else None
    geometry = geojson.get("geometry") if kind == "Feature" else geojson
    if kind == "Feature" and geometry is None:
        return []
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (shapely.GEOSException, TypeError, ValueError):
        raise QueryError("this is not GeoJSON geometry", where=where) from None
    if not all(math.isfinite(v) for v in shapely.get_coordinates(shape).ravel().tolist()):
        raise QueryError("a coordinate is no number", where=where)
    return [(shape, properties if isinstance(properties, Mapping) else {})]
