"""What only the PostGIS store has: shared connections, tables that QGIS can open, a database that may fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from catalog.errors import NotFoundError, PublishError
from catalog.settings import Settings
from layers.contract import FeatureBatch, Query
from layers.open import open_store
from layers.postgis.store import PostgisStore
from tests.layers.conftest import DESA, TABLE, batch, publish
from tests.servers.postgres import Postgres


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database(postgis=True)


@pytest.fixture
def grown(url: str, tmp_path: Path) -> Iterator[PostgisStore]:
    store = open_store(Settings(layers=url, data_dir=tmp_path))
    assert isinstance(store, PostgisStore)
    yield store
    store.close()


def sql(url: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        return db.execute(text).fetchall()


def test_tables_are_usable_as_they_are(grown: PostgisStore, url: str, desa: FeatureBatch) -> None:
    publish(grown, DESA, desa, layer="batas-desa")
    found = sql(url, "SELECT f_table_schema, f_table_name, type, srid FROM geometry_columns")
    assert found == [("layers", "batas-desa_v1", "MULTIPOLYGON", 4326)]
    count = 'SELECT count(*), count(DISTINCT fid), max(fid) FROM layers."batas-desa_v1"'
    assert sql(url, count) == [(360, 360, 360)]
    indexes = sql(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'layers'")
    assert any("gist" in str(row) for row in indexes)


def test_readers_survive_a_restart_of_the_database(grown: PostgisStore, url: str) -> None:
    info = publish(grown, TABLE, batch({"a": {"n": 1}, "b": {"n": 2}}))
    reader = grown.reader(info)
    assert reader.page(Query(equals=(("n", "2"),))).matched == 1
    sql(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert len(reader.page(Query(equals=(("n", "1"),))).features) == 1


def test_a_version_appears_whole_or_not_at_all(grown: PostgisStore, url: str) -> None:
    first = publish(grown, TABLE, batch({"a": {"n": 1}}))
    writer = grown.writer(first.layer_id, TABLE, "s")
    writer.write("p", batch({"a": {"n": 2}}))
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(f'CREATE TABLE layers_texts."{first.layer_id}_v2" (x int)')
    with pytest.raises(PublishError, match="exists"):
        writer.finish(2, "r")
    assert grown.versions(first.layer_id) == [1]
    assert writer.count() == 1
    assert sql(url, f"SELECT to_regclass('layers.\"{first.layer_id}_v2\"')") == [(None,)]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(f'DROP TABLE layers_texts."{first.layer_id}_v2"')
    assert writer.finish(2, "r").count == 1


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="refused"):
        open_store(Settings(layers="postgresql://nobody@127.0.0.1:1/x", data_dir=tmp_path))


def test_a_removed_version_is_not_found(grown: PostgisStore) -> None:
    info = publish(grown, TABLE, batch({"a": {"n": 1}}))
    reader = grown.reader(info)
    grown.remove(info.layer_id, info.version)
    with pytest.raises(NotFoundError, match="removed"):
        reader.page(Query())


def test_two_stores_may_start_at_once(url: str, tmp_path: Path) -> None:
    stores = [open_store(Settings(layers=url, data_dir=tmp_path)) for _ in range(3)]
    info = publish(stores[0], TABLE, batch({"a": {"n": 1}}))
    assert [s.reader(info).page(Query()).matched for s in stores] == [1, 1, 1]
    for store in stores:
        store.close()
