"""An earthquake of BMKG is harvested, answered, published, revised: the road that nobody has to walk."""

from __future__ import annotations

from catalog.model import RunState
from catalog.responses import ResponseState
from tests.response.world import Desk, quake

ID = "respons-20221121t062110z-6.84-107.05"


def test_an_earthquake_is_answered_by_itself(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    responder = desk.responder()
    assert responder.pending()
    (done,) = responder.run()
    assert (done.state, done.dataset_id, done.version) == ("answered", ID, 1), done.reason
    rows = desk.rows(ID)
    assert len(rows) > 100
    assert all(row["mmi"] >= 5 and row["kejadian"] == "20221121T062110Z_-6.84_107.05" for row in rows)
    assert not responder.pending()
