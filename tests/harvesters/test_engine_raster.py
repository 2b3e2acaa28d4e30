"""Rasters through the engine: fetched, stored as COG, compared, held, withdrawn like the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from catalog.model import RunState
from catalog.sources import SourceConfig
from tests.harvesters.support import World


def write(path: Path, seed: int = 1, west: float = 107.0, crs: str = "EPSG:4326") -> None:
    pixels = np.random.default_rng(seed).random((1, 64, 64)).astype("float32")
    pixels[0, :4, :4] = -9999
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="float32", crs=crs, nodata=-9999,
        transform=from_origin(west, -6.5, 0.001, 0.001),
    ) as out:  # fmt: skip
        out.write(pixels)


@pytest.fixture
def source(world: World) -> SourceConfig:
    made: dict[str, Any] = {
        "id": "bahaya", "type": "raster", "url": str(world.folder / "bahaya.tif"), "produsen_data": "BNPB",
        "layers": [{"remote": "bahaya", "id": "bahaya-gempa"}],
    }  # fmt: skip
    return SourceConfig.model_validate(made)


def test_a_raster_becomes_a_version_and_is_unchanged_the_next_time(
    world: World, source: SourceConfig
) -> None:
    path = world.folder / "bahaya.tif"
    write(path)
    run = world.harvest(source)
    assert (run.state, run.reason) == (RunState.OK, "")
    info = world.live("bahaya-gempa")
    assert info is not None
    assert (info.kind, info.version) == ("raster", 1)
    assert world.catalog.datasets.get("bahaya-gempa").kind == "raster"
    assert world.harvest(source).state is RunState.UNCHANGED
    assert not (world.settings.data_dir / "downloads" / "bahaya-gempa").exists()
    write(path, seed=2)
    changed = world.harvest(source)
    assert (changed.state, changed.counts.updated) == (RunState.OK, 1)
    assert world.store.versions("bahaya-gempa") == [1, 2]


def test_equal_pixels_at_another_place_are_held(world: World, source: SourceConfig) -> None:
    path = world.folder / "bahaya.tif"
    write(path)
    world.harvest(source)
    write(path, west=120.0)
    run = world.harvest(source)
    assert (run.state, run.code) == (RunState.HELD, "guard-moved")
    live = world.live("bahaya-gempa")
    assert live is not None
    assert live.version == 1


def test_a_raster_that_is_cut_off_fails_and_the_last_good_one_stays(
    world: World, source: SourceConfig
) -> None:
    path = world.folder / "bahaya.tif"
    write(path)
    world.harvest(source)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert world.harvest(source).state in (RunState.FAILED, RunState.INCOMPLETE)
    live = world.live("bahaya-gempa")
    assert live is not None
    world.store.verify(live)


def test_a_dry_run_fetches_no_raster(world: World, source: SourceConfig) -> None:
    write(world.folder / "bahaya.tif")
    assert world.harvest(source, dry_run=True).state is RunState.OK
    assert world.store.versions("bahaya-gempa") == []
