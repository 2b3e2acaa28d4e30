"""What a handler hands back: bytes, media type, validators. Headers are added in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, BinaryIO

import orjson

REVALIDATE = "public, max-age=0, must-revalidate"
"""Answers about the current version: keep them, but ask us (ETag, 304) each time."""
PINNED = "public, max-age=3600"
"""Answers about a numbered version, which never changes."""
NEVER = "no-store"


_PIECE = 256 * 1024
"""Bytes read from the disk at once while a file is sent."""


@dataclass(slots=True)
class FilePart:
    """Bytes [start, start + length) of an open file, sent as they lie on the disk."""

    file: BinaryIO
    start: int
    length: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in pieces that fit in memory."""
        self.file.seek(self.start)
        left = self.length
        while left > 0 and (some := self.file.read(min(_PIECE, left))):
            left -= len(some)
            yield some

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        self.file.close()


@dataclass(slots=True)
class Answer:
    """One response before compression and conditional handling; `file` stands for `body` if set.

    `effort` is brotli's level, for the few answers that are worth more than the least.
    """

    body: bytes
    media: str = "application/json"
    status: int = 200
    tag: str = ""
    cache: str = REVALIDATE
    headers: dict[str, str] = field(default_factory=dict)
    file: FilePart | None = None
    effort: int = 1


class NotModifiedError(Exception):
    """The client already has this representation; raised before the costly part."""

    def __init__(self, tag: str, cache: str) -> None:
        self.tag = tag
        self.cache = cache
        super().__init__(tag)


def to_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def digest(*parts: object) -> str:
    """Return 32 hex characters over the parts: the same parts, the same tag, in every worker."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(repr(part).encode())
        hashed.update(b"\x1f")
    return hashed.hexdigest()


def content_tag(body: bytes) -> str:
    """Return a tag over the bytes, for small answers that are cheap to make."""
    return blake2b(body, digest_size=16).hexdigest()


def link_header(links: Sequence[Mapping[str, Any]]) -> str:
    """Return an RFC 8288 Link header; titles are left out, as they may be beyond Latin-1."""
    parts = []
    for link in links:
        part = f'<{link["href"]}>; rel="{link["rel"]}"'
        if link.get("type"):
            part += f'; type="{link["type"]}"'
        parts.append(part)
    return ", ".join(parts)
