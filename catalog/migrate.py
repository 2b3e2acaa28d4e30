"""Runs Alembic's migrations. A module of its own: Alembic is slow to load, and most starts need it not."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError

from catalog.errors import ConfigError

_MIGRATING = threading.Lock()  # Alembic keeps its context in a module


def upgrade(connection: sa.Connection, folder: Path, where: str) -> None:
    """Bring the schema to the newest revision in the caller's transaction; ConfigError when it is newer."""
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _MIGRATING:
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigError(
                f"the database is of another version of this program: {error}",
                where=where,
                hint="Use the newest release, or restore the backup made before the upgrade.",
            ) from error
