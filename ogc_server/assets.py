"""Our own scripts and styles, and MapLibre's from its package; nothing comes from another host."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from ogc_server import pages
from ogc_server.gate import Gate


class Assets:
    """Serves the first folder that has the file; 404 without a word else."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._folders = [StaticFiles(directory=Path(folder)) for folder in pages.static_folders()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below /static."""
        extra = {
            "x-content-type-options": "nosniff",
            "cache-control": "public, max-age=3600",
            **{name.lower(): value for name, value in self._gate.cors(Headers(scope=scope)).items()},
        }

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in extra.items()),
                ]
            await send(message)

        for folder in self._folders:
            try:
                await folder(scope, receive, sending)
            except HTTPException:
                continue
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
