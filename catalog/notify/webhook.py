"""A CloudEvent by HTTP POST, signed after Standard Webhooks (https://www.standardwebhooks.com).

The signature is HMAC-SHA256 over `id.timestamp.body`: header `webhook-signature: v1,BASE64`. A secret
of the form `whsec_BASE64` is decoded as that standard says; any other is taken as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import requests

from catalog.clock import Clock, utc_now
from catalog.errors import PublishError, TransientSourceError
from catalog.notify.cloudevent import MEDIA, encode
from catalog.response_settings import WebhookChannel
from catalog.secrets import resolve


def send(channel: WebhookChannel, body: Mapping[str, Any], *, clock: Clock = utc_now) -> None:
    """Deliver; a status of 2xx is a delivery, redirects are not followed.

    TransientSourceError when another try may help (no answer, 408, 425, 429, 5xx), else PublishError.
    """
    content = encode(body)
    headers = {"Content-Type": f"{MEDIA}; charset=utf-8", "User-Agent": "SatuDataGeo"}
    stamp = str(int(clock().timestamp()))
    headers |= {"webhook-id": str(body["id"]), "webhook-timestamp": stamp}
    if channel.secret is not None:
        headers["webhook-signature"] = sign(resolve(channel.secret), str(body["id"]), stamp, content)
    try:
        answer = requests.post(
            channel.url, data=content, headers=headers, timeout=channel.timeout_seconds,
            allow_redirects=False, stream=True,
        )  # fmt: skip
    except requests.RequestException as error:  # its text may hold the whole address
        raise TransientSourceError(type(error).__name__, where=channel.name) from None
    with closing(answer):  # what the receiver says beyond the status is not read
        status = answer.status_code
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise TransientSourceError(f"HTTP {status}", where=channel.name)
    raise PublishError(f"HTTP {status}", where=channel.name)


def sign(secret: str, event_id: str, timestamp: str, content: bytes) -> str:
    """Return the value of `webhook-signature`."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = secret.encode()
    signed = f"{event_id}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
