"""Makes the index of desa polygons from a stored layer version or from a GeoParquet file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import Transformer

from analysis.lookup import CELL, FORMAT, DesaIndex, IndexInfo, describe
from analysis.lookup_cells import write_cells
from analysis.lookup_stretches import write_stretches
from analysis.ragged import Floats, Geometries, Ints, Ragged, spans
from catalog.codes import canonical
from catalog.errors import RecordError
from catalog.model import Scheme
from layers.contract import LayerReader

_CHUNK = 5000
_DEGREES = ("EPSG:4326", "OGC:CRS84")


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Some polygons with codes (any writing) and names; geometry None is left out. EPSG:4326."""

    codes: list[str]
    names: list[str]
    shapes: Geometries


def from_reader(reader: LayerReader, *, code: str, name: str) -> Iterator[Boundaries]:
    """Read a stored layer: `code` and `name` are its columns."""
    for batch in reader.batches([code, name]):
        if batch.geometries is None:
            raise RecordError("a table has no boundaries", where=reader.info.layer_id)
        rows = batch.rows
        crs = reader.info.schema.crs if reader.info.schema else _DEGREES[0]
        shapes = in_degrees(batch.geometries, crs)
        yield Boundaries([str(r[code]) for r in rows], [str(r[name]) for r in rows], shapes)


def in_degrees(shapes: Geometries, crs: str) -> Geometries:
    """Return geometries in WGS84 lon/lat; None stays None."""
    if crs in _DEGREES:
        return shapes
    to = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    moved: Geometries = shapely.transform(shapes, lambda c: np.column_stack(to.transform(c[:, 0], c[:, 1])))
    return moved


def from_parquet(path: Path, *, code: str, name: str, geometry: str = "geometry") -> Iterator[Boundaries]:
    """Read a GeoParquet file in lon/lat with WKB geometries."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_CHUNK, columns=[code, name, geometry]):
            shapes = shapely.from_wkb(batch.column(geometry).to_numpy(zero_copy_only=False))
            yield Boundaries(batch.column(code).to_pylist(), batch.column(name).to_pylist(), shapes)


def build(
    boundaries: Iterable[Boundaries],
    folder: Path,
    *,
    skema: Scheme,
    vintage: int,
    version: str,
    cells: bool = False,
) -> DesaIndex:
    """Write an index into `folder` (replaced as a whole) and open it.

    Several features of one code become one region. `cells` adds the fine grid that speeds up
    registers of millions of rows (some 300 MB and a minute for the country). RecordError for a code
    that is none of the scheme's desa, and when there is nothing to index.
    """
    codes, names, polygons = _collected(boundaries, skema)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        info = _write(scratch, codes, names, polygons)
        info = replace(info, skema=skema, vintage=vintage, version=version)
        (scratch / "index.json").write_text(describe(info), "utf-8")
        if cells:
            write_cells(DesaIndex(scratch, cached_vertices=10**9))
            (scratch / "index.json").write_text(describe(replace(info, cells=True)), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return DesaIndex(folder)


def opened(
    boundaries: Iterable[Boundaries],
    folder: Path,
    *,
    skema: Scheme,
    vintage: int,
    version: str,
    cells: bool = False,
) -> DesaIndex:
    """Open the index in `folder` when it is of this version, else build it (lazily read boundaries)."""
    if (folder / "index.json").is_file():
        there = DesaIndex(folder)
        same = (there.info.skema, there.info.vintage, there.info.version) == (skema, vintage, version)
        if same and there.info.format == FORMAT and (there.info.cells or not cells):
            return there
    return build(boundaries, folder, skema=skema, vintage=vintage, version=version, cells=cells)


def _collected(boundaries: Iterable[Boundaries], skema: Scheme) -> tuple[list[str], list[str], Ragged]:
    codes: list[str] = []
    names: list[str] = []
    parts: list[Ragged] = []
    for some in boundaries:
        there = np.flatnonzero(~(shapely.is_missing(some.shapes) | shapely.is_empty(some.shapes)))
        codes += [canonical(some.codes[i], skema, "desa") for i in there]
        names += [some.names[i] for i in there]
        if len(there):
            parts.append(Ragged.of(some.shapes[there]))
    if not parts:
        raise RecordError("there are no boundaries to index")
    return _sorted(codes, names, Ragged.join(parts))


def _sorted(codes: list[str], names: list[str], polygons: Ragged) -> tuple[list[str], list[str], Ragged]:
    order = np.argsort(np.array(codes), kind="stable")
    codes = [codes[i] for i in order]
    names = [names[i] for i in order]
    polygons = polygons.take(order)
    starts = [i for i, code in enumerate(codes) if i == 0 or code != codes[i - 1]]
    if len(starts) == len(codes):
        return codes, names, polygons
    shapes = polygons.shapes(np.arange(len(codes)))
    groups = np.split(shapes, starts[1:])
    merged = np.array([g[0] if len(g) == 1 else shapely.union_all(g) for g in groups], object)
    return [codes[i] for i in starts], [names[i] for i in starts], Ragged.of(merged)


def _write(folder: Path, codes: list[str], names: list[str], polygons: Ragged) -> IndexInfo:
    polygons.save(folder)
    np.save(folder / "ring_ends.npy", polygons.ring_ends())
    write_stretches(folder, polygons)
    boxes, areas, points = _measured(polygons)
    for name, array in (("boxes", boxes), ("areas", areas), ("points", points)):
        np.save(folder / f"{name}.npy", array)
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    columns, rows = (int((high - low) / CELL) + 1 for low, high in ((west, east), (south, north)))
    starts, cell_rows = _candidate_grid(boxes, columns, rows)
    np.save(folder / "cell_starts.npy", starts)
    np.save(folder / "cell_rows.npy", cell_rows)
    table = pa.table({"kode": pa.array(codes, pa.string()), "nama": pa.array(names, pa.string())})
    with pa.OSFile(str(folder / "regions.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)
    bbox = (float(west), float(south), float(east), float(north))
    return IndexInfo("kemendagri", 0, "", len(codes), bbox, columns, rows)


def _measured(polygons: Ragged) -> tuple[Floats, Floats, Floats]:
    """Return bounding boxes, areas in m2 (EPSG:6933, equal-area) and a point inside of each."""
    boxes, areas, points = [], [], []
    flat = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    for low in range(0, len(polygons), _CHUNK):
        part = polygons.take(np.arange(low, min(low + _CHUNK, len(polygons))))
        shapes = part.shapes(np.arange(len(part)))
        boxes.append(shapely.bounds(shapes))
        points.append(shapely.get_coordinates(shapely.point_on_surface(shapes)))
        x, y = flat.transform(part.coords[:, 0], part.coords[:, 1])
        equal = replace(part, coords=np.column_stack([x, y]))
        areas.append(shapely.area(equal.shapes(np.arange(len(part)))))
    return np.concatenate(boxes), np.concatenate(areas), np.concatenate(points)


def _candidate_grid(boxes: Floats, columns: int, rows: int) -> tuple[Ints, Ints]:
    """Return, cell by cell from the south-west, where its rows start, and the rows (ascending)."""
    corner = boxes[:, :2].min(axis=0)
    low = np.floor((boxes[:, :2] - corner) / CELL).astype(np.int64)
    high = np.floor((boxes[:, 2:] - corner) / CELL).astype(np.int64)
    wide, tall = (high - low + 1).T
    strip = np.repeat(np.arange(len(boxes)), tall)  # one strip of cells per box and line
    line = spans(low[:, 1], tall)
    cell = spans(line * columns + low[strip, 0], wide[strip])
    row = np.repeat(strip, wide[strip])
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(columns * rows + 1))
    return starts.astype(np.int64), row[order].astype(np.int32)
