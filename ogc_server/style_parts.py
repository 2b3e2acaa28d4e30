"""What styles of every kind share: their forms, glyphs, legend, vector source, and a small memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, TypedDict

from catalog.datasets import Dataset
from catalog.messages import text
from catalog.model import VersionInfo
from layers.style.drawn import Drawn
from layers.style.legend import legend
from layers.tiles.plan import FID
from ogc_server import qgis
from ogc_server.ask import Ask
from ogc_server.negotiation import JSON, Offer
from ogc_server.service import Service
from ogc_server.tiles import tilejson

MAPBOX = "application/vnd.mapbox.style+json"
STYLE_OFFERS = (
    Offer("mapbox", MAPBOX, (JSON,)),
    Offer("sld", "application/vnd.ogc.sld+xml;version=1.1", ("application/xml",)),
    Offer("qml", "application/x-qgis-qml", ("text/xml",)),
    Offer("qlr", qgis.MEDIA),
    Offer("legend", "application/vnd.satudata.legend+json"),
    Offer("values", "application/vnd.satudata.values+json"),
)
_KEPT = 16


class Kept[T]:
    """The few newest results, by key. Shared by threads."""

    def __init__(self) -> None:
        self._items: OrderedDict[object, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        """Return what was kept under `key`."""
        with self._lock:
            return self._items.get(key)

    def put(self, key: object, value: T) -> T:
        """Keep and return `value`; the oldest goes when there are too many."""
        with self._lock:
            self._items[key] = value
            while len(self._items) > _KEPT:
                self._items.popitem(last=False)
        return value


def glyphs(ask: Ask) -> str:
    """Return the address of our own glyphs, as MapLibre wants it."""
    return ask.href("/fonts/") + "{fontstack}/{range}.pbf"


def legend_document(ask: Ask, drawn: Drawn, name: str) -> dict[str, Any]:
    """Return the legend in the language that was asked for."""
    return legend(drawn, name=name, lang=ask.lang, plain=text("style.plain", ask.lang), **words(ask.lang))


class Words(TypedDict):
    """What the classes are called that have no value of their own."""

    no_data: str
    other: str


def words(lang: str) -> Words:
    """Return the words of a language."""
    return Words(no_data=text("style.no-data", lang), other=text("style.other", lang))


def source(service: Service, ask: Ask, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
    """Return the vector source: our own tiles of this very version; `fid` is the feature's id."""
    told = tilejson(service, ask, dataset, info, service.tiles().plan(dataset, info))
    wanted = ("tiles", "minzoom", "maxzoom", "bounds", "attribution", "scheme")
    return {
        "type": "vector", **{name: told[name] for name in wanted if name in told},
        "promoteId": {one["id"]: FID for one in told["vector_layers"]},
    }  # fmt: skip
