"""How a text becomes search words: no accents, no case, letters and digits only."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_LONGEST = 40
_PERSON = 16
_MOST_QUERY_WORDS = 20


def fold(text: str) -> str:
    """Return a text without accents and case, for comparing and sorting."""
    if text.isascii():
        return text.casefold().strip()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().strip()


def words(text: str) -> list[str]:
    """Return the folded words of a text in order, each cut at 40 characters.

    Numbers of 16 digits (NIK, KK) are no words: a person's number is neither indexed nor found.
    """
    found = (word[:_LONGEST] for word in _WORD.findall(fold(text)))
    return [word for word in found if not (len(word) == _PERSON and word.isdecimal())]


def query_words(text: str) -> list[str]:
    """Return the distinct words of a question (the last may be unfinished), at most 20."""
    return list(dict.fromkeys(words(text)))[:_MOST_QUERY_WORDS]
