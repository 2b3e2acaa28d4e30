"""What lies below the maps of our pages: the layers of `viewer.basemap`, as vector tiles of our own."""

from __future__ import annotations

from ogc_server.ask import Ask, segment
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot


def basemap(service: Service, snapshot: Snapshot, ask: Ask) -> list[dict[str, str]]:
    """Return id and tile address of each public layer below a map; empty when there is none.

    The address names no version, as a page may be kept longer than a version is.
    """
    wanted = service.settings.viewer.basemap or [service.settings.processes.boundaries]
    visible = frozenset(snapshot.visible())
    found = []
    for one in snapshot.datasets(name for name in wanted if name in visible):
        schema = one.version.schema if one.version else None
        if one.kind == "feature" and schema and schema.geometry_type:
            tiles = f"{ask.base}/collections/{segment(one.id)}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}?f=mvt"
            found.append({"id": one.id, "tiles": tiles})
    return found
