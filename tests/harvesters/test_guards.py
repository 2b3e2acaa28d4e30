"""Guards: a complete version that may be wrong waits for a steward, and the live one stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.messages import catalogue
from catalog.model import FieldDef, FieldType, LayerSchema, RunState
from harvesters.engine import guards
from harvesters.engine.guards import Reason
from layers.contract import Diff
from tests.harvesters.support import World, layer, points


def held(world: World, code: str, **source: Any) -> None:
    """Harvest; the run must be held for `code`, and readers must see what they saw."""
    before = world.live()
    rows = world.rows()
    run = world.harvest(world.source(**source))
    assert run.state is RunState.HELD, run
    codes = [g["code"] for g in run.details["datasets"]["fasilitas"]["guards"]]
    assert code in codes
    assert run.code == f"guard-{codes[0]}"
    assert world.live() == before
    assert world.rows() == rows
    assert world.catalog.versions.list("fasilitas")[0].state == "held"


def test_too_much_removed(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(27)))
    assert world.harvest().state is RunState.OK  # 10 % is within the limit
    world.upstream(layer(points(24)))
    held(world, "removed")


def test_the_limit_is_the_sources_own(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(15)))
    assert world.harvest(world.source(max_removed_percent=50)).state is RunState.OK


def test_all_ids_new_is_all_removed(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer([{**row, "id": f"n{row['id']}"} for row in points(30)]))
    held(world, "removed")


def test_empty_is_held_whatever_the_limit(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer([]))
    held(world, "empty", max_removed_percent=100)


def test_a_field_that_the_source_took_away(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    world.upstream(layer(points(5), fields={"nama": "text"}))
    held(world, "field-removed")


def test_a_type_that_changed_and_a_field_that_came(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    world.upstream(layer(points(5, baru=1), fields={"nama": "text", "jumlah": "integer", "baru": "integer"}))
    assert world.harvest().state is RunState.OK
    rows = [{**row, "jumlah": str(row["jumlah"])} for row in points(5, baru=1)]
    world.upstream(layer(rows, fields={"nama": "text", "jumlah": "text", "baru": "integer"}))
    held(world, "field-type")


def test_a_column_that_a_steward_drops_or_renames_is_meant(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    renamed = world.source({"remote": "fasilitas", "rename": {"nama": "nama_fasilitas"}, "drop": ["jumlah"]})
    assert world.harvest(renamed).state is RunState.OK
    assert world.rows()["1"] == {"nama_fasilitas": "Puskesmas 1"}


def test_a_kind_of_geometry_that_changed(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    lines = [{**row, "wkt": "LINESTRING(107 -7, 107.1 -7.1)"} for row in points(5)]
    world.upstream(layer(lines, geometry="LineString"))
    held(world, "geometry-type")


def test_a_crs_that_changed(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    metres = [{**row, "wkt": f"POINT({700000 + i} 9220000)"} for i, row in enumerate(points(5))]
    world.upstream(layer(metres, crs="EPSG:32748"))
    held(world, "crs")


def test_coordinates_that_are_no_degrees(world: World) -> None:
    world.upstream(layer([{**row, "wkt": "POINT(700000 9220000)"} for row in points(5)]))
    run = world.harvest()
    assert run.state in (RunState.HELD, RunState.INCOMPLETE)
    assert world.live() is None


def test_a_layer_that_jumped_to_where_it_never_was(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    swapped = [{**row, "wkt": "POINT(-7.1 7.0)"} for row in points(5)]
    world.upstream(layer(swapped))
    held(world, "moved")


def test_geometries_that_went_bad(world: World) -> None:
    world.upstream(layer(points(20)))
    world.harvest()
    rows = points(20)
    for row in rows[:8]:
        row["wkt"] = None
    world.upstream(layer(rows))
    held(world, "geometry-bad")


def test_a_steward_accepts(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(10)))
    held(world, "removed")
    world.catalog.versions.accept("fasilitas", 2, by="ani")
    assert len(world.rows()) == 10
    assert world.harvest().state is RunState.UNCHANGED


def test_a_new_layer_that_was_held_can_be_served_once_accepted(world: World) -> None:
    rows = points(5, nik="3203014506870002")
    world.upstream(layer(rows, fields={"nama": "text", "nik": "text"}))
    assert world.harvest().state is RunState.HELD
    world.catalog.versions.accept("fasilitas", 1, by="ani")
    dataset = world.catalog.datasets.get("fasilitas")
    assert dataset.version is not None


def test_what_waits_is_not_stored_again_and_again(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(10)))
    world.harvest()
    again = world.harvest()
    assert (again.state, again.code) == (RunState.HELD, "still-held")
    assert [e.info.version for e in world.catalog.versions.list("fasilitas")] == [2, 1]
    assert world.store.versions("fasilitas") == [1, 2]
    world.upstream(layer(points(11)))
    world.harvest()
    assert [(e.info.version, e.state) for e in world.catalog.versions.list("fasilitas")] == [
        (3, "held"), (2, "rejected"), (1, "current"),
    ]  # fmt: skip


def test_what_a_steward_rejected_does_not_come_back_as_a_question(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(10)))
    world.harvest()
    world.catalog.versions.reject("fasilitas", 2, by="ani", reason="data belum lengkap")
    run = world.harvest()
    assert run.state is RunState.UNCHANGED
    assert run.details["datasets"]["fasilitas"]["code"] == "rejected-before"
    assert "data belum lengkap" in run.details["datasets"]["fasilitas"]["reason"]
    assert len(world.rows()) == 30


def test_what_a_steward_rolled_back_is_not_published_again_by_the_next_night(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(30, nama="Salah"), listing={"stage": "bad", "certain": True}))
    world.harvest()
    world.catalog.versions.rollback("fasilitas", by="ani", reason="nama salah")
    for _ in range(2):
        run = world.harvest()
        assert run.state is RunState.HELD
        assert world.rows()["1"]["nama"] == "Puskesmas 1"
    assert world.catalog.versions.list("fasilitas")[0].info.version == 3
    world.upstream(layer(points(30, nama="Benar")))
    assert world.harvest().state is RunState.OK


# -- the questions themselves -----------------------------------------------------------------------

few = st.integers(0, 500)


@given(few, few, few, few, st.floats(0, 100))
def test_never_held_for_removal_when_nothing_goes(a: int, u: int, s: int, r: int, limit: float) -> None:
    assert guards.removed(Diff(a, u, s, 0), limit) == []
    assert guards.shrink(Diff(a, u, s, 0), limit) == []
    old = u + s + r
    assert bool(guards.removed(Diff(a, u, s, r), limit)) == (old > 0 and 100 * r / old > limit)
    if r and not (a or u or s):
        assert guards.shrink(Diff(a, u, s, r), limit)[0].code == "empty"


def test_single_and_multi_parts_of_one_kind_are_no_drift() -> None:
    one, many = LayerSchema((), "Polygon"), LayerSchema((), "MultiPolygon")
    assert guards.drift(one, many, {}, {}) == []
    assert guards.drift(many, one, {}, {}) == []
    assert guards.drift(many, LayerSchema((), None), {}, {})[0].code == "geometry-type"


def test_drift_without_a_known_origin_compares_our_columns() -> None:
    old = LayerSchema((FieldDef("a", FieldType.TEXT), FieldDef("b", FieldType.REAL)))
    new = LayerSchema((FieldDef("b", FieldType.TEXT),))
    assert [r.code for r in guards.drift(old, new, {}, {})] == ["field-removed", "field-type"]


def test_a_stated_crs_is_meant() -> None:
    old, new = LayerSchema((), "Point", "EPSG:4326"), LayerSchema((), "Point", "EPSG:32748")
    assert guards.crs(old, new, None)
    assert guards.crs(old, new, "EPSG:32748") == []
    assert guards.crs(LayerSchema(()), LayerSchema((), None, "EPSG:32748"), None) == []


@pytest.mark.parametrize("lang", ["id", "en"])
def test_every_reason_has_its_text(lang: str) -> None:
    params = dict.fromkeys(
        ["removed", "total", "percent", "limit", "before", "after", "field", "bbox", "kind", "count",
         "missing", "version"], "7",
    )  # fmt: skip
    codes = [key.removeprefix("guard.") for key in catalogue() if key.startswith("guard.")]
    assert len(codes) == 13
    for code in codes:
        said = Reason(code, params).text(lang)
        assert "{" not in said
        assert said != f"guard.{code}"
