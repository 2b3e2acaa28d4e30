"""Reading what clients send: content codings, languages, times, boxes - as the standards say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogc_server.ask import matches
from ogc_server.crs import CRS84, from_code
from ogc_server.errors import ParameterError
from ogc_server.negotiation import coding, language
from ogc_server.spatial import bbox_query, boxes
from ogc_server.times import interval

INSTANTS = st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, "identity"), ("", "identity"), ("gzip", "gzip"), ("gzip, br", "br"), ("br;q=0.1, gzip", "gzip"),
        ("gzip;q=0", "identity"), ("*", "br"), ("*;q=0", "identity"), ("br;q=0, *", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"), ("deflate", "identity"), ("identity, gzip;q=0.5", "identity"),
    ],
)  # fmt: skip
def test_content_coding(header: str | None, chosen: str) -> None:
    assert coding(header) == chosen


def test_language() -> None:
    assert language(None, None) == "id"
    assert language(None, "en-US,en;q=0.9") == "en"
    assert language(None, "en;q=0.1, id;q=0.2") == "id"
    assert language(None, "en;q=0") == "id"
    assert language("en", "id") == "en"


@given(INSTANTS)
def test_an_instant_is_itself(moment: datetime) -> None:
    start, end = interval("datetime", moment.isoformat().replace("+00:00", "Z"))
    assert start == end
    assert datetime.fromisoformat(str(start)) == moment


@given(INSTANTS, INSTANTS)
def test_an_interval_keeps_its_ends_or_is_refused(one: datetime, other: datetime) -> None:
    asked = f"{one.isoformat()}/{other.isoformat()}"
    if one > other:
        with pytest.raises(ParameterError):
            interval("datetime", asked)
    else:
        found = [datetime.fromisoformat(str(end)) for end in interval("datetime", asked)]
        assert found == [one, other]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2024-02-29", ("2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999999Z")),
        ("../2024-01-01T00:00:00Z", (None, "2024-01-01T00:00:00Z")),
        ("2024-01-01T07:00:00+07:00/..", ("2024-01-01T00:00:00Z", None)),
        ("/2024-01-01T00:00:00Z", (None, "2024-01-01T00:00:00Z")),
        ("../..", (None, None)),
        ("2024-12-31T23:59:60Z", ("2024-12-31T23:59:59.999999Z",) * 2),
        ("2024-01-31/P1M", ("2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z")),
        ("P1DT1H/2024-01-02T01:00:00Z", ("2024-01-01T00:00:00Z", "2024-01-02T01:00:00Z")),
    ],
)  # fmt: skip
def test_times(asked: str, found: tuple[str | None, str | None]) -> None:
    assert interval("datetime", asked) == found


@pytest.mark.parametrize(
    "asked", ["P1D", "P1D/P1D", "2024-01-01/P", "2024-01-01/PT", "2023-02-29", "2024-1-1", "٢٠٢٤-٠١-٠١"]
)
def test_no_times(asked: str) -> None:
    with pytest.raises(ParameterError):
        interval("datetime", asked)


def test_a_box_over_the_antimeridian_is_two() -> None:
    assert boxes((170, -10, -170, 10), CRS84) == [(170, -10, 180, 10), (-180, -10, -170, 10)]
    assert boxes((-10, 170, 10, -170), from_code("EPSG:4326")) == [(170, -10, 180, 10), (-180, -10, -170, 10)]
    with pytest.raises(ParameterError):
        boxes((10, 0, 5, 1), from_code("EPSG:3857"))


def test_a_box_far_from_a_projected_layer_selects_nothing_instead_of_its_antipode() -> None:
    box, condition = bbox_query((-80, -5, -70, 5), CRS84, "EPSG:32748", (106.7, -7.5, 107.5, -6.6))
    assert box is None
    assert condition.not_ is True


def test_if_none_match() -> None:
    assert matches('"abc"', "abc")
    assert matches('W/"abc-br", "x"', "abc")
    assert matches("*", "abc")
    assert not matches('"abcd"', "abc")
