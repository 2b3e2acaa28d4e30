"""CKAN's action API through ckanapi, carried by our HTTP client.

ckanapi alone knows neither retries nor Retry-After, and reports a maintenance page or another
product's 404 as "unknown error"; here those are our transient and protocol errors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from ckanapi import RemoteCKAN
from ckanapi.errors import (
    CKANAPIError,
    NotAuthorized,
    NotFound,
    ServerIncompatibleError,
    ValidationError,
)
from requests import Response as Answer

from catalog.clock import utc_now
from catalog.errors import AuthSourceError, NotFoundError, ProtocolError, TransientSourceError
from harvesters.http.auth import safe_url
from harvesters.http.client import HttpClient, excerpt
from harvesters.http.errors import status_error
from harvesters.http.watch import Watch

_HINT = "see whether this address still is a CKAN: open URL/api/3/action/status_show"


class CkanClient(RemoteCKAN):  # type: ignore[misc] # ckanapi has no types
    """`RemoteCKAN` whose requests are retried, limited, cancelled and redacted as all of ours are.

    Read actions go by GET: firewalls in front of agencies' CKANs often refuse POST.
    """

    base_url = "api/3/action/"

    def __init__(self, url: str, http: HttpClient) -> None:
        super().__init__(url, user_agent=str(http.session.headers["User-Agent"]), get_only=True,
                         session=http.session)  # fmt: skip
        self.http = http

    def call(self, action: str, **data: Any) -> Any:
        """Call `action` and return its result.

        Raises NotFoundError, AuthSourceError, TransientSourceError or ProtocolError.
        """
        where = self.http.redact(safe_url(f"{self.address.rstrip('/')}/{self.base_url}{action}"))
        try:
            return self.call_action(action, _flat(data))
        except NotFound as exc:
            raise NotFoundError(str(exc), where=where) from exc
        except NotAuthorized as exc:
            raise AuthSourceError(self._said(exc), where=where) from exc
        except (ValidationError, ServerIncompatibleError, CKANAPIError) as exc:
            raise ProtocolError(self._said(exc), where=where, hint=_HINT) from exc

    def close(self) -> None:
        """Leave the session to the HTTP client that owns it."""

    def _said(self, error: Exception) -> str:
        return self.http.redact(str(error))[:300] or type(error).__name__

    def _request_fn_get(
        self, url: str, params: Mapping[str, Any], headers: Mapping[str, str], kwargs: Mapping[str, Any]
    ) -> tuple[int, str]:
        settings = self.http.settings

        def once(watch: Watch) -> tuple[int, str]:
            answer = self.session.get(
                url, params=params, headers=headers, hooks={"response": watch.answered},
                timeout=(settings.connect_timeout_seconds, settings.timeout_seconds),
            )  # fmt: skip
            return answer.status_code, self._accept(answer)

        return self.http.attempt(once, url, settings.timeout_seconds)

    def _accept(self, answer: Answer) -> str:
        """Return the body when CKAN speaks (even to refuse); raise for anything else."""
        url = self.http.redact(safe_url(str(answer.url)))
        said = self.http.redact(excerpt(answer.content))
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            if not answer.ok:
                raise _foreign(answer, url, said) from None
            raise _unreadable(answer)(f"not JSON: {said}", where=url, hint=_HINT) from None
        if not isinstance(body, dict) or "success" not in body:
            raise _foreign(answer, url, said)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise status_error(answer, url, utc_now, said)
        return answer.text


def _unreadable(answer: Answer) -> Callable[..., ProtocolError | TransientSourceError]:
    """A JSON text that breaks off is worth another try; a page is not."""
    return TransientSourceError if answer.content.lstrip()[:1] == b"{" else ProtocolError


def _foreign(answer: Answer, url: str, said: str) -> Exception:
    """Build the error for an answer that is not CKAN's."""
    if b"__NEXT_DATA__" in answer.content or "Next.js" in answer.headers.get("X-Powered-By", ""):
        detail = f"HTTP {answer.status_code} of a Next.js site: the CKAN that was here is gone"
        return ProtocolError(detail, where=url, hint=_HINT)
    if answer.ok or answer.status_code == 404:
        return ProtocolError(f"HTTP {answer.status_code}, not a CKAN answer: {said}", where=url, hint=_HINT)
    return status_error(answer, url, utc_now, said)


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write structures as JSON and booleans as CKAN reads them, for a query string."""
    return {
        key: json.dumps(value) if isinstance(value, dict | list | bool) else value
        for key, value in data.items()
        if value is not None
    }
