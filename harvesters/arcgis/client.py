"""The dialogue with an ArcGIS Server: POST first, GET as fallback, errors inside HTTP 200.

An answer counts only when it is a JSON object without `error`. HTML, a truncated body and the
`{"error": ...}` envelope are errors although the status is 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from catalog.errors import AuthSourceError, ProtocolError, SourceError, TransientSourceError
from catalog.secrets import resolve
from harvesters.http.client import HttpClient, Response

_AUTH = {401, 403, 498, 499}
_BUSY = {429, 502, 503, 504}
_LONG_URL = 1500
"""Old servers and proxies cut addresses above about 2,000 characters: such questions need POST."""


class ArcGISClient:
    """Asks one ArcGIS source.

    With `username` and `password` (references) and `token_url` it fetches its own token and renews
    it once when the server says it has expired; a fixed `token` is put on by the HTTP client.
    """

    def __init__(
        self, http: HttpClient, *, token_url: str = "", auth: Mapping[str, str] | None = None
    ) -> None:
        self.http = http
        self.post_works: bool | None = None
        self.last_bytes = 0
        self.server_day = ""
        """Day of the server's clock at the last answer, as its Date header says it."""
        self._token_url, self._auth, self._token = token_url, dict(auth or {}), ""

    def ask(self, url: str, params: Mapping[str, Any], *, retries: int | None = None) -> dict[str, Any]:
        """Return the JSON object that answers. Raises the SourceError tree, never a bad answer.

        `retries` counts transient failures tried again; None is the deployment's setting.
        """
        tries = 1 + (self.http.settings.retries if retries is None else retries)
        for attempt in range(1, tries + 1):
            try:
                return self._renewing(url, params, retries)
            except TransientSourceError as e:
                # A status that the HTTP client saw was retried there; an error within 200 was not.
                if attempt == tries or not e.params.get("inside"):
                    raise
                self.http.cancel.wait(self.http.settings.backoff_seconds * 2 ** (attempt - 1))
        raise AssertionError("unreachable")  # pragma: no cover

    def _renewing(self, url: str, params: Mapping[str, Any], retries: int | None) -> dict[str, Any]:
        if not self._token_url:
            return self._once(url, params, retries)
        self._token = self._token or self._new_token()
        try:
            return self._once(url, {**params, "token": self._token}, retries)
        except AuthSourceError:
            self._token = self._new_token()
            return self._once(url, {**params, "token": self._token}, retries)

    def _new_token(self) -> str:
        names = ("username", "password")
        answer = self._once(
            self._token_url,
            {
                **{n: resolve(self._auth[n]) for n in names if n in self._auth},
                "client": "requestip",
                "expiration": 60,
            },
            None,
        )
        if not isinstance(token := answer.get("token"), str):
            raise AuthSourceError("the token service gave no token", where=self._token_url)
        return token

    def _once(self, url: str, params: Mapping[str, Any], retries: int | None) -> dict[str, Any]:
        query = {"f": "json", **{k: _text(v) for k, v in params.items() if v is not None}}
        if self.post_works is not False:
            try:
                answer = self._object(self.http.post(url, data=query, retries=retries))
                self.post_works = True
                return answer
            except (ProtocolError, AuthSourceError) as e:
                if self.post_works or not _post_refused(e):
                    raise
        answer = self._object(self.http.get(url, params=query, retries=retries))
        self.post_works = False
        return answer

    def _object(self, response: Response) -> dict[str, Any]:
        self.last_bytes = len(response.content)
        self.server_day = response.headers.get("Date", "")[:16]
        return _object(response)

    def fits_get(self, values: list[str]) -> bool:
        """Tell whether these values may stand in one question, given how we must ask."""
        return self.post_works is not False or sum(len(v) + 3 for v in values) <= _LONG_URL


def _post_refused(error: SourceError) -> bool:
    """Tell whether GET may succeed where POST failed (a firewall's 403, 404, 405, an HTML page)."""
    return not error.params.get("inside")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(response: Response) -> dict[str, Any]:
    body = response.json()
    if not isinstance(body, dict):
        raise ProtocolError("the answer is not a JSON object", where=response.url)
    error = body.get("error")
    if error is None and body.get("status") != "error":
        return body
    raise _envelope(error if isinstance(error, dict) else body, response.url)


def _envelope(error: Mapping[str, Any], where: str) -> SourceError:
    code = error.get("code")
    details = [str(d) for d in error.get("details") or error.get("messages") or () if d]
    said = "; ".join([str(error.get("message") or "error without a message"), *details])[:300]
    detail = f"ArcGIS error {code}: {said}"
    if code in _AUTH:
        return AuthSourceError(detail, where=where, status=code, inside=True)
    kind = TransientSourceError if code in _BUSY else ProtocolError
    return kind(detail, where=where, status=code, inside=True)


def service_url(url: str) -> tuple[str, str]:
    """Split an address into (service, layer id): a layer's own address names both; else id is empty."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    head, _, tail = path.rpartition("/")
    layer = tail if tail.isdigit() and head.rpartition("/")[2] in {"MapServer", "FeatureServer"} else ""
    return urlunsplit(parts._replace(path=head if layer else path, query="", fragment="")), layer
