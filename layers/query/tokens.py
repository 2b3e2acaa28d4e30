"""Keyset tokens: where the last page ended. Opaque to clients, refused when they are not ours."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from zlib import crc32

import orjson

from catalog.errors import QueryError
from layers.contract import SortOrder
from layers.values import Scalar

type Sort = tuple[tuple[str, SortOrder], ...]


@dataclass(frozen=True, slots=True)
class Token:
    """The sort values and the id of the last feature that was shown."""

    values: tuple[Scalar, ...]
    feature_id: str


def _signature(sort: Sort) -> int:
    return crc32(orjson.dumps(sort))


def encode(sort: Sort, token: Token) -> str:
    """Return the token's text, safe in an address."""
    body = orjson.dumps([_signature(sort), token.values, token.feature_id])
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(text: str, sort: Sort) -> Token:
    """Return the token; QueryError when it is garbage or belongs to another order."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        signature, values, feature_id = orjson.loads(raw)
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError) as error:
        raise QueryError("the paging token is not one of ours") from error
    if signature != _signature(sort) or not isinstance(feature_id, str) or not isinstance(values, list):
        raise QueryError("the paging token belongs to another order of the features")
    if len(values) != len(sort) or not all(v is None or isinstance(v, (str, int, float)) for v in values):
        raise QueryError("the paging token is not one of ours")
    return Token(tuple(values), feature_id)


def integer_id(text: str) -> int:
    """Return a token's id as the number it is in a layer of integer ids; QueryError otherwise."""
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20:
        return int(text)
    raise QueryError("the paging token is not one of ours")
