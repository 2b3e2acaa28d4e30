"""What a route is: one address pattern, who answers it, in which forms, with which parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.settings import ServerSettings
from ogc_server.answer import Answer
from ogc_server.ask import Ask
from ogc_server.negotiation import Offer
from ogc_server.parameters import Param
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

type Handler = Callable[[Service, Snapshot, Ask], Answer]
type Table = Callable[[ServerSettings], tuple[Param, ...]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address pattern; `{}` segments are arguments. `queryables` lets attribute names be asked."""

    pattern: tuple[str, ...]
    handler: Handler
    offers: Sequence[Offer]
    table: Table
    methods: tuple[str, ...] = ("GET",)
    queryables: bool = False
    max_body: int = 1 << 20
    summary: str = ""

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the arguments when the path fits, else None."""
        if len(segments) != len(self.pattern):
            return None
        arguments = []
        for wanted, given in zip(self.pattern, segments, strict=True):
            if wanted.startswith("{"):
                arguments.append(given)
            elif wanted != given:
                return None
        return tuple(arguments)
