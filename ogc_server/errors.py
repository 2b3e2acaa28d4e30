"""Errors that only an HTTP door has; the rest of the tree is `catalog.errors`."""

from __future__ import annotations

from typing import Any, ClassVar

from catalog.errors import QueryError, SatuDataError
from catalog.messages import text


class SpokenError(SatuDataError):
    """An error whose detail is a sentence of the message catalogue, in the language of who asks.

    `key` names the sentence and `params` fill it; `uri` is the type of the problem where a standard
    fixes one.
    """

    key: str = ""
    uri: ClassVar[str] = ""

    def __init__(self, key: str = "", where: str = "", **params: Any) -> None:
        self.key = key or self.key
        super().__init__(text(self.key, "en", **params), where=where, **params)

    def detail_in(self, lang: str) -> str:
        """Say in `lang` what is wrong."""
        return text(self.key, lang, **self.params)


class ParameterError(SpokenError, QueryError):
    """A query parameter, header, input or body that is malformed; `where` names it."""

    def __init__(self, key: str, where: str, **params: Any) -> None:
        super().__init__(key, where, **params)


class NotAcceptableError(SatuDataError):
    """None of the representations we have is one that the client accepts."""

    code: ClassVar[str] = "not-acceptable"
    http_status: ClassVar[int] = 406


class MethodError(SatuDataError):
    """The resource does not know this HTTP method. `params["allow"]` names those it knows."""

    code: ClassVar[str] = "method"
    http_status: ClassVar[int] = 405


class PreconditionError(SatuDataError):
    """The client asked for the very bytes that it knows (If-Match), and they are others now."""

    code: ClassVar[str] = "precondition"
    http_status: ClassVar[int] = 412


class TooLongError(SatuDataError):
    """The query string is longer than any sane question."""

    code: ClassVar[str] = "uri-too-long"
    http_status: ClassVar[int] = 414


class TooLargeError(SatuDataError):
    """The request body is too large."""

    code: ClassVar[str] = "body-too-large"
    http_status: ClassVar[int] = 413


class LayerBrokenError(SatuDataError):
    """One layer can not be read now; the others are served."""

    code: ClassVar[str] = "layer-unavailable"
    http_status: ClassVar[int] = 503


class NotReadyError(SatuDataError):
    """What was asked for is being made; it is worth asking again."""

    code: ClassVar[str] = "not-ready"
    http_status: ClassVar[int] = 503


class AnswerTooLargeError(ParameterError):
    """The answer would hold more values than one request may ask for; says how to ask for less."""

    code: ClassVar[str] = "answer-too-large"
    http_status: ClassVar[int] = 413


class OutsideError(ParameterError):
    """What is asked for lies wholly beside the raster (Coverages `out-of-bounds`: 204 or 404)."""

    code: ClassVar[str] = "outside"
    http_status: ClassVar[int] = 404
