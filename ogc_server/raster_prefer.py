"""The `Prefer` header at coverages (RFC 7240; Coverages 1.0 rc4, `core/preference-handling-*`).

How values are interpolated follows from the data (measurements averaged, classes nearest) and can not
be chosen. Without `handling=strict` a preference is ignored, as the standard has it; with it, a wish
that is not met is a 400. Native resolution is always what is answered, or 413.
"""

from __future__ import annotations

import re

from ogc_server.ask import Ask
from ogc_server.errors import ParameterError

_STRICT = re.compile(r"(?:^|[,;])\s*handling\s*=\s*\"?strict\"?\s*(?:[,;]|$)", re.IGNORECASE)
_INTERPOLATION = re.compile(r"(?:^|[,;])\s*(?:properties-)?interpolation\s*=", re.IGNORECASE)


def check_preference(ask: Ask) -> None:
    """Refuse a strict wish for an interpolation method."""
    said = ask.headers.get("prefer") or ""
    if _STRICT.search(said) and _INTERPOLATION.search(said):
        raise ParameterError("query.interpolation", "Prefer")
