"""A run is leased, counted and always ended; the same source never runs twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from catalog.clock import utc_now
from catalog.errors import BusySourceError, CancelledRunError, NotFoundError
from catalog.model import Counts, ItemError, RunState, VersionInfo
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock
from tests.servers import PATIENCE, until

SPAWN = multiprocessing.get_context("spawn")


def test_a_run_from_start_to_end(catalog: Catalog, clock: FakeClock) -> None:
    run = catalog.runs.start("big-batas", lease_seconds=60, trigger="schedule", worker="w1")
    assert run.state is RunState.RUNNING
    assert run.phase == "lease"
    catalog.runs.phase(run.id, "stage")
    catalog.runs.counts(run.id, "desa", Counts(expected=360, seen=100, added=100))
    catalog.runs.counts(run.id, "desa", Counts(expected=360, seen=360, added=350, failed=10))
    catalog.runs.counts(run.id, "kecamatan", Counts(expected=32, seen=32, unchanged=32))
    clock.advance(days=1, seconds=5)
    ended = catalog.runs.finish(run.id, RunState.INCOMPLETE, reason="10 failed", details={"why": [1]})
    assert ended.counts == Counts(expected=392, seen=392, added=350, unchanged=32, failed=10)
    assert ended.layers["desa"].seen == 360
    assert (ended.state, ended.phase, ended.reason) == (RunState.INCOMPLETE, "stage", "10 failed")
    assert ended.details == {"why": [1]}
    assert ended.seconds() == 86_405  # .total_seconds(), not .seconds
    assert [line.action for line in catalog.audit.list("big-batas")] == ["run.finish", "run.start"]


def test_expected_stays_unknown_when_no_layer_can_tell(catalog: Catalog) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    catalog.runs.counts(run.id, "a", Counts(seen=3))
    assert catalog.runs.get(run.id).counts.expected is None


def test_a_source_runs_once_at_a_time(catalog: Catalog, second: Callable[[], Catalog]) -> None:
    run = catalog.runs.start("s", lease_seconds=60, worker="host:1")
    with pytest.raises(BusySourceError, match=run.id):
        second().runs.start("s", lease_seconds=60)
    catalog.runs.start("another", lease_seconds=60)
    catalog.runs.finish(run.id, RunState.OK)
    assert second().runs.start("s", lease_seconds=60).state is RunState.RUNNING


def test_an_expired_lease_is_reaped_by_the_next_start(catalog: Catalog, clock: FakeClock) -> None:
    dead = catalog.runs.start("s", lease_seconds=60)
    clock.advance(seconds=59)
    assert catalog.runs.reap() == []
    clock.advance(seconds=2)
    alive = catalog.runs.start("s", lease_seconds=60)
    ended = catalog.runs.get(dead.id)
    assert (ended.state, ended.code) == (RunState.FAILED, "lease-expired")
    assert [run.id for run in catalog.runs.list(state=RunState.RUNNING)] == [alive.id]


def test_reap_ends_all_expired_runs_once(catalog: Catalog, clock: FakeClock) -> None:
    ids = {catalog.runs.start(source, lease_seconds=10).id for source in ("a", "b")}
    clock.advance(seconds=11)
    assert {run.id for run in catalog.runs.reap()} == ids
    assert catalog.runs.reap() == []


def test_a_heartbeat_keeps_the_lease(catalog: Catalog, clock: FakeClock) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    for _ in range(5):
        clock.advance(seconds=50)
        assert catalog.runs.heartbeat(run.id) is False
    assert catalog.runs.reap() == []


def test_a_worker_that_lost_its_lease_is_told_at_every_turn(catalog: Catalog, clock: FakeClock) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    clock.advance(seconds=61)
    catalog.runs.reap()
    for act in (
        lambda: catalog.runs.heartbeat(run.id),
        lambda: catalog.runs.phase(run.id, "swap"),
        lambda: catalog.runs.counts(run.id, "a", Counts()),
        lambda: catalog.runs.errors_add(run.id, [ItemError("x", "y")]),
        lambda: catalog.runs.finish(run.id, RunState.OK),
    ):
        with pytest.raises(CancelledRunError, match="lease-expired"):
            act()
    assert catalog.runs.get(run.id).state is RunState.FAILED


def test_cancel_reaches_the_worker_with_its_next_heartbeat(catalog: Catalog) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    assert catalog.runs.request_cancel(run.id, by="sri").cancel_requested
    assert catalog.runs.heartbeat(run.id) is True
    catalog.runs.finish(run.id, RunState.CANCELLED)
    assert catalog.runs.request_cancel(run.id, by="sri").state is RunState.CANCELLED
    assert catalog.audit.list(run.id)[0].by == "sri"


def test_unknown_runs_are_not_found(catalog: Catalog) -> None:
    for act in (catalog.runs.get, catalog.runs.heartbeat, lambda i: catalog.runs.request_cancel(i, "x")):
        with pytest.raises(NotFoundError):
            act("no-such-run")


def test_running_is_no_terminal_state(catalog: Catalog) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    with pytest.raises(ValueError, match="running"):
        catalog.runs.finish(run.id, RunState.RUNNING)


def test_item_errors_are_kept_in_order_without_secrets(catalog: Catalog) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    catalog.runs.errors_add(
        run.id, (ItemError("geometry", f"feature {n}", str(n)) for n in range(1200)), "desa"
    )
    catalog.runs.errors_add(
        run.id,
        [
            ItemError(
                "http", "NIK 3203010101900001 refused", url="https://u:pw@h/q?token=abc", severity="warning"
            )
        ],
    )
    assert catalog.runs.errors_count(run.id) == 1201
    assert [e.remote_id for e in catalog.runs.errors(run.id, limit=2, offset=500)] == ["500", "501"]
    last = catalog.runs.errors(run.id, limit=10, offset=1200)[0]
    assert last.severity == "warning"
    assert "3203010101900001" not in last.message
    assert "pw" not in last.url
    assert "abc" not in last.url


def test_last_and_last_good(catalog: Catalog) -> None:
    assert catalog.runs.last("s") is None
    good = catalog.runs.start("s", lease_seconds=60)
    catalog.runs.finish(good.id, RunState.UNCHANGED)
    bad = catalog.runs.start("s", lease_seconds=60)
    catalog.runs.finish(bad.id, RunState.FAILED)
    last, last_good = catalog.runs.last("s"), catalog.runs.last("s", good=True)
    assert last is not None
    assert last_good is not None
    assert (last.id, last_good.id) == (bad.id, good.id)
    assert [run.id for run in catalog.runs.list("s", limit=1)] == [bad.id]


def test_old_runs_are_pruned_but_for_those_still_told_of(catalog: Catalog, clock: FakeClock) -> None:
    ids: list[str] = []
    for state in (RunState.OK, RunState.OK, RunState.OK, RunState.FAILED, RunState.FAILED):
        run = catalog.runs.start("s", lease_seconds=60)
        ids.append(run.id)
        catalog.runs.errors_add(run.id, [ItemError("x", "y")])
        catalog.runs.counts(run.id, "desa", Counts(seen=1))
        catalog.runs.finish(run.id, state)
        clock.advance(days=1)
    catalog.versions.register(VersionInfo("desa", 1, "feature", 1, "x", run_id=ids[0]))
    running = catalog.runs.start("s", lease_seconds=60).id
    assert catalog.runs.prune(clock(), by="prune") == 2
    # 0 made a version, 2 is the last good one, 4 the last that ended
    assert [run.id for run in catalog.runs.list("s")] == [running, ids[4], ids[2], ids[0]]
    assert catalog.runs.errors_count(ids[1]) == 0
    assert catalog.runs.prune(clock() - timedelta(days=30), by="prune") == 0


def test_twenty_threads_start_one_run(catalog: Catalog) -> None:
    won: list[str] = []
    lost: list[BusySourceError] = []
    gate = threading.Barrier(20)

    def attempt() -> None:
        gate.wait()
        try:
            won.append(catalog.runs.start("s", lease_seconds=60).id)
        except BusySourceError as error:
            lost.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)


def _start_in_process(url: str, ready: Path, go: Path) -> str:
    with Catalog.open(url) as catalog:
        ready.touch()
        until(go.exists, "the word to go", pause=0.001)
        try:
            catalog.runs.start("s", lease_seconds=60, worker=str(os.getpid()))
        except BusySourceError:
            return "busy"
        return "won"


def test_two_processes_start_one_run(empty_url: str, tmp_path: Path) -> None:
    go, both = tmp_path / "go", [tmp_path / "a", tmp_path / "b"]
    with SPAWN.Pool(2) as pool:
        # both open (and migrate) the same empty database at once, too
        asked = [pool.apply_async(_start_in_process, (empty_url, ready, go)) for ready in both]
        until(lambda: all(ready.exists() for ready in both), "both have opened the database")
        go.touch()
        answers = [one.get(PATIENCE) for one in asked]
        pool.close()
        pool.join()
    assert sorted(answers) == ["busy", "won"]


def _work_until_killed(url: str, note: str) -> None:
    catalog = Catalog.open(url)
    run = catalog.runs.start("s", lease_seconds=60, worker=str(os.getpid()))
    Path(note).write_text(run.id, "utf-8")
    while True:
        catalog.runs.heartbeat(run.id)
        time.sleep(0.1)


def test_a_killed_worker_is_reaped(catalog_url: str, tmp_path: Path) -> None:
    note = tmp_path / "run"
    worker = SPAWN.Process(target=_work_until_killed, args=(catalog_url, str(note)))
    worker.start()
    until(lambda: note.exists() and note.read_text("utf-8"), "the worker's run")
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(PATIENCE)
    worker.close()
    with Catalog.open(catalog_url) as catalog:
        run_id = note.read_text("utf-8")
        assert catalog.runs.get(run_id).state is RunState.RUNNING
    with Catalog.open(catalog_url, lambda: utc_now() + timedelta(minutes=2)) as catalog:
        assert [run.id for run in catalog.runs.reap()] == [run_id]
        assert catalog.runs.start("s", lease_seconds=60).state is RunState.RUNNING
