"""ckanapi with time-outs, patience with a busy server, and our errors."""

from __future__ import annotations

import logging
from typing import Any

import requests
from ckanapi import RemoteCKAN
from ckanapi.errors import (
    CKANAPIError,
    NotAuthorized,
    NotFound,
    ServerIncompatibleError,
    ValidationError,
)
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from catalog.errors import (
    AuthSourceError,
    NotFoundError,
    ProtocolError,
    RecordError,
    TransientSourceError,
)
from catalog.secrets import redact, resolve
from catalog.settings import CkanSettings

log = logging.getLogger(__name__)
_TIMES = (10.0, 120.0)
"""Seconds to connect, and to answer: CKAN can take long to index a package."""
_BUSY = (429, 502, 503, 504)


class _Remote(RemoteCKAN):  # type: ignore[misc] # ckanapi has no types
    """Tells a busy or broken server from a refusal, which ckanapi reports alike."""

    base_url = "api/3/action/"

    def _request_fn(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        status, text = super()._request_fn(*args, **kwargs)
        if status in _BUSY or (status >= 500 and not text.lstrip().startswith("{")):
            raise TransientSourceError(f"HTTP {status}", where=self.address)
        return status, text


class Register:
    """The CKAN to keep in step. Use as a context manager."""

    def __init__(
        self,
        settings: CkanSettings,
        *,
        retries: int = 3,
        backoff: float = 1.0,
        times: tuple[float, float] = _TIMES,
    ) -> None:
        self._times = times
        self._key = resolve(settings.api_key)
        session = requests.Session()
        patience = Retry(
            total=retries, backoff_factor=backoff, status_forcelist=_BUSY, allowed_methods=None,
            raise_on_status=False,
        )  # fmt: skip
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=patience))
        self.url = settings.url.rstrip("/")
        self._remote = _Remote(self.url, apikey=self._key, user_agent="SatuDataGeo", session=session)

    def call(self, action: str, **data: Any) -> Any:
        """Call an action.

        Raises NotFoundError, AuthSourceError, RecordError (CKAN's validation refused the data; its
        `params["fields"]` names the fields), TransientSourceError or ProtocolError.
        """
        where = f"{self.url} {action}"
        try:
            return self._remote.call_action(action, data, requests_kwargs={"timeout": self._times})
        except NotFound as exc:
            raise NotFoundError(self._said(exc), where=where) from None
        except NotAuthorized as exc:
            raise AuthSourceError(self._said(exc), where=where) from None
        except ValidationError as exc:
            fields = {k: v for k, v in exc.error_dict.items() if k != "__type"}
            raise RecordError(self._said(fields), where=where, fields=fields) from None
        except requests.RequestException as exc:
            raise TransientSourceError(self._said(exc), where=where) from None
        except (ServerIncompatibleError, CKANAPIError) as exc:
            raise ProtocolError(self._said(exc), where=where) from None

    def _said(self, what: object) -> str:
        return redact(str(what).replace(self._key, "***") if self._key else str(what))[:500]

    def close(self) -> None:
        """Close all connections."""
        self._remote.close()

    def __enter__(self) -> Register:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
