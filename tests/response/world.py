"""Real Cianjur, invented stores, and BMKG's feed on loopback: what respons-cepat needs to work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from catalog.runs import Run
from catalog.settings import HarvestSettings, ProcessSettings, Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.engine.engine import Engine
from layers.contract import FeatureBatch, Query
from layers.open import open_store
from ogc_server.response.responder import Responder
from tests.ogc_server.world import World, desa
from tests.servers.loopback import Answer, Asked, serve

SCHEME = RegionCode(field="kode", vintage=2025)
BOUNDARIES = LayerSchema(
    (FieldDef("kode"), FieldDef("nama")), "MultiPolygon", "EPSG:4326", region_code=SCHEME
)
PEOPLE = LayerSchema(
    (FieldDef("kode"), FieldDef("jumlah_jiwa", FieldType.INTEGER), FieldDef("persen_miskin", FieldType.REAL)),
    region_code=SCHEME,
)
STORES = LayerSchema(
    tuple(
        FieldDef(name, kind)
        for name, kind in (
            ("nama", FieldType.TEXT), ("jenis", FieldType.TEXT), ("status", FieldType.TEXT),
            ("beras_kg", FieldType.INTEGER), ("selimut", FieldType.INTEGER),
        )
    ),
    "Point",
)  # fmt: skip
PROCESSES = ProcessSettings(boundaries="batas", facilities="gudang", people="jiwa", events="gempa")
NEEDS = [{"item": "beras_kg", "per": "jiwa", "amount": 0.4, "days": 7, "unit": "kg"}]


class Moving:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2022, 11, 21, 6, 25, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **kwargs: float) -> None:
        self.now += timedelta(**kwargs)


def quake(**changes: Any) -> dict[str, Any]:
    """The Cianjur earthquake of 21 November 2022 in the words of autogempa."""
    return {
        "Tanggal": "21 Nov 2022", "Jam": "13:21:10 WIB", "DateTime": "2022-11-21T06:21:10+00:00",
        "Coordinates": "-6.84,107.05", "Lintang": "6.84 LS", "Bujur": "107.05 BT", "Magnitude": "5.6",
        "Kedalaman": "11 km", "Wilayah": "Pusat gempa berada di darat 10 km barat daya Kab. Cianjur",
        "Potensi": "Tidak berpotensi tsunami", "Dirasakan": "V-VI Cianjur", "Shakemap": "x.mmi.jpg",
    } | changes  # fmt: skip


@dataclass
class Desk:
    """A deployment, its clock, and BMKG's answers."""

    folder: Path
    settings: Settings
    clock: Moving
    catalog: Catalog
    store: Any
    feeds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    url: str = ""

    def close(self) -> None:
        self.store.close()
        self.catalog.close()

    def harvest(self) -> Run:
        """Harvest BMKG's feeds as the scheduler does."""
        config = SourceConfig(
            id="bmkg",
            type="bmkg",
            url=self.url,
            produsen_data="BMKG",
            layers=[{"remote": "gempa", "id": "gempa"}],
        )
        return Engine(self.settings, self.catalog, self.store, clock=self.clock, hooks=[]).run(config)

    def responder(self, **response: Any) -> Responder:
        """The responder, with other settings where given."""
        chosen = type(self.settings.response).model_validate(self.settings.response.model_dump() | response)
        settings = self.settings.model_copy(update={"response": chosen})
        return Responder(settings, self.catalog, self.store, clock=self.clock)

    def rows(self, layer: str) -> list[dict[str, Any]]:
        """What a reader sees of a collection now: its properties."""
        info = self.catalog.versions.current(layer)
        assert info is not None, layer
        page = self.store.reader(info).page(Query(limit=10_000))
        return [orjson.loads(one)["properties"] for one in page.features]


@contextmanager
def bmkg(desk: Desk) -> Iterator[Desk]:
    """Serve `desk.feeds` as BMKG does."""

    def app(asked: Asked) -> Answer:
        name = asked.path.rpartition("/")[2].removesuffix(".json")
        events: Any = desk.feeds.get(name, [])
        return Answer(orjson.dumps({"Infogempa": {"gempa": events}}), type="application/json")

    with serve(app) as url:
        desk.url = f"{url}/DataMKG/TEWS/"
        yield desk


def make(folder: Path, **response: Any) -> Desk:
    """Open a deployment in a folder, empty or made before."""
    clock = Moving()
    said = {"enabled": True, "needs": NEEDS} | response
    settings = Settings(
        config_dir=folder / "config", data_dir=folder / "data", processes=PROCESSES, response=said,
        harvest=HarvestSettings(allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=0),
        server={"url": "https://geo.example.go.id", "contact": {"organisation": "Kementerian Sosial"}},
    )  # fmt: skip
    (folder / "config" / "sources").mkdir(parents=True, exist_ok=True)
    settings.data_dir.mkdir(exist_ok=True)
    catalog = Catalog.open(settings.database_url(), clock)
    return Desk(folder, settings, clock, catalog, open_store(settings, clock=clock))


def fill(world: World, data: Path, *, synthetic: bool = False) -> None:
    """Publish boundaries, people and stores; one store has nothing, one is closed."""
    villages = desa(data)
    rows = [{"kode": k, "nama": r["nama"]} for k, r in zip(villages.ids, villages.rows, strict=True)]
    world.publish("batas", BOUNDARIES, FeatureBatch(villages.ids, rows, villages.geometries))
    counts = [
        {"kode": kode, "jumlah_jiwa": 1000 + n, "persen_miskin": 12.5}
        for n, kode in enumerate(villages.ids)
        if n
    ]
    world.publish("jiwa", PEOPLE, FeatureBatch(villages.ids[1:], counts), kind="table")
    places = [(107.14, -6.82), (107.05, -6.74), (107.18, -7.1), (107.3, -6.9), (106.9, -6.9)]
    states = ["siap", "siap", "terbatas", "ditutup", "siap"]
    stock = [400_000, 90_000, 5_000, 80_000, 0]
    stores = [
        {"nama": f"Lumbung {n}", "jenis": "lumbung", "status": states[n], "beras_kg": stock[n], "selimut": 10}
        for n in range(5)
    ]
    shapes = np.array([shapely.Point(*place) for place in places], dtype=object)
    ids = [f"lumbung-{n}" for n in range(5)]
    world.publish("gudang", STORES, FeatureBatch(ids, stores, shapes), synthetic=synthetic)
