"""Does the work of a process and shapes its answer; nothing of what was asked gets into logs or errors."""

from __future__ import annotations

import logging
import re
import traceback
from base64 import b64encode
from typing import Any

import orjson
import shapely

from analysis.inputs import geometry_of
from analysis.result import MEDIA, Result, encode
from catalog.errors import SatuDataError
from catalog.messages import text
from ogc_server.processes.definition import OUTPUT, Process
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import ProcessFailedError
from ogc_server.processes.inputs import Inputs

_MAP_ROWS = 1000
_MAP_DEGREES = 0.0005
_MAP_PARTS = 2000
LOGGER = logging.getLogger(__name__)
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def work_on(process: Process, bench: Bench, inputs: Inputs) -> Any:
    """Return the value of the output. What is not an error of ours becomes ProcessFailedError."""
    try:
        # once through JSON: numbers of numpy become plain ones, whoever shows them
        return orjson.loads(orjson.dumps(process.run(bench, inputs), option=_OPTIONS))
    except SatuDataError as error:
        # the work names the input as people in Python do: `titik[3].skema`
        if re.split(r"[.\[]", error.where)[0] in process.model.model_fields:
            error.where = "inputs." + re.sub(r"\[(\d+)\]", r".\1", error.where)
        raise
    except Exception as error:
        places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        # the message of the error may hold what was asked; where it was raised does not
        LOGGER.error("process %s failed: %s at %s", process.id, type(error).__name__, " > ".join(places))
        raise ProcessFailedError(type(error).__name__, where=process.id) from None


def encoded(process: Process, bench: Bench, value: Any, form: str, inputs: Inputs | None) -> bytes:
    """Return an answer as GeoJSON, CSV or GeoParquet."""
    return encode(process.show(bench, value, inputs), form)


def on_map(process: Process, bench: Bench, value: Any, inputs: Inputs | None) -> dict[str, Any] | None:
    """Return what a page's map shows, simplified; None where nothing has a place, or too much for a page.

    `asked` beside the features is where the question was about; the inputs of a job are forgotten.
    """
    result = process.show(bench, value, inputs)
    if result.geometries is None or not 0 < len(result.rows) <= _MAP_ROWS:
        return None
    if not any(shape is not None for shape in result.geometries):
        return None
    coarse = Result(value, result.rows, _coarse(result.geometries))
    collection: dict[str, Any] = orjson.loads(encode(coarse, "geojson"))
    return collection | {"asked": [shapely.geometry.mapping(one) for one in _asked(inputs)]}


def _coarse(shapes: Any) -> Any:
    """Simplify so far that it does not show: a map is a thousand pixels wide."""
    west, south, east, north = shapely.total_bounds(shapes)
    return shapely.simplify(shapes, min(max(east - west, north - south) / _MAP_PARTS, _MAP_DEGREES))


def _asked(inputs: Inputs | None) -> list[shapely.Geometry]:
    """Return where a question was about: its area, its origin, its earthquake."""
    found = []
    for name in ("area", "asal"):
        if isinstance(given := getattr(inputs, name, None), dict):
            found.append(_coarse(geometry_of(given)))
    if (quake := getattr(inputs, "gempa", None)) is not None:
        found.append(shapely.Point(quake.lon, quake.lat))
    return found


def qualified(body: bytes, form: str) -> dict[str, Any]:
    """Return a results document that holds an answer in another form than JSON (Processes, 7.13)."""
    said: dict[str, Any] = {"mediaType": MEDIA[form]}
    if form == "geojson":
        return {OUTPUT: {"value": orjson.loads(body), **said}}
    if form == "csv":
        return {OUTPUT: {"value": body.decode(), **said}}
    return {OUTPUT: {"value": b64encode(body).decode(), **said, "encoding": "base64"}}


def shaped(value: Any, *, raw: bool) -> Any:
    """Return the bare value, or a results document (an object in it stands below `value`)."""
    if raw:
        return value
    return {OUTPUT: {"value": value} if isinstance(value, dict) else value}


def reason_of(error: SatuDataError) -> str:
    """Return why a job failed, without the detail: that may repeat what was asked."""
    sentence = text(f"error.{error.code}", "id", **error.params)
    return f"{sentence} ({error.where})" if error.where else sentence
