"""The same engine on PostgreSQL and PostGIS, as a grown deployment runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import BusySourceError
from catalog.model import RunState
from tests.harvesters.support import World, layer, points
from tests.servers.postgres import Postgres


@pytest.fixture
def grown(tmp_path: Path, postgres: Postgres) -> Iterator[World]:
    made = World(tmp_path, database=postgres.database(), layers=postgres.database(postgis=True))
    yield made
    made.close()


def test_harvest_change_hold_accept_roll_back(grown: World) -> None:
    grown.upstream(layer(points(30)))
    first = grown.harvest()
    assert (first.state, first.reason) == (RunState.OK, "")
    assert grown.harvest().state is RunState.UNCHANGED
    rows = points(31)
    rows[3]["nama"] = "Baru"
    grown.upstream(layer(rows))
    counts = grown.harvest().counts
    assert (counts.added, counts.updated, counts.unchanged) == (1, 1, 29)
    grown.upstream(layer(points(5)))
    assert grown.harvest().code == "guard-removed"
    assert len(grown.rows()) == 31
    grown.catalog.versions.accept("fasilitas", 3, by="ani")
    assert len(grown.rows()) == 5
    grown.catalog.versions.rollback("fasilitas", by="ani")
    assert grown.rows()["4"]["nama"] == "Baru"


def test_a_failed_stage_is_resumed_and_a_window_keeps_what_left_it(grown: World) -> None:
    grown.upstream(layer(points(35), listing={"stage": "s"}), fail_at="page-20")
    assert grown.harvest().state is RunState.FAILED
    grown.upstream(layer(points(35), listing={"stage": "s"}))
    assert grown.harvest().state is RunState.OK
    assert grown.steps().count("page-0") == 1
    grown.upstream(layer(points(40)[30:], listing={"window": True}))
    assert grown.harvest().counts.added == 5
    assert len(grown.rows()) == 40


def test_the_lease_is_the_databases(grown: World) -> None:
    grown.catalog.runs.start("dinas", lease_seconds=60)
    grown.upstream(layer(points(3)))
    with pytest.raises(BusySourceError):
        grown.harvest()
    grown.clock.forward(minutes=5)
    assert grown.harvest().state is RunState.OK
