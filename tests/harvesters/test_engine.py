"""A run, from lease to notify: what ends how, and what readers see meanwhile."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import BusySourceError, ConfigError, GoneError, StorageFullError
from catalog.model import RunState
from catalog.settings import Settings
from catalog.store import Catalog
from harvesters.engine.notify import Published
from tests.harvesters.support import World, layer, points
from tests.servers import PATIENCE, until


def test_a_first_harvest_publishes_and_counts(world: World) -> None:
    world.upstream(layer(points(35), title="Fasilitas kesehatan"))
    run = world.harvest()
    assert (run.state, run.code) == (RunState.OK, "")
    assert (run.counts.expected, run.counts.seen, run.counts.added, run.counts.removed) == (35, 35, 35, 0)
    assert len(world.rows()) == 35
    assert world.rows()["7"] == {"nama": "Puskesmas 7", "jumlah": 7}
    dataset = world.catalog.datasets.get("fasilitas")
    assert dataset.record.title.id == "Fasilitas kesehatan"
    assert dataset.record.produsen_data == "Dinas Contoh"
    assert dataset.record.bbox is not None
    assert world.told == [Published(run.id, "dinas", ("fasilitas",))]


def test_the_same_content_again_is_unchanged_and_tells_nobody(world: World) -> None:
    world.upstream(layer(points(35)))
    world.harvest()
    generation = world.catalog.generation()
    run = world.harvest()
    assert run.state is RunState.UNCHANGED
    assert run.counts.unchanged == 35
    assert [e.info.version for e in world.catalog.versions.list("fasilitas")] == [1]
    assert world.store.stages() == []
    assert len(world.told) == 1
    assert world.catalog.generation() == generation


def test_a_change_becomes_a_new_version_with_its_differences(world: World) -> None:
    rows = points(35)
    world.upstream(layer(rows))
    world.harvest()
    world.upstream(layer([*rows[1:30], {**rows[30], "nama": "Baru"}, *rows[31:], *points(36)[35:]]))
    run = world.harvest()
    assert run.state is RunState.OK
    counts = run.counts
    assert (counts.added, counts.updated, counts.unchanged, counts.removed) == (1, 1, 33, 1)
    info = world.live()
    assert info is not None
    assert info.version == 2
    assert info.run_id == run.id
    assert world.rows()["31"]["nama"] == "Baru"


def test_a_new_title_is_an_update_of_the_same_dataset(world: World) -> None:
    world.upstream(layer(points(3), title="Lama"))
    world.harvest()
    first = world.catalog.datasets.get("fasilitas")
    world.upstream(layer(points(3), title="Baru"))
    assert world.harvest().state is RunState.UNCHANGED
    second = world.catalog.datasets.get("fasilitas")
    assert (first.uuid, second.record.title.id) == (second.uuid, "Baru")


def test_not_modified_fetches_nothing(world: World) -> None:
    world.upstream(layer(points(5), etag="one"))
    world.harvest()
    before = len(world.steps())
    assert world.harvest().state is RunState.UNCHANGED
    assert world.steps()[before:] == ["probe", "list"]
    # a steward changes the mapping: what we keep is another thing now, so all is fetched again
    run = world.harvest(world.source({"remote": "fasilitas", "rename": {"nama": "nama_fasilitas"}}))
    assert run.state is RunState.OK
    assert world.rows()["1"]["nama_fasilitas"] == "Puskesmas 1"


def test_a_listing_that_is_certain_and_equal_fetches_nothing(world: World) -> None:
    world.upstream(layer(points(5), listing={"stage": "edit-7", "certain": True}))
    world.harvest()
    before = len(world.steps())
    run = world.harvest()
    assert (run.state, run.details["datasets"]["fasilitas"]["code"]) == (RunState.UNCHANGED, "same-listing")
    assert world.steps()[before:] == ["probe", "list", "listing"]
    world.upstream(layer(points(6), listing={"stage": "edit-8", "certain": True}))
    assert world.harvest().counts.added == 1


def test_an_equal_listing_that_is_not_certain_is_fetched_and_compared(world: World) -> None:
    world.upstream(layer(points(5), listing={"stage": "ids"}))
    world.harvest()
    changed = points(5)
    changed[2]["nama"] = "Diam-diam berubah"
    world.upstream(layer(changed, listing={"stage": "ids"}))
    assert world.harvest().counts.updated == 1


# -- incomplete -----------------------------------------------------------------------------------


def test_what_did_not_come_is_asked_for_once_more_by_id(world: World) -> None:
    world.upstream(layer(points(35), hidden=["4", "17"]))
    run = world.harvest()
    assert run.state is RunState.OK
    assert len(world.rows()) == 35
    assert world.steps().count("refetch") == 1


def test_what_a_second_question_brings_does_not_replace_what_the_first_brought(world: World) -> None:
    world.upstream(layer(points(35), hidden=["4", "17"], one_at_a_time=True))
    assert world.harvest().state is RunState.OK
    assert len(world.rows()) == 35
    assert world.steps().count("refetch") == 2


def test_what_does_not_come_at_all_makes_the_run_incomplete(world: World) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(35), hidden=["4", "17"], gone=["4", "17"]))
    run = world.harvest()
    assert (run.state, run.code) == (RunState.INCOMPLETE, "source-incomplete")
    assert "2 of 35 listed did not come (4, 17)" in run.reason
    assert len(world.rows()) == 30  # the last good version stays
    assert (run.counts.expected, run.counts.seen) == (35, 33)
    assert world.steps().count("listing") == 3  # once for the first run, twice for this one


def test_a_source_that_changes_under_us_is_listed_again(world: World) -> None:
    """Two features are deleted at the source between listing and paging."""
    world.upstream(layer(points(35), hidden=["34", "35"], gone=["34", "35"], then={"rows": points(33)}))
    run = world.harvest()
    assert run.state is RunState.OK
    assert len(world.rows()) == 33


def test_a_count_without_ids_is_compared(world: World) -> None:
    world.upstream(layer(points(35), listing={"no_ids": True, "count": 40}))
    run = world.harvest()
    assert run.state is RunState.INCOMPLETE
    assert "35 stored of 40" in run.reason
    assert world.live() is None
    assert world.steps().count("page-0") == 2  # without ids to ask for, all was asked for once more


def test_a_count_that_changes_while_we_read_is_believed_the_second_time(world: World) -> None:
    world.upstream(
        layer(points(35), listing={"no_ids": True, "count": 36}, then={"listing": {"no_ids": True}})
    )
    assert world.harvest().state is RunState.OK
    assert len(world.rows()) == 35


def test_a_source_that_counts_more_than_it_lists_is_incomplete(world: World) -> None:
    """The list of ids was cut at the server's cap: every page came, and most of the layer did not."""
    world.upstream(layer(points(10), listing={"count": 46_466}))
    assert "counts 46466 but lists 10" in world.harvest().reason


def test_a_bad_record_is_an_item_error_and_the_run_says_so(world: World) -> None:
    rows = points(35)
    rows[11]["bad"] = True
    world.upstream(layer(rows))
    run = world.harvest()
    assert run.state is RunState.INCOMPLETE
    assert "1 of 35 listed did not come (12)" in run.reason
    errors = world.catalog.runs.errors(run.id)
    assert {"bad-row", "source-incomplete"} <= {e.code for e in errors}
    assert "12" in {e.remote_id for e in errors}


def test_listed_ids_twice_are_said_to_be_duplicates(world: World) -> None:
    rows = points(5)
    rows[4]["id"] = "4"
    world.upstream(layer(rows))
    run = world.harvest()
    assert run.state is RunState.INCOMPLETE
    assert "duplicates" in run.reason


# -- several datasets -----------------------------------------------------------------------------


def test_one_bad_dataset_does_not_stop_the_others(world: World) -> None:
    world.upstream(
        layer(points(5), "a"), {"remote": "b", "error": "no schema"}, layer(points(5), "c", fields={"x": "huh"}),
        layer(points(5), "d", hidden=["1"], gone=["1"]), layer(points(5), "e"),
    )  # fmt: skip
    run = world.harvest(world.source({"remote": "*"}))
    assert run.state is RunState.FAILED  # the worst of them
    assert run.code == "internal"
    assert {k: v["state"] for k, v in run.details["datasets"].items()} == {
        "a": "ok", "c": "failed", "d": "incomplete", "e": "ok",
    }  # fmt: skip
    assert world.catalog.datasets.ids() == ["a", "e"]
    assert "bad-dataset" in {e.code for e in world.catalog.runs.errors(run.id)}


def test_two_datasets_can_not_have_one_id(world: World) -> None:
    world.upstream(layer(points(5), "a", collection="x"), layer(points(6), "b", collection="x"))
    run = world.harvest(world.source({"remote": "*"}))
    assert run.state is RunState.INCOMPLETE
    assert run.code == "duplicate-collection"
    assert len(world.rows("x")) == 5


def test_a_source_can_not_write_another_sources_layer(world: World) -> None:
    world.upstream(layer(points(5)))
    world.harvest()
    world.upstream(layer(points(50)))
    run = world.harvest(world.source(id="lain"))
    assert (run.state, run.code) == (RunState.FAILED, "publish")
    assert "belongs to source 'dinas'" in run.reason
    assert len(world.rows()) == 5
    assert "page-0" not in world.steps()[world.steps().index("page-0") + 1 :]  # nothing was even fetched


def test_records_and_services_are_registered_without_versions(world: World) -> None:
    records = [{"remote": f"r{i}", "kind": "record", "title": f"Rekaman {i}"} for i in range(40)]
    world.upstream(*records, {"remote": "peta", "kind": "service"})
    run = world.harvest(world.source({"remote": "*"}))
    assert run.state is RunState.OK
    assert (run.counts.expected, run.counts.seen, run.counts.added) == (41, 41, 41)
    assert world.catalog.datasets.get("peta").kind == "service"
    assert world.catalog.datasets.get("r7").version is None
    assert world.harvest(world.source({"remote": "*"})).state is RunState.UNCHANGED


# -- missing --------------------------------------------------------------------------------------


def test_a_dataset_that_is_gone_is_withdrawn_after_the_grace_period(world: World) -> None:
    every = world.source({"remote": "*"}, max_removed_percent=60, grace_days=7)
    world.upstream(layer(points(3), "a"), layer(points(3), "b"))
    world.harvest(every)
    world.upstream(layer(points(3), "a"))
    world.harvest(every)
    assert world.catalog.datasets.get("b").missing_since == world.clock()
    assert len(world.rows("b")) == 3
    world.clock.forward(days=6)
    world.harvest(every)
    assert world.catalog.datasets.ids() == ["a", "b"]
    world.clock.forward(days=1, seconds=1)
    world.harvest(every)
    with pytest.raises(GoneError, match="no longer offered"):
        world.catalog.datasets.get("b")
    world.upstream(layer(points(3), "a"), layer(points(3), "b"))
    assert world.harvest(every).state is RunState.OK  # it came back: published anew
    assert world.catalog.datasets.get("b").version is not None


def test_an_incomplete_run_withdraws_nothing(world: World) -> None:
    every = world.source({"remote": "*"}, max_removed_percent=60, grace_days=0)
    world.upstream(layer(points(3), "a"), layer(points(3), "b"))
    world.harvest(every)
    world.upstream(layer(points(4), "a", hidden=["1"], gone=["1"]))
    assert world.harvest(every).state is RunState.INCOMPLETE
    assert world.catalog.datasets.get("b").missing_since is None
    world.upstream(layer(points(3), "a"), listed=["a", "c"])
    run = world.harvest(every)
    assert (run.state, run.code) == (RunState.INCOMPLETE, "datasets-lost")
    assert world.catalog.datasets.get("b").missing_since is None


def test_too_many_missing_at_once_are_held_not_withdrawn(world: World) -> None:
    every = world.source({"remote": "*"}, grace_days=0)
    world.upstream(*(layer(points(2), f"d{i}") for i in range(10)))
    world.harvest(every)
    world.upstream(*(layer(points(2), f"d{i}") for i in range(5)))
    run = world.harvest(every)
    assert (run.state, run.code) == (RunState.HELD, "guard-datasets-missing")
    assert len(world.catalog.datasets.ids()) == 10


def test_a_windowed_listing_of_datasets_withdraws_nothing(world: World) -> None:
    every = world.source({"remote": "*"}, grace_days=0, max_removed_percent=100)
    world.upstream(layer(points(2), "a"), layer(points(2), "b"))
    world.harvest(every)
    world.upstream(layer(points(2), "a"), window=True)
    world.harvest(every)
    assert world.catalog.datasets.get("b").missing_since is None


def test_a_windowed_layer_keeps_what_left_the_window(world: World) -> None:
    """BMKG lists the last 15 events: an event that leaves the list is not a deletion."""
    rows = points(20)
    world.upstream(layer(rows[:15], listing={"window": True}))
    world.harvest()
    corrected = {**rows[14], "nama": "Diperbarui"}
    world.upstream(layer([corrected, *rows[15:]], listing={"window": True}))
    run = world.harvest()
    assert run.state is RunState.OK
    assert (run.counts.added, run.counts.updated, run.counts.removed) == (5, 1, 0)
    assert len(world.rows()) == 20
    assert world.rows()["15"]["nama"] == "Diperbarui"
    assert world.harvest().state is RunState.UNCHANGED


# -- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["probe", "list", "listing", "page-0", "page-20"])
@pytest.mark.parametrize(
    ("error", "code"),
    [("TransientSourceError", "source-transient"), ("AuthSourceError", "source-auth"),
     ("ProtocolError", "source-protocol"), ("StorageFullError", "storage-full")],
)  # fmt: skip
def test_a_failure_anywhere_leaves_the_last_good_version(
    world: World, step: str, error: str, code: str
) -> None:
    world.upstream(layer(points(30)))
    world.harvest()
    world.upstream(layer(points(35)), fail_at=step, error=error)
    run = world.harvest()
    assert (run.state, run.code) == (RunState.FAILED, code)
    assert run.finished is not None
    assert len(world.rows()) == 30
    world.upstream(layer(points(35)))
    assert world.harvest().state is RunState.OK
    assert len(world.rows()) == 35


def test_a_bug_in_a_harvester_is_a_failed_run_not_a_crash(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.upstream(layer(points(5)), crash_at="page-0")
    run = world.harvest()
    assert (run.state, run.code) == (RunState.FAILED, "internal")
    assert "a bug in the harvester" in run.reason
    world.upstream(layer(points(5)), crash_at="list")
    assert world.harvest().code == "internal"


def test_a_full_disk_gives_back_what_was_staged(world: World) -> None:
    world.upstream(layer(points(35), listing={"stage": "s"}), fail_at="page-20", error="StorageFullError")
    assert world.harvest().code == StorageFullError.code
    assert world.store.stages() == []


def test_a_failed_stage_of_the_same_content_is_resumed(world: World) -> None:
    world.upstream(layer(points(35), listing={"stage": "s"}), fail_at="page-20")
    world.harvest()
    assert len(world.store.stages()) == 1
    world.upstream(layer(points(35), listing={"stage": "s"}))
    assert world.harvest().state is RunState.OK
    pages = [step for step in world.steps() if step.startswith("page")]
    assert pages == ["page-0", "page-10", "page-20", "page-30"]  # none fetched twice
    assert len(world.rows()) == 35


def test_a_failed_stage_of_other_content_is_thrown_away(world: World) -> None:
    world.upstream(layer(points(35), listing={"stage": "s"}), fail_at="page-20")
    world.harvest()
    rows = points(35, nama="Lain")
    world.upstream(layer(rows, listing={"stage": "t"}))
    assert world.harvest().state is RunState.OK
    assert {row["nama"] for row in world.rows().values()} == {"Lain"}
    assert world.store.stages() == []


def test_a_stage_whose_content_can_not_be_named_starts_clean(world: World) -> None:
    world.upstream(layer(points(35)), fail_at="page-20")
    world.harvest()
    assert world.store.stages() == []
    world.upstream(layer(points(35, nama="Lain")))
    world.harvest()
    assert {row["nama"] for row in world.rows().values()} == {"Lain"}


def test_an_unknown_type_or_option_is_a_config_error_before_any_run(world: World) -> None:
    world.upstream(layer(points(5)))
    with pytest.raises(ConfigError):
        world.harvest(world.source(type="arcgiss"))
    with pytest.raises(ConfigError):
        world.harvest(world.source(options={"color": "red"}))
    assert world.catalog.runs.list() == []


def test_a_hook_that_fails_or_dawdles_harms_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    hold = threading.Event()

    def fails(settings: Settings, catalog: Catalog, published: Published) -> None:
        raise RuntimeError("CKAN is down")

    def dawdles(settings: Settings, catalog: Catalog, published: Published) -> None:
        hold.wait(PATIENCE)

    with caplog.at_level(logging.WARNING):
        world.engine._hooks, world.engine._hook_seconds = [fails], PATIENCE
        world.upstream(layer(points(5)))
        assert world.harvest().state is RunState.OK
        assert "CKAN is down" in caplog.text
        assert "not waiting" not in caplog.text
        world.engine._hooks, world.engine._hook_seconds = [dawdles], 0.2
        world.upstream(layer(points(6)))
        assert world.harvest().state is RunState.OK
    hold.set()
    assert "not waiting" in caplog.text


# -- dry run --------------------------------------------------------------------------------------


def snapshot(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix not in {".log"}}


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(world: World) -> None:
    world.upstream(layer(points(20)))
    world.harvest()
    generation, files = world.catalog.generation(), snapshot(world.settings.data_dir)
    world.upstream(layer(points(21)), {"remote": "r", "kind": "record"})
    every = world.source({"remote": "*"})
    run = world.harvest(every, dry_run=True)
    assert run.state is RunState.OK
    assert run.details["dry_run"] is True
    assert (run.layers["fasilitas"].added, run.layers["fasilitas"].unchanged) == (1, 20)
    world.upstream(layer(points(2)))
    held = world.harvest(every, dry_run=True)
    assert (held.state, held.code) == (RunState.HELD, "guard-removed")
    assert world.catalog.generation() == generation
    assert [r.state for r in world.catalog.runs.list()] == [RunState.OK]
    assert snapshot(world.settings.data_dir) == files
    assert len(world.rows()) == 20
    assert len(world.told) == 1


# -- cancel and lease -----------------------------------------------------------------------------


def wait_for(path: Path) -> None:
    until(path.exists, path.name)


def in_thread(world: World) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(world.harvest()), daemon=True)
    thread.start()
    wait_for(world.path.with_suffix(".hangs"))
    return thread, found


def test_a_person_cancels_a_run_that_hangs(world: World) -> None:
    world.upstream(layer(points(35)), hang_at="page-10")
    thread, found = in_thread(world)
    run = world.catalog.runs.last("dinas")
    assert run is not None
    assert run.phase == "stage"
    world.catalog.runs.request_cancel(run.id, by="ani")
    thread.join(PATIENCE)
    assert found[0].state is RunState.CANCELLED
    assert world.rows() == {}


def test_two_runs_of_one_source_are_one_too_many(world: World) -> None:
    world.upstream(layer(points(35)), hang_at="page-10")
    thread, found = in_thread(world)
    with pytest.raises(BusySourceError):
        world.harvest()
    world.catalog.runs.request_cancel(world.catalog.runs.list()[0].id, by="ani")
    thread.join(PATIENCE)
    assert found


def test_a_worker_that_lost_its_lease_publishes_nothing(world: World) -> None:
    world.upstream(layer(points(35)), hang_at="page-30")
    thread, found = in_thread(world)
    ended: list[Any] = []
    while not ended:  # nothing was heard of it for long (a beat may come just in between: then again)
        world.clock.forward(minutes=5)
        ended = world.catalog.runs.reap()
    assert [r.code for r in ended] == ["lease-expired"]
    thread.join(PATIENCE)
    assert (found[0].state, found[0].code) == (RunState.FAILED, "lease-expired")
    assert world.live() is None
    world.upstream(layer(points(35)))
    assert world.harvest().state is RunState.OK
