"""A deployment in a folder: catalog, store, engine, and one scripted source."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.model import VersionInfo
from catalog.runs import Run
from catalog.settings import HarvestSettings, Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.engine.engine import Engine
from layers.contract import Query
from layers.open import open_store
from tests.harvesters import scripted


class Moving:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **kwargs: float) -> None:
        self.now += timedelta(**kwargs)


def points(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": str(i),
            "nama": f"Puskesmas {i}",
            "jumlah": i,
            "wkt": f"POINT({107 + i / 100} -7.{i:02d})",
            **fields,
        }
        for i in range(1, count + 1)
    ]


def layer(rows: list[dict[str, Any]], remote: str = "fasilitas", **more: Any) -> dict[str, Any]:
    fields = {"nama": "text", "jumlah": "integer"}
    return {"remote": remote, "fields": fields, "geometry": "Point", "rows": rows} | more


class World:
    """One deployment; `script` is what the upstream does next."""

    def __init__(
        self, folder: Path, *, database: str | None = None, layers: str | None = None, **harvest: Any
    ) -> None:
        scripted.install()
        self.folder, self.clock = folder, Moving()
        self.path = folder / "upstream.json"
        harvest = {"backoff_seconds": 0.0, "allow_networks": ["127.0.0.0/8"]} | harvest
        self.settings = Settings(
            config_dir=folder / "config", data_dir=folder / "data", harvest=HarvestSettings(**harvest),
            database=database, layers=layers,
        )  # fmt: skip
        self.settings.data_dir.mkdir(exist_ok=True)
        self.catalog = Catalog.open(self.settings.database_url(), self.clock)
        self.store = open_store(self.settings, clock=self.clock)
        self.told: list[Any] = []
        self.engine = Engine(
            self.settings, self.catalog, self.store, clock=self.clock,
            hooks=[lambda settings, catalog, published: self.told.append(published)],
        )  # fmt: skip

    def close(self) -> None:
        self.store.close()
        self.catalog.close()

    def upstream(self, *datasets: dict[str, Any], **more: Any) -> None:
        self.path.write_text(json.dumps({"datasets": datasets, **more}), "utf-8")

    def source(self, *layers: dict[str, Any], **more: Any) -> SourceConfig:
        return SourceConfig.model_validate(
            {
                "id": "dinas", "type": scripted.TYPE, "url": str(self.path), "produsen_data": "Dinas Contoh",
                "layers": list(layers) or [{"remote": "fasilitas"}], **more,
            }
        )  # fmt: skip

    def harvest(self, source: SourceConfig | None = None, **kwargs: Any) -> Run:
        return self.engine.run(source or self.source(), **kwargs)

    def live(self, layer_id: str = "fasilitas") -> VersionInfo | None:
        return self.catalog.versions.current(layer_id)

    def rows(self, layer_id: str = "fasilitas") -> dict[str, dict[str, Any]]:
        """What a reader sees now: properties by id."""
        info = self.live(layer_id)
        if info is None:
            return {}
        features = self.store.reader(info).page(Query(limit=10_000)).features
        loaded = [json.loads(feature) for feature in features]
        return {str(f["id"]): f["properties"] for f in loaded}

    def steps(self) -> list[str]:
        """What the upstream was asked, in order."""
        log = self.path.with_suffix(".log")
        return log.read_text().split() if log.exists() else []
