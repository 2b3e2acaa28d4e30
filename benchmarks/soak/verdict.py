"""What may grow by how much, and what did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.soak.trend import trend


@dataclass(frozen=True, slots=True)
class Limit:
    """By how much a quantity may grow over the judged part of a run; `life` of the first server alone."""

    allowed: float
    unit: str
    life: bool = False


LIMITS = {
    "heap": Limit(1.5, "MB of JavaScript after collection"),
    "nodes": Limit(300, "DOM nodes"),
    "listeners": Limit(60, "event listeners"),
    "browser": Limit(60, "MiB of the browser's processes"),
    "server": Limit(25, "MiB of the server's processes", life=True),
    "files": Limit(8, "open descriptors of the server", life=True),
    "threads": Limit(6, "threads of the server", life=True),
    "held": Limit(2, "connections held by the server"),
    "shown": Limit(2, "seconds until a change shows"),
}


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """Print what each quantity did; return what grew."""
    print("\n| what | first | last | growth | allowed |\n| --- | --- | --- | --- | --- |")
    wrong = []
    for name, limit in LIMITS.items():
        chosen = [row for row in rows if not limit.life or row["life"] == 0]
        found = trend([row["t"] for row in chosen], [row[name] for row in chosen])
        if found is None:
            wrong.append(f"too few samples of {limit.unit}: run longer")
            continue
        print(
            f"| {limit.unit} | {found.first:.1f} | {found.last:.1f} | {found.growth:+.1f} | {limit.allowed:g} |"
        )
        if found.leaks(limit.allowed):
            wrong.append(f"{limit.unit} grew by {found.growth:.1f}; allowed are {limit.allowed:g}")
    return wrong
