"""Every text a person reads, Indonesian first, English second, from one catalogue.

Keys are dotted (`error.config.hint`); values may hold `{name}` places. A missing key is a defect,
shown as the key itself so that a person still sees something; a test holds that none is missing.
The catalogue is every `messages*.yml` that stands in a room of the house.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

Lang = Literal["id", "en"]
LANGS: tuple[Lang, ...] = get_args(Lang)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HOUSE = Path(__file__).resolve().parent.parent


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return key -> {"id": text, "en": text} of all rooms."""
    merged: dict[str, dict[str, str]] = {}
    for room in ("catalog", "layers", "harvesters", "analysis", "ogc_server", "cli"):
        for path in sorted((_HOUSE / room).glob("messages*.yml")):
            merged.update(yaml.load(path.read_text("utf-8"), Loader=_LOADER) or {})  # noqa: S506 - a safe one
    return merged


def text(key: str, lang: str = "id", **params: Any) -> str:
    """Return the text for `key` in `lang` (falls back to Indonesian, then to the key)."""
    entry = catalogue().get(key, {})
    template = entry.get(lang) or entry.get("id") or key
    return template.format(**params) if params else template
