"""Reads an execute request, as JSON (OGC API - Processes 7.11) or from an HTML form."""

from __future__ import annotations

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
from ogc_server.processes.inputs import Inputs, checked
from ogc_server.processes.persons import refuse_persons

FORM = "application/x-www-form-urlencoded"
_KNOWN = {"inputs", "outputs", "response", "subscriber", "mode", "id"}
_QUALIFIED = {"value", "mediaType", "encoding", "schema"}
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])")


@dataclass(frozen=True, slots=True)
class Execution:
    """What is asked: checked inputs, whether as a job, and whether the bare value is wanted."""

    inputs: Inputs
    later: bool
    raw: bool
    form: str = ""
    """`json`, `geojson`, `csv`, `parquet`, or empty: as negotiated."""


def read_execution(ask: Ask, process: Process) -> Execution:
    """Return the request; ParameterError names the field that is wrong."""
    media = ask.headers.get("content-type", JSON).split(";")[0].strip().lower()
    later = bool(_ASYNC.search(ask.headers.get("prefer", "").lower()))
    if media == FORM:
        values, background, form = _form(ask.body)
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


def _form(body: bytes) -> tuple[dict[str, Any], bool, str]:
    """Return the inputs of a form: what looks like JSON is JSON, empty fields were left out."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body))
    except ValueError:
        raise ParameterError("process.input.form", "body") from None
    refuse_persons(dict(pairs), "inputs")
    values: dict[str, Any] = {}
    background, form = False, ""
    for name, text in pairs:
        if name == "_latar":
            background = True
        elif name == "_bentuk":
            form = text if text == "html" else _form_of(MEDIA.get(text), "_bentuk")
        elif name in values:
            raise ParameterError("query.twice", name[:60])
        elif text.strip():
            values[name] = _typed(name, text.strip())
    return values, background, "" if form == "html" else form


def _typed(name: str, text: str) -> Any:
    if text[:1] in "[{":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ParameterError("process.input.json", f"inputs.{name[:60]}") from None
    return {"true": True, "on": True, "false": False}.get(text, text)
