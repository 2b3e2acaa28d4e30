"""One error tree. Each class has a stable `code`, an HTTP status and a process exit code.

An error says what happened, where, and what to do: the three come from the message catalogue
(`catalog/messages.yml`, keys `error.<code>` and `error.<code>.hint`), so people read them in
Indonesian or English while scripts match on `code`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from catalog.messages import text


class SatuDataError(Exception):
    """Base of all our errors.

    `where` names the place (file:line, URL, dataset id) without secrets; `params` fill the message.
    """

    code: ClassVar[str] = "satudata"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str = "", *, where: str = "", hint: str = "", **params: Any) -> None:
        self.detail = detail
        self.where = where
        self.params = params
        self._hint = hint
        super().__init__(detail or self.code)

    def message(self, lang: str = "id") -> str:
        """Say what happened, in one sentence, without the hint."""
        title = text(f"error.{self.code}", lang, **self.params)
        parts = [title, self.detail] if self.detail else [title]
        return ": ".join(parts) + (f" ({self.where})" if self.where else "")

    def hint(self, lang: str = "id") -> str:
        """Say what to do about it."""
        return self._hint or text(f"error.{self.code}.hint", lang, **self.params)

    def __str__(self) -> str:
        return self.message("en")


class ConfigError(SatuDataError, ValueError):
    """The configuration is wrong: names file, line and the nearest right key."""

    code = "config"
    http_status = 400
    exit_code = 2


class SourceError(SatuDataError):
    """An upstream did not give what it promised."""

    code = "source"
    http_status = 502
    exit_code = 3


class TransientSourceError(SourceError, ConnectionError):
    """Time-out, 429, 5xx, cut connection: the only class that is retried."""

    code = "source-transient"
    http_status = 503


class AuthSourceError(SourceError, PermissionError):
    """The upstream refused our credentials (401, 403, ArcGIS 498/499)."""

    code = "source-auth"


class ProtocolError(SourceError, ValueError):
    """The upstream broke its protocol: unreadable, HTML for JSON, missing parts."""

    code = "source-protocol"


class IncompleteError(SourceError):
    """What was stored is not what the source listed."""

    code = "source-incomplete"


class ForbiddenAddressError(SourceError, PermissionError):
    """The address policy does not allow this target."""

    code = "source-address"


class CancelledRunError(SourceError):
    """A person cancelled the run."""

    code = "run-cancelled"


class BusySourceError(SourceError):
    """Another run of this source holds the lease."""

    code = "run-busy"
    http_status = 409
    exit_code = 4


class HeldError(SatuDataError):
    """A guard refused a complete run; a steward decides."""

    code = "run-held"
    http_status = 409
    exit_code = 5


class RecordError(SatuDataError, ValueError):
    """One record, row or feature can not be used."""

    code = "record"
    http_status = 400


class AmbiguousCodeError(RecordError):
    """A region code fits more than one scheme or region; it is never guessed."""

    code = "code-ambiguous"


class NotFoundError(SatuDataError, LookupError):
    """No such dataset, version, feature, source or run."""

    code = "not-found"
    http_status = 404


class GoneError(NotFoundError):
    """It was here and was withdrawn (HTTP 410 with the reason)."""

    code = "gone"
    http_status = 410


class QueryError(SatuDataError, ValueError):
    """A question that is malformed: bad bbox, datetime, filter, property, CRS."""

    code = "query"
    http_status = 400


class PublishError(SatuDataError, RuntimeError):
    """A version could not be written, verified or made current."""

    code = "publish"


class StorageFullError(PublishError, OSError):
    """The disk or database has no room left; the last good version stays."""

    code = "storage-full"
    http_status = 507


class AccessError(SatuDataError, PermissionError):
    """The caller may not see this dataset."""

    code = "access"
    http_status = 403
