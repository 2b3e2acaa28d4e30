"""The docs match the code: every command, every config key, every page that README names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from catalog.settings import Settings
from catalog.sources import LayerConfig, SourceConfig
from cli.main import main
from harvesters.registry import BUILT_IN, harvester_class

HOUSE = Path(__file__).resolve().parents[1]
DOCS = "\n".join(path.read_text("utf-8") for path in [HOUSE / "README.md", *(HOUSE / "docs").glob("*.md")])


def _commands(group: click.Group, prefix: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        path = f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, path)
        else:
            yield path


@pytest.mark.parametrize("command", list(_commands(main, "satudata")))
def test_every_command_is_documented(command: str) -> None:
    assert command in DOCS


def test_every_command_in_the_docs_exists() -> None:
    known = list(_commands(main, "satudata"))
    used = re.findall(r"^\s*(satudata(?: [a-z]+)+)", DOCS, re.MULTILINE) + re.findall(
        r"`(satudata(?: [a-z]+)+)", DOCS
    )
    wrong = {
        line for line in used if not any(line.startswith(name) or name.startswith(line) for name in known)
    }
    assert wrong == set()


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        parts = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        inner = next((model for model in models if model.__name__.endswith("Settings")), None)
        if inner:
            yield from _keys(inner, f"{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("key", list(_keys(Settings)))
def test_every_setting_is_documented(key: str) -> None:
    assert f"`{key}`" in (HOUSE / "docs" / "operate.md").read_text("utf-8")


@pytest.mark.parametrize("key", sorted({*_keys(SourceConfig), *_keys(LayerConfig)}))
def test_every_key_of_a_source_is_documented(key: str) -> None:
    assert f"`{key}`" in (HOUSE / "docs" / "add-a-source.md").read_text("utf-8")


def test_every_link_between_the_docs_leads_somewhere() -> None:
    lost = []
    for page in [HOUSE / "README.md", HOUSE / "CHANGELOG.md", *(HOUSE / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text("utf-8")):
            if not (page.parent / target).exists():
                lost.append(f"{page.name}: {target}")
    assert lost == []


@pytest.mark.parametrize("type_", list(BUILT_IN))
def test_every_option_of_a_harvester_is_documented(type_: str) -> None:
    page = (HOUSE / "docs" / "add-a-source.md").read_text("utf-8")
    fields = harvester_class(type_).options_model.model_fields
    names = {field.alias or name for name, field in fields.items()}
    assert {name for name in names if f"`{name}`" not in page} == set()
