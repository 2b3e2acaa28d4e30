"""Query parameters, read strictly from one table per resource; OpenAPI is made from the same table.

Anything unknown, doubled, empty or out of its domain is a 400 that names the parameter. A limit
above the maximum is clamped, as OGC API Features Part 1 (7.15.3) allows.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from catalog.model import LayerSchema
from layers.contract import SortOrder
from ogc_server.errors import ParameterError, TooLongError
from ogc_server.times import interval

MAX_QUERY_BYTES = 16_384
_INTEGER = re.compile(r"\+?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

type Pairs = tuple[tuple[str, str], ...]
type Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: how its text is read (raises ParameterError) and how OpenAPI describes it."""

    name: str
    read: Callable[[str, str], Any]
    schema: Mapping[str, Any]


def split_query(raw: bytes) -> Pairs:
    """Return the decoded name/value pairs; each name at most once, UTF-8 only, no control bytes.

    Several `subset` are one with commas between them (Coverages and Maps, `multiple-subset`).
    """
    if len(raw) > MAX_QUERY_BYTES:
        raise TooLongError(where="?", max=MAX_QUERY_BYTES)
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    for part in raw.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        pair = (_decode(name), _decode(value))
        if pair[0] in seen and pair[0] == "subset":
            before = next(value for known, value in pairs if known == "subset")
            pairs = [p for p in pairs if p[0] != "subset"]
            pair = ("subset", f"{before},{pair[1]}")
        elif pair[0] in seen:
            raise ParameterError("query.twice", pair[0])
        seen.add(pair[0])
        pairs.append(pair)
    return tuple(pairs)


def _decode(raw: bytes) -> str:
    try:
        value = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise ParameterError("query.encoding", raw[:40].decode("latin-1")) from None
    if "\x00" in value:
        raise ParameterError("query.encoding", raw[:40].decode("latin-1"))
    return value


def read(table: Iterable[Param], pairs: Pairs, queryables: Iterable[str] = ()) -> dict[str, Any]:
    """Return name -> value of the parameters given; `queryables` are allowed too, as plain text."""
    known = {param.name: param for param in table}
    free = set(queryables)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in known:
            values[name] = known[name].read(name, value)
        elif name in free:
            values[name] = value
        else:
            near = difflib.get_close_matches(name, [*known, *free], 1, 0.6)
            key = "query.unknown-near" if near else "query.unknown"
            raise ParameterError(key, name, near=near[0] if near else "")
    return values


def text(name: str, value: str) -> str:
    """Read a text that is not empty."""
    if not value.strip():
        raise ParameterError("query.empty", name)
    return value


def free_text(name: str, value: str) -> str:
    """Read search words; any text is fine, an empty one finds all."""
    return value


def positive(name: str, value: str) -> int:
    """Read an integer of at least 1."""
    number = whole(name, value)
    if number < 1:
        raise ParameterError("query.positive", name, value=value[:40])
    return number


def whole(name: str, value: str) -> int:
    """Read an integer of at least 0."""
    if not _INTEGER.fullmatch(value.strip()):
        raise ParameterError("query.integer", name, value=value[:40])
    return int(value)


def boolean(name: str, value: str) -> bool:
    """Read `true` or `false`, nothing else."""
    if value not in ("true", "false"):
        raise ParameterError("query.boolean", name, value=value[:40])
    return value == "true"


def names(name: str, value: str) -> tuple[str, ...]:
    """Read a comma-separated list without empty parts; doubles are dropped."""
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise ParameterError("query.list", name, value=value[:80])
    return tuple(dict.fromkeys(parts))


def numbers(name: str, value: str) -> Numbers:
    """Read 4 or 6 finite numbers; of 6 the third and sixth (heights) are only checked."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) not in (4, 6):
        raise ParameterError("query.bbox-count", name, value=value[:80])
    if not all(NUMBER.fullmatch(part) for part in parts):
        raise ParameterError("query.bbox-number", name, value=value[:80])
    box = tuple(float(part) for part in parts)
    if not all(math.isfinite(number) for number in box):
        raise ParameterError("query.bbox-number", name, value=value[:80])
    if len(box) == 6:
        if box[2] > box[5]:
            raise ParameterError("query.bbox-order", name, value=value[:80])
        return (box[0], box[1], box[3], box[4])
    return box


def sorting(name: str, value: str) -> tuple[tuple[str, SortOrder], ...]:
    """Read `+a,-b`. A plus sign arrives as a space when the client did not encode it."""
    keys: dict[str, SortOrder] = {}
    for part in value.split(","):
        sign, key = part[:1], part[1:].strip()
        if sign not in ("+", "-", " "):
            sign, key = "+", part.strip()
        if not key or key in keys:
            raise ParameterError("query.list", name, value=value[:80])
        keys[key] = "desc" if sign == "-" else "asc"
    return tuple(keys.items())


def choice(*options: str) -> Callable[[str, str], str]:
    """Return a reader that takes one of `options`."""

    def reader(name: str, value: str) -> str:
        if value not in options:
            raise ParameterError("query.choice", name, value=value[:80], known=", ".join(options))
        return value

    return reader


_STRING = {"type": "string"}
_LIST = {"type": "array", "items": {"type": "string"}}
_URI = {"type": "string", "format": "uri"}
_BBOX = {
    "type": "array",
    "oneOf": [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
    "items": {"type": "number"},
}

F = Param("f", text, _STRING)
LANG = Param("lang", text, {"type": "string", "enum": ["id", "en"]})
COMMON = (F, LANG)
BBOX = Param("bbox", numbers, _BBOX)
DATETIME = Param("datetime", interval, _STRING)
Q = Param("q", free_text, _STRING)
OFFSET = Param("offset", whole, {"type": "integer", "minimum": 0, "default": 0})
SORTBY = Param("sortby", sorting, _LIST)
CRS = Param("crs", text, _URI)
VERSION = Param("version", positive, {"type": "integer", "minimum": 1})
FILTER = (
    Param("filter", text, _STRING),
    Param(
        "filter-lang",
        choice("cql2-text", "cql2-json"),
        {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"},
    ),
    Param("filter-crs", text, _URI),
)


def limit(default: int, maximum: int) -> Param:
    """Return the limit parameter; larger values are clamped to `maximum` by the handler."""
    schema = {"type": "integer", "minimum": 1, "maximum": maximum, "default": default}
    return Param("limit", positive, schema)


def items_table(default: int, maximum: int) -> tuple[Param, ...]:
    """Return the parameters of a feature collection's items."""
    return (
        *COMMON,
        limit(default, maximum),
        OFFSET,
        Param("after", text, _STRING),
        BBOX,
        Param("bbox-crs", text, _URI),
        DATETIME,
        CRS,
        *FILTER,
        SORTBY,
        Param("properties", names, _LIST),
        Param("skipGeometry", boolean, {"type": "boolean", "default": False}),
        VERSION,
    )


def records_table(default: int, maximum: int) -> tuple[Param, ...]:
    """Return the parameters of the catalogue's records."""
    return (
        *COMMON,
        limit(default, maximum),
        OFFSET,
        BBOX,
        DATETIME,
        Q,
        Param("ids", names, _LIST),
        Param("externalIds", names, _LIST),
        Param("type", names, _LIST),
        SORTBY,
    )


def collections_table(maximum: int) -> tuple[Param, ...]:
    """Return the parameters of /collections."""
    return (*COMMON, limit(maximum, maximum), OFFSET, BBOX, DATETIME, Q)


def queryable_names(schema: LayerSchema, table: Iterable[Param]) -> tuple[str, ...]:
    """Return the attributes that can be asked for as `name=value`."""
    reserved = {param.name for param in table}
    return tuple(name for name in schema.names() if name not in reserved)
