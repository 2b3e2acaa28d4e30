"""YAML that remembers on which line each value stands, so that errors can say `file:line`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog.errors import ConfigError

type Loc = tuple[str | int, ...]

_DEEPEST = 40
_MOST_NODES = 200_000


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file: `data` (keys as they are written) and the line of every value and key in it."""

    path: Path
    data: Any
    lines: dict[Loc, int]

    def where(self, loc: Loc) -> str:
        """Return `file:line` of a place, or of the nearest thing around it that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return f"{self.path}:{self.lines.get(loc, 1)}"


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file; ConfigError with the line for bad syntax, unknown tags and doubled keys."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError("the file does not exist", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"the file can not be read: {error.strerror}", where=str(path)) from error
    try:
        return _Builder(path, text).build()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or error.context or "bad YAML"
        raise ConfigError(f"bad YAML: {problem}", where=f"{path}:{line}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"bad YAML: {error}", where=str(path)) from error


class _Builder:
    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._loader = yaml.SafeLoader(text)
        self._lines: dict[Loc, int] = {}
        self._nodes = 0

    def build(self) -> YamlFile:
        try:
            node = self._loader.get_single_node()
            data = None if node is None else self._value(node, ())
        finally:
            self._loader.dispose()
        return YamlFile(self._path, data, self._lines)

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(loc) > _DEEPEST:
            self._fail(node, "the file is too large or too deep (or its aliases are)")
        self._lines.setdefault(loc, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*loc, number)) for number, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        self._refuse_doubles(node)
        self._loader.flatten_mapping(node)  # `<<: *anchor`
        found: dict[str, Any] = {}
        for key, value in node.value:
            place = (*loc, key.value)
            self._lines[place] = key.start_mark.line + 1
            found[key.value] = self._value(value, place)
        return found

    def _refuse_doubles(self, node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, "a key must be a plain word")
            if key.value in seen and key.value != "<<":
                self._fail(key, f"the key `{key.value}` stands already on line {seen[key.value]}")
            seen[key.value] = key.start_mark.line + 1

    def _fail(self, node: yaml.Node, detail: str) -> None:
        raise ConfigError(detail, where=f"{self._path}:{node.start_mark.line + 1}")
