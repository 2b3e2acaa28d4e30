"""Results of analyses become layers: a new version and its record at once, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from catalog.errors import BusySourceError, NotFoundError, PublishError
from catalog.model import DatasetRecord, FieldDef, FieldType, LayerSchema, Localized, RunState
from catalog.store import Catalog
from layers.contract import FeatureBatch, LayerStore
from layers.publish import publish_table
from tests.layers.conftest import layer_id

SCHEMA = LayerSchema((FieldDef("kode"), FieldDef("jiwa", FieldType.INTEGER)), "Point", "EPSG:4326")
RECORD = DatasetRecord(title=Localized(id="Terdampak"), lineage="batas v3; area 12 simpul")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path / 'c.sqlite'}") as opened:
        yield opened


def batch(*numbers: int) -> FeatureBatch:
    shapes = np.array([shapely.Point(107 + n / 100, -6.5) for n in numbers], dtype=object)
    return FeatureBatch([str(n) for n in numbers], [{"kode": f"k{n}", "jiwa": n} for n in numbers], shapes)


def stored(store: LayerStore, catalog: Catalog, name: str) -> list[dict[str, Any]]:
    info = catalog.versions.current(name)
    assert info is not None
    return [row for part in store.reader(info).batches() for row in part.rows]


def test_a_table_becomes_a_layer_with_its_record(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()
    info = publish_table(store, catalog, name, SCHEMA, [batch(1, 2), batch(3)], RECORD, by="walidata")
    assert (info.count, info.kind) == (3, "feature")
    assert [row["jiwa"] for row in stored(store, catalog, name)] == [1, 2, 3]
    dataset = catalog.datasets.get(name)
    assert dataset.record.lineage == RECORD.lineage
    assert dataset.record.bbox == info.bbox
    run = catalog.runs.get(info.run_id)
    assert (run.state, run.counts.seen) == (RunState.OK, 3)


def test_the_same_content_makes_no_new_version(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()
    first = publish_table(store, catalog, name, SCHEMA, [batch(1)], RECORD, by="walidata")
    renamed = RECORD.model_copy(update={"lineage": "batas v4"})
    again = publish_table(store, catalog, name, SCHEMA, [batch(1)], renamed, by="walidata")
    assert again.version == first.version
    assert store.versions(name) == [first.version]
    assert catalog.datasets.get(name).record.lineage == "batas v4"


def test_old_versions_are_pruned(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()
    for n in range(4):
        publish_table(store, catalog, name, SCHEMA, [batch(n)], RECORD, by="walidata", keep=2)
    assert len(store.versions(name)) == 2
    assert stored(store, catalog, name) == [{"kode": "k3", "jiwa": 3}]


def _broken() -> Iterator[FeatureBatch]:
    yield batch(7)
    raise RuntimeError("the analysis broke")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: _broken(), id="broken"),
        pytest.param(lambda: [batch(1, 1)], id="twins"),
        pytest.param(lambda: [FeatureBatch(["1"], [{"kode": "x", "jiwa": "many"}], batch(1).geometries)], id="type"),
    ],
)  # fmt: skip
def test_a_failure_leaves_the_old_version(store: LayerStore, catalog: Catalog, bad: Any) -> None:
    name = layer_id()
    first = publish_table(store, catalog, name, SCHEMA, [batch(1)], RECORD, by="walidata")
    changed = RECORD.model_copy(update={"lineage": "other"})
    with pytest.raises((PublishError, RuntimeError)):
        publish_table(store, catalog, name, SCHEMA, bad(), changed, by="walidata")
    assert catalog.versions.current(name) == first
    assert store.versions(name) == [first.version]
    assert not [stage for layer, stage in store.stages() if layer == name]
    assert catalog.datasets.get(name).record.lineage == RECORD.lineage
    assert catalog.runs.last(f"analisis:{name}").state is RunState.FAILED  # type: ignore[union-attr]


def test_a_catalog_that_breaks_at_the_swap_changes_nothing(
    store: LayerStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = layer_id()

    def refuse(*_: Any, **__: Any) -> None:
        raise PublishError("the database went away")

    monkeypatch.setattr(catalog.versions, "make_current", refuse)
    with pytest.raises(PublishError):
        publish_table(store, catalog, name, SCHEMA, [batch(1)], RECORD, by="walidata")
    assert store.versions(name) == []
    assert catalog.versions.list(name) == []
    with pytest.raises(NotFoundError):
        catalog.datasets.get(name)


def test_two_do_not_publish_one_dataset_at_once(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()

    def meanwhile() -> Iterator[FeatureBatch]:
        with pytest.raises(BusySourceError):
            publish_table(store, catalog, name, SCHEMA, [batch(9)], RECORD, by="another")
        yield batch(1)

    publish_table(store, catalog, name, SCHEMA, meanwhile(), RECORD, by="walidata")
    assert stored(store, catalog, name) == [{"kode": "k1", "jiwa": 1}]


def test_a_harvested_dataset_is_not_overwritten(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()
    catalog.datasets.put(name, source_id="big", remote_id="0", kind="feature", record=RECORD, run_id="")
    with pytest.raises(PublishError, match="belongs to source"):
        publish_table(store, catalog, name, SCHEMA, [batch(1)], RECORD, by="walidata")
    assert store.versions(name) == []


def test_a_table_without_geometry_and_a_run_of_the_caller(store: LayerStore, catalog: Catalog) -> None:
    name = layer_id()
    run = catalog.runs.start("respons-cepat", lease_seconds=60)
    table = replace(SCHEMA, geometry_type=None)
    rows = FeatureBatch(["1"], [{"kode": "k", "jiwa": None}])
    info = publish_table(
        store, catalog, name, table, [rows], RECORD, by="r", run_id=run.id, source_id="respons-cepat"
    )
    assert (info.kind, info.run_id) == ("table", run.id)
    catalog.runs.finish(run.id, RunState.OK)
