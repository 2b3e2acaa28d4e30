"""A line between the page and the server that can be cut, or go silent."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

from tests.servers import free_port


class Relay:
    """A line to the server on a port of its own, that can be reset or swallow all that comes."""

    def __init__(self, target: int) -> None:
        self.port, self.silent, self.opened = free_port(), False, 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(asyncio.start_server(self._meet, "127.0.0.1", self.port))

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, forth}
        await asyncio.gather(
            self._pump(reader, forth), self._pump(back, writer, swallow=True), return_exceptions=True
        )
        for one in (writer, forth):
            self._open.discard(one)
            one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, swallow: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if swallow and self.silent:
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        """Reset all connections."""

        async def reset() -> None:
            for one in list(self._open):
                one.transport.abort()

        self._do(reset())

    def close(self) -> None:
        """Cut, and end the thread."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
