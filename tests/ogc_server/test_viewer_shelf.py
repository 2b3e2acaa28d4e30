"""The map's first pictures in the data folder: there from the first answer, whatever happened before."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import shapely

from layers.tiles.request import TileBusyError
from ogc_server import viewer_shelf
from ogc_server.viewer_picture import Picture
from ogc_server.viewer_shelf import Pictures
from tests.servers import until

if TYPE_CHECKING:
    from catalog.datasets import Dataset
    from catalog.model import VersionInfo
    from ogc_server.tiles_desk import TileDesk

BOX = (106.0, -8.0, 108.0, -6.0)


class Tiles:
    """A desk whose archive is known by a tag, and how often its tiles were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tag = "a"
        self.read = 0
        self.error: Exception | None = None
        monkeypatch.setattr(viewer_shelf, "read", self._read)

    def archive(self, layer: str, version: int, grid: str) -> object:
        return SimpleNamespace(tag=self.tag) if self.tag else None

    def _read(self, *_: object) -> object:
        self.read += 1
        if self.error:
            raise self.error
        import numpy as np

        return np.array([shapely.box(0, 0, 4000, 4000 + 100 * self.read)])


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> Tiles:
    return Tiles(monkeypatch)


def layers(version: int = 1) -> list[tuple[Dataset, VersionInfo]]:
    info = SimpleNamespace(layer_id="batas", version=version, checksum="c")
    return [(cast("Dataset", SimpleNamespace(id="batas")), cast("VersionInfo", info))]


def made(pictures: Pictures, version: int = 1) -> Picture:
    until(lambda: pictures.of(layers(version), BOX) is not None, "the picture")
    picture = pictures.of(layers(version), BOX)
    assert picture is not None
    return picture


def test_it_is_made_once_and_then_there_for_every_process(tiles: Tiles, tmp_path: Path) -> None:
    first = Pictures(cast("TileDesk", tiles), tmp_path)
    assert first.of(layers(), BOX) is None  # in the background: nobody waits for it
    picture = made(first)
    again = Pictures(cast("TileDesk", tiles), tmp_path)
    assert again.of(layers(), BOX) == picture  # its very first answer
    assert tiles.read == 1


def test_two_processes_that_begin_together_make_one(tiles: Tiles, tmp_path: Path) -> None:
    several = [Pictures(cast("TileDesk", tiles), tmp_path) for _ in range(4)]
    workers = [threading.Thread(target=made, args=(one,)) for one in several]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({made(one).land for one in several}) == 1
    assert tiles.read == 1


def test_tiles_made_anew_have_it_drawn_anew_and_the_old_one_serves_meanwhile(
    tiles: Tiles, tmp_path: Path
) -> None:
    pictures = Pictures(cast("TileDesk", tiles), tmp_path)
    old = made(pictures)
    tiles.tag = "b"
    assert pictures.of(layers(), BOX) == old
    until(lambda: pictures.of(layers(), BOX) != old, "the new picture")
    assert Pictures(cast("TileDesk", tiles), tmp_path).of(layers(), BOX) == made(pictures)
    assert tiles.read == 2


def test_another_version_never_shows_the_picture_of_the_last(tiles: Tiles, tmp_path: Path) -> None:
    pictures = Pictures(cast("TileDesk", tiles), tmp_path)
    made(pictures)
    assert pictures.of(layers(2), BOX) is None
    made(pictures, 2)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"picture": {"at": 1}, "tags": []}', '{"tags": ["a"]}'])
def test_half_a_file_is_made_again(tiles: Tiles, tmp_path: Path, text: str) -> None:
    made(Pictures(cast("TileDesk", tiles), tmp_path))
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)
    made(Pictures(cast("TileDesk", tiles), tmp_path))
    assert json.loads(file.read_text())["tags"] == ["a"]
    assert not list(tmp_path.glob("*.part"))


def test_without_a_folder_to_write_to_each_process_makes_its_own(tiles: Tiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    made(Pictures(cast("TileDesk", tiles), tmp_path / "file" / "viewer"))


def test_tiles_that_are_not_ready_are_waited_for_until_there_are_others(tiles: Tiles, tmp_path: Path) -> None:
    pictures = Pictures(cast("TileDesk", tiles), tmp_path)
    tiles.tag, tiles.error = "", TileBusyError(where="batas")
    assert pictures.of(layers(), BOX) is None
    until(lambda: tiles.read == 1, "a try")
    assert not list(tmp_path.glob("*.json"))
    tiles.tag, tiles.error = "a", None
    made(pictures)


def test_old_ones_are_dropped(tiles: Tiles, tmp_path: Path) -> None:
    for version in range(1, 22):
        made(Pictures(cast("TileDesk", tiles), tmp_path), version)
    assert len(list(tmp_path.glob("*.json"))) == 16
