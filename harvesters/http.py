"""The one HTTP client of every harvester."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server told us of a document's state, for a conditional GET."""

    etag: str = ""
    last_modified: str = ""


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
        raise NotImplementedError

    def json(self) -> Any:
        """Body as JSON; ProtocolError when it is not (HTML, truncated)."""
        raise NotImplementedError

    @property
    def validators(self) -> Validators:
        """ETag and Last-Modified of the answer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Download:
    """A file brought whole to disk."""

    path: Path
    size: int
    content_type: str
    filename: str
    validators: Validators


class HttpClient:
    """Time-outs, retries, limits, address policy, secrets: see `docs/concepts.md`."""

    def __init__(
        self,
        settings: HarvestSettings,
        source: SourceConfig | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def session(self) -> requests.Session:
        """The session under it, for libraries that take one (ckanapi); same policy, same limits."""
        raise NotImplementedError

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
        raise NotImplementedError

    def get(self, url: str, **kwargs: Any) -> Response:
        """GET without validators."""
        raise NotImplementedError

    def post(self, url: str, **kwargs: Any) -> Response:
        """POST."""
        raise NotImplementedError

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
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError
