"""From an ArcGIS service through the engine into the layer store, compared with the source."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from benchmarks.arcgis_server import object_ids
from catalog.model import RunState
from catalog.settings import HarvestSettings, Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.engine.engine import Engine
from layers.open import open_store
from tests.servers import PATIENCE
from tests.servers.arcgis import FaultyArcGIS, villages
from tests.servers.koop import Koop, capped, koop

__all__ = ["koop"]
_ROOT = Path(__file__).resolve().parents[2]


class House:
    """A catalog and a layer store in one folder, and an engine over them."""

    def __init__(self, folder: Path) -> None:
        harvest = HarvestSettings(
            allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=1, timeout_seconds=30
        )
        self.settings = Settings(harvest=harvest, data_dir=folder, config_dir=folder)
        self.catalog = Catalog.open(self.settings.database_url())
        self.store = open_store(self.settings)

    def run(self, url: str, **more: Any) -> Any:
        source = SourceConfig(
            id="big-batas-desa", type="arcgis", url=url, produsen_data="Badan Informasi Geospasial",
            layers=[{"remote": "0", "id": "batas-desa", **more}],
        )  # fmt: skip
        return Engine(self.settings, self.catalog, self.store, hooks=[]).run(source)

    def features(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Read the current version back: id, attributes, geometry."""
        info = self.catalog.versions.current("batas-desa")
        assert info is not None
        reader = self.store.reader(info)
        for batch in reader.batches(size=2000):
            assert batch.geometries is not None
            yield from zip(batch.ids, batch.rows, batch.geometries, strict=True)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.catalog.close()


def _cianjur(shared_data: Path) -> dict[str, tuple[dict[str, Any], Any]]:
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as layer:
        return {
            f.properties["KDEPUM"]: (dict(f.properties), shapely.geometry.shape(f.geometry)) for f in layer
        }


def _same(house: House, truth: dict[str, tuple[dict[str, Any], Any]]) -> None:
    stored = {row["KDEPUM"]: (row, shape) for _, row, shape in house.features()}
    assert stored.keys() == truth.keys()
    for code, (row, shape) in stored.items():
        wanted, source = truth[code]
        assert {k: v for k, v in row.items() if k != "OBJECTID"} == wanted
        assert shapely.equals(shape, source), code


def test_every_village_of_cianjur_through_koop(koop: Koop, house: House, shared_data: Path) -> None:
    url = koop.put("cianjur", shared_data / "cianjur_desa.gpkg", "desa")
    run = house.run(url)
    assert run.state is RunState.OK, run.reason
    assert (run.counts.expected, run.counts.seen, run.counts.added, run.counts.failed) == (360, 360, 360, 0)
    _same(house, _cianjur(shared_data))
    assert house.run(url).state is RunState.UNCHANGED


def test_a_cap_in_front_of_koop_loses_nothing(koop: Koop, house: House, shared_data: Path) -> None:
    url = koop.put("cianjur", shared_data / "cianjur_desa.gpkg", "desa")
    questions: list[dict[str, str]] = []
    with capped(url, 50, questions) as address:
        run = house.run(address)
    assert run.state is RunState.OK, run.reason
    assert len(questions) == 8
    _same(house, _cianjur(shared_data))


def test_what_was_left_out_is_found_by_a_second_look(house: House, shared_data: Path) -> None:
    with FaultyArcGIS([villages(shared_data / "cianjur_desa.gpkg")]) as server:
        server.faults.forget = frozenset({10, 37, 1078, 1084})
        assert house.run(server.address).state is RunState.OK
    _same(house, _cianjur(shared_data))


def test_an_unchanged_edit_date_spares_the_server(house: House, shared_data: Path) -> None:
    info = {"dataLastEditDate": 1758629816000, "lastEditDate": 1758629816000}
    layer = villages(shared_data / "cianjur_desa.gpkg", editingInfo=info)
    with FaultyArcGIS([layer]) as server:
        assert house.run(server.address).state is RunState.OK
        asked = len(server.pages())
        assert house.run(server.address).state is RunState.UNCHANGED
        assert len(server.pages()) == asked
        info["dataLastEditDate"] += 1
        house.run(server.address)
        assert len(server.pages()) > asked


def test_one_feature_that_fails_alone_keeps_the_last_good_version(house: House, shared_data: Path) -> None:
    with FaultyArcGIS([villages(shared_data / "cianjur_desa.gpkg")]) as server:
        assert house.run(server.address).state is RunState.OK
        good = house.catalog.versions.current("batas-desa")
        server.faults.poison = frozenset({505})
        run = house.run(server.address)
        assert run.state is RunState.INCOMPLETE
        assert "505" in [e.remote_id for e in house.catalog.runs.errors(run.id)]
        assert house.catalog.versions.current("batas-desa") == good
        server.faults.poison = frozenset()
        assert house.run(server.address).state in {RunState.OK, RunState.UNCHANGED}
    _same(house, _cianjur(shared_data))


def test_a_listing_that_shrinks_midway_is_listed_again(house: House, shared_data: Path) -> None:
    with FaultyArcGIS([villages(shared_data / "cianjur_desa.gpkg", maxRecordCount=100)]) as server:
        server.faults.vanish_after = 1
        run = house.run(server.address)
    assert run.state is RunState.OK, run.reason
    assert sum(1 for _ in house.features()) == run.counts.seen == 350


def test_a_run_that_broke_off_goes_on_where_it_was(house: House, shared_data: Path) -> None:
    with FaultyArcGIS([villages(shared_data / "cianjur_desa.gpkg", maxRecordCount=40)]) as server:
        server.faults.down_after = 5
        run = house.run(server.address)
        assert run.state is RunState.FAILED
        assert house.catalog.versions.current("batas-desa") is None
        server.faults.down_after = None
        server.faults.log.clear()
        run = house.run(server.address)
        assert (run.state, run.counts.seen) == (RunState.OK, 360), run.reason
        assert 0 < len(server.pages()) < 7
    _same(house, _cianjur(shared_data))


def _telling(source: Path, out: Path) -> Path:
    """Every tenth desa of the country, and all those of the most parts or the longest borders."""
    table = pq.read_table(source)
    shapes = shapely.from_wkb(table["geometry"].to_numpy())
    chosen = np.zeros(len(shapes), dtype=bool)
    chosen[::10] = True
    chosen[np.argsort(shapely.get_num_geometries(shapes))[-200:]] = True
    chosen[np.argsort(shapely.get_num_coordinates(shapes))[-200:]] = True
    pq.write_table(table.filter(pa.array(chosen)), out)
    return out


@pytest.fixture(scope="module", params=["telling", pytest.param("all", marks=pytest.mark.full)])
def national(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: Any) -> Path:
    """The desa of Indonesia: a part of them in every run, all 83,402 in `make test-full`."""
    source = shared_data / "desa_2025.parquet"
    if request.param == "all":
        return source
    return _telling(source, tmp_path_factory.mktemp("telling") / "desa.parquet")


@pytest.fixture
def served(national: Path, tmp_path: Path) -> Iterator[str]:
    """The national layer behind an ArcGIS-speaking server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.arcgis_server", str(national)]
    cache = tmp_path / "served"
    cache.mkdir()
    server = subprocess.Popen([*command, "--cache", str(cache)], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        if server.stdout is not None:
            server.stdout.close()


def test_the_villages_of_indonesia_arrive_as_they_are_at_the_source(
    served: str, national: Path, house: House
) -> None:
    code = {"field": "KDEPUM", "scheme": "kemendagri", "vintage": 2025}
    run = house.run(served, region_code=code)
    assert run.state is RunState.OK, run.reason
    table = pq.ParquetFile(national)
    count = table.metadata.num_rows
    assert count > 8_000
    assert (run.counts.expected, run.counts.seen, run.counts.added, run.counts.failed) == (count,) * 3 + (0,)
    ids = iter(object_ids(count).tolist())
    stored = house.features()
    for batch in table.iter_batches(2000):
        rows = batch.to_pylist()
        shapes = shapely.from_wkb([row.pop("geometry") for row in rows])
        got = [next(stored) for _ in rows]
        assert [int(id_) for id_, _, _ in got] == [next(ids) for _ in rows]
        assert [{k: v for k, v in row.items() if k != "OBJECTID"} for _, row, _ in got] == rows
        mine = shapely.normalize([shape for *_, shape in got])
        assert shapely.equals_exact(mine, shapely.normalize(shapes), tolerance=0).all()
    assert next(stored, None) is None
