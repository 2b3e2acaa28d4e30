"""The book of events is a queue that loses nothing, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalog.errors import CancelledRunError, NotFoundError
from catalog.responses import Entry, ResponseState, Sighting
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock

AT = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
SINCE = AT - timedelta(hours=6)
SEEN = Sighting("e1", "gempa", "gempa", "e1", ("e1",), AT, 107.05, -6.84, "facts-1")


def scan(catalog: Catalog, *found: Sighting, version: int = 1) -> list[Entry]:
    def decide(known: list[Entry]) -> Sequence[Sighting]:
        return found

    return catalog.responses.scan("gempa", version, decide, since=SINCE)


def test_an_event_is_noted_once_and_again_when_it_is_revised(catalog: Catalog) -> None:
    assert catalog.responses.cursor("gempa") is None
    assert [one.state for one in scan(catalog, SEEN)] == [ResponseState.WAITING]
    assert scan(catalog, SEEN, version=2) == []
    assert catalog.responses.cursor("gempa") == 2
    moved = replace(SEEN, feature_id="e2", members=("e1", "e2"), fingerprint="facts-2")
    (entry,) = scan(catalog, moved, version=3)
    assert (entry.id, entry.feature_id, entry.members) == ("e1", "e2", ("e1", "e2"))
    assert catalog.responses.get("e2") == entry
    with pytest.raises(NotFoundError):
        catalog.responses.get("e3")


def test_one_worker_has_an_event_at_a_time(
    catalog: Catalog, second: Callable[[], Catalog], clock: FakeClock
) -> None:
    scan(catalog, SEEN)
    entry = catalog.responses.claim(lease_seconds=60)
    assert entry is not None
    assert second().responses.claim(lease_seconds=60) is None
    assert not catalog.responses.due()
    clock.advance(seconds=61)
    other = second().responses.claim(lease_seconds=60)
    assert other is not None
    with pytest.raises(CancelledRunError):
        catalog.responses.answered(entry, dataset_id="respons-e1", by="tests", details={})
    catalog.responses.answered(other, dataset_id="respons-e1", by="tests", details={})
    done = catalog.responses.get("e1")
    assert (done.state, done.revision, done.dataset_id) == (ResponseState.ANSWERED, 1, "respons-e1")
    assert catalog.responses.counts() == {"answered": 1}


def test_what_is_revised_while_it_is_answered_waits_again(catalog: Catalog) -> None:
    scan(catalog, SEEN)
    entry = catalog.responses.claim(lease_seconds=60)
    assert entry is not None
    scan(catalog, replace(SEEN, fingerprint="facts-2"), version=2)
    catalog.responses.answered(entry, dataset_id="respons-e1", by="tests", details={})
    now = catalog.responses.get("e1")
    assert (now.state, now.answered, now.fingerprint) == (ResponseState.WAITING, "facts-1", "facts-2")
    assert (now.revision, now.dataset_id) == (1, "respons-e1")
    assert catalog.responses.due()


def test_the_end_of_a_claim_and_its_notices_stand_or_fall_together(catalog: Catalog) -> None:
    scan(catalog, SEEN)
    entry = catalog.responses.claim(lease_seconds=60)
    assert entry is not None

    def put(connection: object) -> None:
        catalog.outbox.put(connection, {"id": "x"}, ["pusat"])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.responses.answered(entry, dataset_id="respons-e1", by="tests", details={}, also=put)
    assert catalog.outbox.list() == []
    assert catalog.responses.get("e1").state is ResponseState.WORKING


def test_a_failure_waits_and_is_told_once(catalog: Catalog, clock: FakeClock) -> None:
    scan(catalog, SEEN)
    for _ in range(3):
        entry = catalog.responses.claim(lease_seconds=60)
        assert entry is not None
        catalog.responses.postpone(entry, reason="no layer; token=abc", seconds=5, by="tests")
        assert not catalog.responses.due()
        clock.advance(seconds=6)
    now = catalog.responses.get("e1")
    assert (now.state, now.attempts, now.reason) == (ResponseState.WAITING, 3, "no layer; token=***")
    assert len(catalog.audit.list("e1")) == 1


def test_an_event_that_the_rules_leave_alone_says_why(catalog: Catalog) -> None:
    (entry,) = scan(catalog, replace(SEEN, wanted="magnitudo"))
    assert (entry.state, entry.reason) == (ResponseState.IGNORED, "magnitudo")
    assert not catalog.responses.due()
    asked = catalog.responses.ask(SEEN)
    assert asked.state is ResponseState.WAITING
    assert catalog.responses.due()
