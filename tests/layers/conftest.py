"""Both stores behind one fixture, so that every contract test runs on each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import shapely

from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode, VersionInfo
from catalog.settings import Settings
from layers.contract import FeatureBatch, LayerStore
from layers.open import open_store

_NUMBERS = itertools.count(1)
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="session", params=["geopackage", "postgis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LayerStore]:
    """A layer store, embedded or grown; tests keep apart by layer ids."""
    url = None
    if request.param == "postgis":
        url = request.getfixturevalue("postgres").database(postgis=True)
    data_dir = tmp_path_factory.mktemp(request.param)
    opened = open_store(Settings(layers=url, data_dir=data_dir), clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[LayerStore]:
    """An embedded store of its own."""
    opened = open_store(Settings(data_dir=tmp_path), clock=lambda: NOW)
    yield opened
    opened.close()


def layer_id() -> str:
    """Return a layer id that no other test has."""
    return f"lapis-{next(_NUMBERS)}"


FIELDS = (
    FieldDef("nama", FieldType.TEXT),
    FieldDef("n", FieldType.INTEGER),
    FieldDef("luas", FieldType.REAL),
    FieldDef("aktif", FieldType.BOOLEAN),
    FieldDef("tanggal", FieldType.DATE),
    FieldDef("waktu", FieldType.DATETIME),
)
POINTS = LayerSchema(FIELDS, "Point", "EPSG:4326", time_field="waktu")
TABLE = LayerSchema(FIELDS, None, time_field="waktu")


def batch(rows: dict[str, dict[str, Any]], shapes: list[Any] | None = None) -> FeatureBatch:
    """Return a batch of id -> attributes and geometries (WKT or shapely)."""
    geometries = None
    if shapes is not None:
        geometries = np.empty(len(shapes), dtype=object)
        geometries[:] = [shapely.from_wkt(s) if isinstance(s, str) else s for s in shapes]
    return FeatureBatch(list(rows), list(rows.values()), geometries)


def publish(
    store: LayerStore, schema: LayerSchema, *pages: FeatureBatch, layer: str | None = None
) -> VersionInfo:
    """Write pages and finish them as the next version; every feature must be accepted."""
    name = layer or layer_id()
    writer = store.writer(name, schema, "s")
    for number, page in enumerate(pages):
        report = writer.write(str(number), page)
        assert [e for e in report.errors if e.severity == "error"] == []
    return writer.finish(store.next_version(name), "run-1")


def read_fiona(path: Path, layer: str, schema: LayerSchema, key: str) -> FeatureBatch:
    """Return a layer of a real file as a batch."""
    rows, shapes = [], []
    with fiona.open(path, layer=layer) as source:
        for feature in source:
            rows.append({n: feature.properties[n] for n in schema.names()})
            shapes.append(shapely.geometry.shape(feature.geometry))
    geometries = np.empty(len(shapes), dtype=object)
    geometries[:] = shapes
    return FeatureBatch([str(row[key]) for row in rows], rows, geometries)


DESA = LayerSchema(
    tuple(
        FieldDef(name, kind)
        for name, kind in [
            ("NAMOBJ", FieldType.TEXT), ("KDEPUM", FieldType.TEXT), ("WADMKC", FieldType.TEXT),
            ("TIPADM", FieldType.INTEGER), ("LUASWH", FieldType.REAL), ("LAT_CTR", FieldType.REAL),
            ("LON_CTR", FieldType.REAL),
        ]
    ),
    "MultiPolygon",
    "EPSG:4326",
    region_code=RegionCode(field="KDEPUM", vintage=2025),
)  # fmt: skip


@pytest.fixture(scope="session")
def desa(shared_data: Path) -> FeatureBatch:
    """The 360 real desa of Kabupaten Cianjur."""
    return read_fiona(shared_data / "cianjur_desa.gpkg", "desa", DESA, "KDEPUM")


@pytest.fixture(scope="session")
def cianjur(store: LayerStore, desa: FeatureBatch) -> VersionInfo:
    """Cianjur as a published version in each store."""
    half = len(desa) // 2
    assert desa.geometries is not None
    pages = [
        FeatureBatch(desa.ids[s], desa.rows[s], desa.geometries[s])
        for s in (slice(half, None), slice(None, half))
    ]
    return publish(store, DESA, *pages)
