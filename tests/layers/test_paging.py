"""Every walk over pages shows each feature exactly once, in the asked order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import QueryError
from catalog.model import FieldType, VersionInfo
from layers.contract import LayerStore, Query
from layers.cql.parse import parse_filter
from layers.query.tokens import Sort, Token, encode
from tests.layers.conftest import FIELDS, POINTS, batch, publish

NAMES = ["", "Z", "a", "a", "á", "é", "A", "Ä", "ä", "\U0001f600", "\uffee", None, None]
KEYS = tuple(f.name for f in FIELDS)
FILTERS = [
    None,
    "n > 1",
    "nama IS NULL OR n <= 2",
    "NOT (aktif = TRUE)",
    "S_INTERSECTS(geometry, BBOX(106,-7,107,-5))",
]


def rows() -> dict[str, dict[str, Any]]:
    found = {}
    for i in range(60):
        found[f"f{i * 7 % 60:02}"] = {
            "nama": NAMES[i % len(NAMES)],
            "n": None if i % 5 == 0 else i % 4,
            "luas": None if i % 7 == 0 else (i % 3) / 3,
            "aktif": (None, True, False)[i % 3],
            "tanggal": None if i % 4 == 0 else f"2024-01-{1 + i % 3:02}",
            "waktu": None if i % 6 == 0 else f"2024-01-01T00:00:0{i % 2}.{i % 3}00Z",
        }
    return found


@pytest.fixture(scope="module")
def info(store: LayerStore) -> VersionInfo:
    shapes = [None if i % 9 == 0 else f"POINT({106 + i % 5 / 2} -6)" for i in range(60)]
    return publish(store, POINTS, batch(rows(), shapes))


def key(row: dict[str, Any], name: str, direction: str) -> Any:
    """Order as promised: nulls last, text by codepoint."""
    value = row[name]
    if value is None:
        return (1, 0)
    if isinstance(value, str):
        points = [ord(c) for c in value]
        return (0, [-p for p in points] + [1] if direction == "desc" else points)
    return (0, -value if direction == "desc" else value)


@settings(max_examples=60)
@given(
    sort=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(["asc", "desc"])), max_size=3),
    limit=st.integers(1, 70),
    text=st.sampled_from(FILTERS),
)
def test_a_walk_shows_each_feature_once(
    store: LayerStore, info: VersionInfo, sort: list[Any], limit: int, text: str | None
) -> None:
    question: dict[str, Any] = {"filter": parse_filter(text) if text else None, "sortby": tuple(sort)}
    reader, seen, after, pages = store.reader(info), [], None, 0
    while True:
        page = reader.page(Query(limit=limit, after=after, **question))
        assert len(page.features) <= limit
        seen += [orjson.loads(f) for f in page.features]
        after, pages = page.next, pages + 1
        if after is None:
            break
        assert len(page.features) == limit
        assert pages < 100
    assert len({f["id"] for f in seen}) == len(seen) == page.matched == reader.count(Query(**question))
    if text is None:
        assert len(seen) == 60
    data = rows()
    expected = sorted(f["id"] for f in seen)
    first_wins: dict[str, str] = {}
    for name, direction in sort:
        first_wins.setdefault(name, direction)
    for name, direction in reversed(first_wins.items()):
        expected.sort(key=lambda i, n=name, d=direction: key(data[i], n, d))  # type: ignore[misc]
    assert [f["id"] for f in seen] == expected
    whole = reader.page(Query(limit=1000, **question))
    assert [orjson.loads(f) for f in whole.features] == seen
    half = reader.page(Query(limit=1000, offset=len(seen) // 2, **question))
    assert [orjson.loads(f) for f in half.features] == seen[len(seen) // 2 :]


def test_paging_edges(store: LayerStore, info: VersionInfo) -> None:
    reader = store.reader(info)
    assert (reader.page(Query(limit=0)).features, reader.page(Query(limit=0)).matched) == ([], 60)
    assert reader.page(Query(limit=10, offset=1000)).features == []
    assert reader.page(Query(limit=60)).next is None
    assert reader.page(Query(limit=59)).next is not None
    for bad in (Query(limit=-1), Query(offset=-1)):
        with pytest.raises(QueryError):
            reader.page(bad)


@pytest.mark.parametrize("sort", [(), (("nama", "asc"),)])
def test_a_token_that_is_not_ours_is_refused(store: LayerStore, info: VersionInfo, sort: Any) -> None:
    reader = store.reader(info)
    other = reader.page(Query(limit=1, sortby=(("n", "asc"),))).next
    for bad in ("x", "!!", "e30", "W10", "bnVsbA", "WzEsMl0", "é", "A" * 10_000, other):
        with pytest.raises(QueryError, match="token"):
            reader.page(Query(after=bad, sortby=sort))


@settings(max_examples=100)
@given(token=st.text(alphabet="ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789-_", max_size=60))
def test_random_tokens_never_break(store: LayerStore, info: VersionInfo, token: str) -> None:
    if token:
        with pytest.raises(QueryError):
            store.reader(info).page(Query(after=token))


def test_a_token_with_a_value_of_another_type_is_refused(store: LayerStore, info: VersionInfo) -> None:
    sort: Sort = (("n", "asc"),)
    wrong: list[Any] = ["drop table", 1.5, {}, []]
    for value in wrong:
        text = encode(sort, Token((value,), "f01"))
        with pytest.raises(QueryError):
            store.reader(info).page(Query(after=text, sortby=sort))


def test_a_walk_goes_on_in_a_newer_version(store: LayerStore) -> None:
    data = rows()
    old = publish(store, POINTS, batch(data, [None] * 60))
    page = store.reader(old).page(Query(limit=30))
    last = orjson.loads(page.features[-1])["id"]
    fewer = {i: r for i, r in data.items() if i != last and i != "f00"}
    new = publish(store, POINTS, batch(fewer, [None] * 58), layer=old.layer_id)
    rest = store.reader(new).page(Query(limit=100, after=page.next))
    assert [orjson.loads(f)["id"] for f in rest.features] == sorted(i for i in data if i > last)


def test_all_field_types_are_sorted() -> None:
    assert {f.type for f in FIELDS} == set(FieldType)
