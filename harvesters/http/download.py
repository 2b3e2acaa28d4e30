"""Bringing a file whole to disk: resumed where the server can, its length checked, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from requests import Response as Answer

from catalog.errors import ProtocolError, StorageFullError, TransientSourceError
from harvesters.http.body import body_chunks, too_big
from harvesters.http.watch import Watch

if TYPE_CHECKING:
    from harvesters.http.client import Download, HttpClient, Validators

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def file_name(answer: Answer) -> str:
    """Return a harmless file name: from Content-Disposition, else from the address."""
    header = Message()
    header["Content-Disposition"] = answer.headers.get("Content-Disposition", "")
    name = header.get_filename() or unquote(urlsplit(str(answer.url)).path)
    name = re.sub(r"[^\w.\- ]+", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")
    return name[-120:] or "download"


class Fetch:
    """One download over its tries. The part beside it survives us, so that a later run resumes."""

    def __init__(
        self,
        client: HttpClient,
        url: str,
        folder: Path,
        validators: Validators | None,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._client, self._url, self._folder = client, url, folder
        self._validators, self._progress = validators, progress or (lambda done, total: None)
        folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(url.encode()).hexdigest()[:24]
        self._part, self._state = folder / f"{key}.part", folder / f"{key}.json"

    def once(self, watch: Watch) -> Download | None:
        """Try once; a transient failure leaves the part for the next try."""
        have, headers = self._resume()
        with self._client.slot(self._url):
            watch.begin()
            answer = self._client.session.get(
                self._url, headers=headers, stream=True, hooks={"response": watch.answered}
            )
            try:
                return self._take(answer, have, watch)
            except OSError as exc:
                if exc.errno in _FULL:
                    raise StorageFullError(str(exc.strerror), where=str(self._folder)) from exc
                raise
            finally:
                answer.close()

    def _resume(self) -> tuple[int, dict[str, str]]:
        """Return how much is here already, and the headers that ask for the rest."""
        headers = {"Accept-Encoding": "identity"}
        try:
            state = json.loads(self._state.read_text("utf-8"))
            have = self._part.stat().st_size
        except (OSError, ValueError):
            state, have = {}, 0
        mark = str(state.get("etag") or state.get("last_modified") or "")
        if have and mark:
            return have, headers | {"Range": f"bytes={have}-", "If-Range": mark}
        self._drop()
        return 0, headers | (self._validators.headers() if self._validators else {})

    def _drop(self) -> None:
        self._part.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def _take(self, answer: Answer, have: int, watch: Watch) -> Download | None:
        where = self._client.shown(str(answer.url))
        if answer.status_code == 304 and self._validators:
            return None
        if answer.status_code == 416:
            self._drop()
            raise TransientSourceError("the part on disk no longer fits", where=where)
        if answer.status_code not in {200, 206}:
            raise self._client.refusal(answer)
        start, total = self._span(answer, have, where)
        limit = self._client.settings.max_response_bytes
        if total is not None and total > limit:
            raise too_big(limit, where)
        self._remember(answer)
        size = self._write(answer, start, total, watch, limit, where)
        if total is not None and size != total:
            raise TransientSourceError(f"got {size} of {total} bytes", where=where)
        return self._finish(answer, size)

    def _span(self, answer: Answer, have: int, where: str) -> tuple[int, int | None]:
        """Return where this body starts and how long the whole is (None: not told)."""
        length = answer.headers.get("Content-Length", "")
        plain = answer.headers.get("Content-Encoding", "identity") in {"", "identity"}
        if answer.status_code == 200:
            return 0, int(length) if length.isdigit() and plain else None
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not match or int(match[1]) != have or not plain:
            self._drop()
            raise ProtocolError("206 that is not the range we asked for", where=where)
        return have, None if match[3] == "*" else int(match[3])

    def _remember(self, answer: Answer) -> None:
        """Keep the state of the content beside the part; a weak ETag can not be resumed by."""
        etag = answer.headers.get("ETag", "")
        plain = answer.headers.get("Content-Encoding", "identity") in {"", "identity"}
        if plain and answer.status_code == 200:
            state = {
                "etag": "" if etag.startswith("W/") else etag,
                "last_modified": answer.headers.get("Last-Modified", ""),
            }
            self._state.write_text(json.dumps(state), "utf-8")

    def _write(
        self, answer: Answer, start: int, total: int | None, watch: Watch, limit: int, where: str
    ) -> int:
        size = start
        with self._part.open("ab" if start else "wb") as out:
            for chunk in body_chunks(answer, limit - start, where):
                out.write(chunk)
                size += len(chunk)
                watch.flows(len(chunk))
                self._progress(size, total)
        return size

    def _finish(self, answer: Answer, size: int) -> Download:
        from harvesters.http.client import Download, Validators

        name = file_name(answer)
        path = self._folder / name
        self._part.replace(path)
        self._state.unlink(missing_ok=True)
        headers: Any = answer.headers
        marks = Validators(headers.get("ETag", ""), headers.get("Last-Modified", ""))
        return Download(path, size, headers.get("Content-Type", ""), name, marks)
