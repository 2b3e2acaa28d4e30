"""Secrets are configured by reference only, and never reach a log, an error or the database."""

from __future__ import annotations

import os
import re
from pathlib import Path

from catalog.errors import ConfigError

_ENV = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")
_HIDDEN = "***"


def resolve(ref: str) -> str:
    """Return the secret that `${ENV}` or `file:PATH` names; ConfigError for anything else."""
    name = _ENV.match(ref)
    if name:
        value = os.environ.get(name[1])
        if value is None:
            raise ConfigError(f"the environment variable {name[1]} is not set", where=ref)
        return value
    if ref.startswith("file:"):
        try:
            return Path(ref.removeprefix("file:")).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigError(f"the secret's file can not be read: {error.strerror}", where=ref) from error
    raise ConfigError(
        "a secret must be given by reference",
        hint='Write "${NAME}" and set that environment variable, or "file:/path/to/secret".',
    )


def is_reference(ref: str) -> bool:
    """Tell whether `ref` has the form of a reference (it need not resolve)."""
    return bool(_ENV.match(ref)) or ref.startswith("file:")


_KEYS = (
    r"(?:access[_-]?token|refresh[_-]?token|id[_-]?token|token|api[_-]?key|apikey|key|secret|"
    r"client[_-]?secret|password|passwd|pwd|pass|signature|sig|sid|session(?:id)?)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@host
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s/:@?#]*:)[^\s/?#]*@", re.I), rf"\g<keep>{_HIDDEN}@"),
    # Authorization: Bearer abc; X-Api-Key: abc; Cookie: a=b
    (
        re.compile(r"(?P<keep>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token|digest)\s+)?)"
                   r"[^\s\"',;}]+", re.I),
        rf"\g<keep>{_HIDDEN}",
    ),
    (re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.I), rf"\g<keep>{_HIDDEN}"),
    (re.compile(r"(?P<keep>\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\n\"']+", re.I), rf"\g<keep>{_HIDDEN}"),
    # token=abc, "password": "abc", X-Api-Key: abc
    (
        re.compile(rf"(?P<keep>(?<![A-Za-z0-9])(?:[A-Za-z]+[_-])?{_KEYS}[\"']?\s*[=:]\s*)"
                   r"(?:\"[^\"]*\"|'[^']*'|[^\s&\"',;}\]]+)", re.I),
        rf"\g<keep>{_HIDDEN}",
    ),
    # A JSON web token wherever it stands
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), _HIDDEN),
    # NIK and KK numbers: 16 digits, also written in groups; not the decimals of a coordinate
    (re.compile(r"(?<!\d)(?<!\d\.)(?:\d{16}|\d{4}(?:[ .-]\d{4}){3}|\d{6}[ .-]\d{6}[ .-]\d{4})(?!\d)"),
     "[16 digit]"),
)  # fmt: skip


def redact(text: str) -> str:
    """Hide passwords, tokens and NIK-like numbers in a text bound for a log, an error or the database."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
