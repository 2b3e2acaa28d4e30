"""ShakeMap: the intensity of an earthquake as the USGS publishes it, as a grid instead of a relation.

`grid.xml` (ShakeMap Manual, "Data Formats": `shakemap_grid` with `event`, `grid_specification`,
`grid_field` and `grid_data`): one line per node, longitude, latitude and the fields in the order of
their `index`; `MMI` is the one that is read. A node stands for the cell around it. A raster of MMI
(`mmi_mean.flt`, GeoTIFF) is read as it is. BMKG publishes its shakemaps as pictures only; of them
nothing can be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from lxml import etree
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from analysis.counts import Aggregates
from analysis.earthquake import roman
from analysis.hazard_raster import Ambang, affected_by_raster
from analysis.impact import Dampak
from analysis.lookup import DesaIndex
from analysis.ragged import Floats
from catalog.errors import QueryError

MOST_BYTES = 64 << 20
_MOST_NODES = 4_000_000
_NOT_A_GRID = "this is not a ShakeMap grid.xml with MMI"


@dataclass(frozen=True, slots=True)
class ShakeMap:
    """Intensities on nodes, row 0 in the north (NaN: none), and what the file says of the event."""

    west: float
    north: float
    step_lon: float
    step_lat: float
    mmi: Floats
    peristiwa: str = ""
    versi: str = ""
    pembuat: str = ""
    waktu: str = ""

    def sumber(self) -> str:
        """Return where the intensities are from, for the answer."""
        said = f"{self.peristiwa} v{self.versi}, {self.pembuat}, {self.waktu}".strip(" ,v")
        return f"ShakeMap grid.xml ({said})"


def read_grid_xml(content: bytes | str) -> ShakeMap:
    """Read a `grid.xml`. QueryError (`shakemap`) when it is none, is cut off, or has no MMI.

    Nothing that the document names is fetched or opened: no entities, no DTD, no schema.
    """
    data = content.encode() if isinstance(content, str) else content
    if len(data) > MOST_BYTES:
        raise QueryError(f"a ShakeMap has at most {MOST_BYTES >> 20} MB", where="shakemap")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise QueryError(_NOT_A_GRID, where="shakemap") from None
    if root.getroottree().docinfo.doctype:
        raise QueryError("a ShakeMap has no document type", where="shakemap")
    return _grid(root)


def _grid(root: etree._Element) -> ShakeMap:
    spec, data = root.find("{*}grid_specification"), root.find("{*}grid_data")
    if spec is None or data is None:
        raise QueryError(_NOT_A_GRID, where="shakemap")
    try:
        fields = {
            str(one.get("name")).upper(): int(str(one.get("index"))) - 1 for one in root.iter("{*}grid_field")
        }
        columns, rows = int(str(spec.get("nlon"))), int(str(spec.get("nlat")))
        values = np.array((data.text or "").split(), np.float64)
        west, south, east, north = (
            float(str(spec.get(name))) for name in ("lon_min", "lat_min", "lon_max", "lat_max")
        )
    except ValueError:
        raise QueryError(_NOT_A_GRID, where="shakemap") from None
    if not {"LON", "LAT", "MMI"} <= set(fields) or sorted(fields.values()) != list(range(len(fields))):
        raise QueryError("the grid has no field MMI", where="shakemap")
    if not (min(columns, rows) >= 2 and columns * rows <= _MOST_NODES):
        raise QueryError("the grid has no usable size", where="shakemap")
    if len(values) != columns * rows * len(fields):
        raise QueryError("the grid does not hold as many nodes as it says", where="shakemap")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise QueryError("the grid does not say where it lies in degrees", where="shakemap")
    nodes = values.reshape(-1, len(fields))
    step_lon, step_lat = (east - west) / (columns - 1), (north - south) / (rows - 1)
    mmi = _placed(nodes, fields, (west, north, step_lon, step_lat), (rows, columns))
    return ShakeMap(west, north, step_lon, step_lat, mmi, *_said(root))


def _placed(
    nodes: Floats, fields: Mapping[str, int], place: tuple[float, float, float, float], shape: tuple[int, int]
) -> Floats:
    """Return the nodes at their places; lines may come in any order. Values beside 0..12 are none."""
    west, north, step_lon, step_lat = place
    column = (nodes[:, fields["LON"]] - west) / step_lon
    row = (north - nodes[:, fields["LAT"]]) / step_lat
    at = np.rint(row), np.rint(column)
    # longitudes have four to six digits, so half a step is far more than rounding
    off = (np.abs(at[0] - row) > 0.4) | (np.abs(at[1] - column) > 0.4)
    beside = (at[0] < 0) | (at[0] >= shape[0]) | (at[1] < 0) | (at[1] >= shape[1])
    if not np.isfinite(nodes[:, [fields["LON"], fields["LAT"]]]).all() or (off | beside).any():
        raise QueryError("nodes of the grid do not lie where it says", where="shakemap")
    mmi = nodes[:, fields["MMI"]]
    made = np.full(shape, np.nan)
    made[at[0].astype(int), at[1].astype(int)] = np.where((mmi >= 0) & (mmi <= 12), mmi, np.nan)
    return cast(Floats, made)


def _said(root: etree._Element) -> tuple[str, str, str, str]:
    event = root.find("{*}event")
    time = "" if event is None else str(event.get("event_timestamp") or "")
    said = [str(root.get(n) or "") for n in ("event_id", "shakemap_version", "shakemap_originator")]
    event_id, version, maker = (text[:80] for text in said)
    return event_id, version, maker, time[:40]


def affected_by_shakemap(
    index: DesaIndex,
    shakemap: ShakeMap | Path,
    *,
    least_mmi: float = 5.0,
    aggregates: Aggregates | None = None,
    names: Mapping[str, str] | None = None,
    band: int = 1,
) -> Dampak:
    """Return the desa where a ShakeMap, or a raster of MMI, has `least_mmi` or more.

    `bagian` is the share of the desa's area with it, `mmi` the highest there, the class its degree in
    Roman numerals. A raster that declares no CRS is taken to be in degrees, as the USGS's are.
    """
    if not 1 <= least_mmi <= 10:
        raise QueryError(f"least_mmi must be 1 to 10, not {least_mmi}", where="least_mmi")
    classes = degrees(least_mmi)
    with _raster(shakemap) as (path, source):
        found = affected_by_raster(
            index, path, classes, band=band, aggregates=aggregates, names=names, crs="EPSG:4326"
        )
    return replace(
        found,
        desa=replace(found.desa, mmi=found.desa.maksimum, maksimum=None),
        wilayah={
            level: [replace(one, mmi=one.maksimum, maksimum=None) for one in rows]
            for level, rows in found.wilayah.items()
        },
        sumber_intensitas=source,
    )


def degrees(least_mmi: float) -> list[Ambang]:
    """Return the classes from an intensity on: each degree begins half below it, the first where asked."""
    first = round(least_mmi + 1e-9)
    rest = [Ambang(number - 0.5, roman(number)) for number in range(first + 1, 11)]
    return [Ambang(least_mmi, roman(first)), *(one for one in rest if one.mulai > least_mmi)]


@contextmanager
def _raster(shakemap: ShakeMap | Path) -> Iterator[tuple[Path | str, str]]:
    if isinstance(shakemap, Path):
        yield shakemap, f"MMI raster {shakemap.name}"
        return
    rows, columns = shakemap.mmi.shape
    place = from_origin(
        shakemap.west - shakemap.step_lon / 2, shakemap.north + shakemap.step_lat / 2,
        shakemap.step_lon, shakemap.step_lat,
    )  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=columns, height=rows, count=1, dtype="float64", crs="EPSG:4326",
            transform=place, nodata=math.nan,
        ) as file:  # fmt: skip
            file.write(shakemap.mmi, 1)
        yield memory.name, shakemap.sumber()
