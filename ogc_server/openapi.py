"""The API definition (OpenAPI 3.0): path templates made from the route table, no remote references.

pygeoapi writes every collection out (3.9 MB for 500) with 22 remote `$ref`s; this one does not grow
with the number of collections and is usable on a closed network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from catalog.messages import text
from catalog.settings import Settings
from ogc_server.coverages import MOST_JSON, MOST_TIFF
from ogc_server.maps_frame import MOST_PIXELS, MOST_SIDE
from ogc_server.negotiation import PROBLEM
from ogc_server.parameters import Param
from ogc_server.route import Route

VERSION = "1.0.0"
_ENDINGS = {
    "landing": "getLandingPage", "conformance": "getConformance", "api": "getAPI",
    "collections": "getCollectionsList", "collection": "getCollection",
    "tiling-schemes": "getTileMatrixSetsList", "tiling-scheme": "getTileMatrixSet",
    "tilesets": ".collection.vector.getTileSetsList", "tileset": ".collection.vector.getTileSet",
    "tile": ".collection.vector.getTile",
    "map": ".collection.getMap", "map-tilesets": ".collection.map.getTileSetsList",
    "map-tileset": ".collection.map.getTileSet", "map-tile": ".collection.map.getTile",
}  # fmt: skip
"""How the names of operations end, by the route's summary."""
_TAGS = {"records": "Katalog", "record": "Katalog", "health": "Server"} | dict.fromkeys(
    ("processes", "process", "about", "execution", "jobs", "job", "results"), "Proses"
)
_TAGS |= dict.fromkeys(
    ("tiling-schemes", "tiling-scheme", "tilesets", "tileset", "tile", "tile-archive", "styles", "style",
     "glyphs"), "Peta"
)  # fmt: skip


def definition(settings: Settings, routes: Sequence[Route], base: str, lang: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    server = settings.server
    parameters: dict[str, Any] = {}
    paths = {"/" + "/".join(route.pattern): _path(route, settings, parameters, lang) for route in routes}
    contact = {"name": server.contact.organisation, "email": server.contact.email, "url": server.contact.url}
    info = {
        "title": server.title.get(lang) or text("landing.title", lang),
        "description": text("openapi.description", lang),
        "version": VERSION,
        "contact": {key: value for key, value in contact.items() if value},
        "x-OGC-limits": {
            "maps": {"maxWidth": MOST_SIDE, "maxHeight": MOST_SIDE, "maxPixels": MOST_PIXELS},
            "coverages": {"maxValues": {"image/tiff": MOST_TIFF, "application/prs.coverage+json": MOST_JSON}},
        },
    }
    return {
        "openapi": "3.0.3",
        "info": info,
        "servers": [{"url": base}],
        "tags": [{"name": name} for name in ("Data", "Katalog", "Peta", "Proses", "Server")],
        "paths": paths,
        "components": {"parameters": parameters, "responses": _responses(), "schemas": _SCHEMAS},
    }


def _path(route: Route, settings: Settings, parameters: dict[str, Any], lang: str) -> dict[str, Any]:
    refs = [
        *(_argument(part[1:-1], parameters, lang) for part in route.pattern if part.startswith("{")),
        *(_reference(param, route, parameters, lang) for param in route.table(settings.server)),
    ]
    if route.queryables:
        parameters["queryables"] = _QUERYABLES | {"description": text("api.param.queryables", lang)}
        refs.append({"$ref": "#/components/parameters/queryables"})
    summary = text(f"api.{route.summary}", lang)
    path: dict[str, Any] = {}
    for method in route.methods:
        path[method.lower()] = {
            "operationId": _operation_id(route, method),
            "summary": summary,
            "tags": [_TAGS.get(route.summary, "Data")],
            "parameters": refs,
            "responses": _answers(route),
        }
    if "post" in path:
        schema = {"$ref": "#/components/schemas/execute"} if _executes(route) else {"type": "object"}
        form = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
        content = form if route.summary == "job" else {"application/json": {"schema": schema}}
        if _executes(route):
            content |= form
        path["post"]["requestBody"] = {"required": True, "content": content}
    return path


def _operation_id(route: Route, method: str) -> str:
    """Return a name of the operation that ends as OGC API Tiles (20-057, table 11) and Maps (20-058) say."""
    name = "_".join([method.lower(), *(re.sub(r"\W", "", part) for part in route.pattern)])
    ending = _ENDINGS.get(route.summary)
    if ending is None or method != "GET":
        return name
    return name + ending if ending.startswith(".") else ending


def _executes(route: Route) -> bool:
    return route.summary == "execution"


def _reference(param: Param, route: Route, parameters: dict[str, Any], lang: str) -> dict[str, str]:
    key = param.name if param.name not in ("limit", "f") else f"{param.name}_{route.summary}"
    schema = dict(param.schema)
    if param.name == "f":
        schema["enum"] = list(dict.fromkeys(offer.name for offer in route.offers))
    described = {
        "name": param.name, "in": "query", "required": False,
        "description": text(f"api.param.{param.name}", lang), "schema": schema, "style": "form",
        "explode": False,
    }  # fmt: skip
    parameters[key] = described
    return {"$ref": f"#/components/parameters/{key}"}


def _argument(name: str, parameters: dict[str, Any], lang: str) -> dict[str, str]:
    parameters[name] = {
        "name": name, "in": "path", "required": True, "description": text(f"api.param.{name}", lang),
        "schema": {"type": "string"},
    }  # fmt: skip
    return {"$ref": f"#/components/parameters/{name}"}


def _answers(route: Route) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for offer in route.offers:
        schema: dict[str, Any] = {"type": "string"}
        if "json" in offer.media and offer.name == "json":
            schema = {"$ref": f"#/components/schemas/{_SHAPES.get(route.summary, 'any')}"}
        elif offer.name == "jsonld":
            schema = {"type": "object"}
        content[offer.media] = {"schema": schema}
    answers: dict[str, Any] = {"200": {"description": "OK", "content": content}}
    if _executes(route):
        made = {"application/json": {"schema": {"$ref": "#/components/schemas/statusInfo"}}}
        answers["200"]["content"]["application/json"] = {"schema": {}}  # the bare value may be anything
        answers["201"] = {"description": "Created", "content": made}
    codes = ["304", "400", "406", "412", "500"]
    if any(part.startswith("{") for part in route.pattern):
        codes += ["404", "410", "503"]
    for code in codes:
        answers[code] = {"$ref": f"#/components/responses/{'NotModified' if code == '304' else 'Problem'}"}
    return answers


def _responses() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/problem"}
    return {
        "NotModified": {"description": "Not Modified"},
        "Problem": {"description": "RFC 9457", "content": {PROBLEM: {"schema": schema}}},
    }


_QUERYABLES: dict[str, Any] = {
    "name": "queryables",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}

_SHAPES = {
    "landing": "landingPage", "conformance": "confClasses", "collections": "collections",
    "collection": "collection", "items": "featureCollection", "records": "featureCollection",
    "item": "feature", "record": "feature", "processes": "processList", "process": "process",
    "jobs": "jobList", "job": "statusInfo",
}  # fmt: skip

_LINKS = {"type": "array", "items": {"$ref": "#/components/schemas/link"}}
_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_STATES = ("accepted", "running", "successful", "failed", "dismissed")
_PROCESS: dict[str, Any] = {
    "type": "object",
    "required": ["id", "version"],
    "properties": {
        **dict.fromkeys(("id", "version", "title", "description"), _TEXT),
        "jobControlOptions": {"type": "array", "items": _TEXT},
        "outputTransmission": {"type": "array", "items": _TEXT},
        "inputs": {"type": "object"},
        "outputs": {"type": "object"},
        "links": _LINKS,
    },
}
_PROCESSES: dict[str, Any] = {
    "process": _PROCESS,
    "processList": {
        "type": "object",
        "required": ["processes", "links"],
        "properties": {
            "processes": {"type": "array", "items": {"$ref": "#/components/schemas/process"}},
            "links": _LINKS,
        },
    },
    "execute": {
        "type": "object",
        "properties": {
            "inputs": {"type": "object"},
            "outputs": {"type": "object"},
            "response": {"type": "string", "enum": ["raw", "document"], "default": "raw"},
        },
    },
    "statusInfo": {
        "type": "object",
        "required": ["jobID", "status", "type"],
        "properties": {
            **dict.fromkeys(("jobID", "processID", "message"), _TEXT),
            "type": {"type": "string", "enum": ["process"]},
            "status": {"type": "string", "enum": list(_STATES)},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            **dict.fromkeys(("created", "started", "finished", "updated"), _INSTANT),
            "links": _LINKS,
        },
    },
    "jobList": {
        "type": "object",
        "required": ["jobs", "links"],
        "properties": {
            "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/statusInfo"}},
            "links": _LINKS,
        },
    },
}
_SCHEMAS: dict[str, Any] = {
    "any": {"type": "object"},
    "link": {
        "type": "object",
        "required": ["href", "rel"],
        "properties": {name: {"type": "string"} for name in ("href", "rel", "type", "hreflang", "title")},
    },
    "landingPage": {
        "type": "object",
        "required": ["links"],
        "properties": {"title": {"type": "string"}, "description": {"type": "string"}, "links": _LINKS},
    },
    "confClasses": {
        "type": "object",
        "required": ["conformsTo"],
        "properties": {"conformsTo": {"type": "array", "items": {"type": "string"}}},
    },
    "collections": {
        "type": "object",
        "required": ["links", "collections"],
        "properties": {
            "links": _LINKS,
            "numberMatched": {"type": "integer", "minimum": 0},
            "numberReturned": {"type": "integer", "minimum": 0},
            "collections": {"type": "array", "items": {"$ref": "#/components/schemas/collection"}},
        },
    },
    "collection": {
        "type": "object",
        "required": ["id", "links"],
        "properties": {
            "id": {"type": "string"},
            "title": {"type": "string"},
            "description": {"type": "string"},
            "links": _LINKS,
            "extent": {"type": "object"},
            "itemType": {"type": "string", "default": "feature"},
            "crs": {"type": "array", "items": {"type": "string"}},
            "storageCrs": {"type": "string"},
        },
    },
    "feature": {
        "type": "object",
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "geometry": {"type": "object", "nullable": True},
            "properties": {"type": "object", "nullable": True},
            "links": _LINKS,
        },
    },
    "featureCollection": {
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": {"type": "array", "items": {"$ref": "#/components/schemas/feature"}},
            "links": _LINKS,
            "numberMatched": {"type": "integer", "minimum": 0},
            "numberReturned": {"type": "integer", "minimum": 0},
        },
    },
    **_PROCESSES,
    "problem": {
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            **{
                name: {"type": "string"}
                for name in ("type", "title", "detail", "instance", "code", "where", "hint", "request_id")
            },
            "status": {"type": "integer"},
        },
    },
}
