"""How a run tells a person how far it is; the engine calls, the CLI and the web page show."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows the course of a run. Called from the engine's thread; must return at once."""

    def phase(self, name: str) -> None:
        """Tell that the run entered a phase (`list`, `stage`, `swap`...)."""
        ...

    def layer(self, id: str, expected: int | None) -> None:
        """Tell that a dataset begins, and how many items it should have (None: not known)."""
        ...

    def advance(self, n: int) -> None:
        """Tell that `n` more items of the current dataset are done."""
        ...


class Silent:
    """Shows nothing."""

    def phase(self, name: str) -> None:
        """Ignore."""

    def layer(self, id: str, expected: int | None) -> None:
        """Ignore."""

    def advance(self, n: int) -> None:
        """Ignore."""
