"""CQL2 text read into CQL2 JSON (OGC 21-065r2), by recursive descent.

Why not pygeofilter's own parser: in 0.4 AND and OR bind equally (`a OR b AND c` is read wrongly),
`NOT (a AND b)` and `''` in texts are refused, and some hundred nested parentheses hang it. Here
depth is bounded and the time grows with the length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ogc_server.errors import ParameterError

MAX_DEPTH = 64

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>'(?:[^'\\]|''|\\.)*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<name>[^\W\d][\w:.]*)
    | (?P<symbol><>|<=|>=|[=<>(),+\-*/%^])
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
_GEOMETRIES = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
    "GEOMETRYCOLLECTION": "GeometryCollection",
}
_NESTING = {
    "Point": 0,
    "LineString": 1,
    "MultiPoint": 1,
    "Polygon": 2,
    "MultiLineString": 2,
    "MultiPolygon": 3,
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str
    at: int


def parse(source: str) -> Any:
    """Return the CQL2 JSON of a CQL2 text; raises ParameterError naming the character."""
    parser = _Parser(_tokens(source))
    node = parser.condition(0)
    parser.end()
    return node


def _tokens(source: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(source.rstrip()):
        match = _TOKEN.match(source, at)
        if not match:
            raise _syntax(at, "?")
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    tokens.append(_Token("end", "", len(source)))
    return tokens


def _syntax(at: int, reason: str) -> ParameterError:
    return ParameterError("query.filter-syntax", "filter", at=at + 1, reason=reason)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    # -- tokens ---------------------------------------------------------------

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _word(self, *words: str) -> bool:
        return self._now.kind == "name" and self._now.value.upper() in words

    def _symbol(self, *symbols: str) -> bool:
        return self._now.kind == "symbol" and self._now.value in symbols

    def _next(self) -> _Token:
        token = self._now
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, value: str) -> None:
        if not (self._symbol(value) or self._word(value)):
            raise _syntax(self._now.at, f"{value} ...?")
        self._next()

    def end(self) -> None:
        if self._now.kind != "end":
            raise _syntax(self._now.at, self._now.value[:40])

    # -- conditions -----------------------------------------------------------

    def condition(self, depth: int) -> Any:
        return self._joined("or", self._conjunction, depth)

    def _conjunction(self, depth: int) -> Any:
        return self._joined("and", self._factor, depth)

    def _joined(self, op: str, part: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ParameterError("query.filter-depth", "filter", max=MAX_DEPTH)
        args = [part(depth)]
        while self._word(op.upper()):
            self._next()
            args.append(part(depth))
        return args[0] if len(args) == 1 else {"op": op, "args": args}

    def _factor(self, depth: int) -> Any:
        negations = 0
        while self._word("NOT"):
            self._next()
            negations += 1
        node = self._primary(depth)
        return {"op": "not", "args": [node]} if negations % 2 else node

    def _primary(self, depth: int) -> Any:
        if self._symbol("("):
            mark = self._at
            self._next()
            node = self.condition(depth + 1)
            self._expect(")")
            if self._symbol(*_COMPARISONS, "+", "-", "*", "/") or self._word("IS", "IN", "LIKE", "BETWEEN"):
                self._at = mark
                return self._predicate(depth)
            return node
        return self._predicate(depth)

    def _predicate(self, depth: int) -> Any:
        left = self._sum(depth)
        negated = False
        if self._word("NOT"):
            self._next()
            negated = True
        node = self._tail(left, depth, negated)
        return {"op": "not", "args": [node]} if negated else node

    def _tail(self, left: Any, depth: int, negated: bool) -> Any:
        if not negated and self._symbol(*_COMPARISONS):
            op = self._next().value
            return {"op": op, "args": [left, self._sum(depth)]}
        if self._word("LIKE"):
            self._next()
            return {"op": "like", "args": [left, self._sum(depth)]}
        if self._word("BETWEEN"):
            self._next()
            low = self._sum(depth)
            self._expect("AND")
            return {"op": "between", "args": [left, low, self._sum(depth)]}
        if self._word("IN"):
            self._next()
            return {"op": "in", "args": [left, self._list(depth)]}
        if not negated and self._word("IS"):
            return self._is_null(left)
        if negated:
            raise _syntax(self._now.at, "NOT ...?")
        return left

    def _is_null(self, left: Any) -> Any:
        self._next()
        negated = self._word("NOT")
        if negated:
            self._next()
        self._expect("NULL")
        node = {"op": "isNull", "args": [left]}
        return {"op": "not", "args": [node]} if negated else node

    # -- expressions ----------------------------------------------------------

    def _sum(self, depth: int) -> Any:
        left = self._product(depth)
        while self._symbol("+", "-"):
            op = self._next().value
            left = {"op": op, "args": [left, self._product(depth)]}
        return left

    def _product(self, depth: int) -> Any:
        left = self._value(depth)
        while self._symbol("*", "/"):
            op = self._next().value
            left = {"op": op, "args": [left, self._value(depth)]}
        return left

    def _value(self, depth: int) -> Any:
        token = self._next()
        if token.kind == "number":
            return _number(token.value)
        if token.kind == "symbol" and token.value in "+-" and self._now.kind == "number":
            number = _number(self._next().value)
            return -number if token.value == "-" else number
        if token.kind == "text":
            return re.sub(r"''|\\'", "'", token.value[1:-1])
        if token.kind == "quoted":
            return {"property": token.value[1:-1].replace('""', '"')}
        if token.kind == "name":
            return self._named(token, depth)
        if token.kind == "symbol" and token.value == "(":
            if depth > MAX_DEPTH:
                raise ParameterError("query.filter-depth", "filter", max=MAX_DEPTH)
            node = self._sum(depth + 1)
            self._expect(")")
            return node
        raise _syntax(token.at, token.value[:40] or "...?")

    def _named(self, token: _Token, depth: int) -> Any:
        word = token.value.upper()
        if word in ("TRUE", "FALSE"):
            return word == "TRUE"
        if word in _GEOMETRIES and (self._symbol("(") or self._word("Z", "EMPTY")):
            return self._geometry(_GEOMETRIES[word], depth)
        if not self._symbol("("):
            return {"property": token.value}
        args = self._list(depth)
        if word in ("DATE", "TIMESTAMP") and len(args) == 1:
            return {word.lower(): args[0]}
        if word == "INTERVAL" and len(args) == 2:
            return {"interval": args}
        if word == "BBOX":
            return {"bbox": args}
        return {"op": token.value.lower(), "args": args}

    def _list(self, depth: int) -> list[Any]:
        self._expect("(")
        items = [] if self._symbol(")") else [self.condition(depth + 1)]
        while self._symbol(","):
            self._next()
            items.append(self.condition(depth + 1))
        self._expect(")")
        return items

    # -- geometries (WKT) -----------------------------------------------------

    def _geometry(self, kind: str, depth: int) -> Any:
        if self._word("Z"):
            self._next()
        if depth > MAX_DEPTH:
            raise ParameterError("query.filter-depth", "filter", max=MAX_DEPTH)
        if kind == "GeometryCollection":
            return {"type": kind, "geometries": self._collection(depth)}
        coordinates = self._coordinates(_NESTING[kind], kind)
        return {"type": kind, "coordinates": coordinates}

    def _collection(self, depth: int) -> list[Any]:
        self._expect("(")
        parts = []
        while True:
            name = self._next()
            kind = _GEOMETRIES.get(name.value.upper())
            if kind is None:
                raise _syntax(name.at, name.value[:40])
            parts.append(self._geometry(kind, depth + 1))
            if not self._symbol(","):
                break
            self._next()
        self._expect(")")
        return parts

    def _coordinates(self, nesting: int, kind: str) -> Any:
        self._expect("(")
        if nesting == 0:
            point = self._position()
            self._expect(")")
            return point
        parts = []
        while True:
            if nesting > 1:
                parts.append(self._coordinates(nesting - 1, kind))
            elif kind == "MultiPoint" and self._symbol("("):
                parts.append(self._coordinates(0, kind))
            else:
                parts.append(self._position())
            if not self._symbol(","):
                break
            self._next()
        self._expect(")")
        return parts

    def _position(self) -> list[float]:
        numbers: list[float] = []
        while self._now.kind == "number" or self._symbol("-", "+"):
            sign = -1 if self._symbol("-") else 1
            if self._now.kind == "symbol":
                self._next()
            if self._now.kind != "number":
                raise _syntax(self._now.at, self._now.value[:40])
            numbers.append(sign * float(self._next().value))
        if len(numbers) not in (2, 3):
            raise _syntax(self._now.at, "x y")
        return numbers


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() and len(text) < 20 else float(text)
