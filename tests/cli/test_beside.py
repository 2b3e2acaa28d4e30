"""Work beside a command: builders go on under `serve`, and follow the styles in the sources' files."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import beside, build_beside
from cli.app import App
from cli.build_beside import builders_beside
from cli.signals import PARENT
from tests.ogc_server.rasters import index, publish
from tests.ogc_server.test_maps import styled
from tests.ogc_server.test_maps_archive import BLUE
from tests.ogc_server.world import World, make_settings, open_world
from tests.servers import until

WAIT = 120


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path))
    yield made
    made.close()


def test_a_child_ends_with_us_and_not_with_whose_child_we_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` names itself to the scheduler as the process to end with; a builder is the scheduler's."""
    told = f"import os, sys; sys.exit(0 if os.environ[{PARENT!r}] == str(os.getppid()) else 9)"
    monkeypatch.setenv(PARENT, str(os.getppid()))
    monkeypatch.setattr(beside, "command", lambda *_: [sys.executable, "-c", told])
    app = App(world.settings.config_dir, world.settings.data_dir)
    assert beside.run(app, ["tiles", "build"], threading.Event()) == 0
    app.close()


def test_archives_of_a_raster_follow_its_style(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_beside, "BUILDERS", (("tiles", "build", "--all"),))
    publish(world, "bahaya", index(), tmp_path, nodata=-9999)
    note = world.settings.data_dir / "layers" / "bahaya" / "tiles" / "1.json"
    app = App(world.settings.config_dir, world.settings.data_dir)

    def ready(other_than: str = "") -> bool:
        said = note.read_text("utf-8") if note.is_file() else ""
        return '"state":"ready"' in said and said != other_than

    with builders_beside(app):
        until(ready, "archives of the first colours", seconds=WAIT)
        first = note.read_text("utf-8")
        styled(world, BLUE)
        until(lambda: ready(first), "archives of the new colours", seconds=WAIT)
    app.close()
