"""The stewards' queue, their decisions and corrections, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.errors import NotFoundError, QueryError
from catalog.reconciliation_model import Cell, Choice, Definition, Difference, SideSpec, ValueSpec
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock

ID = "idm-batas"
DEFINITION = Definition(
    a=SideSpec(dataset="idm", key="kode"),
    b=SideSpec(file="batas.csv", key="KDEPUM"),
    values=(ValueSpec(a="jiwa", b="JIWA"),),
)
CODE = "32.03.01.2001"
KEY = f"{CODE}>{CODE}"


def difference(fingerprint: str = "f1", key: str = KEY, verdict: str = "nilai_berbeda") -> Difference:
    facts = {"verdict": verdict, "code_a": key.split(">")[0], "values": [[1, 2]]}
    return Difference(key, verdict, key.split(">")[0], facts, fingerprint)


def cell(was: object = 1, becomes: object = 2) -> Cell:
    return Cell("idm", "7", "jiwa", "kode", CODE, was, becomes)


def meet(catalog: Catalog, *found: Difference) -> dict[str, int]:
    done = catalog.reconciliations.record(
        ID, found, counts={"nilai_berbeda": len(found)}, versions={"a": {"version": 1}}, by="s"
    )
    return done.queue


def decide(catalog: Catalog, *choices: Choice, reason: str = "BIG lebih baru", **more: object) -> int:
    return catalog.decisions.decide(ID, choices, by="siti", reason=reason, **more)[0]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def defined(catalog: Catalog) -> None:
    catalog.reconciliations.define(ID, DEFINITION, by="siti")


def state(catalog: Catalog, key: str = KEY) -> tuple[str, str]:
    item = catalog.reconciliations.item(ID, key)
    return item.state, item.note


def test_a_definition_is_kept_and_may_be_defined_anew(catalog: Catalog) -> None:
    assert catalog.reconciliations.get(ID).definition == DEFINITION
    other = DEFINITION.model_copy(update={"values": ()})
    assert catalog.reconciliations.define(ID, other, by="budi").definition.values == ()
    assert [one.id for one in catalog.reconciliations.list()] == [ID]
    with pytest.raises(QueryError):
        catalog.reconciliations.define("Bukan Id", DEFINITION, by="siti")
    with pytest.raises(NotFoundError):
        catalog.reconciliations.queue("tidak-ada")
    with pytest.raises(ValueError, match="a side is"):
        SideSpec(key="kode")


def test_the_queue_follows_the_runs(catalog: Catalog) -> None:
    other = difference("g", key="32.03.02.2001>")
    assert meet(catalog, difference(), other)["opened"] == 2
    again = meet(catalog, difference(), other)
    assert (again["opened"], again["reopened"], again["closed"], again["open"]) == (0, 0, 0, 2)
    assert meet(catalog, difference())["closed"] == 1
    assert state(catalog, other.key) == ("closed", "gone")
    assert meet(catalog, difference(), other)["reopened"] == 1
    assert state(catalog, other.key) == ("open", "returned")
    assert [item.key for item in catalog.reconciliations.queue(ID, below="32.03.02.")] == [other.key]
    assert [run.counts for run in catalog.reconciliations.runs(ID, limit=2)] == [
        {"nilai_berbeda": 2},
        {"nilai_berbeda": 1},
    ]


def test_a_decision_holds_until_one_side_says_something_else(catalog: Catalog) -> None:
    meet(catalog, difference())
    number = decide(catalog, Choice(KEY, "abaikan"))
    assert state(catalog) == ("decided", "")
    meet(catalog, difference())
    assert catalog.reconciliations.item(ID, KEY).decision == number
    assert meet(catalog, difference("f2"))["reopened"] == 1
    assert state(catalog) == ("open", "changed")
    meet(catalog, difference("f1"))
    assert state(catalog) == ("decided", ""), "both say again what was decided about"


def test_a_decision_says_who_and_why(catalog: Catalog) -> None:
    meet(catalog, difference())
    with pytest.raises(QueryError):
        decide(catalog, Choice(KEY, "abaikan"), reason=" ")
    with pytest.raises(NotFoundError):
        decide(catalog, Choice("99>99", "abaikan"))
    decide(catalog, Choice(KEY, "abaikan"))
    found = catalog.decisions.list(ID)[0]
    assert (found.by, found.reason, found.action, found.fingerprint) == (
        "siti",
        "BIG lebih baru",
        "abaikan",
        "f1",
    )
    lines = [line.action for line in catalog.audit.list(f"reconcile:{ID}")]
    assert lines == ["reconcile.decide", "reconcile.run", "reconcile.define"]


def test_a_decision_ends_at_its_date(catalog: Catalog, clock: FakeClock) -> None:
    meet(catalog, difference())
    soon = clock() + timedelta(days=1)
    decide(catalog, Choice(KEY, "pakai_b", cells=(cell(),)), until=soon)
    assert len(catalog.corrections.active("idm")) == 1
    start = clock()
    clock.advance(days=2)
    assert catalog.decisions.lapsed(ID, start)
    assert catalog.corrections.active("idm") == []
    meet(catalog, difference())
    assert state(catalog) == ("open", "lapsed")
    with pytest.raises(QueryError):
        decide(catalog, Choice(KEY, "abaikan"), until=soon)


def test_undoing_brings_back_what_held_before(catalog: Catalog) -> None:
    meet(catalog, difference())
    first = decide(catalog, Choice(KEY, "pakai_b", cells=(cell(1, 2),)))
    digest = catalog.corrections.digest("idm")
    second = decide(catalog, Choice(KEY, "isi", {"jiwa": 5}, (cell(1, 5),)))
    assert [one.cell.becomes for one in catalog.corrections.active("idm")] == [5]
    assert catalog.corrections.digest("idm") != digest
    catalog.decisions.undo(ID, second, by="budi", reason="keliru")
    assert [one.cell.becomes for one in catalog.corrections.active("idm")] == [2]
    assert catalog.corrections.digest("idm") == digest
    assert catalog.reconciliations.item(ID, KEY).decision == first
    catalog.decisions.undo(ID, first, by="budi", reason="keliru juga")
    assert (state(catalog), catalog.corrections.digest("idm")) == (("open", "undone"), "")
    with pytest.raises(NotFoundError):
        catalog.decisions.undo(ID, first, by="budi", reason="lagi")
    assert [one.undone_by for one in catalog.decisions.list(ID)] == ["budi", "budi"]


def test_a_later_correction_knows_what_the_source_really_says(catalog: Catalog) -> None:
    """The stored layer shows 2, which an older correction made of the source's 1."""
    meet(catalog, difference())
    decide(catalog, Choice(KEY, "pakai_b", cells=(cell(1, 2),)))
    meet(catalog, difference("f2"))
    decide(catalog, Choice(KEY, "pakai_b", cells=(cell(2, 3),)))
    assert [(one.cell.was, one.cell.becomes) for one in catalog.corrections.active("idm")] == [(1, 3)]


def test_a_stale_correction_brings_the_difference_back(catalog: Catalog) -> None:
    meet(catalog, difference())
    decide(catalog, Choice(KEY, "pakai_b", cells=(cell(),)))
    number = catalog.corrections.active("idm")[0].number
    catalog.corrections.noted("idm", applied=[number], stale=[], run_id="r1")
    meet(catalog)
    assert state(catalog) == ("closed", "applied")
    catalog.corrections.noted("idm", applied=[], stale=[number], run_id="r2")
    assert state(catalog) == ("open", "stale")
    meet(catalog, difference())
    assert state(catalog) == ("open", "stale"), "a decision whose correction does not fit settles nothing"
    assert catalog.corrections.digest("idm"), "it is tried again: the source may say again what it said"
    catalog.corrections.noted("idm", applied=[number], stale=[], run_id="r3")
    meet(catalog, difference())
    assert state(catalog)[0] == "decided"


def test_a_rule_is_undone_as_a_whole(catalog: Catalog) -> None:
    keys = [f"32.03.01.{2001 + n}>" for n in range(3)]
    meet(catalog, *(difference("f", key=key) for key in keys))
    rule = catalog.decisions.add_rule(ID, {"verdict": "hanya_di_a"}, "abaikan", by="siti", reason="kelurahan")
    catalog.decisions.decide(
        ID, [Choice(key, "abaikan") for key in keys[:2]], by="siti", reason="kelurahan", rule=rule
    )
    alone = decide(catalog, Choice(keys[2], "abaikan"))
    assert len(catalog.decisions.rules(ID, holding=True)) == 1
    assert catalog.decisions.undo_rule(ID, rule, by="budi", reason="terlalu luas") == 2
    assert [state(catalog, key)[0] for key in keys] == ["open", "open", "decided"]
    assert catalog.decisions.rules(ID, holding=True) == []
    assert [one.undone_reason for one in catalog.decisions.rules(ID)] == ["terlalu luas"]
    assert next(one for one in catalog.decisions.list(ID) if one.number == alone).undone_at is None
    with pytest.raises(NotFoundError):
        catalog.decisions.undo_rule(ID, rule, by="budi", reason="lagi")


def test_codes_declared_one_region(catalog: Catalog) -> None:
    lone = difference("x", key="32.03.01.2009>", verdict="hanya_di_a")
    meet(catalog, lone)
    number = decide(catalog, Choice(lone.key, "wilayah_sama", {"code": "32.03.05.2001"}))
    assert list(catalog.decisions.pairs(ID)) == [("32.03.01.2009", "32.03.05.2001")]
    catalog.decisions.undo(ID, number, by="s", reason="bukan")
    assert list(catalog.decisions.pairs(ID)) == []


def test_a_person_s_number_is_neither_kept_nor_corrected(catalog: Catalog) -> None:
    nik = "3203014506870002"
    facts = {"verdict": "nilai_berbeda", "code_a": CODE, "values": [[nik, "x"]]}
    meet(catalog, Difference(KEY, "nilai_berbeda", CODE, facts, "f"))
    assert nik not in str(catalog.reconciliations.item(ID, KEY).facts)
    with pytest.raises(QueryError):
        decide(catalog, Choice(KEY, "pakai_b", cells=(cell(nik, "x"),)))


def test_nothing_of_a_broken_decision_stays(catalog: Catalog) -> None:
    meet(catalog, difference())
    with pytest.raises(NotFoundError):
        decide(catalog, Choice(KEY, "pakai_b", cells=(cell(),)), Choice("99>", "abaikan"))
    assert (state(catalog), catalog.corrections.digest("idm")) == (("open", ""), "")


def test_a_nation_s_queue_is_taken_in_quickly(catalog: Catalog) -> None:
    many = [difference("f", key=f"11.01.{n // 1000 % 100:02d}.{2000 + n % 1000}>{n}") for n in range(9000)]
    assert meet(catalog, *many)["opened"] == 9000
    assert meet(catalog, *many[:-10])["closed"] == 10
