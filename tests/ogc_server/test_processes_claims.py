"""verifikasi-lokasi over a layer of address points, each of which claims a desa."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import shapely

from catalog.model import FieldDef, LayerSchema, RegionCode
from layers.contract import FeatureBatch
from layers.crs import transform
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import LAYERS, answer, ask, fill
from tests.ogc_server.world import desa, make_settings, open_world

ADDRESSES = LayerSchema(
    (FieldDef("kode_desa"), FieldDef("jalan")), "Point", "EPSG:32748",
    region_code=RegionCode(field="kode_desa", vintage=2025),
)  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[httpx.Client]:
    """Addresses in UTM: each third claims its neighbour's code, one has no place."""
    world = open_world(make_settings(tmp_path_factory.mktemp("alamat"), processes=LAYERS))
    fill(world, shared_data)
    villages = desa(shared_data)
    places = shapely.point_on_surface(villages.geometries)
    rows = [
        {"kode_desa": villages.ids[(n + (n % 3 == 0)) % 360].replace(".", ""), "jalan": f"Jalan {n}"}
        for n in range(360)
    ]
    moved = transform(places, "EPSG:4326", "EPSG:32748")
    moved[5] = None
    ids = [str(n) for n in range(360)]
    batch = FeatureBatch(ids, rows, np.array(moved, dtype=object))
    world.publish("alamat", ADDRESSES, batch, title="Titik alamat", bbox=(106, -8, 108, -6))
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client
    world.close()


def test_every_address_of_a_layer_is_verified(door: httpx.Client) -> None:
    rows = answer(door, "verifikasi-lokasi", {"koleksi": "alamat", "toleransi_m": 0})
    assert [row["id"] for row in rows] == sorted(str(n) for n in range(360))
    for row in rows:
        number = int(row["id"])
        expected = "tidak_sesuai" if number % 3 == 0 else "sesuai"
        assert row["verdik"] == ("koordinat_tidak_sah" if number == 5 else expected), row
    assert 106 < rows[0]["lon"] < 108


def test_it_comes_as_a_map(door: httpx.Client) -> None:
    got = door.post(
        "/processes/verifikasi-lokasi/execution?f=geojson",
        json={"inputs": {"koleksi": "alamat", "kolom_kode": "kode_desa"}},
    )
    features = got.raise_for_status().json()["features"]
    assert len(features) == 360
    assert sum(one["geometry"] is None for one in features) == 1


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"koleksi": "tidak-ada"}, "inputs.koleksi"),
        ({"koleksi": "batas"}, "inputs.koleksi"),  # areas
        ({"koleksi": "gudang"}, "inputs.kolom_kode"),  # points that declare no code
        ({"koleksi": "alamat", "kolom_kode": "tidak_ada"}, "inputs.kolom_kode"),
        ({"koleksi": "alamat", "lon": 107, "lat": -6, "kode": "1"}, "inputs.koleksi"),
        ({"kolom_kode": "kode_desa", "lon": 107, "lat": -6, "kode": "1"}, "inputs.koleksi"),
    ],
)
def test_wrong_layers_are_named(door: httpx.Client, inputs: dict[str, object], where: str) -> None:
    got = ask(door, "verifikasi-lokasi", inputs)
    assert got.status_code == 400, got.text
    assert got.json()["where"] == where
