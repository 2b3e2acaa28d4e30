"""Serve CKAN for a test: run by the Python of CKAN's own venv.

Lays the database, makes the admin and its token, serves: in one process, because each `ckan` command
costs seconds. Prints one line of JSON when ready; ends when stdin closes.

Usage: python ckan_app.py INI PORT
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from ckan import model  # type: ignore[import-not-found]
from ckan.cli import load_config  # type: ignore[import-not-found]
from ckan.config.middleware import make_app  # type: ignore[import-not-found]
from ckan.plugins import toolkit  # type: ignore[import-not-found]
from ckanext.datastore.cli import permissions_sql  # type: ignore[import-not-found]
from werkzeug.serving import make_server


def _database(url: str) -> str:
    return url.rsplit("/", 1)[1]


def _datastore_rights(config: dict[str, Any]) -> str:
    """Return the SQL that fences the read-only role off (without psql's own commands)."""
    sql: str = permissions_sql(
        maindb=_database(config["sqlalchemy.url"]),
        datastoredb=_database(config["ckan.datastore.write_url"]),
        mainuser="postgres",
        writeuser="postgres",
        readuser="ckan_uji_ro",
    )
    return "\n".join(line for line in sql.splitlines() if not line.startswith("\\"))


def _admin() -> str:
    """Make the sysadmin and return an API token of it."""
    site = toolkit.get_action("get_site_user")({"ignore_auth": True}, {})
    context = {"user": site["name"], "ignore_auth": True}
    toolkit.get_action("user_create")(
        dict(context), {"name": "walidata", "email": "walidata@example.go.id", "password": "uji-uji-uji"}
    )
    user = model.User.get("walidata")
    user.sysadmin = True
    model.repo.commit()
    created = toolkit.get_action("api_token_create")(dict(context), {"user": "walidata", "name": "uji"})
    return str(created["token"])


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def main(ini: str, port: int) -> None:
    """Serve until stdin closes."""
    config = load_config(ini)
    app = make_app(config)
    flask_app = app._wsgi_app
    with flask_app.test_request_context():
        model.repo.create_db()
        model.repo.stamp_alembic_head()
        token = _admin()
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(json.dumps({"token": token, "sql": _datastore_rights(config)}), flush=True)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
