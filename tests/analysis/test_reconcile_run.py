"""The whole round: harvest, compare, decide, harvest again, compare again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from analysis.reconcile import Verdict
from analysis.reconcile_decide import Rule, choice_of
from analysis.reconcile_run import apply_rules, due, run
from catalog.errors import NotFoundError, QueryError
from catalog.reconciliation_model import Action, Definition, QueueItem, Reconciliation, SideSpec, ValueSpec
from tests.harvesters.support import World

ONE, TWO, NEW = "32.03.01.2001", "32.03.01.2002", "32.03.05.2009"
KODE = {"field": "kode", "vintage": 2025}


class Round(World):
    """Two tables of one upstream, and a reconciliation of them."""

    def tables(self, idm: list[dict[str, Any]], batas: list[dict[str, Any]]) -> None:
        fields = {"kode": "text", "nama": "text", "jiwa": "integer"}
        self.upstream(
            {"remote": "idm", "fields": fields, "rows": idm},
            {"remote": "batas", "fields": fields, "rows": batas},
        )
        self.harvest(
            self.source({"remote": "idm", "region_code": KODE}, {"remote": "batas", "region_code": KODE})
        )

    def define(self, **more: Any) -> Reconciliation:
        side = {"key": "kode", "name": "nama"}
        definition = Definition(
            a=SideSpec(dataset="idm", **side), b=SideSpec(**({"dataset": "batas", **side} | more)),
            values=(ValueSpec(a="jiwa", b="jiwa"),),
        )  # fmt: skip
        return self.catalog.reconciliations.define("uji", definition, by="s")

    def compare(self) -> dict[str, int]:
        entry = self.catalog.reconciliations.get("uji")
        self.clock.forward(minutes=1)
        run(self.catalog, self.store, entry, read_file=_read, by="s")
        return self.catalog.reconciliations.states("uji")

    def waiting(self) -> dict[str, QueueItem]:
        return {item.key: item for item in self.catalog.reconciliations.queue("uji")}

    def decide(self, key: str, action: Action, **details: Any) -> int:
        entry, item = self.catalog.reconciliations.get("uji"), self.catalog.reconciliations.item("uji", key)
        choice = choice_of(entry.definition, item, action, details)
        return self.catalog.decisions.decide("uji", [choice], by="s", reason="lapangan")[0]


def _read(path: Path, columns: Any) -> pa.Table:
    return pacsv.read_csv(path).select(list(columns))


def _row(id_: str, kode: str, nama: str = "Sayang", jiwa: int = 1) -> dict[str, Any]:
    return {"id": id_, "kode": kode, "nama": nama, "jiwa": jiwa}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Round]:
    made = Round(tmp_path)
    yield made
    made.close()


def test_a_decision_is_applied_by_the_next_harvest_and_the_difference_is_closed(world: Round) -> None:
    idm, batas = [_row("1", ONE, jiwa=5)], [_row("9", ONE, jiwa=7)]
    world.tables(idm, batas)
    entry = world.define()
    assert due(world.catalog, entry)
    assert world.compare() == {"open": 1, "decided": 0}
    assert not due(world.catalog, entry)
    key = f"{ONE}>{ONE}"
    assert world.waiting()[key].verdict == Verdict.VALUE
    world.decide(key, "pakai_b")
    world.tables(idm, batas)
    assert world.rows("idm")["1"]["jiwa"] == 7
    assert due(world.catalog, entry), "A has a new version"
    assert world.compare() == {"open": 0, "decided": 0}
    assert world.catalog.reconciliations.item("uji", key).note == "applied"

    world.tables([_row("1", ONE, jiwa=6)], batas)
    assert world.rows("idm")["1"]["jiwa"] == 6, "the newer truth is not overwritten"
    assert world.waiting()[key].note == "stale"
    world.compare()
    assert world.waiting()[key].facts["values"] == [[6, 7]]
    world.decide(key, "pakai_b")
    world.tables([_row("1", ONE, jiwa=6)], batas)
    assert world.rows("idm")["1"]["jiwa"] == 7
    assert world.compare() == {"open": 0, "decided": 0}


def test_undoing_brings_the_source_s_value_and_the_difference_back(world: Round) -> None:
    idm, batas = [_row("1", ONE)], [_row("9", NEW, "Baru"), _row("8", TWO, "Lain")]
    world.tables(idm, batas)
    world.define()
    world.compare()
    number = world.decide(f"{ONE}>", "kode_menjadi", code=NEW)
    world.tables(idm, batas)
    assert world.rows("idm")["1"]["kode"] == NEW
    world.compare()
    assert set(world.waiting()) == {f">{TWO}", f"{NEW}>{NEW}"}
    assert world.waiting()[f"{NEW}>{NEW}"].verdict == Verdict.NAME
    world.catalog.decisions.undo("uji", number, by="s", reason="keliru")
    world.tables(idm, batas)
    assert world.rows("idm")["1"]["kode"] == ONE
    world.compare()
    assert {f"{ONE}>", f">{NEW}"} <= set(world.waiting())


def test_regions_declared_one_are_compared_from_then_on(world: Round) -> None:
    world.tables([_row("1", ONE, jiwa=5)], [_row("9", NEW, "Baru", jiwa=7)])
    world.define()
    world.compare()
    world.decide(f"{ONE}>", "wilayah_sama", code=NEW)
    world.compare()
    found = world.waiting()
    assert set(found) == {f"{ONE}>{NEW}"}
    assert found[f"{ONE}>{NEW}"].facts["also"] == ["nilai_berbeda", "nama_berbeda"]


def test_a_rule_decides_in_every_run_until_it_is_undone(world: Round) -> None:
    idm = [_row("1", ONE, jiwa=5), _row("2", TWO, jiwa=100)]
    batas = [_row("9", ONE, jiwa=6), _row("8", TWO, jiwa=300)]
    world.tables(idm, batas)
    entry = world.define()
    world.compare()
    rule = Rule(Verdict.VALUE, at_most=1)
    number = world.catalog.decisions.add_rule("uji", rule.dump(), "pakai_b", by="s", reason="selisih kecil")
    assert apply_rules(world.catalog, entry) == {number: 1}
    assert set(world.waiting()) == {f"{TWO}>{TWO}"}
    world.tables([*idm, _row("3", NEW, jiwa=1)], [*batas, _row("7", NEW, jiwa=2)])
    world.compare()
    assert world.catalog.reconciliations.item("uji", f"{NEW}>{NEW}").state == "decided"
    made = world.catalog.decisions.list("uji", rule=number)
    world.catalog.decisions.undo("uji", made[-1].number, by="s", reason="bukan yang ini")
    world.compare()
    assert f"{NEW}>{NEW}" in world.waiting(), "what was taken back from a rule is not decided again by it"
    assert world.catalog.decisions.undo_rule("uji", number, by="s", reason="terlalu luas") == 1
    assert world.catalog.corrections.active("idm") == []


def test_a_file_is_due_when_it_changes(world: Round, tmp_path: Path) -> None:
    path = tmp_path / "batas.csv"
    path.write_text(f"kode,nama,jiwa\n{ONE},Sayang,7\n")
    world.tables([_row("1", ONE, jiwa=5)], [])
    entry = world.define(dataset=None, file=str(path))
    world.compare()
    assert not due(world.catalog, entry)
    assert world.catalog.reconciliations.runs("uji")[0].versions["b"]["file"] == "batas.csv"
    path.write_text(f"kode,nama,jiwa\n{ONE},Sayang,5\n")
    assert due(world.catalog, entry)
    assert world.compare()["open"] == 0
    path.unlink()
    assert not due(world.catalog, entry)
    with pytest.raises(NotFoundError):
        world.compare()


def test_a_column_that_is_gone_is_named(world: Round) -> None:
    world.tables([_row("1", ONE)], [_row("9", ONE)])
    definition = Definition(a=SideSpec(dataset="idm", key="kodee"), b=SideSpec(dataset="batas", key="kode"))
    world.catalog.reconciliations.define("uji", definition, by="s")
    with pytest.raises(QueryError, match="kodee"):
        world.compare()
