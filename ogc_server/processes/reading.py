"""Reads an execute request, as JSON (OGC API - Processes 7.11) or from an HTML form."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from analysis.result import MEDIA
from ogc_server.ask import Ask
from ogc_server.errors import ParameterError
from ogc_server.negotiation import JSON
from ogc_server.processes.definition import OUTPUT, Process
from ogc_server.processes.form import SEPARATOR, list_schema, object_parts
from ogc_server.processes.inputs import Inputs, checked, schema_of
from ogc_server.processes.persons import refuse_persons

FORM = "application/x-www-form-urlencoded"
_KNOWN = {"inputs", "outputs", "response", "subscriber", "mode", "id"}
_QUALIFIED = {"value", "mediaType", "encoding", "schema"}
_PLACE = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]{1,12})?)\s*[,;]\s*(-?[0-9]{1,2}(?:\.[0-9]{1,12})?)")
_LEAST_CODE = 11
"""No code of a region is less than that of Aceh; all of Indonesia lies between 11 south and 6 north."""
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])")


@dataclass(frozen=True, slots=True)
class Execution:
    """What is asked: checked inputs, whether as a job, and whether the bare value is wanted."""

    inputs: Inputs
    later: bool
    raw: bool
    form: str = ""
    """`json`, `geojson`, `csv`, `parquet`, or empty: as negotiated."""


def is_form(ask: Ask) -> bool:
    """Tell whether the request comes from an HTML form."""
    return _media(ask) == FORM


def _media(ask: Ask) -> str:
    return ask.headers.get("content-type", JSON).split(";")[0].strip().lower()


def read_execution(ask: Ask, process: Process) -> Execution:
    """Return the request; ParameterError names the field that is wrong."""
    media = _media(ask)
    later = bool(_ASYNC.search(ask.headers.get("prefer", "").lower()))
    if media == FORM:
        values, background, form = _form(ask.body, process)
        refuse_persons(values, "inputs")
        return Execution(checked(process.model, values), later or background, raw=True, form=form)
    if media not in (JSON, ""):
        raise ParameterError("process.input.media", "Content-Type", known=f"{JSON}, {FORM}")
    request = _object(ask.body)
    form = _check_outputs(request)
    response = request.get("response", "raw")
    if response not in ("raw", "document"):
        raise ParameterError("process.input.choice", "response", known="raw, document")
    given = request.get("inputs", {})
    if not isinstance(given, dict):
        raise ParameterError("process.input.object", "inputs")
    values = {str(name): _value(str(name), value) for name, value in given.items()}
    return Execution(checked(process.model, values), later, response == "raw", form)


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ParameterError("process.input.json", "body") from None
    if not isinstance(request, dict):
        raise ParameterError("process.input.object", "body")
    refuse_persons(request)
    for name in request:
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise ParameterError("process.input.unknown", str(name)[:60], known=known, why="")
    if request.get("subscriber") is not None:
        # Calling an address that anybody may name would turn this server into a weapon.
        raise ParameterError("process.input.subscriber", "subscriber")
    return request


def _check_outputs(request: dict[str, Any]) -> str:
    """Return the form that the request names for its output, or empty."""
    outputs = request.get("outputs", {})
    if not isinstance(outputs, dict):
        raise ParameterError("process.input.object", "outputs")
    for name, wanted in outputs.items():
        if name != OUTPUT:
            raise ParameterError("process.input.unknown", f"outputs.{str(name)[:60]}", known=OUTPUT, why="")
        if not isinstance(wanted, dict):
            raise ParameterError("process.input.object", f"outputs.{name}")
        if wanted.get("transmissionMode", "value") != "value":
            raise ParameterError("process.input.choice", f"outputs.{name}.transmissionMode", known="value")
        form = wanted.get("format")
        media = form.get("mediaType") if isinstance(form, dict) else None
        if media is not None:
            return _form_of(media, f"outputs.{name}.format.mediaType")
    return ""


def _form_of(media: object, where: str) -> str:
    for form, known in MEDIA.items():
        if media == known:
            return form
    raise ParameterError("process.input.choice", where, known=", ".join(MEDIA.values()))


def _value(name: str, given: Any) -> Any:
    """Return the value itself of a qualified one; a reference is refused, nothing is fetched."""
    if isinstance(given, dict) and "value" in given and set(given) <= _QUALIFIED:
        return given["value"]
    if isinstance(given, dict) and "href" in given:
        raise ParameterError("process.input.reference", f"inputs.{name[:60]}")
    return given


def _form(body: bytes, process: Process) -> tuple[dict[str, Any], bool, str]:
    """Return the inputs of a form: what looks like JSON is JSON, empty fields were left out.

    `gempa.lon` is a part of `gempa`; lists may be written as people do (see `_typed`).
    """
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body))
    except ValueError:
        raise ParameterError("process.input.form", "body") from None
    refuse_persons(dict(pairs), "inputs")
    schemas = schema_of(process.model)["properties"]
    values: dict[str, Any] = {}
    background, form = False, ""
    for name, text in pairs:
        if name == "_latar":
            background = True
        elif name == "_bentuk":
            form = text if text == "html" else _form_of(MEDIA.get(text), "_bentuk")
        elif text.strip():
            _put(values, name, text.strip(), schemas)
    return values, background, "" if form == "html" else form


def _put(values: dict[str, Any], name: str, text: str, schemas: dict[str, Any]) -> None:
    whole, _, part = name.partition(SEPARATOR)
    parts = object_parts(schemas.get(whole, {}))
    if part not in parts:
        if name in values:
            raise ParameterError("query.twice", name[:60])
        values[name] = _typed(name, text, schemas.get(name, {}))
        return
    found = values.setdefault(whole, {})
    if not isinstance(found, dict) or part in found:
        raise ParameterError("query.twice", name[:60])
    found[part] = _typed(name, text, parts[part])


def _typed(name: str, text: str, schema: dict[str, Any]) -> Any:
    """Return what a field holds: JSON, lines of a table (copied from a spreadsheet), a list, or a text."""
    if text[:1] in "[{":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ParameterError("process.input.json", f"inputs.{name[:60]}") from None
    items = list_schema(schema)
    may_be_object = any(one.get("type") == "object" for one in schema.get("anyOf", ()))
    if items and may_be_object and (point := _point(text)):
        return point
    if items.get("type") == "object" and "\n" in text:
        return _table(name, text)
    if items and items.get("type") != "object":
        return _listed(text, numbers=items.get("type") in ("number", "integer"))
    return {"true": True, "on": True, "false": False}.get(text, text)


def _point(text: str) -> dict[str, Any] | None:
    """Return `108.29, -8.92` as GeoJSON; two codes are none, as those of regions begin at 11."""
    found = _PLACE.fullmatch(text)
    if not found or abs(float(found[2])) >= _LEAST_CODE:
        return None
    return {"type": "Point", "coordinates": [float(found[1]), float(found[2])]}


def _table(name: str, text: str) -> list[dict[str, str]]:
    head = text.splitlines()[0]
    delimiter = max("\t;,", key=head.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        return [
            {str(k).strip(): v.strip() for k, v in row.items() if isinstance(v, str) and v.strip()}
            for row in rows
        ]
    except csv.Error:  # its text may quote a cell
        raise ParameterError("process.input.table", f"inputs.{name[:60]}") from None


def _listed(text: str, *, numbers: bool) -> list[str]:
    """Return the parts of a list; where `;` parts numbers, a comma is decimal."""
    if numbers and ";" in text:
        text = text.replace(",", ".")
    parts = re.split(r"[;\n]" if numbers and ";" in text else r"[;,\n]", text)
    return [part.strip() for part in parts if part.strip()]
