"""Counts without disclosure control are never public, whichever way somebody tries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from catalog.closed import CLOSED, ClosedError
from catalog.errors import AccessError
from catalog.model import Access, DatasetRecord, Localized
from catalog.store import Catalog
from tests.catalog.test_versions import info

RAW = replace(info(1, "hitungan"), extra={CLOSED: "agregasi"})
SAFE = info(2, "hitungan")


def put(catalog: Catalog, access: Access, source: str = "analisis:hitungan") -> None:
    record = DatasetRecord(title=Localized(id="Hitungan"), access=access)
    catalog.datasets.put(
        "hitungan", source_id=source, remote_id="hitungan", kind="feature", record=record, run_id=""
    )


def publish_raw(catalog: Catalog, access: Access = "internal") -> None:
    put(catalog, access)
    catalog.versions.register(RAW)
    catalog.versions.make_current("hitungan", 1, by="sri")


def edit(catalog: Catalog) -> None:
    catalog.datasets.overlay("hitungan", {"access": "publik", "credit": "x"}, by="sri")


def harvest(catalog: Catalog) -> None:
    put(catalog, "publik")


def withdraw_and_revive(catalog: Catalog) -> None:
    catalog.datasets.tombstone("hitungan", reason="", by="sri")
    put(catalog, "publik", "berkas")


def publish_over_it(catalog: Catalog) -> None:
    catalog.versions.register(SAFE)
    catalog.versions.make_current("hitungan", 2, by="sri")
    put(catalog, "publik")  # version 1 would still be there, by `?version=1`


@pytest.mark.parametrize("way", [edit, harvest, withdraw_and_revive, publish_over_it])
def test_closed_counts_can_not_be_opened(catalog: Catalog, way: Callable[[Catalog], None]) -> None:
    publish_raw(catalog)
    with pytest.raises(ClosedError) as caught:
        way(catalog)
    assert isinstance(caught.value, AccessError)
    assert caught.value.code == "access-closed"
    assert (caught.value.where, caught.value.params) == ("hitungan", {"version": 1})
    assert "aggregate" in caught.value.hint()
    assert catalog.datasets.ids(access="publik") == []


def test_who_tried_is_in_the_audit_and_nothing_is_changed(catalog: Catalog) -> None:
    publish_raw(catalog)
    with pytest.raises(ClosedError):
        edit(catalog)
    newest = catalog.audit.list("hitungan", 1)[0]
    assert (newest.action, newest.by) == ("dataset.refuse", "sri")
    assert newest.details == {"code": "access-closed", "version": 1}
    assert catalog.datasets.get("hitungan").overlay == {}


def test_an_edit_that_is_taken_back_does_not_open_either(catalog: Catalog) -> None:
    put(catalog, "publik")
    catalog.datasets.overlay("hitungan", {"access": "internal"}, by="sri")
    catalog.versions.register(RAW)
    with pytest.raises(ClosedError):
        catalog.datasets.clear_overlay("hitungan", ["access"], by="sri")
    assert catalog.datasets.get("hitungan").record.access == "internal"


def test_a_public_dataset_gets_no_closed_version(catalog: Catalog) -> None:
    put(catalog, "publik")
    with pytest.raises(ClosedError):
        catalog.versions.register(RAW)
    assert catalog.versions.list("hitungan") == []


def test_a_public_edit_holds_when_the_next_publication_is_internal(catalog: Catalog) -> None:
    put(catalog, "internal")
    catalog.datasets.overlay("hitungan", {"access": "publik"}, by="sri")
    with pytest.raises(ClosedError):
        publish_raw(catalog)


def test_other_fields_and_other_offices_are_as_before(catalog: Catalog) -> None:
    publish_raw(catalog)
    catalog.datasets.overlay("hitungan", {"credit": "Pusdatin"}, by="sri")
    catalog.datasets.overlay("hitungan", {"access": "terbatas"}, by="sri")
    assert catalog.datasets.get("hitungan").record.access == "terbatas"


def test_the_dataset_may_be_opened_when_the_closed_version_is_gone(catalog: Catalog) -> None:
    publish_raw(catalog)
    catalog.versions.register(SAFE)
    catalog.versions.make_current("hitungan", 2, by="sri")
    catalog.versions.mark_removed("hitungan", 1, by="sri")
    edit(catalog)
    assert catalog.datasets.ids(access="publik") == ["hitungan"]
