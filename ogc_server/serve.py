"""Run the server: uvicorn with several workers, each with its own snapshot of the same catalog."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from catalog.settings import Settings
from ogc_server.app import create_app
from ogc_server.tiles_wire import TileProtocol

_HANDED = "SATUDATA_WORKER_SETTINGS"
LOG_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s"


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000, workers: int = 2) -> None:
    """Serve until stopped; requests under way are finished (10 s) when it is."""
    os.environ[_HANDED] = json.dumps(
        {
            "settings": settings.model_dump(mode="json"),
            "config_dir": str(settings.config_dir),
            "data_dir": str(settings.data_dir),
        }
    )
    uvicorn.run(
        "ogc_server.serve:worker_app",
        factory=True,
        host=host,
        port=port,
        workers=workers if workers > 1 else None,
        http=TileProtocol,
        server_header=False,
        access_log=False,
        log_config=None,
        proxy_headers=True,
        forwarded_allow_ips=",".join(settings.server.trusted_proxies),
        timeout_graceful_shutdown=10,
        timeout_keep_alive=30,
        # a worker that is still importing on a busy machine must not be killed for it, and again, and again
        timeout_worker_healthcheck=60,
        h11_max_incomplete_event_size=65_536,
    )


def worker_app() -> ASGIApp:
    """Return the application of one worker, with the settings that `serve` handed on."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    for talkative in ("pygeoapi", "alembic", "uvicorn.error"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    handed = json.loads(os.environ[_HANDED])
    settings = Settings(
        **handed["settings"], config_dir=Path(handed["config_dir"]), data_dir=Path(handed["data_dir"])
    )
    return create_app(settings)
