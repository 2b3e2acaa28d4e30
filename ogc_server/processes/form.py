"""The form of a process, made of the schemas of its inputs: what stands open, what can be chosen.

Most processes can be asked in several ways (one point, a list, a collection): the first stands open, the
others are folded. What was typed is not sent back, as it may tell of persons; harmless choices are:
chosen words, plain numbers such as a tolerance, ticks, and region codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

from catalog.messages import Lang, catalogue, text
from ogc_server.processes.definition import Process

type Kind = Literal["select", "check", "number", "text", "long"]
SEPARATOR = "."
"""Between an input and a part of it, in the name of a field: `gempa.lon`."""
_CODE = re.compile(r"\d{2}(\.?\d{2}(\.?\d{2}(\.?\d{4}|\d{3})?)?)?")
_PLAIN = re.compile(r"-?\d{1,9}([.,]\d{1,6})?")


@dataclass(frozen=True, slots=True)
class FormField:
    """One field; `name` is that of the input or `input.part`."""

    name: str
    title: str
    text: str
    kind: Kind
    required: bool
    example: str
    value: str
    wrong: bool
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    least: float | None = None
    most: float | None = None
    whole: bool = False
    known: str = ""
    """Which collections it may name: `feature`, `raster`, or empty."""
    writing: str = ""
    """Key of a sentence on how it is written."""


@dataclass(slots=True)
class Group:
    """Fields that go together; a group without a title stands open at the top."""

    title: str
    open: bool
    fields: list[FormField] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Filled:
    """What is put into the fields: language, examples, values to show again, and which one is wrong."""

    lang: Lang
    examples: Mapping[str, str]
    kept: Mapping[str, str]
    wrong: str


def groups(
    process: Process, lang: Lang, *, samples: bool, kept: Mapping[str, str] | None = None, wrong: str = ""
) -> list[Group]:
    """Return the fields of a process in their groups.

    `samples`: the boundaries are those of the sample, so its examples fit; `kept` are values that may be
    shown again; `wrong` names the field that was refused (`inputs.k`).
    """
    described = process.inputs(lang)
    filled = _Filled(lang, process.samples if samples else process.examples, kept or {}, wrong)
    fields = {name: _fields(name, one, filled) for name, one in described.items()}
    made: list[Group] = []
    for way, names in process.ways.items():
        made.append(Group(text(f"form.{process.id}.{way}", lang), not made, _take(fields, names)))
    first = [n for n in fields if described[n]["minOccurs"] or (n in filled.examples and not process.ways)]
    made.insert(0, Group("", True, _take(fields, first)))
    made.append(Group(text("form.more", lang), False, _take(fields, list(fields))))
    made = [group for group in made if group.fields]
    for group in made:
        group.open = group.open or any(one.wrong or one.value for one in group.fields)
    return made


def fill(made: Iterable[Group]) -> None:
    """Put the examples into the fields that stand open."""
    for group in made:
        if group.open:
            group.fields = [replace(one, value=one.value or one.example) for one in group.fields]


def _take(fields: dict[str, list[FormField]], names: Iterable[str]) -> list[FormField]:
    return [one for name in names if name in fields for one in fields.pop(name)]


def _fields(name: str, one: Mapping[str, Any], filled: _Filled) -> list[FormField]:
    """Return the field of an input, or those of its parts when it is an object of plain ones."""
    parts = object_parts(one["schema"])
    example = filled.examples.get(name, "")
    if not parts:
        said = one["title"], one["description"], bool(one["minOccurs"])
        return [_field(name, said, one["schema"], example, filled)]
    made = []
    for part, schema in parts.items():
        title, _, more = text(f"form.part.{part}", filled.lang).partition(": ")
        part_name = f"{name}{SEPARATOR}{part}"
        made.append(_field(part_name, (title, more, False), schema, _example_of(example, part), filled))
    return made


def _field(
    name: str, said: tuple[str, str, bool], schema: Mapping[str, Any], example: str, filled: _Filled
) -> FormField:
    plain = plain_schema(schema)
    title, more, required = said
    default = schema.get("default")
    return FormField(
        name, title, more, _kind(schema, plain), required, example,
        filled.kept.get(name, ""), _is_wrong(name, filled.wrong),
        tuple((value, value_label(value, filled.lang)) for value in plain.get("enum", ())),
        "" if default is None or isinstance(default, bool) else str(default),
        plain.get("minimum"), plain.get("maximum"), plain.get("type") == "integer",
        {"koleksi": "feature", "raster": "raster"}.get(name, ""), _way_of_writing(schema),
    )  # fmt: skip


def _way_of_writing(schema: Mapping[str, Any]) -> str:
    """Return the key of a sentence on how lists are written, or empty."""
    items = list_schema(schema)
    if not items:
        return ""
    return "form.table.hint" if items.get("type") == "object" else "form.list.hint"


def _is_wrong(name: str, wrong: str) -> bool:
    """Tell whether an error names this field, its input as a whole, or something inside of it."""
    return wrong in (f"inputs.{name}", f"inputs.{name.split(SEPARATOR)[0]}") or wrong.startswith(
        f"inputs.{name}."
    )


def _kind(schema: Mapping[str, Any], plain: Mapping[str, Any]) -> Kind:
    if "enum" in plain:
        return "select"
    if plain.get("type") == "boolean":
        return "check"
    if plain.get("type") in ("number", "integer"):
        return "number"
    if "contentMediaType" in schema or list_schema(schema).get("type") == "object":
        return "long"
    kinds = {one.get("type") for one in schema.get("anyOf", [schema])}
    return "long" if "object" in kinds and "string" not in kinds else "text"


def plain_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one thing that a value may be, besides being left out; empty when it may be several."""
    branches = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    one: Mapping[str, Any] = branches[0] if len(branches) == 1 else {}
    return one


def object_parts(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parts of an input that can only be an object (an earthquake)."""
    found: Mapping[str, Any] = plain_schema(schema).get("properties", {})
    return found


def list_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the items of a list may be; empty when the value can not be a list."""
    for one in schema.get("anyOf", [schema]):
        if one.get("type") == "array":
            items: Mapping[str, Any] = one.get("items", {})
            return items
    return {}


def _example_of(written: str, part: str) -> str:
    found = re.search(rf'"{part}": ("?)([^",}}]+)\1', written)
    return found[2] if found else ""


def value_label(value: str, lang: Lang) -> str:
    """Return a word of an answer or a choice as people read it."""
    key = f"process.value.{value}"
    return text(key, lang) if key in catalogue() else value


def harmless(process: Process, lang: Lang, body: bytes) -> dict[str, str]:
    """Return what of a form's body may be shown again (module docstring)."""
    try:
        typed = dict(parse_qsl(body.decode("utf-8")))
    except ValueError:
        return {}
    kept = {name: typed[name] for name in ("_bentuk", "_latar") if typed.get(name, "").isalnum()}
    for group in groups(process, lang, samples=False):
        for one in group.fields:
            value = typed.get(one.name, "").strip()
            if value and _may_be_kept(one, value):
                kept[one.name] = value
    return kept


def _may_be_kept(one: FormField, value: str) -> bool:
    if one.kind == "select":
        return value in dict(one.choices)
    if one.kind == "check":
        return value == "true"
    if SEPARATOR in one.name:  # where an earthquake was is no secret, but parts may be those of a point
        return False
    if one.kind == "number":
        return _PLAIN.fullmatch(value) is not None
    return one.name == "kode" and _CODE.fullmatch(value) is not None
