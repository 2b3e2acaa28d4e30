"""What processes need is ready before it is asked for; the old answers until the new is made."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import httpx
import pytest

from catalog.errors import QueryError
from layers.contract import FeatureBatch
from ogc_server.processes import desk
from ogc_server.processes.errors import IndexNotReadyError
from ogc_server.processes.held import Held
from ogc_server.processes.warm import Warmer, set_aside
from tests.ogc_server.conftest import running
from tests.ogc_server.test_processes import BOUNDARIES, LAYERS, answer, fill, inside
from tests.ogc_server.world import World
from tests.ogc_server.world import desa as villages
from tests.servers import PATIENCE, until


def test_the_old_serves_while_the_new_is_made() -> None:
    held, begun, go = Held(PATIENCE), threading.Event(), threading.Event()
    held.renew(("batas", 1), lambda: "old")

    def slow() -> str:
        begun.set()
        assert go.wait(PATIENCE)
        return "new"

    maker = threading.Thread(target=held.renew, args=(("batas", 2), slow))
    maker.start()
    assert begun.wait(PATIENCE)
    assert held.get(("batas", 2), slow) == "old"  # who waited for the new one would wait for ever
    assert not go.is_set()
    go.set()
    maker.join()
    assert held.get(("batas", 2), slow) == "new"


def test_the_first_is_waited_for_but_not_for_ever() -> None:
    held = Held(0.05)
    with pytest.raises(IndexNotReadyError):
        held.get(("batas", 1), lambda: "never made here")
    other = Held(PATIENCE)
    threading.Timer(0.1, other.renew, (("batas", 1), lambda: "made")).start()
    assert other.get(("batas", 1), lambda: "never made here") == "made"


def test_another_layer_is_no_answer() -> None:
    held = Held(0.05)
    held.renew(("batas", 1), lambda: "batas")
    with pytest.raises(IndexNotReadyError):
        held.get(("lain", 1), lambda: "never made here")


def test_what_can_not_be_made_is_told_and_the_next_version_mends_it() -> None:
    def broken() -> str:
        raise QueryError("name the column")

    held = Held(PATIENCE)
    held.renew(("batas", 1), broken)
    with pytest.raises(QueryError, match="name the column"):
        held.get(("batas", 1), broken)
    held.renew(("batas", 2), lambda: "mended")
    assert held.get(("batas", 2), broken) == "mended"


def test_a_job_makes_what_is_missing_itself() -> None:
    assert Held(None).get(("batas", 1), lambda: "made") == "made"


@pytest.fixture
def served(fresh: World, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(desk, "_LONG", 0)  # as for the whole country: in a process of its own
    fresh.settings.processes = LAYERS
    fill(fresh, shared_data)
    return fresh


def test_what_is_set_aside_is_still_let_go_when_nobody_needs_it() -> None:
    """The people of the last version, say: set aside for good they would pile up, version by version."""

    class Kept:
        itself: object = None

    one = Kept()
    one.itself, known = one, weakref.ref(one)
    try:
        set_aside()
        assert gc.get_freeze_count() > 0
        del one
        gc.collect()
        assert known() is not None  # nobody looks at it now: that is the point
        set_aside()
        assert known() is None
    finally:
        gc.unfreeze()


def test_a_process_of_its_own_makes_the_index_and_answers_go_on(
    served: World, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, warm = threading.Event(), Warmer._warm
    go.set()
    monkeypatch.setattr(Warmer, "_warm", lambda *given: go.wait(PATIENCE) and warm(*given))
    truth = villages(shared_data)
    place = inside(truth, 3)
    question = {"lon": place.x, "lat": place.y, "kode": truth.ids[3]}
    indexes = served.settings.data_dir / "analysis"
    with running(served) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as door:
        made = indexes / "batas-v1" / "index.json"
        until(made.is_file, "the index, though nobody has asked yet")
        assert answer(door, "verifikasi-lokasi", question)[0]["verdik"] == "sesuai"

        def name() -> str:
            return str(answer(door, "verifikasi-lokasi", question)[0]["nama_nyata"])

        go.clear()
        renamed = [{"kode": kode, "nama": "Baru"} for kode in truth.ids]
        served.publish("batas", BOUNDARIES, FeatureBatch(truth.ids, renamed, truth.geometries))
        until(lambda: door.get("/collections/batas?f=json").json()["version"] == 2, "the new boundaries")
        assert name() == truth.rows[3]["nama"]  # the old one answers while the new one is not made
        go.set()
        until(lambda: name() == "Baru", "the new index")
