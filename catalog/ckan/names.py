"""CKAN's rules for names and tags, and texts of ours made to fit them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_MAX = 100
_TAKEN = {"new", "edit", "search"}
"""Names that CKAN keeps for its own pages."""


def _marked(name: str, original: str) -> str:
    """Shorten `name` and add a mark of `original`, so that two that lost something never meet."""
    mark = hashlib.sha256(original.encode()).hexdigest()[:8]
    return f"{name[: _MAX - 9].strip('-_')}-{mark}".lstrip("-")


def package_name(dataset_id: str) -> str:
    """Return the package's name: the dataset id wherever CKAN allows it. Stable and unique."""
    fits = re.fullmatch(r"[a-z0-9_-]{2,100}", dataset_id) and dataset_id not in _TAKEN
    return dataset_id if fits else _marked(re.sub(r"[^a-z0-9_-]+", "-", dataset_id.lower()), dataset_id)


def organisation_name(title: str) -> str:
    """Return the organisation's name for a produsen data; "" when there is none.

    Spelling in capitals or with other spaces is the same organisation.
    """
    words = " ".join(title.split()).casefold()
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not words:
        return ""
    return name if 2 <= len(name) <= _MAX and name not in _TAKEN else _marked(name, words)


def clean_tags(words: Iterable[str]) -> list[str]:
    """Return tags as CKAN takes them: letters, digits, space, `-_.`; 2 to 100 long; each once."""
    found: dict[str, str] = {}
    for word in words:
        text = re.sub(r"[^\w\-.]+", " ", unicodedata.normalize("NFC", word))
        tag = " ".join(text.split())[:_MAX].strip()
        if len(tag) >= 2:
            found.setdefault(tag.casefold(), tag)
    return list(found.values())
