"""The example of docs/write-a-harvester.md, taken from the page and run against good and bad upstreams."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from catalog.model import RunState
from catalog.runs import Run
from catalog.sources import SourceConfig
from harvesters import registry
from tests.harvesters.support import World
from tests.servers import misbehaving as mis
from tests.servers.misbehaving import Misbehaving, PagedItems

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-a-harvester.md"


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with mis.misbehaving() as server:
        yield server


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the page's code as a third party's package would be, by its entry point."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (name, value) = re.findall(r'^(\w+) = "(my_package[\w.:]+)"$', PAGE.read_text("utf-8"), re.MULTILINE)[0]
    module = ModuleType(value.partition(":")[0])
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    monkeypatch.setitem(sys.modules, "my_package", ModuleType("my_package"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = EntryPoint(name, value, registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])


def harvest(world: World, server: Misbehaving, items: mis.Step, **source: Any) -> Run:
    server.on("/items", items)
    config = {
        "id": "contoh", "type": "items", "url": server.url, "produsen_data": "Dinas Contoh",
        "layers": [{"remote": "items", "id": "barang"}],
    }  # fmt: skip
    return world.harvest(SourceConfig.model_validate(config | source))


def test_the_example_harvests(world: World, server: Misbehaving) -> None:
    run = harvest(world, server, PagedItems(250))
    assert (run.state, run.counts.expected, run.counts.added) == (RunState.OK, 250, 250)
    assert world.rows("barang")["250"] == {"name": "Item 250"}
    assert harvest(world, server, PagedItems(250)).state is RunState.UNCHANGED


def test_short_pages_and_a_cap_below_what_was_asked_are_no_trouble(world: World, server: Misbehaving) -> None:
    assert harvest(world, server, PagedItems(250, short=True)).state is RunState.OK
    assert harvest(world, server, PagedItems(250, cap=7)).state is RunState.UNCHANGED
    assert len(world.rows("barang")) == 250


@pytest.mark.parametrize(
    ("items", "state", "code"),
    [
        (PagedItems(250, repeated=True), RunState.INCOMPLETE, "source-incomplete"),
        (PagedItems(250, duplicate=True), RunState.INCOMPLETE, "source-incomplete"),
        (PagedItems(250, shrinks_at=100), RunState.INCOMPLETE, "source-incomplete"),
        (PagedItems(250, error_in_200_at=200), RunState.FAILED, "source-protocol"),
        (PagedItems(250, truncated_at=100), RunState.FAILED, "source-protocol"),
        (PagedItems(250, auth_ends_at=200), RunState.FAILED, "source-auth"),
        (mis.good("<html>503 in disguise</html>"), RunState.FAILED, "source-protocol"),
        (mis.busy(), RunState.FAILED, "source-transient"),
        (mis.redirect("http://169.254.169.254/"), RunState.FAILED, "source-address"),
    ],
)  # fmt: skip
def test_no_misbehaviour_ends_well_or_harms_what_is_served(
    world: World, server: Misbehaving, items: mis.Step, state: RunState, code: str
) -> None:
    harvest(world, server, PagedItems(240))
    run = harvest(world, server, items)
    assert (run.state, run.code) == (state, code)
    assert len(world.rows("barang")) == 240


def test_an_upstream_that_stumbles_once_is_harvested(world: World, server: Misbehaving) -> None:
    good = PagedItems(250)
    steps: Iterator[mis.Step] = iter([mis.good("no", 500), good, mis.reset(), good, mis.cut(b"{", 100)])

    def stumbling(handler: mis.Handler) -> None:
        next(steps, good)(handler)

    assert harvest(world, server, stumbling).state is RunState.OK


def test_its_options_are_checked_before_anything_runs() -> None:
    source = SourceConfig.model_validate(
        {"id": "s", "type": "items", "url": "http://x", "produsen_data": "p", "options": {"pages": 5},
         "layers": [{"remote": "items"}]}
    )  # fmt: skip
    assert "'page'" in registry.check(source)[0].hint()
