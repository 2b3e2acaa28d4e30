"""Saying to a person, in their language, why a run ended as it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.messages import catalogue, text
from catalog.runs import Run
from harvesters.engine.guards import Reason

_GOOD = {"ok", "unchanged"}


def explain(run: Run, lang: str = "id") -> list[str]:
    """Return one sentence per dataset that did not end well, then one for the run itself if needed.

    Technical details of an error stay as the source gave them.
    """
    datasets: Mapping[str, Any] = run.details.get("datasets") or {}
    lines = [f"{name}: {said}" for name, facts in datasets.items() for said in _dataset(facts, lang)]
    if not lines and run.code:
        lines.append(_said(run.code, run.reason, lang))
    return lines


def _dataset(facts: Mapping[str, Any], lang: str) -> Iterator[str]:
    if facts.get("guards"):
        for guard in facts["guards"]:
            yield Reason(guard["code"], guard.get("params") or {}).text(lang)
    elif facts.get("state") not in _GOOD or facts.get("code") == "rejected-before":
        yield _said(facts.get("code", ""), facts.get("reason", ""), lang)


def title_of(code: str, lang: str) -> str:
    """Return what an error or guard code means, without the details, which are not for everybody."""
    known = (text(k, lang) for k in (f"run.{code}", f"error.{code}") if k in catalogue())
    return next((title for title in known if "{" not in title), code)


def _said(code: str, reason: str, lang: str) -> str:
    title = title_of(code, lang)
    return f"{title}: {reason}" if reason and reason != title else title
