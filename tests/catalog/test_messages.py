"""Every word of the vocabulary has its text in both languages."""

from __future__ import annotations

from typing import get_args

from catalog import errors
from catalog.codes import LEVELS
from catalog.messages import LANGS, catalogue, text
from catalog.model import Access, Counts, DatasetRecord, Kind, RunState, Scheme
from catalog.region_model import QUALITIES
from catalog.runs import Phase
from catalog.versions import STATES


def error_classes(root: type[errors.SatuDataError]) -> list[type[errors.SatuDataError]]:
    return [root, *(found for child in root.__subclasses__() for found in error_classes(child))]


def test_every_word_has_a_text_in_both_languages() -> None:
    keys = [f"field.{name}" for name in DatasetRecord.model_fields]
    keys += [f"access.{name}" for name in get_args(Access)]
    keys += [f"kind.{name}" for name in get_args(Kind)]
    keys += [f"level.{name}" for name in LEVELS]
    keys += [f"scheme.{name}" for name in get_args(Scheme)]
    keys += [f"run.state.{state.value}" for state in RunState]
    keys += [f"run.phase.{name}" for name in get_args(Phase)]
    keys += [f"version.state.{name}" for name in STATES]
    keys += [f"quality.{name}" for name in QUALITIES]
    keys += [f"count.{name}" for name in Counts.__dataclass_fields__]
    for found in error_classes(errors.SatuDataError):
        if found.__module__ == errors.__name__:
            keys += [f"error.{found.code}", f"error.{found.code}.hint"]
    for key in keys:
        assert set(catalogue().get(key, {})) == set(LANGS), key


def test_places_in_a_text_are_filled() -> None:
    assert text("notice.source-changed", "en", field="Title", was="a", now="b").count("“") == 2


def test_a_missing_text_shows_its_key() -> None:
    assert text("no.such.key") == "no.such.key"
