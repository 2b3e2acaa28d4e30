"""The database itself: migrations, append-only audit, generation, several processes, bad addresses."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from catalog import migrations, tables
from catalog.database import Database, newest_revision
from catalog.errors import ConfigError, StorageFullError
from catalog.model import DatasetRecord
from catalog.store import Catalog
from tests.servers import free_port


def test_the_newest_revision_is_the_head_of_the_migrations() -> None:
    """It is read from the files' names, so that a start does not load Alembic."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == newest_revision()


def test_migrations_make_exactly_the_tables_of_the_model(catalog: Catalog) -> None:
    with catalog.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_opening_again_changes_nothing(catalog: Catalog, second: Callable[[], Catalog]) -> None:
    before = catalog.generation()
    assert second().generation() == before


def test_eight_openings_at_once_migrate_one_empty_database(empty_url: str) -> None:
    gate = threading.Barrier(8)
    failed: list[BaseException] = []

    def open_it() -> None:
        gate.wait()
        try:
            with Catalog.open(empty_url) as catalog:
                assert catalog.generation() == 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_database_of_a_newer_program_is_left_alone(catalog: Catalog, catalog_url: str) -> None:
    with catalog.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="another version"):
        Catalog.open(catalog_url)


CHANGES = {
    "sqlite": (
        "UPDATE audit SET actor = 'someone else'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT number, at, 'x', subject, actor, details FROM audit",
    ),
    "postgresql": ("UPDATE audit SET actor = 'someone else'", "DELETE FROM audit", "TRUNCATE audit"),
}


def test_the_database_refuses_to_change_the_audit_log(catalog: Catalog) -> None:
    catalog.audit.append("test", "subject", by="sri", details={"n": 1})
    for statement in CHANGES[catalog.database.dialect]:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), catalog.database.write() as connection:
            connection.execute(sa.text(statement))
    (line,) = catalog.audit.list()
    assert (line.action, line.by, line.details) == ("test", "sri", {"n": 1})


def test_the_audit_log_takes_no_secrets(catalog: Catalog) -> None:
    catalog.audit.append(
        "x", "s", by="a", details={"url": ["http://u:hunter2@h/"], "nik": "3203010101900001"}
    )
    assert "hunter2" not in str(catalog.audit.list())
    assert "3203010101900001" not in str(catalog.audit.list())


def test_generation_is_seen_by_other_openings(catalog: Catalog, second: Callable[[], Catalog]) -> None:
    other = second()
    before = other.generation()
    catalog.datasets.put("a", source_id="s", remote_id="1", kind="record", record=DatasetRecord(), run_id="r")
    assert other.generation() == before + 1


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "not a url", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://x/y"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Database(url)


def test_a_database_that_can_not_be_reached_is_said(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.mkdir()
    for url in (f"sqlite:///{in_the_way}", f"postgresql+psycopg://u:hunter2@127.0.0.1:{free_port()}/x"):
        with pytest.raises(ConfigError, match="can not be opened") as caught:
            Catalog.open(url)
        assert "hunter2" not in caught.value.message("en")


def test_sqlite_is_in_wal_mode_with_foreign_keys(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "c.sqlite"
    with Catalog.open(f"sqlite:///{path}") as catalog, catalog.database.read() as connection:
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def write_more_than_fits(catalog: Catalog) -> None:
    with catalog.database.write() as connection:
        pages = connection.scalar(sa.text("PRAGMA page_count"))
        connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
        for _ in range(1000):
            catalog.audit.write(connection, "big", "s", by="a", details={"x": "y" * 5000})


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    with Catalog.open(f"sqlite:///{tmp_path / 'c.sqlite'}") as catalog:
        catalog.audit.append("first", "s", by="a")
        with pytest.raises(StorageFullError):
            write_more_than_fits(catalog)
        assert [line.action for line in catalog.audit.list()] == ["first"]
