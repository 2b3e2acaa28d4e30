"""Makes the archives of a version, whatever is in them: alone, crash-safe, with progress, only when needed.

The note beside the archives says what they were made of. A process that dies leaves the note `building`
and its lock free: whoever comes next begins anew, and what was served before is served until then.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catalog.clock import Clock
from catalog.errors import CancelledRunError, SatuDataError
from layers.geopackage.sqlite import storage_errors
from layers.tiles.state import TileFiles, TileState

type Progress = Callable[[float], None]
"""Is told how far it is, in percent of the whole build."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a build needs beside the data and the plan. `threads` at once; `stop` ends it early."""

    root: Path
    grids: tuple[str, ...]
    clock: Clock
    threads: int = 2
    stop: threading.Event | None = None

    def check(self, where: str) -> None:
        """Raise CancelledRunError when the build is to end."""
        if self.stop is not None and self.stop.is_set():
            raise CancelledRunError("the build was stopped", where=where)


def is_needed(files: TileFiles, tag: str, grids: Sequence[str]) -> bool:
    """Tell whether archives are yet to be made: none, or of another plan than `tag`."""
    known = files.read()
    if known.plan != tag:
        return True
    if known.state == "failed":
        return False  # the same again would fail again
    return known.state != "ready" or not all(files.archive(grid).is_file() for grid in grids)


def make(
    files: TileFiles, layer_id: str, order: Build, tag: str, tool: str, work: Callable[[Meter], None],
    progress: Progress | None = None,
) -> TileState:  # fmt: skip
    """Have `work` make the archives unless another process is at it; return the state.

    `work` places each archive when it is whole and notes its report; its errors are passed on, and the
    note then says `failed` (or `waiting`, when it was stopped).
    """
    with storage_errors(layer_id), files.alone() as alone:
        if not alone:
            return files.read()
        state = TileState(state="building", plan=tag, started=order.clock().isoformat(), tool=tool)
        files.write(state)
        try:
            shutil.rmtree(files.work, ignore_errors=True)
            files.work.mkdir(parents=True)
            work(Meter(files, state, progress))
        except SatuDataError as error:
            over = isinstance(error, CancelledRunError)
            files.write(
                state.model_copy(update={"state": "waiting" if over else "failed", "reason": error.detail})
            )
            raise
        finally:
            shutil.rmtree(files.work, ignore_errors=True)
        state.state, state.progress, state.finished = "ready", 100, order.clock().isoformat()
        files.write(state)
        return state


class Meter:
    """Writes progress to the note, at most once a percent, and tells who wants to know."""

    def __init__(self, files: TileFiles, state: TileState, progress: Progress | None) -> None:
        self.state = state
        self._files, self._progress = files, progress
        self._number, self._of = 0, 1

    def part(self, number: int, of: int) -> None:
        """Begin one of several archives."""
        self._number, self._of = number, of

    def at(self, percent: float) -> None:
        """Take in how far the present archive is."""
        whole = (self._number + min(percent, 100) / 100) / self._of * 99
        if whole < self.state.progress + 1:
            return  # tippecanoe starts anew per zoom at times; we never go back
        self.state.progress = whole
        self._files.write(self.state)
        if self._progress is not None:
            self._progress(whole)
