"""Credentials of a source: resolved from references, sent only to its own host, never shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from catalog.errors import ConfigError
from catalog.secrets import resolve

_SECRET_PARAM = re.compile(
    r"token|key|secret|passw|pwd|signature|^sig$|^auth|credential|^code$|session|jwt", re.IGNORECASE
)
_HEADER_TEXT = re.compile(r"(?i)\b(authorization|x-[\w-]*key|cookie)\b(['\"]?\s*[:=]\s*)[^\r\n,}]+")
_URL = re.compile(r"https?://[^\s'\"<>]+")
_MASK = "***"


def safe_url(url: str) -> str:
    """Return `url` without user:password and with secret query values masked."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url.partition("?")[0]
    netloc = f"{_MASK}@" + (parts.hostname or "") + port if parts.username else parts.netloc
    if parts.query:
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        if any(_SECRET_PARAM.search(k) for k, _ in pairs):
            masked = [(k, _MASK if _SECRET_PARAM.search(k) else v) for k, v in pairs]
            parts = parts._replace(query=urlencode(masked, safe="*"))
    return urlunsplit(parts._replace(netloc=netloc))


class Redactor:
    """Removes known secret values and secret-looking URL parts from any text."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        forms = {f for s in secrets if s for f in (s, quote(s, safe=""), urlencode({"": s})[1:])}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` fit for logs and stored errors."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _URL.sub(lambda m: safe_url(m.group()), text)
        return _HEADER_TEXT.sub(rf"\1\2{_MASK}", text)


class SourceAuth(AuthBase):
    """Adds the credentials of `auth` to requests that go to the source's own host.

    `auth` is the source's mapping of references: `token` (query parameter `token`),
    `param:NAME` (query parameter NAME), `header:NAME` (header NAME), `username` + `password` (basic).
    """

    def __init__(self, auth: Mapping[str, str], url: str) -> None:
        home = urlsplit(url)
        self._host, self._tls = (home.hostname or "").lower(), home.scheme == "https"
        values = {key: resolve(ref) for key, ref in auth.items()}
        self.params = {_param(k): v for k, v in values.items() if k == "token" or k.startswith("param:")}
        self.headers = {k[7:]: v for k, v in values.items() if k.startswith("header:")}
        self.basic: tuple[str, str] | None = None
        if "username" in values:
            self.basic = (values["username"], values.get("password", ""))
            pair = f"{self.basic[0]}:{self.basic[1]}".encode()
            self.headers.setdefault("Authorization", "Basic " + base64.b64encode(pair).decode())
        known = {"token", "username", "password"}
        wrong = [k for k in values if k not in known and not re.fullmatch(r"(param|header):[\w-]+", k)]
        if wrong:
            raise ConfigError(
                f"unknown auth key {wrong[0]!r}", where="auth",
                hint="use token, username, password, header:NAME or param:NAME",
            )  # fmt: skip
        self.secrets = tuple(v for k, v in values.items() if k != "username") + tuple(self.headers.values())

    def fits(self, url: str) -> bool:
        """Tell whether `url` may see the credentials: same host, and no step down from TLS."""
        parts = urlsplit(url)
        return (parts.hostname or "").lower() == self._host and (parts.scheme == "https" or not self._tls)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the credentials on a prepared request (called by requests)."""
        if self.fits(str(r.url)):
            r.headers.update(self.headers)
            if self.params:
                r.prepare_url(_without(str(r.url), self.params), self.params)
        return r


def _param(key: str) -> str:
    return key.removeprefix("param:")


def _without(url: str, names: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    pairs = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in names]
    return urlunsplit(parts._replace(query=urlencode(pairs)))
