"""Progress bars with counts and time left, or quiet lines where there is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli.app import App


class HarvestProgress:
    """Implements `harvesters.progress.Progress` on a terminal; silent under --json."""

    def __init__(self, app: App, source_id: str) -> None:
        self._app, self._source = app, source_id
        self._task: TaskID | None = None
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=app.console,
            disable=app.as_json or not app.console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def layer(self, layer_id: str, expected: int | None) -> None:
        """Begin one dataset."""
        self._task = self._bars.add_task(f"{self._source} · {layer_id}", total=expected)

    def advance(self, count: int) -> None:
        """Count features (or bytes, tiles) done."""
        if self._task is not None:
            self._bars.advance(self._task, count)

    def phase(self, name: str) -> None:
        """Show the run's phase beside the dataset."""
        if self._task is not None:
            label = self._app.text(f"cli.phase.{name}")
            self._bars.update(self._task, description=f"{self._source} · {label}")
