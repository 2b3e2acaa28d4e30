"""What is told, as a CloudEvent 1.0 in the JSON event format (structured mode).

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and formats/json-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

import orjson

from catalog.model import NAMESPACE

MEDIA = "application/cloudevents+json"
PREFIX = "id.satudata-geo.respons-cepat"
"""Types are PREFIX and `.diterbitkan`, `.direvisi`, `.dibatalkan` or `.uji`."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. `source` and `id` together are unique, and the same at every delivery."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the event as its JSON object."""
        return {
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.type,
            "subject": self.subject, "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds"),
            "datacontenttype": "application/json", "data": dict(self.data),
        }  # fmt: skip


def stable_id(*parts: str) -> str:
    """Return an id that is the same whenever the same thing is told again."""
    return str(uuid5(NAMESPACE, "\x1f".join(parts)))


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the body as bytes, the same at every try, so that signatures can be compared."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
