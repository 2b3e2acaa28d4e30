"""`satudata downloads build`, and that it runs beside the scheduler by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.app import App
from cli.build_beside import builders_beside
from cli.main import main
from layers.downloads.shelf import REVISION
from tests.ogc_server.world import POINTS, World, make_settings, open_world, points
from tests.servers import until

WAIT = 140.0
"""The builders give way to all others."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path))
    made.publish("gudang", POINTS, points(), title="Gudang")
    yield made
    made.close()


def test_files_are_made_once_and_listed(world: World) -> None:
    folders = ["--config", str(world.settings.config_dir), "--data", str(world.settings.data_dir), "--json"]
    first = CliRunner().invoke(main, [*folders, "downloads", "build"])
    assert first.exit_code == 0, first.output
    made = json.loads(first.output)
    assert {one["format"] for one in made} == {
        "gpkg", "geoparquet", "flatgeobuf", "shapefile", "geojson", "csv", "csvw", "kml",
    }  # fmt: skip
    again = json.loads(CliRunner().invoke(main, [*folders, "downloads", "build", "gudang"]).output)
    assert again == made
    wrong = CliRunner().invoke(main, [*folders, "downloads", "build", "tidak-ada"])
    assert wrong.exit_code != 0
    assert "tidak-ada" in wrong.output


def test_a_new_version_gets_its_files_by_itself(world: World) -> None:
    app = App(world.settings.config_dir, world.settings.data_dir)
    root = world.settings.data_dir / "downloads" / "gudang"
    with builders_beside(app):
        until((root / f"v1-r{REVISION}" / "gudang-v1.gpkg").is_file, "files of the first", seconds=WAIT)
        world.publish("gudang", POINTS, points(7), title="Gudang")
        until((root / f"v2-r{REVISION}" / "gudang-v2.gpkg").is_file, "files of the second", seconds=WAIT)
    assert not [thread for thread in threading.enumerate() if thread.name == "build"]
    app.close()
