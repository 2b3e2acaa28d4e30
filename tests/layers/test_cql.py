"""Reading CQL2: both encodings give one tree, and what is hostile is refused at once."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import QueryError
from catalog.model import VersionInfo
from layers.contract import FeatureBatch, LayerStore, Query
from layers.cql.parse import parse_filter

P = {"property": "NAMOBJ"}
N = {"property": "TIPADM"}
G = {"property": "geometry"}
POINT = {"type": "Point", "coordinates": [107.2, -6.9]}
PAIRS: list[tuple[str, Any]] = [
    ("NAMOBJ = 'a'", {"op": "=", "args": [P, "a"]}),
    ("NAMOBJ <> 'a' OR TIPADM > 1", {"op": "or", "args": [{"op": "<>", "args": [P, "a"]}, {"op": ">", "args": [N, 1]}]}),
    ("NOT (TIPADM = 1 AND TIPADM < 3)",
     {"op": "not", "args": [{"op": "and", "args": [{"op": "=", "args": [N, 1]}, {"op": "<", "args": [N, 3]}]}]}),
    ("TIPADM BETWEEN 1 AND 2", {"op": "between", "args": [N, 1, 2]}),
    ("TIPADM BETWEEN 1 AND 2", {"op": "between", "args": [N, [1, 2]]}),
    ("TIPADM IN (1, 2)", {"op": "in", "args": [N, [1, 2]]}),
    ("NAMOBJ LIKE 'Su_a%'", {"op": "like", "args": [P, "Su_a%"]}),
    ("NAMOBJ IS NULL", {"op": "isNull", "args": [P]}),
    ("CASEI(NAMOBJ) LIKE CASEI('SU%')",
     {"op": "like", "args": [{"op": "casei", "args": [P]}, {"op": "casei", "args": ["SU%"]}]}),
    ("TIPADM * 2 + 1 = 3", {"op": "=", "args": [{"op": "+", "args": [{"op": "*", "args": [N, 2]}, 1]}, 3]}),
    ("S_INTERSECTS(geometry, POINT(107.2 -6.9))", {"op": "s_intersects", "args": [G, POINT]}),
    ("S_WITHIN(geometry, BBOX(107,-7,107.3,-6.8))", {"op": "s_within", "args": [G, {"bbox": [107, -7, 107.3, -6.8]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tree"), PAIRS, ids=[t for t, _ in PAIRS])
def test_text_and_json_ask_the_same(store: LayerStore, cianjur: VersionInfo, text: str, tree: Any) -> None:
    reader = store.reader(cianjur)
    one = reader.page(Query(limit=1000, filter=parse_filter(text)))
    two = reader.page(Query(limit=1000, filter=parse_filter(orjson.dumps(tree).decode(), "cql2-json")))
    assert one == two


def test_temporal_json_is_read() -> None:
    day = '{"op":"t_after","args":[{"property":"w"},{"date":"2024-01-01"}]}'
    span = '{"op":"t_during","args":[{"property":"w"},{"interval":["..","2024-01-01T00:00:00Z"]}]}'
    assert parse_filter(day, "cql2-json") == parse_filter("T_AFTER(w, DATE('2024-01-01'))")
    assert parse_filter(span, "cql2-json") == parse_filter(
        "t_during(w, INTERVAL('..', '2024-01-01T00:00:00Z'))"
    )


def test_and_binds_closer_than_or() -> None:
    assert parse_filter("a=1 OR b=2 AND c=3") == parse_filter("a=1 OR (b=2 AND c=3)")
    assert parse_filter("a=1 AND b=2 OR c=3") == parse_filter("(a=1 AND b=2) OR c=3")
    assert parse_filter("NOT a=1 AND b=2") == parse_filter("(NOT a=1) AND b=2")
    assert parse_filter("a = 1 + 2 * 3") == parse_filter("a = 1 + (2 * 3)")
    assert parse_filter("\"a b\" = 'it''s'") == parse_filter("\"a b\" = 'it\\'s'")


HOSTILE = [
    "(" * 300 + "a=1" + ")" * 300, "(" * 1500 + "a=1" + ")" * 1500, "(" * 100_000, "a=1 AND " * 50_000 + "a=1",
    "NOT (" * 200 + "a=1" + ")" * 200, "-" * 100_000 + "x = 1", "a IN (" + "1," * 20_000 + "1)", "a = " + "9" * 10_000,
    "a = '" + "x" * 600_000 + "'", "CASEI(" * 400 + "a" + ")" * 400 + " = 'x'", "a + " * 5_000 + "a = 1",
    "S_INTERSECTS(geometry, POLYGON(" + "(" * 5000, "", " ", "a", "a =", "= 1", "a = 1)", "(a = 1", "a = 'x", 'a = "x',
    "a = 1; DROP TABLE x", "a LIKE", "a BETWEEN 1", "a IN ()", "a NOT 1", "f(a) = 1", "T_AFTER(a)", "DATE('x') = a",
    "TIMESTAMP('2024') = a", "INTERVAL('x','y') = a", "POINT(1) = a", "POLYGON((1 1)) = a", "BBOX(1,2,3) = a", "a % 2 = 1",
    "a = \0", "\ud800 = 1", "a = 'x' -- comment", "/* */ a = 1", "1e999 = a", "S_INTERSECTS(geometry, POLYGON((0 0, 1 1)))",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[t[:25] for t in HOSTILE])
def test_hostile_text_is_refused_quickly(store: LayerStore, cianjur: VersionInfo, text: str) -> None:
    start = time.process_time()
    with pytest.raises(QueryError):
        store.reader(cianjur).page(Query(filter=parse_filter(text)))
    assert time.process_time() - start < 10


DEEP = '{"op":"not","args":[' * 1500 + "true" + "]}" * 1500
WRONG = [
    DEEP, "[" * 5000, "", "null", "[]", "{}", '{"op":"="}', '{"op":"=","args":[1]}', '{"op":"nope","args":[1,2]}',
    '{"op":"and","args":[]}', '{"op":"in","args":[{"property":"a"}]}', '{"op":5,"args":[]}', '{"property":5}',
    '{"op":"=","args":[{"property":"NAMOBJ"},null]}', '{"type":"Point","coordinates":["a"]}',
    '{"type":"Point","coordinates":[1e400,1]}', '{"date":5}', '{"interval":["2024-01-01"]}', '{"bbox":[1,2,"x",4]}',
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}]}',
    '{"op":"like","args":[{"property":"NAMOBJ"},"' + "%a" * 50 + '"]}', '{"op":"=","args":[{"property":"\\u0000"},1]}',
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=[t[:25] for t in WRONG])
def test_wrong_json_is_refused(store: LayerStore, cianjur: VersionInfo, text: str) -> None:
    with pytest.raises(QueryError):
        store.reader(cianjur).page(Query(filter=parse_filter(text, "cql2-json")))


def test_other_languages_are_refused() -> None:
    with pytest.raises(QueryError, match="cql2-text, cql2-json"):
        parse_filter("a = 1", "ecql")


def test_many_conditions_are_fine(store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch) -> None:
    text = " OR ".join(f"KDEPUM = '{code}'" for code in desa.ids[:190])
    assert store.reader(cianjur).count(Query(filter=parse_filter(text))) == 190


PIECES = [*"a1'\"() =<>,.-+*/%\\", " AND ", " OR ", " NOT ", " IN ", " LIKE ", "POINT(", "DATE("]


@settings(max_examples=300)
@given(text=st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_random_text_never_breaks_the_parser(text: str) -> None:
    with suppress(QueryError):
        parse_filter(text)
