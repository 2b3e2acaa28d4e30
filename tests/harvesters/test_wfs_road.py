"""From a real WFS, WMS and CSW through the engine into the store and the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiona
import pytest
import shapely

from catalog.model import RunState
from catalog.sources import SourceConfig
from tests.harvesters.support import World
from tests.servers.iso_records import Rec, gmd
from tests.servers.loopback import BadCsw, BadWfs, serve
from tests.servers.mapserver import MapServer, mapserver
from tests.servers.pycsw import Pycsw, pycsw

__all__ = ["mapserver", "pycsw"]


def source(kind: str, url: str, *, options: dict[str, Any] | None = None, **layer: Any) -> SourceConfig:
    return SourceConfig.model_validate(
        {
            "id": "big", "type": kind, "url": url, "produsen_data": "Badan Informasi Geospasial",
            "options": options or {}, "layers": [layer],
        }
    )  # fmt: skip


def stored(world: World, layer_id: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    info = world.live(layer_id)
    assert info is not None
    for batch in world.store.reader(info).batches():
        assert batch.geometries is not None
        yield from zip(batch.ids, batch.rows, batch.geometries, strict=True)


def test_cianjur_comes_whole_through_a_real_wfs(world: World, mapserver: MapServer):
    config = source(
        "wfs", mapserver.url, options={"page_size": 90}, remote="desa", id="batas-desa", feature_id="KDEPUM",
        region_code={"field": "KDEPUM", "scheme": "kemendagri", "vintage": 2025},
    )  # fmt: skip
    run = world.harvest(config)
    assert (run.state, run.reason) == (RunState.OK, "")
    counts = run.layers["batas-desa"]
    assert (counts.expected, counts.seen, counts.added, counts.failed) == (360, 360, 360, 0)
    with fiona.open(mapserver.gpkg, layer="desa") as layer:
        truth = {f.properties["KDEPUM"]: f for f in layer}
    got = {own: (row, shape) for own, row, shape in stored(world, "batas-desa")}
    assert got.keys() == truth.keys()
    for code, feature in truth.items():
        row, shape = got[code]
        for name, value in feature.properties.items():
            said = float(row[name]) if name == "LON_CTR" else row[name]
            assert said == pytest.approx(value) if isinstance(value, float) else said == value
        # MapServer writes six decimals: 0.1 m
        assert shapely.hausdorff_distance(shape, shapely.geometry.shape(feature.geometry)) < 2e-6, code
    dataset = world.catalog.datasets.get("batas-desa")
    assert dataset.record.produsen_data == "Badan Informasi Geospasial"
    assert dataset.record.bbox == pytest.approx((106.776, -7.505, 107.485, -6.602), abs=0.001)


def test_the_same_wfs_again_changes_nothing(world: World, mapserver: MapServer):
    config = source("wfs", mapserver.url, remote="pos", id="pos", feature_id="kode")
    assert world.harvest(config).state is RunState.OK
    again = world.harvest(config)
    assert (again.state, again.layers["pos"].unchanged) == (RunState.UNCHANGED, 25)


def test_a_wfs_that_loses_a_feature_is_not_published(world: World):
    app = BadWfs()
    with serve(app) as url:
        config = source("wfs", f"{url}/wfs", remote="a:desa", id="desa")
        assert world.harvest(config).state is RunState.OK
        app.broken = (23,)
        run = world.harvest(config)
    assert run.state is RunState.INCOMPLETE
    assert "24 stored of 25" in run.reason
    live = world.live("desa")
    assert live is not None
    assert (live.version, live.count) == (1, 25)
    errors = world.catalog.runs.errors(run.id)
    assert any(e.remote_id == "a:desa#22" for e in errors)


def test_every_record_of_a_real_pycsw_is_in_the_catalog(world: World, pycsw: Pycsw):
    run = world.harvest(source("csw", pycsw.url, remote="*"))
    assert (run.state, run.reason) == (RunState.OK, "")
    known = {d.remote_id: d for d in world.catalog.datasets.all() if d.source_id == "big"}
    assert known.keys() == pycsw.identifiers
    assert {d.kind for d in known.values()} == {"record"}
    again = world.harvest(source("csw", pycsw.url, remote="*"))
    assert again.state is RunState.UNCHANGED


def test_a_bad_record_makes_the_run_incomplete_and_withdraws_nothing(world: World):
    app = BadCsw({f"rec-{n}": gmd(Rec(identifier=f"rec-{n}", title=f"Data {n}")) for n in range(1, 21)})
    with serve(app) as url:
        config = source("csw", f"{url}/csw", remote="*")
        assert world.harvest(config).state is RunState.OK
        app.broken = ("rec-4",)
        run = world.harvest(config)
    assert run.state is RunState.INCOMPLETE
    assert len(list(world.catalog.datasets.all())) == 20
    assert world.catalog.datasets.get("big-rec-4").missing_since is None


def test_the_wfs_behind_a_record_becomes_a_layer_with_the_records_words(world: World):
    with serve(BadWfs()) as wfs:
        links = [("OGC:WFS", "a:desa", f"{wfs}/geoserver/wms")]
        record = Rec(identifier="rec-1", title="Batas Desa Uji", links=links, palapa=True)
        with serve(BadCsw({"rec-1": gmd(record)})) as url:
            run = world.harvest(with_data(source("csw", url, remote="rec-1", id="desa-uji")))
    assert (run.state, run.reason) == (RunState.OK, "")
    dataset = world.catalog.datasets.get("desa-uji")
    assert (dataset.kind, dataset.record.title.id) == ("feature", "Batas Desa Uji")
    assert len(list(stored(world, "desa-uji"))) == 25


def with_data(config: SourceConfig) -> SourceConfig:
    config.layers[0].options = {"data": True}
    return config


def test_a_map_service_is_registered_with_links_that_work(world: World, mapserver: MapServer):
    run = world.harvest(source("wms", mapserver.url, remote="*"))
    assert (run.state, run.reason) == (RunState.OK, "")
    dataset = world.catalog.datasets.get("big-desa")
    assert (dataset.kind, dataset.version) == ("service", None)
    assert {link.rel for link in dataset.record.links} >= {"service", "preview", "legend", "template"}
