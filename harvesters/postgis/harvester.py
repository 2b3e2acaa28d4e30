"""PostGIS and PostgreSQL tables and views.

`url` is `postgresql://host:port/database` without a password; `auth` holds `username` and `password`
by reference. A layer's `remote` is `schema.table` (or `table`, when one schema has it), `"*"` or a
pattern (`batas.*`). `where` is an SQL condition. Everything of one layer is read in one snapshot
(repeatable read, read only), so count, ids and rows belong together.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field

from catalog.errors import ConfigError, ProtocolError, TransientSourceError
from catalog.model import DatasetRecord, ItemError, Link, Localized
from catalog.secrets import resolve
from catalog.sources import LayerConfig, SourceConfig
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.address import AddressPolicy
from harvesters.http.client import HttpClient
from harvesters.naming import Choice, choose
from harvesters.postgis.content import PostgisContent, connected
from harvesters.postgis.table import Table, describe, relations

PORT = 5432


class PostgisOptions(Options):
    """Options of `type: postgis`."""

    schemas: list[str] = Field(
        default_factory=list, description="Schemas to look in; default: all but the system's"
    )
    statement_timeout_seconds: float = Field(default=600, gt=0)
    page_size: int | None = Field(default=None, ge=1, description="Rows per page; default: harvest.page_size")


class PostgisHarvester(Harvester):
    """One database and the tables chosen from it."""

    type = "postgis"
    options_model = PostgisOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._contents: list[PostgisContent] = []

    def probe(self) -> Probe:
        """Connect and count the tables."""
        with self.connect() as connection:
            version = connection.execute("SELECT current_setting('server_version')").fetchone()
            names = relations(connection, self.options.schemas)
        return Probe(
            urlsplit(self.source.url).path.strip("/"), str(version[0]) if version else "", {"tables": names}
        )

    def listing(self) -> Listing:
        """List the tables (`schema.table`) that the configuration chooses."""
        with self.connect() as connection:
            ids = tuple(c.remote for c in self._choices(connection))
        return Listing(count=len(ids), ids=ids)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield one dataset per table; one that is missing or has no key is an item error."""
        with self.connect() as connection:
            choices = self._choices(connection)
        for choice in choices:
            try:
                if not choice.present:
                    raise ProtocolError("no such table, or no right to read it", where=choice.remote)
                with self.connect() as connection:
                    table = describe(connection, choice.remote, choice.layer)
            except (ProtocolError, ConfigError) as e:
                yield ItemError(e.code, e.detail or str(e), choice.remote, e.where)
                continue
            yield self._dataset(choice, table)

    def _choices(self, connection: psycopg.Connection) -> list[Choice]:
        names = relations(connection, self.options.schemas)
        plain = self.source.model_copy(
            update={"layers": [_full(layer, names) for layer in self.source.layers]}
        )
        return choose(plain, names)

    def _dataset(self, choice: Choice, table: Table) -> RemoteDataset:
        size = self.options.page_size or self.http.settings.page_size
        content = PostgisContent(self.connect, table, choice.layer, size, self.http.cancel)
        self._contents.append(content)
        title = table.comment or table.name.rpartition(".")[2].replace("_", " ")
        return RemoteDataset(
            remote_id=choice.remote,
            collection_id=choice.collection_id,
            kind="feature" if table.geometry else "table",
            record=DatasetRecord(
                title=Localized(id=title),
                crs=table.crs,
                links=[
                    Link(href=_public(self.source.url), rel="via", title=choice.remote, protocol="POSTGIS")
                ],
            ),
            layer=choice.layer,
            content=content,
        )

    def connect(self) -> psycopg.Connection:
        """Open a read-only connection of repeatable-read transactions; SourceError when it can not be had."""
        parts = conninfo_to_dict(self.source.url)
        if parts.pop("password", None):
            raise ConfigError(
                "a password stands in url", where=self.source.id, hint="give auth.password by reference"
            )
        host, port = str(parts.get("host") or "localhost"), int(str(parts.get("port") or PORT))
        return connected(
            **{**parts, **self._credentials()},
            hostaddr=_address(host, port, AddressPolicy(self.http.settings.allow_networks)),
            connect_timeout=int(self.http.settings.connect_timeout_seconds),
            options=f"-c statement_timeout={int(self.options.statement_timeout_seconds * 1000)}"
            " -c default_transaction_read_only=on -c TimeZone=UTC -c client_encoding=UTF8",
            application_name="satudata-geo",
        )

    def _credentials(self) -> dict[str, str]:
        known = {"username": "user", "password": "password"}
        if wrong := set(self.source.auth) - set(known):
            raise ConfigError(
                f"unknown auth key {min(wrong)!r}", where=self.source.id, hint="use username, password"
            )
        return {known[key]: resolve(ref) for key, ref in self.source.auth.items()}

    def close(self) -> None:
        """Close the connections of all contents."""
        for content in self._contents:
            content.close()


def _full(layer: LayerConfig, names: list[str]) -> LayerConfig:
    """Complete a bare table name with its schema when only one schema has it."""
    fits = [n for n in names if n.rpartition(".")[2] == layer.remote]
    return (
        layer.model_copy(update={"remote": fits[0]}) if len(fits) == 1 and "." not in layer.remote else layer
    )


def _address(host: str, port: int, policy: AddressPolicy) -> str:
    """Resolve and check the host once; the connection then goes to the address that was checked."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        raise TransientSourceError(f"unknown host {host}", where=host) from e
    for *_, target in found:
        policy.check_ip(str(target[0]), host)
    return str(found[0][4][0])


def _public(url: str) -> str:
    """Return the address without user or parameters."""
    parts: dict[str, Any] = conninfo_to_dict(url)
    return (
        f"postgresql://{parts.get('host', 'localhost')}:{parts.get('port', PORT)}/{parts.get('dbname', '')}"
    )
