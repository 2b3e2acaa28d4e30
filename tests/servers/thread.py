"""Our own app in a thread of the test's process, so that a test can reach into its catalog and its clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.servers import PATIENCE, until


@contextmanager
def in_thread(
    app: ASGIApp, *, port: int = 0, grace: int | None = None,
    http: type[asyncio.Protocol] | None = None, keep_alive: int = 5,
) -> Iterator[str]:  # fmt: skip
    """Serve `app` (under another protocol than uvicorn's own: `http`); yield its address; stop it and join its thread.

    Without a `port` the system gives one to the socket that listens, so nobody can take it in between.
    Connections that are open at the end are cut after `grace` seconds.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=port, log_config=None, access_log=False, server_header=False,
            lifespan="on", timeout_graceful_shutdown=grace, http=http or "auto",
            timeout_keep_alive=keep_alive,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive(), "the server starts", pause=0.01)
        assert server.started, "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server does not stop"
