"""Which class harvests which type; third parties add theirs by an entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from catalog.errors import ConfigError
from catalog.sources import SourceConfig
from harvesters import registry
from harvesters.contract import Harvester, Options
from tests.harvesters import scripted


def source(type_: str, **options: object) -> SourceConfig:
    return SourceConfig.model_validate(
        {"id": "s", "type": type_, "url": "https://x.example", "produsen_data": "p", "options": options,
         "layers": [{"remote": "*"}]}
    )  # fmt: skip


@pytest.mark.parametrize("type_", sorted(set(registry.BUILT_IN) - {scripted.TYPE}))
def test_every_built_in_type_has_its_class_and_typed_options(type_: str) -> None:
    found = registry.harvester_class(type_)
    assert issubclass(found, Harvester)
    assert found.type == type_
    assert issubclass(found.options_model, Options)
    assert registry.check(source(type_, no_such_option=1))[0].code == "config"


def test_a_wrong_type_names_the_nearest() -> None:
    problems = registry.check(source("arcgsi"))
    assert len(problems) == 1
    assert "'arcgis'" in problems[0].hint()


def test_a_wrong_option_names_the_nearest_and_a_wrong_value_its_place() -> None:
    scripted.install()
    problem = registry.check(source(scripted.TYPE, color="red"))[0]
    assert problem.where == "s: options.color"
    assert "'colour'" in problem.hint()
    assert registry.check(source(scripted.TYPE, colour=["red"]))[0].where == "s: options.colour"
    assert registry.check(source(scripted.TYPE, colour="red")) == []


def point(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint("outside", value, registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.GROUP else [])


def test_an_entry_point_adds_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    point(monkeypatch, "tests.harvesters.scripted:Scripted")
    assert "outside" in registry.types()
    assert registry.harvester_class("outside") is scripted.Scripted


def test_an_entry_point_that_names_no_harvester_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    point(monkeypatch, "tests.harvesters.scripted:Content")
    with pytest.raises(ConfigError, match="does not name"):
        registry.harvester_class("outside")
    point(monkeypatch, "tests.harvesters.no_such_module:X")
    assert registry.check(source("outside"))[0].code == "config"
