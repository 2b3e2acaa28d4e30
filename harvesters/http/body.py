"""Reading a body: counted after decompression, capped, and never taken for whole when it was cut."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from requests import Response as Answer

from catalog.errors import ProtocolError, TransientSourceError

CHUNK = 1 << 16


def too_big(limit: int, where: str) -> ProtocolError:
    """Build the error for an answer above the cap."""
    return ProtocolError(
        f"answer is larger than {limit} bytes", where=where, hint="ask for less, or raise max_response_bytes"
    )


def raw_chunks(answer: Answer) -> Iterator[bytes]:
    """Yield the bytes as sent (not decompressed); a body shorter than promised raises in urllib3."""
    raw: Any = answer.raw
    yield from raw.stream(CHUNK, decode_content=False)


def body_chunks(answer: Answer, limit: int, where: str) -> Iterator[bytes]:
    """Yield the decoded body; ProtocolError above `limit` bytes, TransientSourceError when cut."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    chunks = raw_chunks(answer)
    if encoding in {"", "identity", "none", "utf-8"}:
        yield from _capped(chunks, limit, where)
    elif encoding in {"gzip", "x-gzip", "deflate"}:
        yield from _capped(_inflate(chunks, where), limit, where)
    else:
        raise ProtocolError(f"content encoding {encoding!r} was not asked for", where=where)


def _capped(chunks: Iterator[bytes], limit: int, where: str) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise too_big(limit, where)
        yield chunk


def _inflate(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Decompress gzip or zlib in bounded steps; several gzip members in a row are one body."""
    decoder, empty = None, True
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decoder is None or decoder.eof:
                    decoder = zlib.decompressobj(_window(data))
                out = decoder.decompress(data, CHUNK * 16)
                data = decoder.unconsumed_tail or decoder.unused_data
                empty = False
                if out:
                    yield out
    except zlib.error as exc:
        raise TransientSourceError(f"compressed body is damaged: {exc}", where=where) from exc
    if decoder is not None and not decoder.eof and not empty:
        raise TransientSourceError("compressed body was cut", where=where)


def _window(data: bytes) -> int:
    """Choose zlib's window: gzip or zlib by their header, else raw deflate as some servers send it."""
    zlib_header = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return zlib.MAX_WBITS | 32 if data[:1] == b"\x1f" or zlib_header else -zlib.MAX_WBITS
