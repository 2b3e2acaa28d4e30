"""Which reports are of one earthquake: near in time and in place, whatever the order they come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analysis.lookup import GEOD
from catalog.response_settings import QuakeRule
from catalog.responses import Entry, ResponseState, Sighting
from ogc_server.response.event import Event, event_of
from ogc_server.response.matching import sightings

START = datetime(2026, 1, 1, tzinfo=UTC)
RULE = QuakeRule()


def report(
    name: str, seconds: float, km: float = 0.0, *, feed: str = "autogempa", magnitude: float = 5.6
) -> Event:
    lon, lat, _ = GEOD.fwd(107.05, -6.84, 90, km * 1000)
    said = {
        "waktu": (START + timedelta(seconds=seconds)).isoformat(), "magnitudo": magnitude, "kedalaman_km": 10.0,
        "umpan": feed,
    }  # fmt: skip
    point = {"type": "Point", "coordinates": [lon, lat]}
    found = event_of({"id": name, "geometry": point, "properties": said}, "gempa", "gempa")
    assert found is not None
    return found


def known(one: Sighting, **more: Any) -> Entry:
    said = {
        "answered": "", "state": ResponseState.IGNORED, "reason": "", "attempts": 0, "next_try": None,
        "lease_until": None, "revision": 0, "dataset_id": "", "first_seen": START, "updated": START, **more,
    }  # fmt: skip
    values = {name: getattr(one, name) for name in Sighting.__dataclass_fields__ if name != "wanted"}
    return Entry(**values, **said)


def wanted(event: Event) -> str:
    return ""


@given(st.floats(-300, 300), st.floats(0, 300))
def test_two_reports_are_one_event_within_both_limits(seconds: float, km: float) -> None:
    found = sightings([report("a", 0), report("b", seconds, km)], [], RULE, wanted)
    if abs(abs(seconds) - 60) < 1e-3 or abs(km - 100) < 1e-3:
        return
    assert len(found) == (1 if abs(seconds) < 60 and km < 100 else 2)


@given(st.permutations(range(4)))
def test_the_order_of_the_layer_makes_no_difference(order: list[int]) -> None:
    reports = [report("a", 0), report("b", 5, 20), report("c", 3600), report("d", 3610, 10)]
    found = sightings([reports[i] for i in order], [], RULE, wanted)
    assert {one.members for one in found} == {("a", "b"), ("c", "d")}
    assert {one.id for one in found} == {"a", "c"}


def test_the_report_that_was_not_there_before_is_the_revision() -> None:
    (first,) = sightings([report("a", 0)], [], RULE, wanted)
    (second,) = sightings([report("a", 0), report("b", -3, 8, magnitude=5.4)], [known(first)], RULE, wanted)
    assert (second.id, second.feature_id, second.members) == ("a", "b", ("a", "b"))
    (third,) = sightings([report("a", 0), report("b", -3, 8, magnitude=5.4)], [known(second)], RULE, wanted)
    assert third == second
    assert sightings([], [known(second)], RULE, wanted) == []


def test_of_two_new_reports_the_feed_of_the_newest_earthquake_counts() -> None:
    both = [report("a", 1, feed="gempaterkini"), report("b", 0, 3, feed="autogempa,gempadirasakan")]
    (found,) = sightings(both, [], RULE, wanted)
    assert (found.feature_id, found.members) == ("b", ("b", "a"))


def test_of_several_events_the_nearest_takes_the_report() -> None:
    far, near = sightings([report("a", 0), report("b", 100, 0)], [], RULE, wanted)
    found = sightings([report("c", 52)], [known(far), known(near)], RULE, wanted)
    assert [(one.id, one.feature_id) for one in found] == [("b", "c")]


def test_an_answered_event_is_wanted_whatever_it_has_become() -> None:
    (first,) = sightings([report("a", 0)], [], RULE, wanted)
    weak = report("a", 0, magnitude=3)
    (one,) = sightings([weak], [known(first)], RULE, lambda event: "magnitudo")
    assert one.wanted == "magnitudo"
    (one,) = sightings([weak], [known(first, dataset_id="respons-a")], RULE, lambda event: "magnitudo")
    assert one.wanted == ""
