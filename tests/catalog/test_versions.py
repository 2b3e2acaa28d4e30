"""The pointer to the current version moves in one step, and only where it may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from catalog.errors import CancelledRunError, NotFoundError, PublishError
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode, RunState, VersionInfo
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock


def info(version: int, layer_id: str = "desa", run_id: str = "") -> VersionInfo:
    return VersionInfo(
        layer_id, version, "feature", count=360, checksum="sha256:00", run_id=run_id,
        schema=LayerSchema(
            fields=(FieldDef("NAMOBJ", title="Nama"), FieldDef("t", FieldType.INTEGER, codes={"1": "desa"})),
            geometry_type="MultiPolygon", crs="EPSG:4326",
            region_code=RegionCode(field="KDEPUM", vintage=2025),
        ),
        bbox=(106.7, -7.6, 107.5, -6.5), time_start="2025-01-01", created=datetime(2026, 1, 1, tzinfo=UTC),
        extra={"path": "desa/1.gpkg", "levels": [1, 2]},
    )  # fmt: skip


def states(catalog: Catalog, layer_id: str = "desa") -> dict[int, str]:
    return {entry.info.version: entry.state for entry in catalog.versions.list(layer_id)}


def publish(catalog: Catalog, *numbers: int, layer_id: str = "desa") -> None:
    for number in numbers:
        catalog.versions.register(info(number, layer_id))
        catalog.versions.make_current(layer_id, number, by="engine")


def test_a_version_comes_back_as_it_was_registered(catalog: Catalog) -> None:
    catalog.versions.register(info(1))
    assert catalog.versions.get("desa", 1).info == info(1)
    assert catalog.versions.current("desa") is None


def test_publishing_moves_pointer_audit_and_generation_together(catalog: Catalog, clock: FakeClock) -> None:
    publish(catalog, 1)
    catalog.versions.register(info(2))
    before = catalog.generation()
    clock.advance(hours=1)
    assert catalog.versions.make_current("desa", 2, by="engine") == info(2)
    assert catalog.generation() > before
    assert catalog.versions.current("desa") == info(2)
    assert states(catalog) == {2: "current", 1: "old"}
    assert catalog.versions.get("desa", 2).published == clock()
    line = catalog.audit.list("desa", limit=1)[0]
    assert (line.action, line.by, line.details["was"]) == ("version.publish", "engine", 1)


def test_a_failed_publication_changes_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(catalog, 1)
    catalog.versions.register(info(2))
    before = catalog.generation(), len(catalog.audit.list("desa"))

    def broken(_connection: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("catalog.versions.bump", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        catalog.versions.make_current("desa", 2, by="engine")
    assert states(catalog) == {2: "staged", 1: "current"}
    assert (catalog.generation(), len(catalog.audit.list("desa"))) == before


def test_rollback_goes_one_back_or_to_a_chosen_version(catalog: Catalog) -> None:
    publish(catalog, 1, 2, 3)
    assert catalog.versions.rollback("desa", by="sri", reason="wrong names").version == 2
    assert catalog.versions.rollback("desa", by="sri").version == 1
    with pytest.raises(NotFoundError, match="no older"):
        catalog.versions.rollback("desa", by="sri")
    assert catalog.versions.rollback("desa", to=3, by="sri").version == 3
    assert states(catalog) == {3: "current", 2: "old", 1: "old"}
    reasons = [line.details["reason"] for line in catalog.audit.list("desa") if "rollback" in line.action]
    assert "wrong names" in reasons


def test_a_held_version_is_accepted_or_rejected_once(catalog: Catalog) -> None:
    publish(catalog, 1)
    catalog.versions.register(info(2), state="held", reason="40 % removed")
    assert [entry.info.version for entry in catalog.versions.held()] == [2]
    assert catalog.versions.get("desa", 2).reason == "40 % removed"
    catalog.versions.reject("desa", 2, by="sri", reason="the source lost a province")
    acts: tuple[Callable[[], VersionInfo], ...] = (
        lambda: catalog.versions.accept("desa", 2, by="sri"),
        lambda: catalog.versions.make_current("desa", 2, by="sri"),
        lambda: catalog.versions.rollback("desa", to=2, by="sri"),
    )
    for act in acts:
        with pytest.raises(PublishError, match="rejected"):
            act()
    catalog.versions.register(info(3), state="held")
    assert catalog.versions.accept("desa", 3, by="sri").version == 3
    with pytest.raises(PublishError):
        catalog.versions.accept("desa", 3, by="sri")
    assert states(catalog) == {3: "current", 2: "rejected", 1: "old"}


def test_a_number_is_registered_once(catalog: Catalog) -> None:
    catalog.versions.register(info(1))
    with pytest.raises(PublishError, match="already"):
        catalog.versions.register(info(1))


def test_unknown_versions_are_not_found(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError):
        catalog.versions.make_current("desa", 9, by="x")
    with pytest.raises(NotFoundError):
        catalog.versions.get("none", 1)


def test_prunable_keeps_what_rollback_and_stewards_need(catalog: Catalog) -> None:
    publish(catalog, 1, 2, 3, 4, 5)
    catalog.versions.register(info(6), state="held")
    catalog.versions.register(info(7))
    catalog.versions.reject("desa", 7, by="x", reason="")
    assert catalog.versions.prunable("desa", keep=3) == [1, 2, 7]
    assert catalog.versions.prunable("desa", keep=1) == [1, 2, 3, 4, 7]
    catalog.versions.mark_removed("desa", 1, by="prune")
    assert catalog.versions.prunable("desa", keep=3) == [2, 7]
    with pytest.raises(PublishError, match="current"):
        catalog.versions.mark_removed("desa", 5, by="prune")
    with pytest.raises(PublishError, match="removed"):
        catalog.versions.rollback("desa", to=1, by="x")


def test_a_worker_that_lost_its_lease_publishes_nothing(catalog: Catalog, clock: FakeClock) -> None:
    publish(catalog, 1)
    run = catalog.runs.start("s", lease_seconds=60)
    catalog.versions.register(info(2, run_id=run.id))
    clock.advance(seconds=61)
    catalog.runs.reap()
    with pytest.raises(CancelledRunError):
        catalog.versions.make_current("desa", 2, run_id=run.id, by="engine")
    current = catalog.versions.current("desa")
    assert current is not None
    assert current.version == 1


def test_a_running_run_publishes(catalog: Catalog) -> None:
    run = catalog.runs.start("s", lease_seconds=60)
    catalog.versions.register(info(1, run_id=run.id))
    catalog.versions.make_current("desa", 1, run_id=run.id, by="engine")
    catalog.runs.finish(run.id, RunState.OK)
    assert states(catalog) == {1: "current"}


def test_many_threads_publish_and_one_is_current(catalog: Catalog, second: Callable[[], Catalog]) -> None:
    other = second()
    for number in range(1, 9):
        catalog.versions.register(info(number))
    failed: list[BaseException] = []

    def move(number: int) -> None:
        try:
            (catalog if number % 2 else other).versions.make_current("desa", number, by=str(number))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=move, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(states(catalog).values()) == ["current"] + ["old"] * 7
