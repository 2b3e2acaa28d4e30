"""The scheduler under a clock that the tests move. Nothing sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.clock import utc_now
from catalog.config import load_sources
from catalog.errors import ConfigError
from catalog.model import RunState
from catalog.settings import SchedulerSettings
from catalog.sources import SourceConfig
from harvesters.schedule.cron import QuietHours, next_time, trigger, weekdays
from harvesters.schedule.scheduler import RELOAD, Scheduler
from tests.harvesters.support import World, layer, points
from tests.servers import PATIENCE

JAKARTA = ZoneInfo("Asia/Jakarta")


class Process:
    """A harvest under way that ends when the test says so."""

    def __init__(self, source: SourceConfig) -> None:
        self.source, self.terminated = source, False
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.terminated, self.code = True, 3

    def kill(self) -> None:
        self.code = -9

    def wait(self, timeout: float | None = None) -> int:
        return self.code or 0


class Desk:
    """A scheduler, its clock, and what it started."""

    def __init__(self, world: World, sources: Sequence[SourceConfig], **settings: Any) -> None:
        self.world, self.sources = world, list(sources)
        self.started: list[Process] = []
        world.settings.scheduler = SchedulerSettings(**{"jitter_seconds": 0} | settings)
        self.fail: Callable[[], None] = lambda: None
        self.scheduler = Scheduler(
            world.settings, self.load, lambda: world.engine, launch=self.launch, clock=world.clock,
            dice=random.Random(1),
        )  # fmt: skip
        self.scheduler.tick()

    def load(self) -> list[SourceConfig]:
        self.fail()
        return self.sources

    def launch(self, source: SourceConfig) -> Process:
        process = Process(source)
        self.started.append(process)
        return process

    def at(self, text: str) -> list[str]:
        """Move the clock to a Jakarta time, tick, return the ids started since."""
        before = len(self.started)
        self.world.clock.now = datetime.fromisoformat(text).replace(tzinfo=JAKARTA).astimezone(UTC)
        self.scheduler.tick()
        return [p.source.id for p in self.started[before:]]

    def end(self) -> None:
        for process in self.started:
            process.code = 0


def daily(world: World, id_: str = "a", at: str = "0 2 * * *", **more: Any) -> SourceConfig:
    return world.source(id=id_, schedule=at, **more)


@pytest.fixture(autouse=True)
def _start(world: World) -> None:
    world.clock.now = datetime(2026, 3, 2, 10, 0, tzinfo=JAKARTA).astimezone(UTC)  # a Monday


def test_a_source_starts_at_its_local_time_once(world: World) -> None:
    desk = Desk(world, [daily(world)])
    assert desk.at("2026-03-03T01:59:59") == []
    assert desk.at("2026-03-03T02:00:00") == ["a"]
    desk.end()
    assert desk.at("2026-03-03T02:00:30") == []
    assert desk.at("2026-03-04T02:00:00") == ["a"]


def test_never_two_runs_of_one_source(world: World) -> None:
    desk = Desk(world, [daily(world, at="*/10 * * * *")])
    assert desk.at("2026-03-02T10:10:00") == ["a"]
    assert desk.at("2026-03-02T10:20:00") == []
    assert desk.at("2026-03-02T10:30:00") == []
    desk.end()
    assert desk.at("2026-03-02T10:31:00") == []  # the missed turns are not made up for at once
    assert desk.at("2026-03-02T10:40:00") == ["a"]


def test_no_more_at_once_than_workers(world: World) -> None:
    desk = Desk(world, [daily(world, i) for i in "abc"], workers=2)
    assert desk.at("2026-03-03T02:00:00") == ["a", "b"]
    assert desk.at("2026-03-03T02:00:10") == []
    desk.started[0].code = 0
    assert desk.at("2026-03-03T02:05:00") == ["c"]


def test_quiet_hours_put_a_start_off(world: World) -> None:
    desk = Desk(world, [daily(world, at="0 23 * * *")], quiet_hours=["22:00-04:30"])
    assert desk.at("2026-03-02T23:00:00") == []
    assert desk.at("2026-03-03T04:29:59") == []
    assert desk.at("2026-03-03T04:30:00") == ["a"]


def test_a_feed_of_warnings_waits_for_nothing(world: World) -> None:
    """Quiet hours, jitter and long harvests are for maps; an earthquake does not keep office hours."""
    desk = Desk(
        world, [daily(world, "peta", "0 10 * * *"), daily(world, "gempa", "@every 30s")],
        quiet_hours=["22:00-04:30"], jitter_seconds=600, workers=1,
    )  # fmt: skip
    assert desk.at("2026-03-02T10:00:00") == []
    assert desk.at("2026-03-02T10:00:30") == ["gempa"]
    desk.end()
    assert desk.at("2026-03-02T10:00:59") == []
    assert desk.at("2026-03-02T10:01:00") == ["gempa"]
    assert desk.at("2026-03-02T10:01:30") == []  # still running: never two of one source
    desk.end()
    assert desk.at("2026-03-02T23:00:00") == ["gempa"]
    desk.end()
    assert sorted(desk.at("2026-03-03T10:10:01")) == ["gempa", "peta"]
    next(
        process for process in desk.started if process.source.id == "gempa" and process.code is None
    ).code = 0
    assert desk.at("2026-03-03T10:11:00") == ["gempa"]  # beside a map's harvest, beyond `workers`


def test_jitter_spreads_the_starts(world: World) -> None:
    desk = Desk(world, [daily(world, f"s{i}") for i in range(20)], jitter_seconds=600, workers=99)
    due = set(desk.scheduler.next_times().values())
    two = datetime(2026, 3, 3, 2, tzinfo=JAKARTA)
    assert len(due) == 20
    assert all(d is not None and two <= d <= two + timedelta(seconds=600) for d in due)


def test_a_start_missed_while_nobody_was_there_is_made_up_for(world: World) -> None:
    world.upstream(layer(points(3)))
    source = daily(world, "dinas")
    world.harvest(source)
    world.clock.forward(days=3)
    desk = Desk(world, [source])
    assert [p.source.id for p in desk.started] == ["dinas"]  # once, not three times
    desk.end()
    assert desk.at("2026-03-05T10:05:00") == []


def test_files_that_change_are_taken_in(world: World) -> None:
    desk = Desk(world, [daily(world, "a"), daily(world, "b")])
    desk.sources = [daily(world, "a", at="30 11 * * *"), daily(world, "c", at="45 11 * * *"),
                    daily(world, "d", at="45 11 * * *", enabled=False)]  # fmt: skip
    world.clock.forward(seconds=RELOAD.total_seconds())
    desk.scheduler.tick()
    assert set(desk.scheduler.next_times()) == {"a", "c"}
    assert desk.at("2026-03-02T11:30:00") == ["a"]
    assert desk.at("2026-03-02T11:45:00") == ["c"]


def test_a_broken_file_leaves_the_plans_as_they_were(world: World) -> None:
    desk = Desk(world, [daily(world, "a")])

    def fail() -> None:
        raise ConfigError("line 3")

    desk.fail = fail
    assert desk.at("2026-03-03T02:00:00") == ["a"]


def test_one_bad_schedule_or_launch_does_not_stop_the_others(world: World) -> None:
    desk = Desk(world, [daily(world, "a", at="0 2 * * 9"), daily(world, "b"), daily(world, "c")], workers=9)
    real = desk.launch

    def launch(source: SourceConfig) -> Process:
        if source.id == "b":
            raise OSError("no more processes")
        return real(source)

    desk.scheduler._launch = launch
    assert desk.at("2026-03-03T02:00:00") == ["c"]
    assert desk.at("2026-03-04T02:00:00") == []  # c still runs; b was tried again
    desk.scheduler._launch = real
    assert desk.at("2026-03-05T02:00:00") == ["b"]


def test_runs_that_stopped_answering_are_ended(world: World) -> None:
    run = world.catalog.runs.start("dinas", lease_seconds=60)
    desk = Desk(world, [])
    world.clock.forward(minutes=5)
    desk.scheduler.tick()
    assert world.catalog.runs.get(run.id).state is RunState.FAILED


def test_stopping_ends_what_it_started(world: World) -> None:
    desk = Desk(world, [daily(world)])
    desk.at("2026-03-03T02:00:00")
    desk.scheduler.shutdown()
    assert desk.started[0].terminated


# -- cron and quiet hours ------------------------------------------------------------------------------


def after(expression: str, text: str) -> str:
    found = next_time(trigger(expression, JAKARTA), datetime.fromisoformat(text).replace(tzinfo=JAKARTA))
    assert found is not None
    return found.astimezone(JAKARTA).strftime("%a %Y-%m-%d %H:%M")


def test_weekdays_are_counted_as_cron_counts_them() -> None:
    """0 and 7 are Sunday (the library under it counts from Monday)."""
    monday = "2026-03-02T10:00:00"
    assert after("0 2 * * 0", monday) == "Sun 2026-03-08 02:00"
    assert after("0 2 * * 7", monday) == "Sun 2026-03-08 02:00"
    assert after("0 2 * * 1-5", "2026-03-06T10:00:00") == "Mon 2026-03-09 02:00"
    assert after("0 2 * * sat,sun", monday) == "Sat 2026-03-07 02:00"
    assert weekdays("*/2") == "sun,tue,thu,sat"
    assert weekdays("5-1") == "sun,mon,fri,sat"


def test_day_and_weekday_together_mean_either() -> None:
    assert after("0 2 15 * 5", "2026-03-02T10:00:00") == "Fri 2026-03-06 02:00"
    assert after("0 2 15 * 5", "2026-03-13T10:00:00") == "Sun 2026-03-15 02:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "61 * * * *",
        "0 2 * * 8",
        "0 2 * * x",
        "a b c d e",
        "@every 5s",
        "@every",
        "@daily",
        "@every 1d",
    ],
)
def test_a_schedule_that_is_none_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        trigger(text, JAKARTA)


@pytest.mark.parametrize("text", ["6-9", "25:00-26:00", "06:00", "06:00-09:61"])
def test_quiet_hours_that_are_none_are_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        QuietHours([text], JAKARTA)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))  # noqa: DTZ001 - made aware below
def test_the_end_of_a_quiet_time_is_ahead_and_not_quiet(moment: datetime) -> None:
    quiet = QuietHours(["22:00-04:30", "06:00-09:00"], JAKARTA)
    now = moment.replace(tzinfo=UTC)
    end = quiet.end(now)
    here = now.astimezone(JAKARTA).strftime("%H:%M")
    assert (end is not None) == (here >= "22:00" or here < "04:30" or "06:00" <= here < "09:00")
    if end is not None:
        assert now < end <= now + timedelta(hours=6.5)
        assert quiet.end(end) is None


def test_a_due_source_is_harvested_in_a_process_of_its_own(world: World) -> None:
    folder = world.settings.config_dir / "sources"
    folder.mkdir(parents=True)
    (world.settings.config_dir / "satudata.yml").write_text("scheduler: {jitter_seconds: 0}\n")
    (world.folder / "posko.csv").write_text("id,nama\n1,Posko A\n2,Posko B\n")
    (folder / "posko.yml").write_text(
        f"id: posko\ntype: file\nurl: {world.folder / 'posko.csv'}\nprodusen_data: Dinas\n"
        'schedule: "* * * * *"\nlayers: [{remote: "*", id: posko}]\n'
    )
    world.settings.scheduler = SchedulerSettings(jitter_seconds=0)
    world.clock.now = utc_now()  # the worker has the real clock
    scheduler = Scheduler(
        world.settings, lambda: load_sources(world.settings.config_dir), lambda: world.engine,
        clock=world.clock,
    )  # fmt: skip
    scheduler.tick()
    world.clock.forward(minutes=1, seconds=1)
    scheduler.tick()
    (process,) = scheduler._running.values()
    assert process.wait(PATIENCE) == 0
    run = world.catalog.runs.last("posko")
    assert run is not None
    assert (run.state, run.trigger, run.counts.added) == (RunState.OK, "schedule", 2)
