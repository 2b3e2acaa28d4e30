"""Raster collections for tests: a hazard index as InaRISK has them, classes in UTM, a restricted one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from rasterio.transform import from_origin

from catalog.model import Access, DatasetRecord, Localized
from layers.raster import write_cog
from tests.ogc_server.conftest import running
from tests.ogc_server.world import SOURCE, World, make_settings, open_world

WEST, NORTH, CELL = 106.8, -6.5, 0.002
WIDE, HIGH = 300, 240


def index(seed: int = 7) -> Any:
    """Values from 0 to 1 that grow eastward, with noise; a hole without data in the north-west."""
    noise = np.random.default_rng(seed).random((HIGH, WIDE))
    pixels = (0.8 * np.linspace(0, 1, WIDE)[np.newaxis] + 0.2 * noise).astype("float32")
    pixels[:40, :60] = -9999
    return pixels


def classes() -> Any:
    """Classes 1, 2, 3 in columns, and a second band that counts the cells."""
    first = np.repeat(np.arange(WIDE)[np.newaxis] // 100 + 1, HIGH, axis=0)
    return np.stack([first, np.arange(HIGH * WIDE).reshape(HIGH, WIDE)]).astype("uint32")


def publish(
    world: World, layer_id: str, pixels: Any, folder: Path, *, title: str = "", access: Access = "publik",
    names: tuple[str, ...] = (), units: tuple[str, ...] = (), **profile: Any,
) -> int:  # fmt: skip
    """Write a raster, store it as a version and make it current, as the engine does."""
    bands = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    path = folder / f"{layer_id}.tif"
    place = {"crs": "EPSG:4326", "transform": from_origin(WEST, NORTH, CELL, CELL), **profile}
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=bands.shape[0],
        dtype=bands.dtype, **place,
    ) as out:  # fmt: skip
        out.write(bands)
        for number, name in enumerate(names, start=1):
            out.set_band_description(number, name)
        for number, unit in enumerate(units, start=1):
            out.set_band_unit(number, unit)
    said = DatasetRecord(
        title=Localized(id=title or layer_id, en=f"{title or layer_id} (en)"), access=access, licence="CC-BY-4.0",
        produsen_data="BNPB", walidata="Pusdatin", keywords=["raster"],
    )  # fmt: skip
    world.catalog.datasets.put(
        layer_id, source_id=SOURCE, remote_id=layer_id, kind="raster", record=said, run_id=""
    )
    version = 1 + max((entry.info.version for entry in world.catalog.versions.list(layer_id)), default=0)
    info = write_cog(path, world.settings.data_dir / "layers", layer_id, version, "")
    world.catalog.versions.register(info)
    world.catalog.versions.make_current(layer_id, version, by="tests")
    return version


UTM = {"crs": "EPSG:32748", "transform": from_origin(700_000, 9_280_000, 100, 100)}


def fill_rasters(world: World, folder: Path) -> None:
    """Publish the rasters of the tests."""
    publish(world, "bahaya", index(), folder, title="Indeks bahaya longsor", nodata=-9999, names=("indeks",))
    publish(
        world, "kelas", classes(), folder, title="Tutupan", names=("kelas", "nomor"), units=("", "m"), **UTM
    )
    publish(world, "bahaya-rahasia", index(), folder, title="Rahasia", access="terbatas", nodata=-9999)


@contextmanager
def door(folder: Path) -> Iterator[tuple[World, httpx.Client]]:
    """Yield a world with the rasters of the tests and a client of its server."""
    world = open_world(make_settings(folder))
    fill_rasters(world, folder)
    with running(world) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield world, client
    world.close()


def refused(answer: httpx.Response, status: int, where: str) -> dict[str, Any]:
    """The answer is a problem document that names the parameter."""
    assert answer.status_code == status, answer.text[:300]
    doc: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert doc["where"] == where, doc
    assert doc["detail"]
    return doc
