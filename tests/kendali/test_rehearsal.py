"""Before anybody draws an area, each worker has answered once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.clock import utc_now
from catalog.errors import QueryError
from ogc_server.kendali import rehearsal
from ogc_server.kendali.making import computed
from ogc_server.kendali.picture import Picture
from ogc_server.live import Live
from ogc_server.readers import Readers
from ogc_server.response.event import Event
from ogc_server.service import ApiCache, Service
from ogc_server.snapshot import Snapshot
from tests.kendali.world import AREA, serving
from tests.ogc_server.world import make_settings, open_world
from tests.response.world import Desk
from tests.servers import PATIENCE, until


def test_a_server_answers_for_a_desa_by_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Picture] = []

    def seen(*given: Any, **more: Any) -> Picture:
        made.append(computed(*given, **more))
        return made[-1]

    monkeypatch.setattr(rehearsal, "computed", seen)
    with serving(desk) as url:
        until(lambda: made, "the rehearsal")
        assert len(made[0].desa) >= 1
        assert made[0].area is not None
        assert made[0].area.area < 0.01
        answer = httpx.post(f"{url}/kendali/jawaban", json={"area": AREA}, trust_env=False, timeout=PATIENCE)
        assert answer.status_code == 200


def test_what_can_not_be_rehearsed_is_no_fault_of_the_server(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A rule that counts what nobody published, say: who asks is told."""
    tried: list[Event] = []

    def fails(service: object, snapshot: object, event: Event, *, drawn: bool) -> Picture:
        tried.append(event)
        raise QueryError("nothing is counted so", where="response.needs")

    monkeypatch.setattr(rehearsal, "computed", fails)
    with serving(desk) as url:
        until(lambda: tried, "the rehearsal")
        answer = httpx.post(f"{url}/kendali/jawaban", json={"area": AREA}, trust_env=False, timeout=PATIENCE)
        assert answer.status_code == 200
    assert "could not be made ready" not in caplog.text


def test_without_boundaries_there_is_nothing_to_rehearse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(rehearsal, "computed")
    made = open_world(make_settings(tmp_path))
    snapshot = Snapshot.build(made.catalog)
    live = Live(made.catalog, utc_now)
    rehearsal.rehearse(
        Service(made.settings, made.catalog, live, Readers(made.store), utc_now, ApiCache()), snapshot
    )
    made.close()
