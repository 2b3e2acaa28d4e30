"""Where a version's archives are, and how far they are: one small JSON file beside them.

`<layer>/tiles/<version>.<grid>.pmtiles` exists if and only if it is whole; `<version>.json` says how
it was made, or how far it is; `<version>.lock` keeps two processes from building it at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from layers.files import LayerFiles
from layers.geopackage.sqlite import sync

State = Literal["waiting", "building", "ready", "failed", "on-request"]


class GridReport(BaseModel):
    """What one finished archive holds: bytes, tiles, the largest tile, and per zoom what was thinned."""

    bytes: int
    tiles: int
    largest_tile: int
    max_zoom: int
    seconds: float
    thinned: dict[str, dict[str, int]] = Field(default_factory=dict)


class TileState(BaseModel):
    """The state of a version's tiles. `progress` is in percent; `plan` tells what they were made of."""

    state: State = "waiting"
    progress: float = 0
    plan: str = ""
    started: str = ""
    finished: str = ""
    reason: str = ""
    tool: str = ""
    grids: dict[str, GridReport] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TileFiles:
    """The paths of one version's tiles."""

    folder: Path
    version: int

    @classmethod
    def of(cls, root: Path, layer_id: str, version: int) -> TileFiles:
        """Return the paths below the store's folder `root` (`<data>/layers`)."""
        return cls(LayerFiles(root, layer_id).folder / "tiles", version)

    def archive(self, grid: str) -> Path:
        """Return the archive of a grid."""
        return self.folder / f"{self.version}.{grid}.pmtiles"

    @property
    def note(self) -> Path:
        """Where the state is written."""
        return self.folder / f"{self.version}.json"

    @property
    def work(self) -> Path:
        """Where a build keeps what is not finished."""
        return self.folder / f".build-{self.version}"

    def read(self) -> TileState:
        """Return the state; `waiting` when nothing is known or the note is damaged."""
        try:
            return TileState.model_validate_json(self.note.read_bytes())
        except (OSError, ValidationError):
            return TileState()

    def write(self, state: TileState) -> None:
        """Write the state: readers see the old one or the new one, never a half."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.note.with_suffix(f".json.{os.getpid()}")
        beside.write_text(state.model_dump_json(), "utf-8")
        beside.replace(self.note)

    def place(self, made: Path, grid: str) -> None:
        """Move a finished archive to where it is served from; durable when this returns."""
        made.chmod(0o444)
        sync(made)
        made.replace(self.archive(grid))
        sync(self.folder)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yield True while this process alone builds the version, False when another does.

        The lock is the kernel's: it is free again at once when its holder dies.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.version}.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def drop_tiles(root: Path, layer_id: str, version: int) -> None:
    """Delete all tiles of a version; those who read an archive keep it until they let go."""
    folder = LayerFiles(root, layer_id).folder / "tiles"
    for path in folder.glob(f"{version}.*") if folder.is_dir() else ():
        path.unlink(missing_ok=True)


def tiled_layers(root: Path) -> list[str]:
    """Return the layers that have a folder of tiles."""
    return sorted(path.parent.name for path in root.glob("*/tiles") if not path.parent.name.startswith("."))


def stored_tiles(root: Path, layer_id: str) -> list[int]:
    """Return the versions that have tiles or a note of them, oldest first."""
    folder = LayerFiles(root, layer_id).folder / "tiles"
    numbers = {path.name.split(".")[0] for path in folder.glob("*.*")} if folder.is_dir() else set()
    return sorted(int(number) for number in numbers if number.isdecimal())


def summary(state: TileState) -> dict[str, Any]:
    """Return the state as people and documents are told it."""
    return {
        "state": state.state, "progress": round(state.progress), "started": state.started,
        "finished": state.finished, "reason": state.reason,
    }  # fmt: skip
