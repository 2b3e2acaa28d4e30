"""The server of the OGC server's own tests."""

from tests.ogc_server.conftest import address, client, world

__all__ = ["address", "client", "world"]
