"""Search: words, place, time, facets, order, pages; and no input is an error or an injection."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import QueryError
from catalog.model import BBox, DatasetRecord, Kind
from catalog.search import SearchQuery
from catalog.store import Catalog
from catalog.tables import dataset_terms


def put(
    catalog: Catalog, dataset_id: str, kind: Kind = "feature", source: str = "big", **fields: Any
) -> None:
    fields.setdefault("title", {"id": dataset_id})
    record = DatasetRecord.model_validate(fields)
    catalog.datasets.put(
        dataset_id, source_id=source, remote_id=dataset_id, kind=kind, record=record, run_id="r"
    )


def ids(catalog: Catalog, **asked: Any) -> list[str]:
    return [item.id for item in catalog.datasets.search(SearchQuery(**asked)).items]


@pytest.fixture
def shelf(catalog: Catalog) -> Catalog:
    put(
        catalog,
        "batas-desa",
        title={"id": "Batas Désa dan Kelurahan", "en": "Village boundaries"},
        keywords=["batas", "desa"],
        produsen_data="BIG",
        bbox=[95, -11, 141, 6],
        time_start=datetime(2025, 1, 1, tzinfo=UTC),
    )
    put(
        catalog,
        "banjir",
        title={"id": "Bahaya Banjir"},
        description={"id": "Indeks bahaya untuk tiap desa"},
        keywords=["bencana"],
        produsen_data="BNPB",
        kind="raster",
        source="bnpb",
        access="terbatas",
        bbox=[106, -7, 108, -6],
        time_start=datetime(2020, 1, 1, tzinfo=UTC),
        time_end=datetime(2021, 12, 31, tzinfo=UTC),
    )
    put(
        catalog,
        "gudang",
        title={"id": "Gudang Logistik"},
        keywords=["bencana", "logistik"],
        produsen_data="Kemensos",
        source="kemensos",
    )
    put(catalog, "pasifik", title={"id": "Zona Pasifik"}, bbox=[170, -20, -170, 0])
    return catalog  # fmt: skip


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("", ["banjir", "batas-desa", "gudang", "pasifik"]),
        ("desa", ["batas-desa", "banjir"]),  # the title counts more than the description
        ("DÉSA", ["batas-desa", "banjir"]),
        ("des", ["batas-desa", "banjir"]),
        ("des batas", []),  # only the last word may be unfinished
        ("desa bat", ["batas-desa"]),
        ("des ", []),  # a space after it ends the word
        ("village", ["batas-desa"]),
        ("bnpb", ["banjir"]),
        ("gudang-logistik", ["gudang"]),
        ("nothing here", []),
        ("***", []),
        ('"batas', ["batas-desa"]),
        ("batas NEAR(desa)", []),
        ("%", []),
        ("' OR 1=1 --", []),
    ],
)
def test_words(shelf: Catalog, question: str, found: list[str]) -> None:
    assert ids(shelf, q=question) == found


@pytest.mark.parametrize(
    ("bbox", "found"),
    [
        ((107, -6.5, 107.1, -6.4), {"batas-desa", "banjir"}),
        ((0, 0, 1, 1), set()),
        ((175, -10, 176, -9), {"pasifik"}),
        ((-176, -10, -175, -9), {"pasifik"}),
        ((140, -5, -179, 0), {"batas-desa", "pasifik"}),
        ((-180, -90, 180, 90), {"batas-desa", "banjir", "pasifik"}),
        ((141, 6, 150, 10), {"batas-desa"}),  # touching is intersecting
    ],
)
def test_place(shelf: Catalog, bbox: BBox, found: set[str]) -> None:
    assert set(ids(shelf, bbox=bbox)) == found


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (2019, 2019, set()),
        (2021, 2021, {"banjir"}),
        (2021, None, {"banjir", "batas-desa"}),
        (None, 2019, set()),
        (None, 2026, {"banjir", "batas-desa"}),
        (2023, 2024, set()),
    ],
)
def test_time(shelf: Catalog, start: int | None, end: int | None, found: set[str]) -> None:
    period = tuple(datetime(year, 6, 1, tzinfo=UTC) if year else None for year in (start, end))
    assert set(ids(shelf, time=period)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"produsen_data": "BNPB"}, ["banjir"]),
        ({"kind": "feature"}, ["batas-desa", "gudang", "pasifik"]),
        ({"access": ["publik"], "keywords": "bencana"}, ["gudang"]),
        ({"keywords": ["logistik", "desa"]}, ["batas-desa", "gudang"]),
        ({"source_id": []}, []),
        ({"kind": "'; DROP TABLE datasets --"}, []),
    ],
)
def test_filters(shelf: Catalog, filters: dict[str, Any], found: list[str]) -> None:
    assert ids(shelf, filters=filters) == found


def test_facets_count_what_matches(shelf: Catalog) -> None:
    result = shelf.datasets.search(SearchQuery(filters={"keywords": "bencana"}, limit=1))
    assert result.total == 2
    assert len(result.items) == 1
    assert result.facets == {
        "produsen_data": {"BNPB": 1, "Kemensos": 1}, "kind": {"feature": 1, "raster": 1},
        "access": {"publik": 1, "terbatas": 1}, "source_id": {"bnpb": 1, "kemensos": 1},
        "keywords": {"bencana": 2, "logistik": 1},
    }  # fmt: skip
    assert shelf.datasets.search(SearchQuery(facets=False)).facets == {}


def test_ids_order_and_pages(shelf: Catalog) -> None:
    assert ids(shelf, ids=["gudang", "banjir", "none"]) == ["banjir", "gudang"]
    assert ids(shelf, sort="-title") == ["pasifik", "gudang", "batas-desa", "banjir"]
    assert ids(shelf, sort="-time")[:2] == ["batas-desa", "banjir"]  # without time: at the end
    assert ids(shelf, sort="id", limit=2, offset=1) == ["batas-desa", "gudang"]
    assert ids(shelf, limit=0) == []


def test_edits_are_searched_and_withdrawn_is_not(shelf: Catalog) -> None:
    shelf.datasets.overlay("gudang", {"title": "Lumbung Sosial", "access": "internal"}, by="sri")
    assert ids(shelf, q="lumbung") == ["gudang"]
    assert ids(shelf, filters={"access": "internal"}) == ["gudang"]
    shelf.datasets.tombstone("gudang", reason="x", by="sri")
    assert ids(shelf, q="lumbung") == []
    assert "Kemensos" not in shelf.datasets.search(SearchQuery()).facets["produsen_data"]


def test_a_persons_number_is_not_indexed(catalog: Catalog) -> None:
    put(catalog, "a", title={"id": "Data 3203010101900001 penerima"})
    assert ids(catalog, q="penerima") == ["a"]
    assert ids(catalog, q="3203010101900001") == []
    with catalog.database.read() as connection:
        terms = set(connection.scalars(sa.select(dataset_terms.c.term)))
    assert terms == {"data", "penerima", "a"}


@pytest.mark.parametrize(
    "asked",
    [
        {"bbox": (1, 2, 3, math.nan)},
        {"bbox": (0, 10, 1, 5)},
        {"bbox": (0, -91, 1, 5)},
        {"bbox": (0, 0, 181, 5)},
        {"time": (datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))},
        {"filters": {"produsen": "x"}},
        {"sort": "titel"},
        {"limit": -1},
        {"offset": -1},
    ],
)
def test_malformed_questions_are_refused(catalog: Catalog, asked: dict[str, Any]) -> None:
    with pytest.raises(QueryError):
        ids(catalog, **asked)


def test_a_wrong_filter_is_answered_with_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(QueryError) as caught:
        ids(catalog, filters={"produsen": "x"})
    assert "produsen_data" in caught.value.hint("en")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path: Path = tmp_path_factory.mktemp("search") / "c.sqlite"
    with Catalog.open(f"sqlite:///{path}") as opened:
        put(opened, "batas-desa", title={"id": "Batas Desa İstanbul ﬁnal ß"})
        yield opened


_HOSTILE = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="\"'*()^:-+%_\\;/|&!<>{}[]~ \0 ANDORNOTEARabc\u0301", max_size=60),
    st.sampled_from(
        ['"', "NEAR(a b, 5)", "a AND", "{title}: x", "-- ", "x" * 100_000, "a " * 5000, "\ud800"]
    ),
)


@settings(max_examples=150)
@given(question=_HOSTILE)
def test_no_question_is_an_error_embedded(small: Catalog, question: str) -> None:
    assert small.datasets.search(SearchQuery(q=question, ids=["batas-desa"])).total in (0, 1)


@settings(max_examples=60)
@given(question=_HOSTILE, value=_HOSTILE)
def test_no_question_is_an_error_on_either_database(shelf: Catalog, question: str, value: str) -> None:
    asked = SearchQuery(q=question, filters={"keywords": [value], "produsen_data": value}, ids=[value])
    assert shelf.datasets.search(asked).total == 0
    assert shelf.datasets.search(SearchQuery()).total == 4


@settings(max_examples=100)
@given(start=st.integers(0, 10), length=st.integers(1, 12))
def test_any_beginning_of_the_title_finds_it(small: Catalog, start: int, length: int) -> None:
    title = "Batas Desa İstanbul ﬁnal ß"
    first_word = title[: title.find(" ", start) + 1 + length]
    assert small.datasets.search(SearchQuery(q=first_word, ids=["batas-desa"])).total == 1


_LON, _LAT = st.integers(-180, 180), st.integers(-90, 90)
_BOX = st.tuples(_LON, _LAT, _LON, _LAT).map(lambda b: (b[0], min(b[1], b[3]), b[2], max(b[1], b[3])))


def _spans(box: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    west, _, east, _ = box
    return [(west, east)] if west <= east else [(west, 180), (-180, east)]


@settings(max_examples=100)
@given(held=_BOX, asked=_BOX)
def test_boxes_meet_also_over_the_antimeridian(
    small: Catalog, held: tuple[int, int, int, int], asked: tuple[int, int, int, int]
) -> None:
    put(small, "box", bbox=held)
    meet = (
        held[1] <= asked[3]
        and held[3] >= asked[1]
        and any(a <= d and b >= c for a, b in _spans(held) for c, d in _spans(asked))
    )
    found = small.datasets.search(SearchQuery(bbox=asked, ids=["box"])).total
    assert found == int(meet)
