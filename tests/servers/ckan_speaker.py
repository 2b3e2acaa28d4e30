"""A small server that speaks CKAN's action API and misbehaves on demand (the real one: `ckan.py`).

Faults are names in `Speaker.faults`; those that end in `-once` are spent by their first use.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

type Json = dict[str, Any]

NEXT = b'<!DOCTYPE html><html><script id="__NEXT_DATA__">{}</script><h1>404</h1></html>'
WRITES = {"package_create", "package_update", "package_delete", "organization_create", "organization_patch"}


class Speaker:
    """State and switches of the server."""

    def __init__(self) -> None:
        self.packages: dict[str, Json] = {}
        self.organisations: dict[str, Json] = {}
        self.tables: dict[str, tuple[list[Json], list[Json]]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.faults: set[str] = set()
        self.calls: list[tuple[str, Json]] = []
        self.headers: list[dict[str, str]] = []
        self.cap = 1000
        self.url = ""

    def has(self, fault: str) -> bool:
        """Tell whether the fault is switched on; spend it when it is for one use."""
        found = fault in self.faults
        if found and fault.endswith("-once"):
            self.faults.discard(fault)
        return found

    def writes(self) -> list[str]:
        """Return the write actions that were called, in order."""
        return [name for name, _ in self.calls if name in WRITES]

    # -- actions ------------------------------------------------------------------------------

    def status_show(self, _: Json) -> Json:
        return {"site_title": "Satu Data Uji", "ckan_version": "2.11.0", "extensions": ["datastore"]}

    def package_search(self, ask: Json) -> Json:
        fq = str(ask.get("fq") or "")
        found = [p for p in self.packages.values() if p.get("state", "active") == "active"]
        if names := re.findall(r'"([^"]+)"', fq):
            found = [p for p in found if p["name"] in names]
        found.sort(key=lambda p: str(p["id"]))
        start, rows = int(ask.get("start", 0)), min(int(ask.get("rows", 10)), self.cap)
        if start and self.has("repeat-page"):
            start = 0
        page = found[start : start + rows]
        if start and self.has("empty-page"):
            page = []
        count = len(found) + (1 if start and (self.has("count-moves") or self.has("count-moves-once")) else 0)
        return {"count": count, "results": page, "sort": "id asc"}

    def package_show(self, ask: Json) -> Json:
        for package in self.packages.values():
            if ask["id"] in (package["id"], package["name"]):
                return package
        raise RefusalError(404, {"__type": "Not Found Error", "message": "Not found"})

    def datastore_search(self, ask: Json) -> Json:
        if ask["resource_id"] not in self.tables:
            raise RefusalError(404, {"__type": "Not Found Error", "message": "Not found: Resource"})
        fields, records = self.tables[ask["resource_id"]]
        if wanted := ask.get("filters"):
            [(column, chosen)] = json.loads(wanted).items()
            records = [r for r in records if r[column] in chosen]
        offset, limit = int(ask.get("offset", 0)), min(int(ask.get("limit", 100)), self.cap)
        total = len(records) + (5 if offset and self.has("total-moves") else 0)
        if offset and self.has("repeat-page"):
            offset = 0
        return {"fields": fields, "records": records[offset : offset + limit], "total": total, "limit": limit}

    def organization_list(self, ask: Json) -> list[str]:
        active = sorted(n for n, o in self.organisations.items() if o["state"] == "active")
        return active[int(ask.get("offset", 0)) :][: int(ask.get("limit", 1000))]

    def organization_show(self, ask: Json) -> Json:
        if ask["id"] not in self.organisations:
            raise RefusalError(404, {"__type": "Not Found Error", "message": "Not found"})
        return self.organisations[ask["id"]]

    def organization_create(self, ask: Json) -> Json:
        if ask["name"] in self.organisations:
            raise RefusalError(409, {"__type": "Validation Error", "name": ["Group name already exists"]})
        self.organisations[ask["name"]] = {"id": ask["name"], "state": "active", **ask}
        return self.organisations[ask["name"]]

    def organization_patch(self, ask: Json) -> Json:
        self.organisations[ask["id"]].update(ask)
        return self.organisations[ask["id"]]

    def package_create(self, ask: Json) -> Json:
        if ask["name"] in self.packages:
            raise RefusalError(409, {"__type": "Validation Error", "name": ["That URL is already in use."]})
        return self._keep(ask, {"id": f"id-{ask['name']}", "state": "active"})

    def package_update(self, ask: Json) -> Json:
        return self._keep(ask, {**self.package_show(ask), "state": "active"})

    def _keep(self, ask: Json, base: Json) -> Json:
        if self.has("refuse-" + ask["name"]):
            raise RefusalError(409, {"__type": "Validation Error", "tags": ["Tag is wrong"]})
        if ask["owner_org"] not in self.organisations:
            raise RefusalError(
                409, {"__type": "Validation Error", "owner_org": ["Organization does not exist"]}
            )
        self.packages[ask["name"]] = {**base, **ask, "id": base["id"]}
        return self.packages[ask["name"]]

    def package_delete(self, ask: Json) -> None:
        self.package_show(ask)["state"] = "deleted"


class RefusalError(Exception):
    """CKAN says no: status and the `error` object."""


class _Handler(BaseHTTPRequestHandler):
    speaker: Speaker

    def log_message(self, format: str, *args: Any) -> None:  # silent
        pass

    def do_GET(self) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        self._answer(query)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._answer(json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, ask: Json) -> None:
        speaker, path = self.speaker, urlsplit(self.path).path
        speaker.headers.append(dict(self.headers))
        if path in speaker.files:
            return self._file(*speaker.files[path])
        name = path.rpartition("/")[2]
        speaker.calls.append((name, ask))
        if speaker.has("next"):
            return self._send(404, "text/html", NEXT)
        if speaker.has("html-in-200"):
            return self._send(200, "text/html", b"<html><h1>Pemeliharaan</h1></html>")
        if speaker.has("busy-once"):
            return self._send(429, "text/plain", b"slow down", {"Retry-After": "0"})
        if speaker.has("down") or (name in WRITES and speaker.has("write-down")):
            return self._send(503, "text/html", b"<html>Service unavailable</html>")
        if speaker.has("denied"):
            return self._refuse(403, {"__type": "Authorization Error", "message": "Access denied"})
        try:
            result = getattr(speaker, name)(ask)
        except RefusalError as refusal:
            return self._refuse(*refusal.args)
        body = json.dumps({"help": "", "success": True, "result": result}).encode()
        if speaker.has("truncated-once") or speaker.has("truncated"):
            body = body[: len(body) // 2]
        return self._send(200, "application/json", body)

    def _file(self, kind: str, body: bytes) -> None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == tag:
            return self._send(304, kind, b"", {"ETag": tag})
        return self._send(200, kind, body, {"ETag": tag})

    def _refuse(self, status: int, error: Json) -> None:
        self._send(status, "application/json", json.dumps({"success": False, "error": error}).encode())

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def speaking() -> Iterator[Speaker]:
    """Run a server with an empty catalogue on a free loopback port."""
    speaker = Speaker()
    handler = type("Handler", (_Handler,), {"speaker": speaker})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    speaker.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield speaker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
