"""What every command shares: the context, help from the message catalogue, errors, output.

Help is not written in the code: command `source add` has the texts `cli.source.add` (what it does)
and `cli.source.add.example`; an option `--dry-run` has `cli.option.dry-run`, or its own
`cli.harvest.option.dry-run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson
from rich.console import Console
from rich.table import Table

from catalog.config import load_settings, load_sources
from catalog.errors import NotFoundError, SatuDataError
from catalog.messages import LANGS, catalogue, text
from catalog.settings import Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from layers.contract import LayerStore

_WHOLE = {"id", "source", "state", "run", "layer", "code", "kind", "type"}
"""Columns that are never broken over two lines: people copy from them."""


def default_lang() -> str:
    """Return `SATUDATA_LANG`, else English for an English locale, else Indonesian."""
    chosen = os.environ.get("SATUDATA_LANG", "")
    if chosen in LANGS:
        return chosen
    return "en" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).lower().startswith("en") else "id"


@dataclass
class App:
    """The state of one invocation: where config and data are, what is opened lazily."""

    config_dir: Path = Path("config")
    data_dir: Path = Path("data")
    lang: str = field(default_factory=default_lang)
    as_json: bool = False
    by: str = field(default_factory=lambda: os.environ.get("USER") or "cli")

    @cached_property
    def settings(self) -> Settings:
        """Settings of the deployment, read on first use."""
        return load_settings(self.config_dir, self.data_dir)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog, migrated to the newest schema."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        return Catalog.open(self.settings.database_url())

    @cached_property
    def store(self) -> LayerStore:
        """The layer store."""
        from layers.open import open_store  # GDAL and PROJ: half a second that many commands do not need

        return open_store(self.settings)

    def close(self) -> None:
        """Let go of what was opened."""
        for name in ("store", "catalog"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    @cached_property
    def sources(self) -> dict[str, SourceConfig]:
        """All sources in `config/sources/`, by id."""
        return {source.id: source for source in load_sources(self.config_dir)}

    def source(self, source_id: str) -> SourceConfig:
        """Return one source or raise NotFoundError that names what there is."""
        if source_id not in self.sources:
            known = ", ".join(sorted(self.sources)) or "-"
            raise NotFoundError(source_id, hint=self.text("cli.hint.sources", known=known))
        return self.sources[source_id]

    def text(self, key: str, **params: Any) -> str:
        """Return a text of the catalogue in this invocation's language."""
        return text(key, self.lang, **params)

    @cached_property
    def console(self) -> Console:
        """Terminal output for people; plain when not a terminal."""
        width = None if sys.stdout.isatty() else 160  # piped tables are for reading too
        return Console(highlight=False, width=width)

    def say(self, key: str, **params: Any) -> None:
        """Print one line for a person; silent under --json."""
        if not self.as_json:
            self.console.print(self.text(key, **params), markup=False)

    def show(
        self, rows: Sequence[dict[str, Any]], columns: Iterable[str], *, empty: str = "cli.empty"
    ) -> None:
        """Print rows as a table, or as a JSON array under --json (all keys, not only `columns`)."""
        if self.as_json:
            self.dump(list(rows))
        elif not rows:
            self.say(empty)
        else:
            self.console.print(self._table(rows, columns))

    def _table(self, rows: Sequence[dict[str, Any]], columns: Iterable[str]) -> Table:
        names = list(columns)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in names:
            key = f"cli.column.{name}"  # a column of the user's own data has its own name
            title = self.text(key) if key in catalogue() else name
            table.add_column(title, overflow="fold", no_wrap=name in _WHOLE)
        for row in rows:
            table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
        return table

    def dump(self, value: Any) -> None:
        """Print a value as JSON."""
        click.echo(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode())

    def fail(self, error: SatuDataError) -> NoReturn:
        """Print what happened and what to do on stderr, and leave with the error's exit code."""
        problem = {"code": error.code, "message": error.message(self.lang), "hint": error.hint(self.lang)}
        if self.as_json:
            click.echo(orjson.dumps({"error": problem}).decode(), err=True)
        else:
            click.echo(f"{problem['message']}\n  → {problem['hint']}", err=True)
        sys.exit(error.exit_code)


pass_app = click.make_pass_decorator(App, ensure=True)


def _lang_of(ctx: click.Context) -> str:
    app = ctx.find_object(App)
    return app.lang if app else default_lang()


def _key(ctx: click.Context) -> str:
    """Return the message key of a command: `cli.source.add`, whatever name the program was started by."""
    names: list[str] = []
    while ctx.parent is not None:
        names.append(str(ctx.info_name))
        ctx = ctx.parent
    return ".".join(["cli", *reversed(names)])


class _Texts(click.Command):
    """Takes help from the message catalogue at the moment it is shown."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        key, lang = _key(ctx), _lang_of(ctx)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text(key, lang))
        example = text(f"{key}.example", lang)
        with formatter.section(text("cli.help.example", lang)), formatter.indentation():
            for line in example.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def get_short_help_str(self, limit: int = 45) -> str:
        ctx = click.get_current_context()
        return text(f"{_key(ctx)}.{self.name}", _lang_of(ctx)).split(". ")[0].rstrip(".")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        key, lang = _key(ctx), _lang_of(ctx)
        for param in self.get_params(ctx):
            if isinstance(param, click.Option):
                name = max(param.opts, key=len).lstrip("-")
                own = f"{key}.option.{name}"
                param.help = text(own if own in catalogue() else f"cli.option.{name}", lang)
        super().format_options(ctx, formatter)


class Command(_Texts):
    """A command whose errors of ours are shown, not traced."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error of ours becomes a message, a hint and an exit code."""
        try:
            return super().invoke(ctx)
        except SatuDataError as error:
            (ctx.find_object(App) or App()).fail(error)


class Group(_Texts, click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


class LazyGroup(Group):
    """A group whose commands are imported when they run: the program starts in a third of the time.

    `lazy` names where each command is: `{"harvest": "cli.harvest:harvest"}`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the alphabet."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the texts alone, without an import."""
        key, lang = _key(ctx), _lang_of(ctx)
        rows = [
            (name, text(f"{key}.{name}", lang).split(". ")[0].rstrip(".")) for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, which every command takes after its name too."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(App).as_json = True

    return click.option("--json", is_flag=True, expose_value=False, callback=remember)(function)


def lang_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--lang`; eager, so that `--lang en --help` is English."""

    def remember(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value:
            ctx.ensure_object(App).lang = value

    option = click.option(
        "--lang",
        type=click.Choice(LANGS),
        envvar="SATUDATA_LANG",
        is_eager=True,
        expose_value=False,
        callback=remember,
    )
    return option(function)
