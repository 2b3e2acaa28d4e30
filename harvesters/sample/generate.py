"""Generates the sample: `python -m harvesters.sample.generate --out DIR [--seed N]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pyproj import Geod

from harvesters.sample.hazard import index_over
from harvesters.sample.land import Land, Region, make_land
from harvesters.sample.quakes import quake_feeds
from harvesters.sample.roads import roads
from harvesters.sample.things import (
    MARK,
    Feature,
    facilities,
    hazard,
    logistics,
    recipients,
    region_codes,
    social_places,
    zones,
)
from harvesters.sample.write import geotiff, table, vector, zipped

SEED = 2026
LEVELS = ("provinsi", "kabupaten", "kecamatan", "desa")
_GEOD = Geod(ellps="WGS84")


def generate(out: Path, seed: int = SEED) -> list[Path]:
    """Write the sample's files into `out` (made when absent) and return their paths.

    The same seed gives the same bytes. Files that stand there under the same names are replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    land = make_land(rng)
    grid = hazard(rng, land)
    more = np.random.default_rng([seed, 1])  # of its own: what was there keeps its bytes
    island = land.provinsi[0].geometry
    landslide = index_over(more, island.bounds, 0.001, [island])
    return [
        _boundaries(out / "batas.gpkg", land),
        _replace(out / "fasilitas.geojson", "GeoJSON", "Point", facilities(rng, land)),
        _replace(out / "logistik.fgb", "FlatGeobuf", "Point", _stores(rng, more, land)),
        _zones(out / "zona-banjir.zip", zones(grid)),
        geotiff(out / "bahaya-banjir.tif", grid),
        geotiff(out / "indeks-bahaya.tif", landslide, "Indeks bahaya tanah longsor"),
        _replace(out / "jalan.fgb", "FlatGeobuf", "LineString", roads(more, land.desa)),
        *quake_feeds(more, out / "gempa"),
        table(out / "penerima-bantuan.csv", recipients(rng, land), ";", "utf-8-sig"),
        table(out / "kode-wilayah.csv", region_codes(land)),
    ]


def _stores(rng: np.random.Generator, more: np.random.Generator, land: Land) -> list[Feature]:
    found = logistics(rng, land)
    return found + social_places(more, land, len(found) + 1)


def _boundaries(path: Path, land: Land) -> Path:
    path.unlink(missing_ok=True)
    for level in LEVELS:
        features = [Feature(_attributes(region), region.geometry) for region in land.level(level)]
        vector(path, "GPKG", "MultiPolygon", features, level)
    return path


def _attributes(region: Region) -> dict[str, str | int | float]:
    """Return the attributes in BIG's field names; LUASWH is geodesic hectares."""
    names = [*region.parents, region.name, "", "", ""][:4]
    codes = [region.code[:end] if len(region.code) >= end else "" for end in (2, 5, 8, 13)]
    area = abs(_GEOD.geometry_area_perimeter(region.geometry)[0]) / 10_000
    return {
        "NAMOBJ": region.name, "REMARK": MARK, "KDPPUM": codes[0], "KDPKAB": codes[1], "KDCPUM": codes[2],
        "KDEPUM": codes[3], "KD_DAGRI": region.code.replace(".", ""), "TIPADM": region.tipadm,
        "WADMPR": names[0], "WADMKK": names[1], "WADMKC": names[2], "WADMKD": names[3],
        "METADATA": "CONTOH_SINTETIS_20260101", "SRS_ID": "4326", "LUASWH": round(area, 3),
    }  # fmt: skip


def _replace(path: Path, driver: str, geometry: str, features: list[Feature]) -> Path:
    path.unlink(missing_ok=True)
    return vector(path, driver, geometry, features)


def _zones(path: Path, features: list[Feature]) -> Path:
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    vector(folder / f"{path.stem}.shp", "ESRI Shapefile", "Polygon", features)
    zipped(path, folder.iterdir())
    folder.rmdir()
    return path


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed makes another land")
    arguments = parser.parse_args()
    for path in generate(arguments.out, arguments.seed):
        print(f"{path}  {path.stat().st_size:,} B")


if __name__ == "__main__":
    main()
