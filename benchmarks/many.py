"""Makes a catalog with thousands of small collections, as a national node has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from catalog.config import load_settings
from catalog.model import DatasetRecord, FieldDef, FieldType, LayerSchema, Localized
from catalog.store import Catalog
from layers.contract import FeatureBatch
from layers.open import open_store

SCHEMA = LayerSchema(fields=(FieldDef("nama", FieldType.TEXT),), geometry_type="Point")


def write_collections(config: Path, data: Path, count: int) -> None:
    """Write `count` published collections k0..k<count-1> of one point each."""
    data.mkdir(parents=True, exist_ok=True)
    settings = load_settings(config, data)
    catalog, store = Catalog.open(settings.database_url()), open_store(settings)
    for number in range(count):
        name = f"k{number}"
        record = DatasetRecord(
            title=Localized(id=f"Kumpulan {number}", en=f"Collection {number}"), synthetic=True
        )
        catalog.datasets.put(
            name, source_id="bench", remote_id=name, kind="feature", record=record, run_id=""
        )
        writer = store.writer(name, SCHEMA, "bench")
        point = shapely.Point(95 + number % 450 / 10, -10 + number // 450)
        writer.write("0", FeatureBatch([str(number)], [{"nama": name}], np.array([point], dtype=object)))
        info = writer.finish(1, "")
        catalog.versions.register(info)
        catalog.versions.make_current(name, info.version, by="bench")
    catalog.close()
