"""Reads `config/`: `satudata.yml` and `sources/*.yml`, with errors that a person can act on.

Each error names file and line, what is wrong, and the nearest right key. Secrets stand under `auth`
(and `ckan.api_key`, `response.notify`) by reference only; nowhere else is `${...}` understood, but in the two
database addresses of `satudata.yml`, which deployments hand in.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from catalog.errors import ConfigError
from catalog.intervals import interval
from catalog.secrets import is_reference
from catalog.settings import Settings
from catalog.sources import SourceConfig
from catalog.yaml_file import Loc, YamlFile, read_yaml

SETTINGS_FILE = "satudata.yml"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WEEKDAY = re.compile(r"(?i)(?:\*|[0-7]|sun|mon|tue|wed|thu|fri|sat|[-,/])+")
_HAS_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_WITH_REFERENCES: tuple[Loc, ...] = (("database",), ("layers",), ("ckan", "api_key"))

type Problem = tuple[str, str]
"""Where (`file:line`) and what."""


def load_settings(config_dir: Path | str, data_dir: Path | str) -> Settings:
    """Return the deployment's settings; without a `satudata.yml` they are the defaults."""
    folder = Path(config_dir).resolve()
    if not folder.is_dir():
        raise ConfigError(
            "the configuration folder does not exist", where=str(folder),
            hint="Name it with --config or SATUDATA_CONFIG.",
        )  # fmt: skip
    path = folder / SETTINGS_FILE
    file = read_yaml(path) if path.exists() else YamlFile(path, {}, {})
    places = {"config_dir": folder, "data_dir": Path(data_dir).resolve()}
    return _validate(Settings, file, _settings_problems, _fill_addresses, places)


def load_sources(config_dir: Path | str) -> list[SourceConfig]:
    """Return every source of `sources/`, in the order of the file names.

    A source id in two files, or a collection id in two sources that are switched on, is an error.
    """
    folder = Path(config_dir).resolve() / "sources"
    paths = sorted(p for p in folder.glob("*") if p.suffix in {".yml", ".yaml"})
    sources = [(path, load_source(path)) for path in paths]
    seen: dict[str, Path] = {}
    layers: dict[str, Path] = {}
    for path, source in sources:
        _once(seen, source.id, path, "source id")
        for layer in source.layers if source.enabled else ():
            if layer.id is not None:
                _once(layers, layer.id, path, "collection id")
    return [source for _path, source in sources]


def load_source(path: Path | str) -> SourceConfig:
    """Return one source; a path in `url` becomes absolute, counted from the file's folder."""
    file = read_yaml(Path(path).resolve())
    return _validate(SourceConfig, file, _source_problems, _absolute_paths, {})


def json_schema() -> dict[str, Any]:
    """Return the JSON Schemas by file name, for editors (`# yaml-language-server: $schema=`)."""
    return {
        "satudata.schema.json": _schema(Settings),
        "source.schema.json": _schema(SourceConfig),
    }


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    for name in ("config_dir", "data_dir"):  # given on the command line
        schema["properties"].pop(name, None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _once(seen: dict[str, Path], name: str, path: Path, what: str) -> None:
    if name in seen:
        raise ConfigError(f"the {what} `{name}` stands already in {seen[name].name}", where=str(path))
    seen[name] = path


def _validate[M: BaseModel](
    model: type[M],
    file: YamlFile,
    more_problems: Callable[[YamlFile], Iterator[Problem]],
    prepare: Callable[[YamlFile], dict[str, Any]],
    extra: dict[str, Any],
) -> M:
    if not isinstance(file.data, dict):
        raise ConfigError("the file must hold `key: value` lines", where=f"{file.path}:1")
    known = _schema(model)["properties"]
    problems = [
        (file.where((key,)), _unknown(key, known)) for key in file.data if key in extra and key not in known
    ]
    problems += more_problems(file)
    try:
        made = model.model_validate({**prepare(file), **extra})
    except ValidationError as error:
        problems += [_problem(model, file, found) for found in error.errors()]
    if problems:
        raise _error(problems)
    return made


def _error(problems: list[Problem]) -> ConfigError:
    (where, first), *rest = sorted(problems, key=lambda problem: int(problem[0].rpartition(":")[2]))
    return ConfigError("\n".join([first, *(f"{place}: {what}" for place, what in rest)]), where=where)


def _problem(model: type[BaseModel], file: YamlFile, found: ErrorDetails) -> Problem:
    loc: Loc = found["loc"]
    kind, key = found["type"], str(loc[-1]) if loc else ""
    place = ".".join(map(str, loc))
    if kind == "extra_forbidden":
        return file.where(loc), _unknown(key, _known_keys(_schema(model), loc[:-1]))
    if kind == "missing":
        return file.where(loc[:-1]), f"`{place}` is missing"
    what = f"`{place}`: {found['msg']}"
    if key in {"secret", "password"}:
        what = f'`{place}` must be a reference: "${{NAME}}" or "file:/path"'
    elif kind == "string_type" and isinstance(found["input"], int | float):
        what += f'; write it in quotes: "{found["input"]}"'
    elif kind == "literal_error":
        what += _did_you_mean(str(found["input"]), re.findall(r"'([^']*)'", str(found["ctx"]["expected"])))
    return file.where(loc), what


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    return f"unknown key `{key}`{_did_you_mean(key, known) or f'; known: {", ".join(sorted(known))}'}"


def _did_you_mean(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word.lower(), list(known), 1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _known_keys(schema: dict[str, Any], loc: Loc) -> dict[str, Any]:
    """Follow a place through a JSON Schema to the keys that may stand there."""
    node: dict[str, Any] = schema
    for step in loc:
        node = _resolved(node, schema)
        node = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
    properties: dict[str, Any] = _resolved(node, schema).get("properties", {})
    return properties


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            node = option
    reference = node.get("$ref")
    return root["$defs"][reference.rpartition("/")[2]] if reference else node


def _scalars(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _scalars(inner, (*loc, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _scalars(inner, (*loc, number))
    elif isinstance(value, str):
        yield loc, value


def _settings_problems(file: YamlFile) -> Iterator[Problem]:
    for loc, value in _scalars(file.data):
        if loc == ("ckan", "api_key") and not is_reference(value):
            yield file.where(loc), 'a secret must be a reference: "${NAME}" or "file:/path"'
        elif _REFERENCE.search(value) and loc not in _WITH_REFERENCES and not _channel_secret(loc):
            yield file.where(loc), f"`{'.'.join(map(str, loc))}`: ${{...}} is not understood here"


def _channel_secret(loc: Loc) -> bool:
    """Tell whether a place is `response.notify.N.secret` or `.password`; its model checks the form."""
    return loc[:2] == ("response", "notify") and loc[-1] in {"secret", "password"}


def _source_problems(file: YamlFile) -> Iterator[Problem]:
    for loc, value in _scalars(file.data):
        if loc[0] == "auth":
            if not is_reference(value):
                yield file.where(loc), f'`auth.{loc[-1]}` must be a reference: "${{NAME}}" or "file:/path"'
        elif _REFERENCE.search(value):
            yield file.where(loc), f"`{'.'.join(map(str, loc))}`: ${{...}} is only understood under `auth`"
    yield from _schedule_problems(file)
    yield from _doubled_layers(file)


def _schedule_problems(file: YamlFile) -> Iterator[Problem]:
    schedule = file.data.get("schedule")
    if not isinstance(schedule, str):
        return
    if schedule.startswith("@"):
        try:
            interval(schedule)
        except ConfigError as error:
            yield file.where(("schedule",)), f"`schedule`: {error.detail}"
        return
    fields = schedule.split()
    if len(fields) != 5:
        yield file.where(("schedule",)), f"`schedule` must be five cron fields, not {len(fields)}"
        return
    minute, hour, day, month, weekday = fields
    try:
        # The weekday is left to the scheduler: APScheduler counts from Monday, cron from Sunday.
        CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone="UTC")
        if not _WEEKDAY.fullmatch(weekday):
            raise ValueError(f"{weekday!r} is no weekday")
    except ValueError as error:
        yield file.where(("schedule",)), f"`schedule` is no cron expression: {error}"


def _doubled_layers(file: YamlFile) -> Iterator[Problem]:
    seen: set[str] = set()
    layers = file.data.get("layers")
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        name = layer.get("id") if isinstance(layer, dict) else None
        if isinstance(name, str) and name in seen:
            yield file.where(("layers", number, "id")), f"the collection id `{name}` stands there twice"
        seen.add(str(name))


def _fill_addresses(file: YamlFile) -> dict[str, Any]:
    """Put the environment's values into the two database addresses; make the secret's path absolute."""

    def value_of(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise ConfigError(f"the environment variable {found[1]} is not set", where=file.where((name,)))
        return value

    data = dict(file.data)
    for name in ("database", "layers"):
        if isinstance(data.get(name), str):
            data[name] = _REFERENCE.sub(value_of, data[name])
    if isinstance(data.get("ckan"), dict):
        data["ckan"] = {key: _from_folder(file, value) for key, value in data["ckan"].items()}
    if isinstance(data.get("response"), dict) and isinstance(data["response"].get("notify"), list):
        told = [_with_secrets(file, channel) for channel in data["response"]["notify"]]
        data["response"] = data["response"] | {"notify": told}
    return data


def _with_secrets(file: YamlFile, channel: Any) -> Any:
    if not isinstance(channel, dict):
        return channel
    return {k: _from_folder(file, v) if k in {"secret", "password"} else v for k, v in channel.items()}


def _absolute_paths(file: YamlFile) -> dict[str, Any]:
    """Count relative paths (the `url` of a file, a secret's file) from the YAML file's folder."""
    data = dict(file.data)
    url, auth = data.get("url"), data.get("auth")
    if isinstance(url, str) and url and not _HAS_SCHEME.match(url):
        data["url"] = str((file.path.parent / url).resolve())
    if isinstance(auth, dict):
        data["auth"] = {key: _from_folder(file, value) for key, value in auth.items()}
    return data


def _from_folder(file: YamlFile, reference: Any) -> Any:
    """Count the path of a `file:` reference from the YAML file's folder; leave all else as it is."""
    if isinstance(reference, str) and reference.startswith("file:"):
        return f"file:{(file.path.parent / reference.removeprefix('file:')).resolve()}"
    return reference
