"""Stewards' decisions put cells right on every later harvest, and never hide a newer truth."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.model import FieldDef, FieldType, LayerSchema, RunState
from catalog.reconciliation_model import Cell, Choice, Correction, Definition, Difference, SideSpec
from harvesters.mapping.corrections import Corrections
from tests.harvesters.support import World
from tests.servers.postgres import Postgres

SCHEMA = LayerSchema(
    (
        FieldDef("kode"), FieldDef("jiwa", FieldType.INTEGER), FieldDef("nama"),
        FieldDef("sejak", FieldType.DATE),
    )
)  # fmt: skip
CODE = "32.03.01.2001"


def correction(field: str, was: Any, becomes: Any, number: int = 1, code: str = CODE) -> Correction:
    return Correction(number, 10 + number, Cell("idm", "7", field, "kode", code, was, becomes))


def applied(row: dict[str, Any], *entries: Correction) -> tuple[dict[str, Any], Corrections]:
    made, rows = Corrections(entries, SCHEMA), [{"kode": CODE, "jiwa": 1, "nama": "Sayang"} | row]
    notes = made.apply(["7"], rows)
    assert len(notes) == len(made.stale)
    return rows[0], made


@pytest.mark.parametrize(
    ("field", "says", "was", "becomes", "after"),
    [
        ("jiwa", 1, 1, 2, 2),
        ("jiwa", 1, 1.0, "2", 2),
        ("jiwa", 1, 1, None, None),
        ("jiwa", None, None, 7, 7),
        ("nama", "Sayang ", "Sayang", "Sayang Hilir", "Sayang Hilir"),
        ("kode", CODE, CODE, "32.03.05.2009", "32.03.05.2009"),
        ("kode", "3203012001", CODE, "32.03.05.2009", "3203052009"),
        ("sejak", date(2025, 1, 2), "2025-01-02", "2026-03-04", date(2026, 3, 4)),
    ],
)
def test_a_cell_that_says_what_it_said_is_put_right(
    field: str, says: Any, was: Any, becomes: Any, after: Any
) -> None:
    row, made = applied({field: says}, correction(field, was, becomes))
    assert (row[field], made.applied, made.stale) == (after, {1}, set())


@pytest.mark.parametrize(
    ("row", "entry", "stale"),
    [
        ({"jiwa": 3}, correction("jiwa", 1, 2), {1}),
        ({"jiwa": None}, correction("jiwa", 1, 2), {1}),
        ({"jiwa": 2}, correction("jiwa", 1, 2), set()),  # the source came to say it itself
        ({"kode": "32.03.01.2002"}, correction("jiwa", 1, 2), {1}),  # another region under this id
        ({}, correction("hilang", 1, 2), {1}),
        ({}, correction("jiwa", 1, "banyak"), {1}),
    ],
)
def test_what_the_source_changed_is_left_alone(
    row: dict[str, Any], entry: Correction, stale: set[int]
) -> None:
    before = {"kode": CODE, "jiwa": 1, "nama": "Sayang"} | row
    after, made = applied(row, entry)
    assert (after, made.applied, made.stale) == (before, set(), stale)


def test_a_code_and_a_value_of_one_feature() -> None:
    """The value was decided when the stored layer had the new code already."""
    entries = [
        correction("jiwa", 1, 2, number=2, code="32.03.05.2009"),
        correction("kode", CODE, "32.03.05.2009"),
    ]
    row, made = applied({}, *entries)
    assert (row["kode"], row["jiwa"], made.applied) == ("32.03.05.2009", 2, {1, 2})


@given(st.one_of(st.none(), st.integers(), st.text(max_size=8), st.floats(allow_nan=False)))
def test_only_what_was_decided_about_is_ever_changed(value: Any) -> None:
    row, made = applied({"nama": value}, correction("nama", "Lama", "Baru"))
    assert row["nama"] == ("Baru" if made.applied else value)
    assert bool(made.applied) == (isinstance(value, str) and value.strip() == "Lama")


def _layer(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"remote": "fasilitas", "fields": {"kode": "text", "jiwa": "integer"}, "rows": rows, **more}


def _row(code: str = CODE, jiwa: int = 1) -> dict[str, Any]:
    return {"id": "7", "kode": code, "jiwa": jiwa}


OTHER = {"id": "8", "kode": "32.03.01.2002", "jiwa": 8}
LISTED = {"stage": "v1", "certain": True}


def _decided(world: World, *cells: tuple[str, Any, Any]) -> int:
    definition = Definition(a=SideSpec(dataset="fasilitas", key="kode"), b=SideSpec(file="b", key="kode"))
    world.catalog.reconciliations.define("uji", definition, by="s")
    world.catalog.reconciliations.record(
        "uji", [Difference(f"{CODE}>", "hanya_di_a", CODE, {}, "f")], counts={}, versions={}, by="s"
    )
    made = tuple(Cell("fasilitas", "7", field, "kode", CODE, was, to) for field, was, to in cells)
    choice = Choice(f"{CODE}>", "isi", cells=made)
    return world.catalog.decisions.decide("uji", [choice], by="s", reason="lapangan")[0]


def _state(world: World) -> tuple[str, str]:
    item = world.catalog.reconciliations.item("uji", f"{CODE}>")
    return item.state, item.note


@pytest.fixture
def source(world: World) -> Any:
    layer = {"remote": "fasilitas", "region_code": {"field": "kode", "vintage": 2025}}
    world.upstream(_layer([_row(), OTHER], listing=LISTED))
    made = world.source(layer)
    assert world.harvest(made).state is RunState.OK
    return made


def test_the_next_harvest_applies_a_decision_though_nothing_changed_upstream(
    world: World, source: Any
) -> None:
    assert world.harvest(source).state is RunState.UNCHANGED
    number = _decided(world, ("jiwa", 1, 2), ("kode", CODE, "32.03.05.2009"))
    run = world.harvest(source)
    assert (run.state, run.counts.corrected, run.counts.updated) == (RunState.OK, 2, 1)
    assert world.rows()["7"] == {"kode": "32.03.05.2009", "jiwa": 2}
    assert "2 nilai dikoreksi" in world.catalog.datasets.get("fasilitas").record.lineage
    again = world.harvest(source)
    assert (again.state, again.code) == (RunState.UNCHANGED, ""), "nothing new: not fetched again"
    assert "2 nilai dikoreksi" in world.catalog.datasets.get("fasilitas").record.lineage
    world.catalog.decisions.undo("uji", number, by="s", reason="keliru")
    assert world.harvest(source).state is RunState.OK
    assert world.rows()["7"] == {"kode": CODE, "jiwa": 1}
    assert "dikoreksi" not in world.catalog.datasets.get("fasilitas").record.lineage


def test_a_file_that_was_not_modified_is_read_again_for_a_new_decision(world: World) -> None:
    layer = {"remote": "fasilitas", "region_code": {"field": "kode", "vintage": 2025}}
    world.upstream(_layer([_row(), OTHER], etag="e1"))
    source = world.source(layer)
    world.harvest(source)
    assert world.harvest(source).state is RunState.UNCHANGED
    _decided(world, ("jiwa", 1, 2))
    assert world.harvest(source).state is RunState.OK
    assert world.rows()["7"]["jiwa"] == 2
    assert world.harvest(source).state is RunState.UNCHANGED


def test_a_newer_truth_is_never_hidden(world: World, source: Any) -> None:
    _decided(world, ("jiwa", 1, 2))
    world.harvest(source)
    world.upstream(_layer([_row(jiwa=9), OTHER], listing=LISTED | {"stage": "v2"}))
    run = world.harvest(source)
    assert (run.state, run.counts.corrected) == (RunState.OK, 0)
    assert world.rows()["7"]["jiwa"] == 9
    assert _state(world) == ("open", "stale")
    assert [e.code for e in world.catalog.runs.errors(run.id)] == ["correction-stale"]
    fix = world.catalog.corrections.active("fasilitas")[0]
    assert (fix.stale_since, fix.run_id) == (world.clock.now, run.id)
    world.upstream(_layer([_row(), OTHER], listing=LISTED | {"stage": "v3"}))
    assert world.harvest(source).counts.corrected == 1
    assert world.rows()["7"]["jiwa"] == 2, "the source says again what was decided about"


def test_an_interrupted_harvest_hides_no_correction(world: World, source: Any) -> None:
    _decided(world, ("jiwa", 1, 2))
    many = [_row(), OTHER, *({"id": str(n), "kode": None, "jiwa": n} for n in range(100, 125))]
    world.upstream(_layer(many, listing=LISTED | {"stage": "v2"}), fail_at="page-20")
    assert world.harvest(source).state is RunState.FAILED
    world.upstream(_layer(many, listing=LISTED | {"stage": "v2"}))
    run = world.harvest(source)
    assert (run.state, run.counts.corrected, world.rows()["7"]["jiwa"]) == (RunState.OK, 1, 2)


def test_a_grown_deployment_corrects_too(tmp_path: Path, postgres: Postgres) -> None:
    world = World(tmp_path, database=postgres.database(), layers=postgres.database(postgis=True))
    world.upstream(_layer([_row(), OTHER]))
    source = world.source({"remote": "fasilitas", "region_code": {"field": "kode", "vintage": 2025}})
    world.harvest(source)
    _decided(world, ("jiwa", 1, 2), ("kode", CODE, "32.03.05.2009"))
    assert world.harvest(source).counts.corrected == 2
    assert world.rows()["7"] == {"kode": "32.03.05.2009", "jiwa": 2}
    world.upstream(_layer([_row(jiwa=9), OTHER]))
    world.harvest(source)
    assert (world.rows()["7"]["jiwa"], _state(world)) == (9, ("open", "stale"))
    world.close()


def test_a_dry_run_tells_nothing_to_the_books(world: World, source: Any) -> None:
    _decided(world, ("jiwa", 5, 2))
    world.harvest(source, dry_run=True)
    assert world.catalog.corrections.active("fasilitas")[0].stale_since is None
    assert _state(world) == ("decided", "")
