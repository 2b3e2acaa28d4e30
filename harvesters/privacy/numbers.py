"""How numbers and addresses of persons are written: NIK, family card (KK), mobile phone, e-mail."""

from __future__ import annotations

import re
import unicodedata

SEPARATORS = r"[ .\-/_]{0,3}"
DIGITS16 = re.compile(rf"(?<!\d)(?<!\d\.)\d(?:{SEPARATORS}\d){{15}}(?![\d])")
_PLAUSIBLE = re.compile(
    r"(?:1[1-9]|21|3[1-6]|5[1-3]|6[1-5]|7[1-6]|8[12]|9[1-7])(?:0[1-9]|[1-7]\d)(?:0[1-9]|[1-9]\d)"
    r"(?:0[1-9]|[12]\d|3[01]|4[1-9]|[56]\d|7[01])(?:0[1-9]|1[0-2])\d\d\d{4}"
)
"""PP KK CC, then the birth date DDMMYY (day + 40 for women) or a family card's date, then a number."""
_DECIMAL = re.compile(r"\d{1,3}\.\d{13,15}")
PHONE = re.compile(r"(?<![\d.])(?:\+?62[ \-]?|0)8[1-9](?:[ .\-/]?\d){7,10}(?!\d)")
DIGITS_PHONE = re.compile(r"(?<![\d.])\+?\d(?:[ .\-/]?\d){9,13}(?!\d)")
BARE_PHONE = re.compile(r"(?m)^(?:62)?8[1-9]\d{7,10}$")
EMAIL = re.compile(r"(?i)(?<![\w.+-])[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")
OFFICE = re.compile(r"(?i)(?:^|\.)(?:go|desa|mil|sch|ac)\.id$")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_DASH = re.compile("[\u2010-\u2015\u2212]")


def plausible(digits: str) -> bool:
    """Tell whether 16 digits (separators allowed) are built as a NIK or family card number.

    A decimal number is none: `7.106123456789012` is a latitude of Java.
    """
    if _DECIMAL.fullmatch(digits):
        return False
    return _PLAUSIBLE.fullmatch(re.sub(r"\D", "", digits)) is not None


def ascii_digits(text: str) -> str:
    """Undo what hides digits: full-width and other scripts' digits, dashes, zero-width characters."""
    if text.isascii():
        return text
    text = _DASH.sub("-", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    return _FOREIGN_DIGIT.sub(lambda m: str(unicodedata.decimal(m.group())), text)
