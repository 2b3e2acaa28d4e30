"""CQL2 Text (OGC 21-065r2) to pygeofilter's syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import shapely
from pygeofilter import ast, values
from shapely.errors import GEOSException

from catalog.errors import QueryError
from layers.cql.nodes import (
    ARITHMETIC,
    COMPARISON,
    MAX_DEPTH,
    MAX_PREDICATES,
    balanced,
    call,
    interval_end,
    like,
    parse_date,
    parse_timestamp,
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:''|\\'|[^'])*')
    | (?P<quoted>"(?:""|[^"])*")
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[:_\w&&[^\d]][\w:.]*)
    | (?P<sign><=|>=|<>|!=|[-=<>()+*/,%^])
    )""".replace("[:_\\w&&[^\\d]]", r"(?:[^\W\d]|:)"),
    re.VERBOSE,
)
_SHAPES = re.compile(
    r"(?:SRID\s*=\s*\d+\s*;\s*)?(?:POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|"
    r"GEOMETRYCOLLECTION)\s*(?:ZM|Z|M)?\s*(?=\()",
    re.IGNORECASE,
)
_WORDS = frozenset(
    {"AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE", "DIV", "INCLUDE", "EXCLUDE"}
)


class _Token(NamedTuple):
    kind: str
    value: str
    at: int


def tokenize(text: str) -> list[_Token]:
    """Cut the text into tokens; a WKT geometry is one token. QueryError at the first odd character."""
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at].isalpha() and (shape := _SHAPES.match(text, at)):
            end = _closing(text, shape.end())
            tokens.append(_Token("geometry", text[at:end], at))
            at = end
            continue
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise QueryError(f"the filter can not be read at character {at + 1}: {text[at : at + 20]!r}")
        kind, value = found.lastgroup, found.group(found.lastgroup)
        if kind == "name" and value.upper() in _WORDS:
            kind, value = "word", value.upper()
        tokens.append(_Token(kind, value, found.start(found.lastgroup)))
        at = found.end()
    return tokens


def _closing(text: str, at: int) -> int:
    """Return where the bracket that opens at `at` has been closed."""
    depth = 0
    for found in re.compile(r"[()']").finditer(text, at):
        if found.group() == "'":
            break
        depth += 1 if found.group() == "(" else -1
        if depth == 0:
            return found.end()
    raise QueryError(f"the geometry at character {at + 1} is not closed")


class _Parser:
    """Recursive descent with a bound on depth and size."""

    def __init__(self, text: str) -> None:
        self.tokens = tokenize(text)
        self.at = 0
        self.depth = 0
        self.predicates = 0

    def parse(self) -> Any:
        if not self.tokens:
            raise QueryError("the filter is empty")
        node = self.any()
        if self.at < len(self.tokens):
            self.fail("the filter should end")
        return node

    # -- tokens

    def peek(self, *wanted: str) -> bool:
        """Tell whether the next token is one of these words or signs."""
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        return token.kind in ("word", "sign") and token.value in wanted

    def take(self, *wanted: str) -> str | None:
        """Take the next token if it is one of these."""
        if not self.peek(*wanted):
            return None
        self.at += 1
        return self.tokens[self.at - 1].value

    def need(self, wanted: str) -> None:
        """Take this token or fail."""
        if self.take(wanted) is None:
            self.fail(f"{wanted!r} is missing")

    def fail(self, message: str) -> None:
        """Raise QueryError that names the place."""
        if self.at >= len(self.tokens):
            raise QueryError(f"the filter ends too early: {message}")
        token = self.tokens[self.at]
        raise QueryError(f"the filter is wrong at character {token.at + 1} ({token.value[:30]!r}): {message}")

    def count(self) -> None:
        """Count one operator."""
        self.predicates += 1
        if self.predicates > MAX_PREDICATES:
            raise QueryError(f"the filter has more than {MAX_PREDICATES} operators")

    # -- grammar, loosest first

    def any(self) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise QueryError(f"the filter nests deeper than {MAX_DEPTH}")
        node = self.series("OR", ast.Or, lambda: self.series("AND", ast.And, self.negation))
        self.depth -= 1
        return node

    def series(self, word: str, kind: type[Any], part: Callable[[], Any]) -> Any:
        items = [part()]
        while self.take(word):
            self.count()
            items.append(part())
        return balanced(kind, items)

    def negation(self) -> Any:
        flips = 0
        while self.take("NOT"):
            flips += 1
        node = self.comparison()
        return ast.Not(node) if flips % 2 else node

    def comparison(self) -> Any:
        left = self.sum()
        if sign := self.take(*COMPARISON):
            self.count()
            return COMPARISON[sign](left, self.sum())
        if self.take("IS"):
            negated = self.take("NOT") is not None
            self.need("NULL")
            return ast.IsNull(left, negated)
        negated = self.take("NOT") is not None
        if self.take("LIKE"):
            self.count()
            return like(left, self.atom(), negated)
        if self.take("BETWEEN"):
            self.count()
            low = self.sum()
            self.need("AND")
            return ast.Between(left, low, self.sum(), negated)
        if self.take("IN"):
            self.need("(")
            return ast.In(left, self.arguments(), negated)
        if negated:
            self.fail("LIKE, BETWEEN or IN should follow NOT")
        return left

    def sum(self) -> Any:
        return self.arithmetic(("+", "-"), lambda: self.arithmetic(("*", "/"), self.unary))

    def arithmetic(self, signs: tuple[str, ...], part: Callable[[], Any]) -> Any:
        left = part()
        while sign := self.take(*signs):
            self.count()
            left = ARITHMETIC[sign](left, part())
            if self.predicates > MAX_DEPTH:
                self.fail("too much arithmetic")
        if self.peek("%", "^", "DIV"):
            self.fail("this arithmetic is not supported")
        return left

    def unary(self) -> Any:
        minus = False
        while sign := self.take("-", "+"):
            minus ^= sign == "-"
        node = self.atom()
        if not minus:
            return node
        return -node if isinstance(node, (int, float)) and not isinstance(node, bool) else ast.Sub(0, node)

    def atom(self) -> Any:
        if self.take("("):
            node = self.any()
            self.need(")")
            return node
        if word := self.take("TRUE", "FALSE"):
            return word == "TRUE"
        if word := self.take("INCLUDE", "EXCLUDE"):
            return ast.Include(word == "EXCLUDE")
        if self.at >= len(self.tokens) or self.tokens[self.at].kind in ("word", "sign"):
            self.fail("a property, a value or a function is missing")
        token = self.tokens[self.at]
        self.at += 1
        readers: dict[str, Callable[[_Token], Any]] = {
            "text": lambda t: _unquote(t.value),
            "quoted": lambda t: ast.Attribute(t.value[1:-1].replace('""', '"')),
            "number": _number,
            "geometry": _geometry,
            "name": self.named,
        }
        return readers[token.kind](token)

    def named(self, token: _Token) -> Any:
        if not self.take("("):
            return ast.Attribute(token.value)
        self.count()
        arguments = self.arguments()
        name = token.value.upper()
        if name == "DATE":
            return parse_date(_only(arguments, name, 1)[0])
        if name == "TIMESTAMP":
            return parse_timestamp(_only(arguments, name, 1)[0])
        if name == "INTERVAL":
            return values.Interval(*(interval_end(a) for a in _only(arguments, name, 2)))
        return call(token.value, arguments)

    def arguments(self) -> list[Any]:
        """Read up to the closing bracket; the opening one was taken."""
        found = [self.any()]
        while self.take(","):
            self.count()
            found.append(self.any())
        self.need(")")
        return found


def _only(arguments: list[Any], name: str, wanted: int) -> list[Any]:
    if len(arguments) != wanted:
        raise QueryError(f"{name} takes {wanted} arguments, not {len(arguments)}")
    return arguments


def _unquote(text: str) -> str:
    return text[1:-1].replace("\\'", "'").replace("''", "'")


def _number(token: _Token) -> int | float:
    if len(token.value) > 400:
        raise QueryError("a number in the filter is too long")
    return int(token.value) if token.value.isdecimal() else float(token.value)


def _geometry(token: _Token) -> values.Geometry:
    text = re.sub(r"^SRID\s*=\s*\d+\s*;", "", token.value, flags=re.IGNORECASE)
    try:
        shape = shapely.from_wkt(text)
    except (GEOSException, ValueError) as error:
        raise QueryError(f"the geometry at character {token.at + 1} can not be read") from error
    return values.Geometry(shapely.geometry.mapping(shapely.force_2d(shape)))


def parse_text(text: str) -> Any:
    """Return the syntax tree of a CQL2 text; QueryError names the place of what is wrong."""
    return _Parser(text).parse()
