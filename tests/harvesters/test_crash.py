"""kill -9 at every phase, races of processes, a disk that fills: nothing half-written is ever seen."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.clock import utc_now
from catalog.model import RunState
from tests.harvesters.support import World, layer, points
from tests.servers import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
PHASES = [
    "probe", "list", "stage", "page", "verify", "diff", "guard", "after-build", "swap", "after-swap", "notify",
]  # fmt: skip
AFTER = 300.0
"""Seconds until the lease of a run that was killed is surely over (it is for 60)."""


def start(world: World, *, limit: int | None = None, **config: Any) -> subprocess.Popen[str]:
    """Run the engine on the same deployment in a process of its own, on the real clock (or `later`)."""
    settings = world.settings.model_dump(mode="json") | {
        "data_dir": str(world.settings.data_dir), "config_dir": str(world.settings.config_dir)
    }  # fmt: skip
    path = world.folder / f"job-{uuid.uuid4()}.json"
    source = world.source().model_dump(mode="json", exclude_unset=True)
    path.write_text(json.dumps({"settings": settings, "source": source, **config}))

    def small_disk() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "tests.harvesters.scripted", str(path)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=small_disk,
    )  # fmt: skip


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until(lambda: path.exists() or process.poll() is not None, path.name)
    assert path.exists(), process.communicate()


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_any_phase_the_last_good_version_stays_and_the_next_run_recovers(
    world: World, phase: str
) -> None:
    world.upstream(layer(points(30), listing={"stage": "old"}))
    world.harvest()
    rows = [{**row, "nama": "Baru"} for row in points(33)]
    world.upstream(layer(rows, listing={"stage": "new"}))
    flag = world.folder / "here"
    process = start(world, stop_at=phase, flag=str(flag))
    wait_for(flag, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    published = phase in ("after-swap", "notify")
    seen = world.rows()
    assert {row["nama"] == "Baru" for row in seen.values()} == {published}
    assert len(seen) == (33 if published else 30)
    live = world.live()
    assert live is not None
    world.store.verify(live)

    world.clock.now = utc_now() + timedelta(seconds=AFTER)
    found = world.harvest()  # the lease ended by itself; nobody had to clear anything
    assert found.state is (RunState.UNCHANGED if published else RunState.OK)
    assert len(world.rows()) == 33
    states = {run.state for run in world.catalog.runs.list()}
    assert RunState.RUNNING not in states
    killed = next(r for r in world.catalog.runs.list() if r.code == "lease-expired")
    assert killed.state is RunState.FAILED
    assert world.store.stages() == []
    registered = {e.info.version for e in world.catalog.versions.list("fasilitas") if e.state != "removed"}
    assert set(world.store.versions("fasilitas")) <= registered  # no orphan is left behind
    assert not [e for e in world.catalog.versions.list("fasilitas") if e.state == "staged"]
    if phase == "page":
        pages = [step for step in world.steps() if step.startswith("page-")]
        assert len(pages) < 3 + 2 * 4  # what was staged was not fetched again


def test_killed_before_anything_was_published_leaves_nothing_to_see(world: World) -> None:
    world.upstream(layer(points(30)))
    flag = world.folder / "here"
    process = start(world, stop_at="after-build", flag=str(flag))
    wait_for(flag, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert world.live() is None
    assert world.catalog.datasets.ids() == []
    assert outcome(start(world, later=AFTER))["state"] == "ok"
    assert len(world.rows()) == 30


def test_processes_that_race_for_one_source_run_one_after_the_other_or_not_at_all(world: World) -> None:
    world.upstream(layer(points(30)))
    processes = [start(world) for _ in range(3)]
    ended = [(p.communicate(timeout=PATIENCE), p.returncode) for p in processes]
    good = [json.loads(out.splitlines()[-1])["state"] for (out, _), code in ended if code == 0]
    refused = [err for (_, err), code in ended if code != 0]
    assert good.count("ok") == 1
    assert set(good) <= {"ok", "unchanged"}
    assert all("BusySourceError" in err for err in refused)
    assert [e.info.version for e in world.catalog.versions.list("fasilitas")] == [1]
    assert len(world.rows()) == 30


def test_a_disk_that_fills_mid_run_keeps_the_last_good_version(world: World) -> None:
    """The process may not write files beyond a size, as if the disk were full."""
    world.upstream(layer(points(30)))
    world.harvest()
    big = [{**row, "nama": f"{row['id']} " + "x" * 100_000} for row in points(60)]
    world.upstream(layer(big, listing={"stage": "big"}))
    found = outcome(start(world, limit=3_000_000))
    assert found["state"] == "failed"
    assert found["code"] in ("storage-full", "publish")
    assert len(world.rows()) == 30
    assert world.store.stages() == []
    assert outcome(start(world))["state"] == "ok"  # room again
    assert len(world.rows()) == 60


def test_a_killed_run_gives_its_lease_back_by_itself(world: World) -> None:
    world.upstream(layer(points(30)), hang_at="page-10")
    process = start(world)
    wait_for(world.path.with_suffix(".hangs"), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    world.upstream(layer(points(30)))
    busy = start(world)
    _, err = busy.communicate(timeout=PATIENCE)
    assert busy.returncode != 0
    assert "BusySourceError" in err
    assert outcome(start(world, later=AFTER))["state"] == "ok"


def test_terminating_a_worker_cancels_its_run(world: World) -> None:
    """`satudata serve` stops its scheduler, which asks its harvests to end."""
    world.upstream(layer(points(30)), hang_at="page-10")
    config = world.settings.config_dir / "sources"
    config.mkdir(parents=True)
    (world.settings.config_dir / "satudata.yml").write_text("harvest: {lease_seconds: 30}\n")
    source = world.source(url=str(world.path)).model_dump(mode="json", exclude_unset=True)
    (config / "dinas.yml").write_text(json.dumps(source))
    code = (
        "import sys; from tests.harvesters import scripted; scripted.install();"
        "from harvesters.worker import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "dinas", "--config", str(world.settings.config_dir),
         "--data", str(world.settings.data_dir)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(world.path.with_suffix(".hangs"), process)
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, err
    run = world.catalog.runs.last("dinas")
    assert run is not None
    assert (run.state, run.trigger) == (RunState.CANCELLED, "schedule")
