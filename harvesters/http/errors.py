"""From statuses and exceptions of requests / urllib3 to our error tree."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3.exceptions as u3
from requests import Response as Answer

from catalog.clock import Clock
from catalog.errors import (
    AuthSourceError,
    ProtocolError,
    SatuDataError,
    SourceError,
    TransientSourceError,
)
from harvesters.http.auth import Redactor

MAX_RETRY_AFTER = 120.0
"""Longest wait in seconds that a server can impose on one try."""

_TRANSIENT = {408, 421, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529}
_AUTH = {401, 403, 407, 498, 499, 511}
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL, requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema, u3.LocationParseError,
)  # fmt: skip
_TLS_HINT = "check the certificate; verify_tls: false in the source's file switches the check off"


def retry_after(value: str, now: datetime) -> float | None:
    """Read a Retry-After header (seconds or HTTP date) as seconds from `now`, capped; None if unusable."""
    text = value.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (date.astimezone(now.tzinfo) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if seconds == seconds else None


def status_error(answer: Answer, url: str, clock: Clock, said: str = "") -> SourceError:
    """Build the error for an answer that is not 2xx; `said` is the start of its body."""
    status = answer.status_code
    detail = f"HTTP {status} {answer.reason or ''}".strip() + (f": {said}" if said else "")
    if status in _AUTH:
        return AuthSourceError(detail, where=url, status=status)
    if status in _TRANSIENT:
        wait = retry_after(answer.headers.get("Retry-After", ""), clock())
        return TransientSourceError(detail, where=url, status=status, retry_after=wait)
    return ProtocolError(detail, where=url, status=status)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk causes, contexts and wrapped arguments of an exception, each once."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def source_error(error: Exception, url: str, redact: Redactor) -> SatuDataError | None:
    """Turn an exception of the HTTP stack into one of ours; None for anything else (our own fault)."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, SatuDataError):
            return one
    detail = redact(str(chain[-1]) or type(error).__name__)
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in chain):
        return ProtocolError(f"TLS certificate: {detail}", where=url, hint=_TLS_HINT)
    if isinstance(error, requests.TooManyRedirects):
        return ProtocolError("too many redirects", where=url)
    if isinstance(error, _BAD_ADDRESS):
        return ProtocolError(f"bad address: {detail}", where=url)
    if isinstance(error, requests.Timeout | u3.TimeoutError | TimeoutError):
        return TransientSourceError("no answer in time", where=url)
    if isinstance(error, requests.RequestException | u3.HTTPError | OSError):
        return TransientSourceError(f"connection failed: {detail}", where=url)
    return None
