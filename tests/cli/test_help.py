"""Every command tells what it does, with an example, in both languages."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from catalog.messages import LANGS, catalogue, text
from cli.main import main
from tests.test_docs import _commands

PATHS = ["", *(path.removeprefix("satudata ") for path in _commands(main, "satudata"))]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("path", PATHS)
def test_help_says_what_and_shows_an_example(path: str, lang: str) -> None:
    shown = CliRunner().invoke(main, ["--lang", lang, *path.split(), "--help"], prog_name="satudata")
    key = "cli" + "".join(f".{part}" for part in path.split())
    assert shown.exit_code == 0
    assert text(key, lang).split()[0] in shown.output
    assert text(f"{key}.example", lang).splitlines()[0] in shown.output
    assert "cli." not in shown.output, "a text is missing from the catalogue"


def test_commands_are_listed_with_their_short_help() -> None:
    shown = CliRunner().invoke(main, ["--lang", "en", "--help"], prog_name="satudata")
    for name in main.list_commands(click.Context(main)):
        assert shown.output.count(catalogue()[f"cli.{name}"]["en"].split(".")[0][:20]) == 1


def test_an_unknown_command_is_a_usage_error() -> None:
    shown = CliRunner().invoke(main, ["panen"])
    assert shown.exit_code == 2
