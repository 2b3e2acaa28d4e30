"""The rows that `satudata reconcile` shows."""

from __future__ import annotations

from typing import Any

from catalog.reconciliation_model import Decision, QueueItem, RuleEntry
from cli.app import App

QUEUE = ("key", "kelas", "nama_a", "nama_b", "berbeda", "kandidat", "state", "note")
HISTORY = ("at", "number", "rule", "key", "action", "by", "reason", "until", "undone")


def item_row(app: App, item: QueueItem) -> dict[str, Any]:
    """Return an item as a flat row; `berbeda` says column by column what A and B say."""
    facts = item.facts
    return {
        "key": item.key, "kelas": item.verdict, "kode_a": facts.get("code_a"), "kode_b": facts.get("code_b"),
        "nama_a": facts.get("name_a"), "nama_b": facts.get("name_b"), "perpindahan": facts.get("move"),
        "mutu": facts.get("quality"), "berbeda": _differs(facts), "kandidat": facts.get("candidate"),
        "kemiripan_nama": facts.get("likeness"), "keterangan": facts.get("note"), "state": item.state,
        "note": app.text(f"reconcile.note.{item.note}") if item.note else "", "decision": item.decision,
    }  # fmt: skip


def _differs(facts: dict[str, Any]) -> str:
    columns = facts.get("differs", [])
    pairs = [pair for pair in facts.get("values", []) if pair[0] != pair[1]]
    if len(columns) != len(pairs):  # some differ within their tolerance
        return ", ".join(columns)
    return ", ".join(f"{name}: {one} | {other}" for name, (one, other) in zip(columns, pairs, strict=True))


def decision_row(app: App, one: Decision) -> dict[str, Any]:
    """Return a decision as a row of the history."""
    details = ", ".join(f"{name}={value}" for name, value in one.details.items())
    return {
        "at": one.at.isoformat(timespec="seconds"), "number": one.number, "rule": one.rule, "key": one.key,
        "action": f"{one.action} {details}".strip(), "by": one.by, "reason": one.reason,
        "until": one.until.date().isoformat() if one.until else None, "undone": _undone(app, one),
    }  # fmt: skip


def rule_row(app: App, one: RuleEntry) -> dict[str, Any]:
    """Return a rule as a row of the history; in place of a key stands what it fits."""
    fits = ", ".join(f"{name}={value}" for name, value in one.fits.items())
    return {
        "at": one.at.isoformat(timespec="seconds"), "number": None, "rule": one.number, "key": fits,
        "action": one.action, "by": one.by, "reason": one.reason,
        "until": one.until.date().isoformat() if one.until else None, "undone": _undone(app, one),
    }  # fmt: skip


def _undone(app: App, one: Decision | RuleEntry) -> str:
    if one.undone_at is None:
        return ""
    return app.text("cli.reconcile.undone-by", by=one.undone_by, reason=one.undone_reason)
