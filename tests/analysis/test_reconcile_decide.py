"""What rules fit and which cells a decision changes; facts of a row survive being kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.reconcile import Compared, Comparison, Move, Row, Side, Verdict, reconcile
from analysis.reconcile_decide import (
    Rule,
    choice_of,
    differences,
    facts_of,
    fingerprint,
    row_of,
    rule_of,
    would_decide,
)
from catalog.errors import QueryError, RecordError
from catalog.reconciliation_model import Action, Definition, QueueItem, SideSpec, ValueSpec
from catalog.region_model import CrosswalkRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, TWO, NEW = "32.03.01.2001", "32.03.01.2002", "32.03.05.2009"
DEFINITION = Definition(
    a=SideSpec(dataset="idm", key="kode", name="nama"),
    b=SideSpec(dataset="batas", key="KDEPUM", name="NAMOBJ"),
    values=(ValueSpec(a="n", b="N", absolute=1),),
)


def _side(rows: list[tuple[Any, Any, Any]], letter: str) -> Side:
    columns = ("kode", "nama", "n") if letter == "a" else ("KDEPUM", "NAMOBJ", "N")
    table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(columns)})
    return Side(table, columns[0], name=columns[1], ids=[f"{letter}{at}" for at in range(len(rows))])


def _compared(a: list[tuple[Any, Any, Any]], b: list[tuple[Any, Any, Any]], moves: Any = ()) -> Comparison:
    return reconcile(_side(a, "a"), _side(b, "b"), [Compared("n", "N", absolute=1)], moves=moves)


def _items(comparison: Comparison) -> list[QueueItem]:
    return [
        QueueItem(d.key, d.verdict, d.code, d.facts, d.fingerprint, "open", "", None, 1, NOON)
        for d in differences(comparison)
    ]


def _cells(item: QueueItem, action: Action, **details: Any) -> list[tuple[str, str, str, Any, Any]]:
    found = choice_of(DEFINITION, item, action, details).cells
    return [(c.dataset_id, c.feature_id, c.field, c.was, c.becomes) for c in found]


def test_taking_over_a_side_changes_what_differs_on_the_other() -> None:
    item = _items(_compared([(ONE, "Sayang", 5)], [(ONE, "SAYONG", 9)]))[0]
    assert _cells(item, "pakai_a") == [
        ("batas", "b0", "N", 9, 5),
        ("batas", "b0", "NAMOBJ", "SAYONG", "Sayang"),
    ]
    assert _cells(item, "pakai_b") == [("idm", "a0", "n", 5, 9), ("idm", "a0", "nama", "Sayang", "SAYONG")]
    assert _cells(item, "isi", n=7, nama="Sayang") == [
        ("idm", "a0", "n", 5, 7), ("batas", "b0", "N", 9, 7), ("batas", "b0", "NAMOBJ", "SAYONG", "Sayang"),
    ]  # fmt: skip
    assert _cells(item, "abaikan") == []


def test_a_file_is_compared_and_never_corrected() -> None:
    only_a = DEFINITION.model_copy(update={"b": SideSpec(file="b.csv", key="KDEPUM", name="NAMOBJ")})
    item = _items(_compared([(ONE, "x", 5)], [(ONE, "x", 9)]))[0]
    assert choice_of(only_a, item, "pakai_a").cells == ()
    assert len(choice_of(only_a, item, "pakai_b").cells) == 1


def test_codes_are_renamed() -> None:
    moves = [CrosswalkRow(ONE, NEW, None, "name")]
    moved = _items(_compared([(ONE, "x", 5)], [(NEW, "x", 5)], moves))[0]
    assert (moved.verdict, moved.key) == ("kode_pindah", f"{ONE}>{NEW}")
    assert _cells(moved, "pakai_b") == [("idm", "a0", "kode", ONE, NEW)]
    assert _cells(moved, "pakai_a") == [("batas", "b0", "KDEPUM", NEW, ONE)]
    assert choice_of(DEFINITION, moved, "wilayah_sama").cells == ()
    lone_a, lone_b = _items(_compared([(ONE, "x", 5)], [(NEW, "x", 5)]))
    assert _cells(lone_a, "kode_menjadi", code=NEW) == [("idm", "a0", "kode", ONE, NEW)]
    assert _cells(lone_b, "kode_menjadi", code=ONE) == [("batas", "b0", "KDEPUM", NEW, ONE)]
    for writing in (NEW, "3203052009"):
        assert choice_of(DEFINITION, lone_a, "wilayah_sama", {"code": writing}).details == {"code": NEW}
    with pytest.raises(RecordError):
        choice_of(DEFINITION, lone_a, "kode_menjadi", {"code": "bukan kode"})


@pytest.mark.parametrize(
    ("action", "details", "where"),
    [
        ("pakai_a", {}, "action"), ("isi", {"n": 1}, "action"), ("kode_menjadi", {}, "code"),
        ("wilayah_sama", {}, "code"),
    ],
)  # fmt: skip
def test_a_decision_that_does_not_suit_is_refused(action: Action, details: Any, where: str) -> None:
    lone = _items(_compared([(ONE, "x", 5)], []))[0]
    with pytest.raises(QueryError) as caught:
        choice_of(DEFINITION, lone, action, details)
    assert caught.value.where == where


def test_values_are_given_for_compared_columns_only() -> None:
    item = _items(_compared([(ONE, "x", 5)], [(ONE, "x", 9)]))[0]
    for wrong in ({}, {"lain": 1}):
        with pytest.raises(QueryError):
            choice_of(DEFINITION, item, "isi", wrong)


def test_what_was_split_is_not_taken_over() -> None:
    moves = [CrosswalkRow(ONE, ONE, None, "official"), CrosswalkRow(ONE, NEW, None, "official")]
    items = _items(_compared([(ONE, "x", 5)], [(ONE, "x", 3), (NEW, "y", 2)], moves))
    assert {item.facts["move"] for item in items} == {"pecah"}
    assert would_decide(Rule(Verdict.MOVED), "pakai_b", items, DEFINITION) == ([], [i.key for i in items])
    assert len(would_decide(Rule(Verdict.MOVED), "wilayah_sama", items, DEFINITION)[0]) == 2


def test_every_difference_has_its_own_key_in_every_run() -> None:
    a = [(ONE, "x", 1), (ONE, "y", 2), (ONE, "z", 3), (None, "", 0), (None, "", 0)]
    first, again = (differences(_compared(a, [(TWO, "x", 1)])) for _ in range(2))
    assert len({one.key for one in first}) == len(first) == 6
    assert [(one.key, one.fingerprint) for one in first] == [(o.key, o.fingerprint) for o in again]


_ROW = Row(
    Verdict.NAME,
    ONE,
    ONE,
    "Sayang",
    "Sayong",
    values=((5, 7),),
    differs=("n",),
    likeness=0.83,
    quality="exact",
)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(Verdict.NAME), True), (Rule(Verdict.VALUE), False), (Rule(Verdict.NAME, below="32.03."), True),
        (Rule(Verdict.NAME, below="32.04."), False), (Rule(Verdict.NAME, columns=("n", "m")), True),
        (Rule(Verdict.NAME, columns=("m",)), False), (Rule(Verdict.NAME, at_most=2), True),
        (Rule(Verdict.NAME, at_most=1), False), (Rule(Verdict.NAME, alike=0.8), True),
        (Rule(Verdict.NAME, alike=0.9), False), (Rule(Verdict.NAME, qualities=("exact",)), True),
        (Rule(Verdict.NAME, qualities=("name",)), False), (Rule(Verdict.NAME, moves=("pecah",)), False),
    ],
)  # fmt: skip
def test_rules_fit(rule: Rule, fits: bool) -> None:
    assert rule.fits(_ROW) is fits
    assert rule_of(rule.dump()) == rule


@given(
    st.builds(
        Row,
        verdict=st.sampled_from([v for v in Verdict if v != Verdict.SAME]),
        code_a=st.sampled_from([None, ONE]),
        name_a=st.one_of(st.none(), st.text(min_size=1, max_size=5)),
        move=st.sampled_from([None, *Move]),
        values=st.lists(st.tuples(st.integers(-9, 9), st.one_of(st.none(), st.text(max_size=3)))).map(tuple),
        likeness=st.one_of(st.none(), st.floats(0, 1)),
        id_a=st.one_of(st.none(), st.just("7")),
    )
)
def test_a_row_survives_being_kept(row: Row) -> None:
    again = row_of(facts_of(row))
    assert again == row
    assert fingerprint(again) == fingerprint(row)
