"""A desk that watches BMKG (tests.response) with pusat kendali over it, on the desk's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import shapely

from catalog.model import LayerSchema, RunState
from catalog.settings import ServerSettings
from harvesters.bmkg import alerts
from layers.contract import FeatureBatch
from ogc_server.app import create_app
from tests.layers.conftest import batch
from tests.ogc_server.world import World
from tests.response.world import Desk, quake
from tests.servers.thread import in_thread

EVENT = "20221121T062110Z_-6.84_107.05"
ID = "respons-20221121t062110z-6.84-107.05"
AREA = {
    "type": "Polygon",
    "coordinates": [[[107.05, -6.9], [107.2, -6.9], [107.2, -6.75], [107.05, -6.75], [107.05, -6.9]]],
}
SOURCE = """
id: bmkg
type: bmkg
url: {url}
title: {{id: Gempa BMKG, en: Earthquakes of BMKG}}
produsen_data: BMKG
schedule: "* * * * *"
layers:
  - {{remote: gempa, id: gempa}}
"""


def prepare(desk: Desk) -> None:
    """Let the desk be asked at its own address, with a source file and a reload at once."""
    server = ServerSettings(reload_seconds=0.1)
    desk.settings = desk.settings.model_copy(update={"server": server})
    (desk.settings.config_dir / "sources" / "bmkg.yml").write_text(SOURCE.format(url=desk.url), "utf-8")


def happen(desk: Desk, *events: dict[str, Any], answer: bool = True) -> None:
    """An earthquake is harvested and, unless told otherwise, answered."""
    desk.feeds["autogempa"] = list(events) or [quake()]
    assert desk.harvest().state is RunState.OK
    if answer:
        assert [one.state for one in desk.responder().run()] == ["answered"]


def warn(desk: Desk, *names: str, **changes: Any) -> None:
    """Publish warnings of these ids, in force for two hours."""
    now = desk.clock.now
    said = {field.name: None for field in alerts.FIELDS} | {
        "peristiwa": "Hujan Lebat", "wilayah": "Jawa Barat", "tingkat": "Severe", "dikirim": now, "berlaku": now,
        "kedaluwarsa": now + timedelta(hours=2), "status": "Actual", "jenis": "Alert",
    } | changes  # fmt: skip
    boxes = [shapely.box(107.0 + n / 10, -7.2, 107.3 + n / 10, -6.9) for n in range(len(names))]
    made: FeatureBatch = batch(
        {name: dict(said) for name in names}, [shapely.MultiPolygon([b]) for b in boxes]
    )
    schema = LayerSchema(alerts.FIELDS, "MultiPolygon", "EPSG:4326", time_field="berlaku")
    World(desk.settings, desk.catalog, desk.store).publish("peringatan-cuaca", schema, made)


@contextmanager
def serving(desk: Desk, port: int = 0) -> Iterator[str]:
    """Serve the desk in a thread; connections that stay open are cut a second after the end."""
    app = create_app(desk.settings, catalog=desk.catalog, store=desk.store, clock=desk.clock)
    with in_thread(app, port=port, grace=1) as url:
        yield url
