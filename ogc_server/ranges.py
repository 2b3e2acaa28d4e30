"""Stored files served whole or in parts: RFC 9110 ranges, strong ETag, If-Range; HEAD as any GET.

One answer for every file that we keep ready-made (COG, PMTiles, downloads), so that GDAL's /vsicurl,
PMTiles readers and broken downloads fetch just the bytes they need. The file is opened when the
answer is made and read in pieces while it is sent: a version that is pruned meanwhile stays whole for
those who read it, and no answer holds a file in memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from os import fstat
from pathlib import Path
from urllib.parse import quote

from starlette.types import Receive, Send

from ogc_server.answer import REVALIDATE, Answer, FilePart
from ogc_server.ask import Ask

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9,\s-]+?)\s*", re.ASCII | re.IGNORECASE)
_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def file_answer(
    ask: Ask, path: Path, media: str, tag: str, *, cache: str = REVALIDATE, filename: str = ""
) -> Answer:
    """Return the file, or the one range of it that was asked for (206), or 416.

    `tag` is a strong validator of the bytes, without quotes; with `filename` browsers save under that
    name. Raises OSError when the file is not there, NotModifiedError when the client has it.
    Several ranges in one request, and ranges that are not well formed, are answered with the whole
    file, as RFC 9110 section 14.2 allows.
    """
    ask.check(tag, cache)
    file = path.open("rb")
    size = fstat(file.fileno()).st_size
    headers = {"Accept-Ranges": "bytes"}
    if filename:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    wanted = _wanted(ask, tag, size)
    if wanted == (0, 0) and size:
        file.close()
        headers["Content-Range"] = f"bytes */{size}"
        return Answer(b"", media, status=416, cache=cache, headers=headers)
    status, (start, stop) = (200, (0, size)) if wanted is None else (206, wanted)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    part = FilePart(file, start, stop - start)
    return Answer(b"", media, status=status, tag=tag, cache=cache, headers=headers, file=part)


def _wanted(ask: Ask, tag: str, size: int) -> tuple[int, int] | None:
    if ask.method != "GET" or "range" not in ask.headers or not _unchanged(ask.headers, tag):
        return None
    return read_range(ask.headers["range"], size)


def _unchanged(headers: Mapping[str, str], tag: str) -> bool:
    """Tell whether If-Range (if any) names this very version; a date never does, as we send none."""
    given = headers.get("if-range")
    return given is None or given.strip() == f'"{tag}"'


def read_range(header: str, size: int) -> tuple[int, int] | None:
    """Return [start, stop) of a Range header; None: send all; (0, 0): nothing of it is there."""
    found = _RANGE.fullmatch(header)
    if not found or "," in found.group(1) or size == 0:
        return None
    spec = _SPEC.fullmatch(found.group(1).strip())
    if not spec or spec.group(0) == "-":
        return None
    first, last = spec.groups()
    if not first:  # the last N bytes
        return (max(0, size - int(last)), size) if int(last) else (0, 0)
    start, stop = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return (start, stop) if start < size else (0, 0)


async def send_file(part: FilePart, send: Send, receive: Receive) -> None:
    """Send the bytes piece by piece, each read in a thread; stop when the client has gone."""
    gone = asyncio.create_task(_until_gone(receive))
    pieces = part.pieces()
    try:
        while not gone.done() and (some := await asyncio.to_thread(next, pieces, b"")):
            await send({"type": "http.response.body", "body": some, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        part.close()
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
