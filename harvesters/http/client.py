"""The one HTTP client of every harvester.

Time-outs, retries of transient failures only, limits per host, address policy, secrets by reference.
Any call ends within about a second of the `cancel` event, even when the server hangs.
"""

from __future__ import annotations

import json as jsonlib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests import Response as Answer
from requests.utils import get_encoding_from_headers
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from catalog.clock import Clock, utc_now
from catalog.errors import CancelledRunError, ProtocolError, SourceError, TransientSourceError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.http.auth import safe_url
from harvesters.http.errors import source_error, status_error
from harvesters.http.session import GuardedSession
from harvesters.http.watch import Watch
from harvesters.http.wire import Lines
from harvesters.privacy.texts import redact

log = logging.getLogger(__name__)
MAX_BACKOFF = 60.0
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server told us of a document's state, for a conditional GET."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """Return the request headers that ask "changed since?"."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer of status 2xx. `url` is the final one, without secrets."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    encoding: str | None = None

    @property
    def text(self) -> str:
        """Body as text, by the declared charset, else UTF-8 with replacement."""
        try:
            return self.content.decode(self.encoding or "utf-8-sig")
        except (LookupError, UnicodeDecodeError):
            return self.content.decode("utf-8-sig", "replace")

    def json(self) -> Any:
        """Body as JSON; ProtocolError when it is not (HTML, truncated)."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            pass
        try:  # a BOM, another charset, NaN: not JSON by the book, met in the field
            return jsonlib.loads(self.text.removeprefix("\ufeff"))
        except ValueError as exc:
            said = excerpt(self.content)
            raise ProtocolError(f"not JSON ({exc}): {said}", where=self.url) from exc

    @property
    def validators(self) -> Validators:
        """ETag and Last-Modified of the answer."""
        return Validators(self.headers.get("ETag", ""), self.headers.get("Last-Modified", ""))


@dataclass(frozen=True, slots=True)
class Download:
    """A file brought whole to disk."""

    path: Path
    size: int
    content_type: str
    filename: str
    validators: Validators


def excerpt(body: bytes, length: int = 160) -> str:
    """Return the first words of a body, without markup, for an error message."""
    text = _MARKUP.sub(" ", body[:4096].decode("utf-8", "replace"))
    return " ".join(text.split())[:length]


class HttpClient:
    """Time-outs, retries, limits, address policy, secrets: see `docs/concepts.md`."""

    def __init__(
        self,
        settings: HarvestSettings,
        source: SourceConfig | None = None,
        *,
        cancel: threading.Event | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.settings, self.cancel, self._clock = settings, cancel or threading.Event(), clock
        self._lines = Lines()
        self._session = GuardedSession(settings, source, self._lines, self.cancel)
        self.redact = self._session.redact

    @property
    def session(self) -> requests.Session:
        """The session under it, for libraries that take one (ckanapi); same policy, same limits."""
        return self._session

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | bytes | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        validators: Validators | None = None,
    ) -> Response | None:
        """Send; return the answer, or None for 304. Raises the SourceError tree for all else."""
        wanted = {**(validators.headers() if validators else {}), **(headers or {})}
        limit = timeout or self.settings.timeout_seconds

        def once(watch: Watch) -> Response | None:
            with self.slot(url):
                watch.begin()
                answer = self._session.request(
                    method, url, params=params, data=data, json=json, headers=wanted, stream=True,
                    timeout=(self.settings.connect_timeout_seconds, limit),
                    hooks={"response": watch.answered},
                )  # fmt: skip
                self._session.read(answer, watch.flows)
            return self._accept(answer, validators)

        return self.attempt(once, url, limit, retries)

    def _accept(self, answer: Answer, validators: Validators | None) -> Response | None:
        url = self.shown(str(answer.url))
        if answer.status_code == 304 and validators:
            return None
        if not 200 <= answer.status_code < 300:
            raise self.refusal(answer)
        declared = "charset=" in answer.headers.get("Content-Type", "").lower()
        encoding = get_encoding_from_headers(answer.headers) if declared else None
        return Response(url, answer.status_code, answer.headers, answer.content, encoding)

    def slot(self, url: str) -> AbstractContextManager[None]:
        """Hold one of the host's connections while in the context."""
        return self._session.slot(url)

    def shown(self, url: str) -> str:
        """Return `url` without secrets."""
        return self.redact(safe_url(url))

    def refusal(self, answer: Answer) -> SourceError:
        """Build the error for an answer that is not 2xx, with its first words."""
        self._session.read(answer, lambda count: None)
        said = self.redact(excerpt(answer.content))
        return status_error(answer, self.shown(str(answer.url)), self._clock, said)

    def attempt[T](self, once: Callable[[Watch], T], url: str, limit: float, retries: int | None = None) -> T:
        """Run `once` in a daemon thread under a watch; again (with back-off) when it fails transiently."""
        shown = self.shown(url)
        try:
            urlsplit(url)
        except ValueError as exc:
            raise ProtocolError(f"bad address: {exc}", where=shown) from exc

        def watched() -> T:
            watch = Watch(self._lines, self.cancel, self.settings.connect_timeout_seconds + limit, shown)
            try:
                return watch.run(once)
            except Exception as exc:
                error = source_error(exc, shown, self.redact)
                if error is None or error is exc:
                    raise
                if self.cancel.is_set():
                    error = CancelledRunError("cancelled", where=shown)
                raise error from None  # the cause would carry the unredacted address into tracebacks

        tries = 1 + (self.settings.retries if retries is None else retries)
        return Retrying(
            stop=stop_after_attempt(tries), wait=self._wait, sleep=self._sleep, reraise=True,
            retry=retry_if_exception_type(TransientSourceError),
        )(watched)  # fmt: skip

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        told = error.params.get("retry_after") if isinstance(error, TransientSourceError) else None
        first = self.settings.backoff_seconds
        seconds = wait_exponential_jitter(multiplier=first, max=MAX_BACKOFF, jitter=first)(state)
        log.info("try %s failed: %s", state.attempt_number, redact(str(error)))
        return max(seconds, float(told)) if told is not None else seconds

    def _sleep(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise CancelledRunError("cancelled while waiting to try again")

    def get(self, url: str, **kwargs: Any) -> Response:
        """GET without validators."""
        return self._whole(self.request("GET", url, **kwargs), url)

    def post(self, url: str, **kwargs: Any) -> Response:
        """POST."""
        return self._whole(self.request("POST", url, **kwargs), url)

    def _whole(self, response: Response | None, url: str) -> Response:
        if response is None:
            raise ProtocolError("304 without a question for it", where=self.shown(url))
        return response

    def download(
        self,
        url: str,
        folder: Path,
        *,
        params: Mapping[str, Any] | None = None,
        validators: Validators | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Download | None:
        """Stream to a file in `folder` (resumed by Range, length checked); None for 304."""
        from harvesters.http.download import Fetch

        prepared = requests.Request("GET", url, params=params).prepare()
        fetch = Fetch(self, str(prepared.url), folder, validators, progress)
        return self.attempt(fetch.once, url, self.settings.timeout_seconds)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
