"""Texts that a spreadsheet would run as a formula get an apostrophe in front (OWASP, CSV injection)."""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"[=@\t\r]|[+\-](?![0-9.,\s]|$)")


def cell(value: Any) -> Any:
    """Return a value as a cell of CSV: words for booleans, formulas disarmed, all else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value
