"""How CASEI and ACCENTI change a text, the same in Python and in both stores."""

from __future__ import annotations

import re
import unicodedata

from catalog.errors import QueryError

_MARKS = re.compile("[\u0300-\u036f]")


def text_of(value: str) -> str:
    """Return a text as it would be stored: NFC; QueryError for NUL or half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise QueryError("a text in the question is not Unicode") from error
    if "\0" in value:
        raise QueryError("a text in the question holds a NUL character")
    return unicodedata.normalize("NFC", value)


def folded(text: str) -> str:
    """Return the text in small letters, as CASEI compares it."""
    return text.lower()


def unaccented(text: str) -> str:
    """Return the text without accents, as ACCENTI compares it."""
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
