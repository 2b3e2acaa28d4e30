"""Our own scripts and styles, and MapLibre's from its package; nothing comes from another host.

Each file is read, compressed and hashed once per process. Who asks first gets brotli's level 9 (0.1 s
of work for MapLibre); meanwhile a thread packs it at level 11, which takes 2 s and is 8 % smaller:
MapLibre is 914 kB plain, 216 kB, then 198 kB, and that decides how soon a map shows on a slow line.
"""

from __future__ import annotations

import gzip
import mimetypes
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import brotli  # type: ignore[import-untyped]
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ogc_server import pages
from ogc_server.answer import content_tag
from ogc_server.ask import matches
from ogc_server.compression import MIN_BYTES, compressible
from ogc_server.gate import Gate
from ogc_server.negotiation import coding

_CACHE = "public, max-age=3600"
_FIRST, _BEST = 9, 11


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes out: bytes by content coding, media type, ETag without quotes."""

    bodies: Mapping[str, bytes]
    media: str
    tag: str
    changed: int


class Assets:
    """Serves the first folder that has the file; 404 without a word else."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._folders = [Path(folder).resolve() for folder in pages.static_folders()]
        self._read: dict[Path, Asset] = {}
        self._lock = threading.Lock()
        self._packing = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below /static."""
        headers = Headers(scope=scope)
        path = self._find(str(scope["path"]).removeprefix(str(scope.get("root_path", ""))))
        if scope["method"] not in ("GET", "HEAD"):
            return await _send(send, 405, {"allow": "GET, HEAD", "content-length": "0"})
        if path is None:
            return await _send(send, 404, {"content-length": "0"})
        asset = self._asset(path)
        chosen = (
            coding(headers.get("accept-encoding"), tuple(asset.bodies)[:-1]) if len(asset.bodies) > 1 else ""
        )
        body = asset.bodies.get(chosen, asset.bodies["identity"])
        # weak: the same text may be packed tighter the next time
        tag = f'W/"{asset.tag}-{chosen}"' if chosen in ("br", "gzip") else f'"{asset.tag}"'
        said = {
            "etag": tag, "cache-control": _CACHE, "vary": "Accept-Encoding",
            "x-content-type-options": "nosniff",
            **{name.lower(): value for name, value in self._gate.cors(headers).items()},
        }  # fmt: skip
        if matches(headers.get("if-none-match", ""), asset.tag):
            return await _send(send, 304, said)
        said |= {"content-type": asset.media, "content-length": str(len(body))}
        if chosen != "identity":
            said["content-encoding"] = chosen
        return await _send(send, 200, said, b"" if scope["method"] == "HEAD" else body)

    def _find(self, name: str) -> Path | None:
        for folder in self._folders:
            path = (folder / name.lstrip("/")).resolve()
            if path.is_relative_to(folder) and path.is_file():
                return path
        return None

    def _asset(self, path: Path) -> Asset:
        changed = path.stat().st_mtime_ns
        known = self._read.get(path)
        if known is None or known.changed != changed:
            with self._lock:  # compressing takes a tenth of a second: once is enough
                known = self._read.get(path)
                if known is None or known.changed != changed:
                    known = self._read[path] = _load(path, changed)
                    if "br" in known.bodies:
                        threading.Thread(target=self._pack, args=(path, known), daemon=True).start()
        return known

    def _pack(self, path: Path, asset: Asset) -> None:
        """Put the best that brotli can do in the place of the quick one; the bytes mean the same."""
        with self._packing:  # one at a time: nobody waits for it
            packed = brotli.compress(asset.bodies["identity"], quality=_BEST)
        with self._lock:
            if self._read.get(path) is asset:
                self._read[path] = replace(asset, bodies={**asset.bodies, "br": packed})


def _load(path: Path, changed: int) -> Asset:
    body = path.read_bytes()
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    media = {"application/javascript": "text/javascript"}.get(media, media)
    bodies = {}
    if len(body) >= MIN_BYTES and compressible(media):
        bodies = {"br": brotli.compress(body, quality=_FIRST), "gzip": gzip.compress(body, 9, mtime=0)}
    text = media.startswith("text/")
    return Asset(
        {**bodies, "identity": body}, f"{media}; charset=utf-8" if text else media, content_tag(body), changed
    )


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
