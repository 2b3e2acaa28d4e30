"""A small world of real data in a real catalog and store, filled through the writer as harvests do."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import shapely
import shapely.geometry

from catalog.model import (
    Access,
    Contact,
    DatasetRecord,
    FieldDef,
    FieldType,
    Kind,
    LayerSchema,
    Link,
    Localized,
    RegionCode,
)  # fmt: skip
from catalog.settings import ServerSettings, Settings
from catalog.store import Catalog
from layers.contract import FeatureBatch, LayerStore
from layers.crs import transform
from layers.open import open_store

SOURCE = "cianjur"


@dataclass
class World:
    """Where the tests' data lives."""

    settings: Settings
    catalog: Catalog
    store: LayerStore

    def close(self) -> None:
        """Let go of both databases."""
        self.catalog.close()
        if callable(close := getattr(self.store, "close", None)):
            close()

    def publish(
        self,
        layer_id: str,
        schema: LayerSchema,
        batch: FeatureBatch,
        *,
        title: str = "",
        kind: Kind = "feature",
        access: Access = "publik",
        **record: Any,
    ) -> int:
        """Write one version and make it current, as the engine does."""
        if batch.geometries is not None:
            around = transform(shapely.GeometryCollection(list(batch.geometries)), schema.crs, "OGC:CRS84")
            record.setdefault("bbox", tuple(round(number, 6) for number in around.bounds))
        said = DatasetRecord(
            title=Localized(id=title or layer_id, en=f"{title or layer_id} (en)"), access=access,
            produsen_data="Badan Informasi Geospasial", walidata="Pusdatin", licence="CC-BY-4.0",
            contact=Contact(organisation="Pusdatin", email="data@example.go.id"), **record,
        )  # fmt: skip
        self.catalog.datasets.put(
            layer_id, source_id=SOURCE, remote_id=layer_id, kind=kind, record=said, run_id=""
        )
        known = [entry.info.version for entry in self.catalog.versions.list(layer_id)]
        version = max([self.store.next_version(layer_id), *(number + 1 for number in known)])
        writer = self.store.writer(layer_id, schema, f"stage-{version}")
        report = writer.write("1", batch)
        assert not [error for error in report.errors if error.severity == "error"], report.errors[:3]
        info = writer.finish(version, "")
        self.catalog.versions.register(info)
        self.catalog.versions.make_current(layer_id, version, by="tests")
        return version


def make_settings(folder: Path, **more: Any) -> Settings:
    """Settings of a deployment in a folder."""
    server = ServerSettings(title=Localized(id="Data Uji", en="Test data"), reload_seconds=0.1)
    (folder / "config" / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    return Settings(server=server, config_dir=folder / "config", data_dir=folder / "data", **more)


def open_world(settings: Settings) -> World:
    """Open catalog and store."""
    return World(settings, Catalog.open(settings.database_url()), open_store(settings))


DESA = LayerSchema(
    fields=(
        FieldDef("nama", title="Nama desa"),
        FieldDef("kecamatan"),
        FieldDef("luas", FieldType.REAL, unit="ha"),
        FieldDef("jenis", FieldType.INTEGER, codes={"1": "Desa", "2": "Kelurahan"}),
        FieldDef("kota", FieldType.BOOLEAN),
        FieldDef("diperbarui", FieldType.DATETIME),
    ),
    geometry_type="MultiPolygon",
    crs="EPSG:4326",
    time_field="diperbarui",
    region_code=RegionCode(field="nama", vintage=2025),
)
UTM = replace(DESA, crs="EPSG:32748")
IDM = LayerSchema(
    fields=(FieldDef("idm", FieldType.REAL), FieldDef("status"), FieldDef("tanggal", FieldType.DATE))
)
POINTS = LayerSchema(
    fields=(FieldDef("nama"), FieldDef("stok", FieldType.INTEGER)), geometry_type="Point", integer_ids=True
)


def desa(data: Path) -> FeatureBatch:
    """The 360 real villages of Cianjur."""
    ids, rows, shapes = [], [], []
    with fiona.open(data / "cianjur_desa.gpkg", layer="desa") as source:
        for number, feature in enumerate(source):
            said = feature["properties"]
            ids.append(said["KDEPUM"])
            rows.append(
                {
                    "nama": said["NAMOBJ"], "kecamatan": said["WADMKC"], "luas": said["LUASWH"],
                    "jenis": 2 if said["TIPADM"] == 2 else 1, "kota": number % 7 == 0,
                    "diperbarui": datetime(2024, 1 + number % 12, 1 + number % 28, tzinfo=UTC) if number % 5 else None,
                }
            )  # fmt: skip
            shapes.append(shapely.geometry.shape(feature["geometry"]))
    return FeatureBatch(ids, rows, np.array(shapes, dtype=object))


def idm(data: Path) -> FeatureBatch:
    """A real table without geometry."""
    with (data / "cianjur_idm2024.csv").open(encoding="utf-8") as source:
        lines = list(csv.DictReader(source))
    day = date(2024, 7, 1)
    rows = [{"idm": float(line["idm"]), "status": line["status_i"], "tanggal": day} for line in lines]
    return FeatureBatch([line["kode_kemendagri"] for line in lines], rows)


def points(count: int = 25) -> FeatureBatch:
    """Invented warehouses on both sides of the antimeridian and in Cianjur."""
    places = [(107.1 + i / 50, -6.8 - i / 50) for i in range(count - 2)] + [(179.5, -5.0), (-179.5, -5.0)]
    rows = [{"nama": f'Gudang, "{i}" =1+1', "stok": i * 10} for i in range(count)]
    shapes = np.array([shapely.Point(*place) for place in places], dtype=object)
    return FeatureBatch([str(i + 1) for i in range(count)], rows, shapes)


def fill(world: World, data: Path, layers: Sequence[str] = ("desa", "desa-utm", "idm", "gudang")) -> None:
    """Publish the test layers, a restricted one, a withdrawn one and a service."""
    villages = desa(data)
    if "desa" in layers:
        world.publish(
            "desa", DESA, villages, title="Batas Desa Cianjur", description=Localized(id="Batas desa.")
        )
    if "desa-utm" in layers:
        moved = transform(villages.geometries, "EPSG:4326", "EPSG:32748")
        world.publish("desa-utm", UTM, replace(villages, geometries=moved), title="Desa dalam UTM 48S")
    if "idm" in layers:
        world.publish("idm", IDM, idm(data), title="Indeks Desa Membangun", kind="table")
    if "gudang" in layers:
        world.publish("gudang", POINTS, points(), title="Gudang", synthetic=True)
        world.publish("rahasia", POINTS, points(3), title="Gudang terbatas", access="terbatas")
        world.publish("ditarik", POINTS, points(3), title="Ditarik")
        world.catalog.datasets.tombstone("ditarik", reason="Diganti oleh gudang", by="tests")
        peta = DatasetRecord(
            title=Localized(id="Peta rupabumi"), produsen_data="BIG",
            links=[Link(href="https://example.go.id/wms", protocol="OGC:WMS", title="WMS")],
        )  # fmt: skip
        world.catalog.datasets.put(
            "peta", source_id=SOURCE, remote_id="peta", kind="service", record=peta, run_id=""
        )
