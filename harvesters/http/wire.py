"""The wire under the session: address policy at the socket, sockets that can be cut, slots per host."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from requests import PreparedRequest
from requests import Response as Answer
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from catalog.errors import CancelledRunError
from harvesters.http.address import AddressPolicy


class Lines:
    """The open connections of one client, by the thread that uses them, so that a hang can be cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_thread: dict[int, weakref.ref[HTTPConnection]] = {}
        self._cut: set[int] = set()

    def use(self, connection: HTTPConnection) -> None:
        """Note that the calling thread is on this connection."""
        with self._lock:
            if threading.get_ident() in self._cut:
                raise CancelledRunError("nobody waits for this request any more")
            self._by_thread[threading.get_ident()] = weakref.ref(connection)

    def forget(self) -> None:
        """Note that the calling thread is done."""
        with self._lock:
            self._by_thread.pop(threading.get_ident(), None)
            self._cut.discard(threading.get_ident())

    def cut(self, thread: int | None) -> None:
        """Shut the socket that `thread` waits on; its read fails at once."""
        with self._lock:
            self._cut.add(thread or -1)
            ref = self._by_thread.get(thread or -1)
        connection = ref() if ref else None
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _pools(policy: AddressPolicy, lines: Lines) -> dict[str, type[HTTPConnectionPool]]:
    """Make pool classes whose connections check the peer they really reached (DNS may lie twice)."""

    class Checked(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            try:
                policy.check_ip(str(sock.getpeername()[0]), self.host)
            except BaseException:
                sock.close()
                raise
            return sock

        def connect(self) -> None:
            lines.use(self)
            super().connect()

        def request(self, *args: Any, **kwargs: Any) -> None:
            lines.use(self)
            super().request(*args, **kwargs)

    class CheckedTls(Checked, HTTPSConnection):
        pass

    class Plain(HTTPConnectionPool):
        ConnectionCls = Checked

    class Tls(HTTPSConnectionPool):
        ConnectionCls = CheckedTls

        def _validate_conn(self, conn: Any) -> None:
            """Connect early, as urllib3 does; its warning on each request is our one line in the log."""
            if conn.is_closed:
                conn.connect()

    return {"http": Plain, "https": Tls}


class GuardedAdapter(HTTPAdapter):
    """Checks every hop, redirects included, before a byte is sent."""

    def __init__(self, policy: AddressPolicy, lines: Lines) -> None:
        self._policy, self._lines = policy, lines
        super().__init__(pool_connections=8, pool_maxsize=8, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use the checked connections in every pool."""
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = _pools(self._policy, self._lines)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Answer:
        """Check the target, send, and drop the body of a redirect unread."""
        proxied = bool(kwargs.get("proxies"))
        self._policy.check_url(str(request.url), resolve=not proxied)
        answer = super().send(request, *args, **kwargs)
        if answer.is_redirect:
            answer.raw.close()
            answer._content, answer._content_consumed = b"", True  # type: ignore[attr-defined]
        return answer


class Slots:
    """How many requests may be under way to one host, over all clients of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.BoundedSemaphore] = {}
        self._mine = threading.local()

    @contextlib.contextmanager
    def hold(self, host: str, limit: int, cancel: threading.Event) -> Iterator[None]:
        """Wait for a slot of `host`. A thread holds one at a time: redirects go on the first host's."""
        if getattr(self._mine, "held", False):
            yield
            return
        with self._lock:
            slot = self._hosts.setdefault(host, threading.BoundedSemaphore(limit))
        while not slot.acquire(timeout=0.2):
            if cancel.is_set():
                raise CancelledRunError("cancelled while waiting for a connection", where=host)
        self._mine.held = True
        try:
            yield
        finally:
            self._mine.held = False
            slot.release()


SLOTS = Slots()
