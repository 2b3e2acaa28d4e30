"""The PostgreSQL fixture itself: fresh databases, UTF-8, PostGIS on request."""

from __future__ import annotations

import sqlalchemy as sa

from tests.servers.postgres import Postgres


def test_databases_are_fresh_and_utf8(postgres: Postgres) -> None:
    first, second = postgres.database(), postgres.database(postgis=True)
    engine = sa.create_engine(second)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW server_encoding")) == "UTF8"
        assert connection.scalar(sa.text("SELECT postgis_lib_version()"))
    engine.dispose()
    assert first != second
    postgres.drop(first)
    postgres.drop(second)
