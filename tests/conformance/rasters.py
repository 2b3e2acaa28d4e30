"""Rasters for the abstract tests: those of the server's own tests, one of the whole world, and one with a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from rasterio.transform import from_origin

from tests.ogc_server.conftest import running
from tests.ogc_server.rasters import fill_rasters, index, publish
from tests.ogc_server.world import SOURCE, World, make_settings, open_world

URI = "http://www.opengis.net/def/crs/"
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 30, 12, tzinfo=UTC)


def world_pixels() -> Any:
    """One degree a cell: the value is the column plus one; a hole without data in the middle."""
    pixels = np.tile(np.arange(1, 361, dtype="float32"), (180, 1))
    pixels[80:100, 170:190] = -1
    return pixels


@contextmanager
def raster_door(folder: Path) -> Iterator[tuple[World, httpx.Client]]:
    """Yield a world with the rasters and a client of its server."""
    world = open_world(make_settings(folder))
    fill_rasters(world, folder)
    publish(world, "dunia", world_pixels(), folder, title="Dunia", nodata=-1, names=("kolom",),
            transform=from_origin(-180, 90, 1, 1))  # fmt: skip
    publish(world, "berwaktu", index(), folder, title="Indeks bahaya 2024", nodata=-9999, names=("indeks",))
    dated = world.catalog.datasets.get("berwaktu").record.model_copy(
        update={"time_start": START, "time_end": END}
    )
    world.catalog.datasets.put(
        "berwaktu", source_id=SOURCE, remote_id="berwaktu", kind="raster", record=dated, run_id=""
    )
    with running(world) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield world, client
    world.close()


def picture(answer: httpx.Response) -> Any:
    """Return an (height, width, 4) array of a map's pixels."""
    assert answer.status_code == 200, answer.text[:300]
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def box_of(answer: httpx.Response) -> tuple[float, float, float, float]:
    """Return Content-Bbox as four numbers, as they were sent."""
    first, second, third, fourth = (float(one) for one in answer.headers["content-bbox"].split(","))
    return first, second, third, fourth


def is_client_error(answer: httpx.Response) -> bool:
    """Tell whether the server refused the question."""
    return 400 <= answer.status_code < 500
