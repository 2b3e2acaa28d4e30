"""A small upstream that speaks ArcGIS REST, for the sample's boundaries.

It answers what BIG's servers answer and harvesters ask: service and layer JSON, `query` with `where`,
`objectIds`, ids and counts only, paging with `exceededTransferLimit`, errors inside HTTP 200. The
generated files themselves lie under `/berkas/`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from harvesters.sample.arcgis import ArcgisError, Layer, answer, describe
from harvesters.sample.generate import LEVELS

HOST, PORT = "127.0.0.1", 8765
SERVICE = "/arcgis/rest/services/contoh/batas/FeatureServer"
PAGE = 25
"""maxRecordCount: small, so that the harvest of 80 desa shows its pages."""
_VERSION = 10.81


def app(folder: Path) -> Starlette:
    """Return the ASGI app that serves the files which `generate` wrote into `folder`."""
    path = folder / "batas.gpkg"
    layers = [Layer.read(path, name, number, PAGE) for number, name in enumerate(LEVELS)]

    def catalogue(_: Request) -> Response:
        services = [{"name": "contoh/batas", "type": "FeatureServer"}]
        return JSONResponse({"currentVersion": _VERSION, "folders": [], "services": services})

    named = [{"id": layer.number, "name": layer.name, "type": "Feature Layer"} for layer in layers]

    def service(_: Request) -> Response:
        about = {
            "currentVersion": _VERSION, "serviceDescription": "Batas wilayah (contoh sintetis)",
            "copyrightText": "Contoh sintetis, bukan data nyata", "layers": named, "tables": [],
            "maxRecordCount": PAGE, "capabilities": "Query", "supportedQueryFormats": "JSON, geoJSON",
            "spatialReference": {"wkid": 4326, "latestWkid": 4326},
        }  # fmt: skip
        return JSONResponse(about)

    def layer(request: Request) -> Response:
        try:
            return JSONResponse(describe(_find(layers, request), _VERSION))
        except ArcgisError as error:
            return JSONResponse(error.body())

    async def query(request: Request) -> Response:
        body = parse_qsl((await request.body()).decode("utf-8", "replace"))
        params = dict([*request.query_params.items(), *body])
        try:
            return Response(answer(_find(layers, request), params), media_type="application/json")
        except ArcgisError as error:
            return JSONResponse(error.body())

    routes = [
        Route("/", lambda _: PlainTextResponse(f"Satu Data Geo: server contoh\n{SERVICE}?f=json\n")),
        Route("/arcgis/rest/services", catalogue),
        Route(SERVICE, service),
        Route(SERVICE + "/{number}", layer),
        Route(SERVICE + "/{number}/query", query, methods=["GET", "POST"]),
        Mount("/berkas", StaticFiles(directory=folder)),
    ]
    return Starlette(routes=routes)


def _find(layers: list[Layer], request: Request) -> Layer:
    number = request.path_params["number"]
    if not (number.isdecimal() and int(number) < len(layers)):
        raise ArcgisError(400, "Invalid or missing input parameters.")
    return layers[int(number)]


def serve(folder: Path, host: str = HOST, port: int = PORT) -> None:
    """Serve `folder` until interrupted."""
    uvicorn.run(app(folder), host=host, port=port, log_level="warning", limit_concurrency=64, workers=1)
