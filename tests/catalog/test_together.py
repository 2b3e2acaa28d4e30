"""Writes of several books in one transaction."""

from __future__ import annotations

import pytest

from catalog.errors import PublishError
from catalog.model import DatasetRecord, Localized
from catalog.store import Catalog

RECORD = DatasetRecord(title=Localized(id="Gudang"))


def put(catalog: Catalog, dataset_id: str, source: str = "a") -> None:
    catalog.datasets.put(
        dataset_id, source_id=source, remote_id=dataset_id, kind="table", record=RECORD, run_id=""
    )


def both(catalog: Catalog, *names: str, source: str = "a") -> None:
    with catalog.database.together(), catalog.database.together():
        for name in names:
            put(catalog, name, source)


def test_all_or_none(catalog: Catalog) -> None:
    put(catalog, "ada")
    with pytest.raises(PublishError):
        both(catalog, "satu", "ada", source="b")
    assert catalog.datasets.ids() == ["ada"]
    both(catalog, "satu", "dua")
    assert sorted(catalog.datasets.ids()) == ["ada", "dua", "satu"]


def test_one_write_may_fail_and_the_others_go_on(catalog: Catalog) -> None:
    put(catalog, "satu")
    with catalog.database.together():
        put(catalog, "dua")
        with pytest.raises(PublishError):
            put(catalog, "satu", source="b")
        put(catalog, "tiga")
    assert sorted(catalog.datasets.ids()) == ["dua", "satu", "tiga"]
    put(catalog, "empat")
    assert "empat" in catalog.datasets.ids()
