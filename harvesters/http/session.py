"""A requests session with our policy: addresses, slots, time-outs, caps, credentials."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest
from requests import Response as Answer
from requests.utils import get_environ_proxies

from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.http.address import AddressPolicy
from harvesters.http.auth import Redactor, SourceAuth, safe_url
from harvesters.http.body import body_chunks
from harvesters.http.wire import SLOTS, GuardedAdapter, Lines

log = logging.getLogger(__name__)
MAX_REDIRECTS = 10


@cache
def program_version() -> str:
    """Return our own version, `0` when we run from a tree that is not installed."""
    try:
        return version("satudata-geo")
    except PackageNotFoundError:
        return "0"


def user_agent(contact: str) -> str:
    """Name us and a contact, so that an upstream's keeper can write instead of block."""
    return f"SatuDataGeo/{program_version()} (+{contact})"


class GuardedSession(requests.Session):
    """`requests.Session` for us and for libraries that take one (ckanapi)."""

    def __init__(
        self, settings: HarvestSettings, source: SourceConfig | None, lines: Lines, cancel: threading.Event
    ) -> None:
        super().__init__()
        self._settings, self._cancel, self.lines = settings, cancel, lines
        adapter = GuardedAdapter(AddressPolicy(settings.allow_networks), lines)
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self.credentials = SourceAuth(source.auth, source.url) if source else SourceAuth({}, "")
        self.auth = self.credentials
        self.redact = Redactor(self.credentials.secrets)
        self.trust_env = False  # no .netrc: credentials come from the source's file alone
        self.max_redirects = MAX_REDIRECTS
        self.headers.update({"User-Agent": user_agent(settings.contact), "Accept-Encoding": "gzip, deflate"})
        self.verify = _verify(source)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Answer:
        """Send one request; without `stream` the body is read here, capped and checked for cuts."""
        url, limits = str(request.url), self._settings
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (limits.connect_timeout_seconds, limits.timeout_seconds)
        if not kwargs.get("proxies"):
            kwargs["proxies"] = get_environ_proxies(url)
        stream = bool(kwargs.pop("stream", False))
        with self.slot(url):
            answer = super().send(request, stream=True, **kwargs)
            if not stream:
                self.read(answer, lambda count: None)
        return answer

    def slot(self, url: str) -> AbstractContextManager[None]:
        """Hold one of the host's connections (limit over the whole process)."""
        host = (urlsplit(url).hostname or "").lower()
        return SLOTS.hold(host, self._settings.connections_per_host, self._cancel)

    def read(self, answer: Answer, flows: Callable[[int], None]) -> None:
        """Read the body into `answer.content`: capped after decompression, checked for cuts."""
        if answer._content_consumed:  # type: ignore[attr-defined]
            return
        where = self.redact(safe_url(str(answer.url)))
        parts = []
        try:
            for chunk in body_chunks(answer, self._settings.max_response_bytes, where):
                parts.append(chunk)
                flows(len(chunk))
        except BaseException:
            answer.close()
            raise
        answer._content, answer._content_consumed = b"".join(parts), True  # type: ignore[attr-defined]
        answer.raw.release_conn()

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Answer) -> None:
        """On a redirect to where our credentials do not belong, take them off."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        if not self.credentials.fits(str(prepared_request.url)):
            for name in self.credentials.headers:
                prepared_request.headers.pop(name, None)


def _verify(source: SourceConfig | None) -> bool | str:
    if source is not None and not source.verify_tls:
        log.warning("TLS certificates are not checked for source %s (verify_tls: false)", source.id)
        return False
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
