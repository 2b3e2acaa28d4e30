"""A fast ArcGIS-speaking server on local data, for the benchmark and the tests.

Every feature's Esri JSON is made once and kept in a file; a page by object ids is then a slice of
that file, so what is measured is the harvester. It enforces `maxRecordCount`, sets
`exceededTransferLimit` and answers errors within HTTP 200, as ArcGIS Server does.

    python -m benchmarks.arcgis_server desa_2025.parquet --cache build/bench --port 6080
"""

from __future__ import annotations

import argparse
import mmap
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

type Ids = npt.NDArray[np.int64]
type Feature = tuple[int, dict[str, Any], Any]
"""Object id, attributes (without it), shapely geometry or None."""

SERVICES = "/arcgis/rest/services"
GAP = 9
"""Every so many object ids one is left out, as in the real layer."""


@dataclass
class Layer:
    """One layer, ready to send. `columns` hold the attributes that `where` may compare."""

    definition: dict[str, Any]
    ids: Ids
    ends: Ids
    blob: mmap.mmap | bytes
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def oid(self) -> str:
        return str(next(f["name"] for f in self.definition["fields"] if f["type"] == "esriFieldTypeOID"))

    def slice(self, first: int, last: int) -> memoryview:
        """Features at positions first..last-1, with a comma after each."""
        start = int(self.ends[first - 1]) if first else 0
        return memoryview(self.blob)[start : int(self.ends[last - 1])]


def esri_geometry(shape: Any) -> dict[str, Any] | None:
    """Return a geometry as Esri JSON (shells and holes in one list of rings)."""
    if shape is None:
        return None
    coords = shapely.get_coordinates
    match shape.geom_type:
        case "Point":
            return {"x": shape.x, "y": shape.y}
        case "MultiPoint":
            return {"points": coords(shape)}
        case "LineString" | "MultiLineString":
            return {"paths": [coords(part) for part in shapely.get_parts(shape)]}
        case _:
            return {"rings": [coords(r) for p in shapely.get_parts(shape) for r in shapely.get_rings(p)]}


def dump(oid_name: str, feature: Feature, geometry: bool = True) -> bytes:
    """Return one feature as Esri JSON."""
    oid, attributes, shape = feature
    body: dict[str, Any] = {"attributes": {oid_name: oid, **attributes}}
    if geometry and shape is not None:
        body["geometry"] = esri_geometry(shape)
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def definition(
    name: str, fields: Sequence[dict[str, Any]], geometry: str | None, **more: Any
) -> dict[str, Any]:
    """Return a layer description; `fields` without the object id."""
    oid = {"name": "OBJECTID", "type": "esriFieldTypeOID", "alias": "OBJECTID", "domain": None}
    shape = {"type": "Feature Layer", "geometryType": geometry} if geometry else {"type": "Table"}
    return {
        "currentVersion": 10.81, "id": 0, "name": name, **shape, "hasZ": False, "hasM": False,
        "fields": [oid, *fields], "maxRecordCount": 1000, "supportedQueryFormats": "JSON, geoJSON",
        "advancedQueryCapabilities": {"supportsPagination": True, "supportsOrderBy": True}, **more,
    }  # fmt: skip


def in_memory(about: dict[str, Any], features: Iterable[Feature]) -> Layer:
    """Make a small layer."""
    ordered = sorted(features, key=lambda f: f[0])
    oid = next(f["name"] for f in about["fields"] if f["type"] == "esriFieldTypeOID")
    parts = [dump(oid, f) + b"," for f in ordered]
    names = ordered[0][1] if ordered else {}
    return Layer(
        about,
        np.array([f[0] for f in ordered], dtype=np.int64),
        np.cumsum([len(p) for p in parts], dtype=np.int64),
        b"".join(parts),
        {name: [f[1].get(name) for f in ordered] for name in names},
    )


# -- the national layer ---------------------------------------------------------------------------

_ARROW = {"int32": "esriFieldTypeInteger", "int64": "esriFieldTypeInteger", "double": "esriFieldTypeDouble"}


def object_ids(count: int) -> Ids:
    """Return rising object ids with gaps."""
    index = np.arange(count, dtype=np.int64)
    return index + index // GAP + 1


def _rows(parquet: pq.ParquetFile) -> Iterator[tuple[dict[str, Any], Any]]:
    for batch in parquet.iter_batches(2000):
        table = pa.Table.from_batches([batch])
        shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        yield from zip(table.drop_columns(["geometry"]).to_pylist(), shapes, strict=True)


def desa(path: Path, cache: Path) -> Layer:
    """Open (and on first use make, in about 10 s) the national layer of villages."""
    parquet = pq.ParquetFile(path)
    schema = [f for f in parquet.schema_arrow if f.name != "geometry"]
    fields = [
        {"name": f.name, "type": _ARROW.get(str(f.type), "esriFieldTypeString"), "alias": f.name}
        for f in schema
    ]
    about = definition("BATAS_DESAKEL_AR", fields, "esriGeometryPolygon")
    ids = object_ids(parquet.metadata.num_rows)
    blob, ends = cache / "desa.bin", cache / "desa.npy"
    if not ends.exists():
        cache.mkdir(parents=True, exist_ok=True)
        sizes = []
        with blob.with_suffix(".part").open("wb") as out:
            for oid, (row, shape) in zip(ids.tolist(), _rows(parquet), strict=True):
                sizes.append(out.write(dump("OBJECTID", (oid, row, shape)) + b","))
        blob.with_suffix(".part").replace(blob)
        np.save(ends, np.cumsum(sizes, dtype=np.int64))
    with blob.open("rb") as f:
        mapped = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    codes = pq.read_table(path, columns=["KDPKAB"])["KDPKAB"].to_pylist()
    return Layer(about, ids, np.load(ends), mapped, {"KDPKAB": codes})


# -- questions ------------------------------------------------------------------------------------

_CONDITION = re.compile(r"(\w+)\s*(>=|<=|<>|=|>|<)\s*(-?\d+|'(?:[^']|'')*')")
_COMPARE = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less, "=": np.equal}


class QueryFailedError(Exception):
    """The server's own error, told within HTTP 200."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.body = orjson.dumps({"error": {"code": code, "message": message, "details": []}})


def select(layer: Layer, params: Mapping[str, str]) -> Ids:
    """Return the positions that `where` and `objectIds` choose, in order of the object id."""
    mask = np.ones(len(layer.ids), dtype=bool)
    for part in re.split(r"\s+AND\s+", params.get("where") or "1=1", flags=re.IGNORECASE):
        mask &= _condition(layer, part.strip().strip("()"))
    if listed := params.get("objectIds"):
        mask &= np.isin(layer.ids, np.array([int(i) for i in listed.split(",")]))
    return np.flatnonzero(mask)


def _condition(layer: Layer, text: str) -> Any:
    if text == "1=1":
        return True
    match = _CONDITION.fullmatch(text)
    if not match:
        raise QueryFailedError(f"'where' clause is invalid: {text}")
    name, operator, value = match.groups()
    if name == layer.oid:
        return _COMPARE[operator](layer.ids, int(value))
    if name not in layer.columns or operator != "=":
        raise QueryFailedError(f"'where' clause is invalid: {text}")
    wanted = value[1:-1].replace("''", "'")
    return np.array([str(v) == wanted for v in layer.columns[name]])


def query(layer: Layer, params: Mapping[str, str], limit: int) -> list[bytes | memoryview]:
    """Answer `/query`: the parts of the body."""
    found = select(layer, params)
    if params.get("returnCountOnly") == "true":
        return [orjson.dumps({"count": len(found)})]
    if params.get("returnIdsOnly") == "true":
        ids = layer.ids[found].tolist()
        return [orjson.dumps({"objectIdFieldName": layer.oid, "objectIds": ids or None})]
    start = int(params.get("resultOffset") or 0)
    limit = min(limit, int(params.get("resultRecordCount") or limit))
    page, more = found[start : start + limit], len(found) > start + limit
    about = layer.definition
    head: dict[str, Any] = {k: about[k] for k in ("geometryType", "fields") if k in about}
    head |= {"spatialReference": {"wkid": 4326, "latestWkid": 4326}, "objectIdFieldName": layer.oid}
    if more:
        head["exceededTransferLimit"] = True
    return [orjson.dumps(head)[:-1] + b',"features":[', *_stretches(layer, page), b"]}"]


def _stretches(layer: Layer, page: Ids) -> Iterator[bytes | memoryview]:
    """Yield the features at positions `page` as few slices of the file, without the last comma."""
    if not len(page):
        return
    breaks = np.flatnonzero(np.diff(page) != 1) + 1
    groups = np.split(page, breaks)
    for group in groups[:-1]:
        yield layer.slice(int(group[0]), int(group[-1]) + 1)
    yield layer.slice(int(groups[-1][0]), int(groups[-1][-1]) + 1)[:-1]


# -- the server -----------------------------------------------------------------------------------


@dataclass
class Answer:
    """What goes over the wire."""

    parts: list[bytes | memoryview]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    cut: int | None = None
    """Send only so many bytes of the stated length, then hang up."""


class ArcGISServer:
    """Serves services (name -> layers by number). A subclass may override `answer`."""

    def __init__(self, services: Mapping[str, Sequence[Layer]], port: int = 0) -> None:
        self.services = services
        self.httpd = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"owner": self}))
        self.httpd.daemon_threads = True
        self._thread = threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True)

    def url(self, service: str) -> str:
        """Return the address of a service."""
        return f"http://127.0.0.1:{self.httpd.server_port}{SERVICES}/{service}"

    def __enter__(self) -> ArcGISServer:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, params: dict[str, str]) -> Answer:
        """Answer one request."""
        try:
            return Answer(self.route(path, params))
        except QueryFailedError as e:
            return Answer([e.body])

    def route(self, path: str, params: dict[str, str]) -> list[bytes | memoryview]:
        """Return the body for a path below the services root."""
        below = path.removeprefix(SERVICES).strip("/")
        inside = [name for name in self.services if name.startswith(f"{below}/" if below else "")]
        if inside and path.startswith(SERVICES):
            found = [dict(zip(("name", "type"), name.rsplit("/", 1), strict=True)) for name in inside]
            return [orjson.dumps({"currentVersion": 10.81, "folders": [], "services": found})]
        match = re.fullmatch(rf"{SERVICES}/(.+?/(?:MapServer|FeatureServer))(?:/(\d+)(/query)?)?/?", path)
        if not match or match[1] not in self.services:
            raise QueryFailedError("Service not found", 404)
        layers = self.services[match[1]]
        if match[2] is None:
            listed = [
                {"id": i, **{k: x.definition.get(k) for k in ("name", "type")}} for i, x in enumerate(layers)
            ]
            tables = [x for x in listed if x["type"] == "Table"]
            return [orjson.dumps({
                "currentVersion": 10.81, "mapName": match[1], "tables": tables,
                "layers": [x for x in listed if x["type"] != "Table"],
            })]  # fmt: skip
        if int(match[2]) >= len(layers):
            raise QueryFailedError("Layer not found", 404)
        layer = layers[int(match[2])]
        if not match[3]:
            return [orjson.dumps({**layer.definition, "id": int(match[2])})]
        return query(layer, params, layer.definition["maxRecordCount"])


class _Handler(BaseHTTPRequestHandler):
    owner: ArcGISServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve(urlsplit(self.path).query)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._serve(urlsplit(self.path).query + "&" + self.rfile.read(length).decode())

    def _serve(self, text: str) -> None:
        params = {k: v[-1] for k, v in parse_qs(text).items()}
        self._send(self.owner.answer(self.command, urlsplit(self.path).path, params))

    def _send(self, answer: Answer) -> None:
        length = sum(len(p) for p in answer.parts)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.cut is not None:
            self.wfile.write(b"".join(answer.parts)[: answer.cut])
            self.close_connection = True
            return
        for part in answer.parts:
            self.wfile.write(part)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


def main() -> None:
    """Serve the national layer until interrupted; the first line printed is its address."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("build/bench"))
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    name = "BATASWILAYAH/BATAS_DESAKEL_AR/MapServer"
    with ArcGISServer({name: [desa(args.parquet, args.cache)]}, args.port) as server:
        print(server.url(name), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
