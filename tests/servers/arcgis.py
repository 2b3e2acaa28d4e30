"""An ArcGIS-speaking server on small data, with switches for what real servers do wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import fiona
import orjson
import shapely

from benchmarks.arcgis_server import Answer, ArcGISServer, Feature, Layer, definition, in_memory

SERVICE = "BATASWILAYAH/BATAS_DESAKEL_AR/MapServer"
HTML = b"<html><head><title>Error</title></head><body><h1>Server Error</h1>Proxy said no</body></html>"


@dataclass
class Faults:
    """What goes wrong. Numbers of features mean: in one answer with geometry."""

    lying_cap: int | None = None
    """Give at most so many features and do not say `exceededTransferLimit`."""
    truncate_above: int | None = None
    """Answers with more features are cut in the middle, the status is 200 and the length right."""
    hang_up_above: int | None = None
    """Answers with more features end before the stated length."""
    html_above: int | None = None
    """Answers with more features are an HTML page within HTTP 200."""
    error_above: int | None = None
    """Answers with more features are `{"error": ...}` within HTTP 200."""
    status_above: int | None = None
    """Answers with more features are HTTP 503."""
    same_page: bool = False
    """Every range question gets the first page."""
    forget: frozenset[int] = frozenset()
    """These object ids are left out of range answers, though they are there."""
    poison: frozenset[int] = frozenset()
    """An answer that holds one of these fails."""
    refuse_post: int | None = None
    """Status of every POST."""
    busy: int = 0
    """So many questions get 429 with Retry-After first."""
    ids_at_most: int | None = None
    """returnIdsOnly lists only so many."""
    no_ids: bool = False
    """returnIdsOnly is an error, as on very old servers."""
    hang_above: int | None = None
    """Answers with more features come only after `hang_seconds`."""
    hang_seconds: float = 2.0
    token: str = ""
    """The token that must be given."""
    token_uses: int | None = None
    """The token expires after so many questions."""
    vanish_after: int | None = None
    """After so many pages the last ten features are gone."""
    down_after: int | None = None
    """After so many pages everything is HTTP 503."""
    log: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


class FaultyArcGIS(ArcGISServer):
    """Speaks well until a switch of `faults` is on."""

    def __init__(self, layers: list[Layer], service: str = SERVICE) -> None:
        super().__init__({service: layers})
        self.service, self.faults = service, Faults()
        self.issued = 0

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    @property
    def address(self) -> str:
        return self.url(self.service)

    def pages(self) -> list[dict[str, str]]:
        """The questions for features that came."""
        return [p for _, path, p in self.faults.log if path.endswith("/query") and _is_page(p)]

    def answer(self, method: str, path: str, params: dict[str, str]) -> Answer:
        f = self.faults
        f.log.append((method, path, params))
        if method == "POST" and f.refuse_post:
            return Answer([HTML], status=f.refuse_post, content_type="text/html")
        if path.endswith("/generateToken"):
            return self._issue()
        if f.token and (refused := self._check_token(params)):
            return refused
        if f.down_after is not None and len(self.pages()) > f.down_after:
            return Answer([HTML], status=503, content_type="text/html")
        if f.busy > 0:
            f.busy -= 1
            return Answer([b"slow down"], status=429, headers={"Retry-After": "0"})
        if f.vanish_after is not None and len(self.pages()) > f.vanish_after:
            self._vanish()
        if f.no_ids and params.get("returnIdsOnly") == "true":
            return Answer([_error("'Invalid URL' Invalid query parameters", 400)])
        if path.endswith("/query") and _is_page(params):
            return self._page(path, params)
        body = super().answer(method, path, params)
        if f.ids_at_most and params.get("returnIdsOnly") == "true":
            ids = orjson.loads(b"".join(body.parts))
            ids["objectIds"] = ids["objectIds"][: f.ids_at_most] if ids["objectIds"] else None
            return Answer([orjson.dumps(ids)])
        return body

    def _issue(self) -> Answer:
        self.issued += 1
        self.faults.token = f"token-{self.issued}"
        return Answer([orjson.dumps({"token": self.faults.token, "expires": 0})])

    def _check_token(self, params: dict[str, str]) -> Answer | None:
        f = self.faults
        if f.token_uses is not None:
            f.token_uses -= 1
            if f.token_uses < 0:
                f.token, f.token_uses = "expired", None
        if params.get("token") == f.token:
            return None
        code = 498 if params.get("token") else 499
        return Answer([orjson.dumps({"error": {"code": code, "message": "Invalid Token", "details": []}})])

    def _vanish(self) -> None:
        layer = self.services[self.service][0]
        keep = len(layer.ids) - 10
        columns = {k: list(v)[:keep] for k, v in layer.columns.items()}
        self.services = {
            self.service: [Layer(layer.definition, layer.ids[:keep], layer.ends[:keep], layer.blob, columns)]
        }
        self.faults.vanish_after = None

    def _page(self, path: str, params: dict[str, str]) -> Answer:
        f = self.faults
        if f.same_page and "objectIds" not in params:
            params = {**params, "where": "1=1"}
        body = b"".join(super().answer("GET", path, params).parts)
        page = orjson.loads(body)
        features = page.get("features", [])
        ids = {x["attributes"]["OBJECTID"] for x in features}
        if f.poison & ids:
            return Answer([_error("Error performing query operation", 500)])
        if f.forget & ids and "objectIds" not in params:
            page["features"] = [x for x in features if x["attributes"]["OBJECTID"] not in f.forget]
            body = orjson.dumps(page)
        return self._large(len(features), page, body)

    def _large(self, count: int, page: dict[str, Any], body: bytes) -> Answer:
        f = self.faults
        if f.lying_cap is not None and count > f.lying_cap:
            page["features"] = page["features"][: f.lying_cap]
            page.pop("exceededTransferLimit", None)
            return Answer([orjson.dumps(page)])
        if f.hang_above is not None and count > f.hang_above:
            time.sleep(f.hang_seconds)
        if f.truncate_above is not None and count > f.truncate_above:
            return Answer([body[: len(body) * 2 // 3]])
        if f.hang_up_above is not None and count > f.hang_up_above:
            return Answer([body], cut=len(body) // 2)
        if f.html_above is not None and count > f.html_above:
            return Answer([HTML], content_type="text/html")
        if f.error_above is not None and count > f.error_above:
            return Answer([_error("Failed to execute query.", 400)])
        if f.status_above is not None and count > f.status_above:
            return Answer([HTML], status=503, content_type="text/html")
        return Answer([body])


def _is_page(params: dict[str, str]) -> bool:
    return params.get("returnCountOnly") != "true" and params.get("returnIdsOnly") != "true"


def _error(message: str, code: int) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "details": []}})


_KINDS = {"int": "esriFieldTypeInteger", "float": "esriFieldTypeDouble"}


def villages(path: Path, layer: str = "desa", **more: Any) -> Layer:
    """A layer of a GeoPackage under BIG's field names, object ids rising with gaps."""
    with fiona.open(path, layer=layer) as source:
        kinds = source.schema["properties"]
        fields = [
            {
                "name": n,
                "type": _KINDS.get(k.partition(":")[0].rstrip("0123456789"), "esriFieldTypeString"),
                "alias": n,
            }
            for n, k in kinds.items()
        ]
        features = [
            (number * 3 + 7, dict(f.properties), shapely.geometry.shape(f.geometry))
            for number, f in enumerate(source)
        ]
    return in_memory(definition("BATAS_DESAKEL_AR", fields, "esriGeometryPolygon", **more), features)


def layer_of(
    fields: list[dict[str, Any]], features: Iterable[Feature], geometry: str | None, **more: Any
) -> Layer:
    """A layer of given features."""
    return in_memory(definition(more.pop("name", "Uji"), fields, geometry, **more), features)
