"""Answers once for nobody, so that the first who draws an area after a start does not wait a second more.

That second went to what a process does once: reading the messages, naming the regions, loading what
solves plans and what cuts polygons.
"""

from __future__ import annotations

from contextlib import suppress

import shapely

from catalog.errors import SatuDataError
from catalog.messages import LANGS
from ogc_server.answer import to_json
from ogc_server.kendali.document import document
from ogc_server.kendali.making import computed
from ogc_server.response.event import event_of_area
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

_AROUND = 0.02
"""Half the edge of the area, in degrees: it holds a desa or some."""


def rehearse(service: Service, snapshot: Snapshot) -> None:
    """Answer for a small area around the first desa; where it can not be answered, nothing is done."""
    with suppress(SatuDataError):
        with service.desk().desa(snapshot, "area") as index:
            places = index.points[:1].tolist()
        for lon, lat in places:
            area = shapely.box(lon - _AROUND, lat - _AROUND, lon + _AROUND, lat + _AROUND)
            made = computed(service, snapshot, event_of_area(area), drawn=True)
            for lang in LANGS:
                to_json(document(snapshot, made, lang))
