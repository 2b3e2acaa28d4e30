"""What a source says and what a steward says stay apart, and both are told to the reader."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime

import pytest

from catalog.curation import SourceChange
from catalog.datasets import Change
from catalog.errors import GoneError, NotFoundError, PublishError, RecordError
from catalog.model import Contact, DatasetRecord, Kind, Link, Localized, VersionInfo, identity
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock


def put(
    catalog: Catalog,
    dataset_id: str = "batas-desa",
    *,
    source_id: str = "big",
    remote_id: str = "0",
    kind: Kind = "feature",
    rank: int = 100,
    record: DatasetRecord | None = None,
    title: str = "Batas Desa",
    **fields: object,
) -> Change:
    record = record or DatasetRecord.model_validate({"title": {"id": title}, **fields})
    return catalog.datasets.put(
        dataset_id, source_id=source_id, remote_id=remote_id, kind=kind, record=record, run_id="r1", rank=rank
    )


def test_a_full_record_comes_back_unchanged(catalog: Catalog, clock: FakeClock) -> None:
    record = DatasetRecord.model_validate(
        {
            "title": {"id": "Batas Desa", "en": "Village boundaries"}, "keywords": ["batas", "desa"],
            "produsen_data": "Badan Informasi Geospasial", "contact": {"organisation": "BIG"},
            "kode_referensi": {"field": "KDEPUM", "vintage": 2025}, "bbox": [95.0, -11.0, 141.0, 6.0],
            "time_start": "2025-01-01T00:00:00+07:00", "links": [{"href": "https://x/", "protocol": "OGC:WFS"}],
            "extras": {"a": "b"}, "scale": 25000,
        }
    )  # fmt: skip
    assert put(catalog, record=record) == "added"
    found = catalog.datasets.get("batas-desa")
    assert found.record == found.harvested == record
    assert found.uuid == identity("big", "0")
    assert (found.created, found.updated) == (clock(), clock())
    assert (found.overlay, found.notices, found.version, found.also_at) == ({}, [], None, [])
    assert set(found.provenance.values()) == {"harvested"}


def test_the_same_again_is_unchanged_and_bothers_nobody(catalog: Catalog, clock: FakeClock) -> None:
    put(catalog)
    before, created = catalog.generation(), clock()
    clock.advance(days=1)
    assert put(catalog) == "unchanged"
    assert catalog.generation() == before
    assert catalog.datasets.get("batas-desa").updated == created


def test_a_new_title_is_an_update_of_the_same_dataset(catalog: Catalog, clock: FakeClock) -> None:
    put(catalog)
    uuid = catalog.datasets.get("batas-desa").uuid
    clock.advance(days=1)
    assert put(catalog, title="Batas Wilayah Desa") == "updated"
    found = catalog.datasets.get("batas-desa")
    assert (found.uuid, found.updated) == (uuid, clock())
    assert [d.id for d in catalog.datasets.by_remote("big", "0")] == ["batas-desa"]
    assert catalog.audit.list("batas-desa")[0].details["fields"] == ["title"]


def test_an_edit_survives_every_harvest(catalog: Catalog) -> None:
    put(catalog, keywords=["a"], licence="unknown")
    catalog.datasets.overlay("batas-desa", {"licence": "CC BY 4.0", "keywords": ["batas"]}, by="sri")
    put(catalog, keywords=["a"], licence="unknown", cakupan="Indonesia")
    found = catalog.datasets.get("batas-desa")
    assert (found.record.licence, found.record.keywords) == ("CC BY 4.0", ["batas"])
    assert (found.harvested.licence, found.record.cakupan) == ("unknown", "Indonesia")
    assert found.provenance["licence"] == "overlay"
    assert found.provenance["cakupan"] == "harvested"
    assert found.notices == []


def test_a_source_that_changes_under_an_edit_raises_a_notice(catalog: Catalog) -> None:
    put(catalog, licence="unknown")
    catalog.datasets.overlay("batas-desa", {"licence": "CC BY 4.0"}, by="sri")
    put(catalog, licence="restricted")
    found = catalog.datasets.get("batas-desa")
    assert found.record.licence == "CC BY 4.0"
    assert len(found.notices) == 1
    assert "unknown" in found.notices[0]
    assert "restricted" in found.notices[0]
    assert found.changes == [SourceChange("licence", "unknown", "restricted")]
    assert found.changes[0].text("en").startswith("The source changed Licence")
    assert catalog.audit.list("batas-desa")[0].details["under_edit"] == ["licence"]
    catalog.datasets.overlay("batas-desa", {"licence": "CC BY 4.0"}, by="sri")  # seen, and kept
    assert catalog.datasets.get("batas-desa").notices == []


def test_a_field_is_given_back_to_the_source(catalog: Catalog) -> None:
    put(catalog, licence="unknown")
    catalog.datasets.overlay("batas-desa", {"licence": "CC BY 4.0", "purpose": "peta"}, by="sri")
    before = catalog.generation()
    catalog.datasets.clear_overlay("batas-desa", ["licence"], by="sri")
    found = catalog.datasets.get("batas-desa")
    assert (found.record.licence, found.record.purpose) == ("unknown", "peta")
    assert catalog.generation() > before


def test_a_translation_keeps_the_sources_title(catalog: Catalog) -> None:
    put(catalog, title="Batas Desa")
    catalog.datasets.overlay("batas-desa", {"title": {"en": "Village boundaries"}}, by="sri")
    put(catalog, title="Batas Desa 2025")
    record = catalog.datasets.get("batas-desa").record
    assert record.title == Localized(id="Batas Desa 2025", en="Village boundaries")


def test_editing_one_language_keeps_the_edit_of_the_other(catalog: Catalog) -> None:
    put(catalog, title="Batas Desa")
    catalog.datasets.overlay("batas-desa", {"title": {"en": "Villages"}}, by="sri")
    catalog.datasets.overlay("batas-desa", {"title": "Batas Desa Resmi"}, by="sri")
    assert catalog.datasets.get("batas-desa").record.title == Localized(id="Batas Desa Resmi", en="Villages")


def test_stewards_who_edit_at_once_lose_nothing(catalog: Catalog) -> None:
    put(catalog)
    fields = ("licence", "purpose", "lineage", "credit", "cakupan", "rujukan", "tahun", "frekuensi")
    threads = [
        threading.Thread(
            target=catalog.datasets.overlay, args=("batas-desa", {name: name}), kwargs={"by": name}
        )
        for name in fields
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.datasets.get("batas-desa").overlay == {name: name for name in fields}


def test_many_harvests_put_at_once(catalog: Catalog) -> None:
    answers: list[Change] = []
    threads = [threading.Thread(target=lambda: answers.append(put(catalog))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["added"] + ["unchanged"] * 7


def test_an_edit_may_put_a_default_back(catalog: Catalog) -> None:
    put(catalog, access="internal", synthetic=True)
    catalog.datasets.overlay("batas-desa", {"access": "publik", "synthetic": False}, by="sri")
    record = catalog.datasets.get("batas-desa").record
    assert (record.access, record.synthetic) == ("publik", False)
    assert catalog.datasets.ids(access="publik") == ["batas-desa"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"licens": "x"}, "licens"), ({"access": "rahasia"}, "access"), ({"bbox": [1, 2]}, "bbox"),
     ({"contact": {"nama": "x"}}, "contact.nama")],
)  # fmt: skip
def test_a_wrong_edit_is_refused_whole(catalog: Catalog, changes: dict[str, object], said: str) -> None:
    put(catalog)
    with pytest.raises(RecordError, match=said):
        catalog.datasets.overlay("batas-desa", {"purpose": "x", **changes}, by="sri")
    assert catalog.datasets.get("batas-desa").overlay == {}


def test_an_unknown_field_is_answered_with_the_nearest(catalog: Catalog) -> None:
    put(catalog)
    with pytest.raises(RecordError) as caught:
        catalog.datasets.overlay("batas-desa", {"licens": "x"}, by="sri")
    assert "licence" in caught.value.hint("en")


def test_an_edit_takes_models_too(catalog: Catalog) -> None:
    put(catalog)
    catalog.datasets.overlay(
        "batas-desa", {"contact": Contact(email="a@big.go.id"), "title": "Desa"}, by="sri"
    )
    record = catalog.datasets.get("batas-desa").record
    assert (record.contact.email, record.title.id) == ("a@big.go.id", "Desa")


def test_missing_since_is_set_once_and_cleared(catalog: Catalog, clock: FakeClock) -> None:
    for number in ("0", "1", "2"):
        put(catalog, f"layer-{number}", remote_id=number)
    put(catalog, "elsewhere", source_id="bps", remote_id="9")
    first = clock()
    assert [d.id for d in catalog.datasets.mark_missing("big", {"0", "1"}, "r2", first)] == ["layer-2"]
    clock.advance(days=1)
    missing = catalog.datasets.mark_missing("big", {"0"}, "r3", clock())
    assert {d.id: d.missing_since for d in missing} == {"layer-1": clock(), "layer-2": first}
    assert catalog.datasets.mark_missing("big", {"0", "1", "2"}, "r4", clock()) == []
    assert all(d.missing_since is None for d in catalog.datasets.all())
    before = catalog.generation()
    catalog.datasets.mark_missing("big", {"0", "1", "2"}, "r5", clock())
    assert catalog.generation() == before


def test_a_dataset_that_is_put_again_is_not_missing(catalog: Catalog, clock: FakeClock) -> None:
    put(catalog)
    catalog.datasets.mark_missing("big", set(), "r2", clock())
    assert put(catalog) == "unchanged"
    assert catalog.datasets.get("batas-desa").missing_since is None


def test_a_tombstone_says_why_and_can_be_revived(catalog: Catalog, clock: FakeClock) -> None:
    put(catalog, purpose="x")
    catalog.datasets.overlay("batas-desa", {"licence": "CC BY 4.0"}, by="sri")
    catalog.datasets.tombstone("batas-desa", reason="Ditarik BIG", by="sri")
    with pytest.raises(GoneError, match="Ditarik BIG"):
        catalog.datasets.get("batas-desa")
    with pytest.raises(GoneError):
        catalog.datasets.overlay("batas-desa", {"purpose": "y"}, by="sri")
    assert catalog.datasets.find("batas-desa") is None
    assert catalog.datasets.ids() == []
    assert list(catalog.datasets.all()) == []
    assert catalog.datasets.tombstones()["batas-desa"].reason == "Ditarik BIG"
    assert catalog.datasets.tombstones()["batas-desa"].at == clock()
    assert catalog.datasets.mark_missing("big", set(), "r2", clock()) == []
    assert put(catalog, purpose="x") == "added"
    assert catalog.datasets.get("batas-desa").record.licence == "CC BY 4.0"
    assert catalog.datasets.tombstones() == {}


def test_unknown_datasets_are_not_found(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError):
        catalog.datasets.get("none")
    with pytest.raises(NotFoundError):
        catalog.datasets.overlay("none", {}, by="x")
    with pytest.raises(NotFoundError):
        catalog.datasets.tombstone("none", reason="", by="x")


def test_two_sources_can_not_fight_over_one_id(catalog: Catalog) -> None:
    put(catalog)
    with pytest.raises(PublishError, match="belongs to source 'big'"):
        put(catalog, source_id="bps")
    catalog.datasets.tombstone("batas-desa", reason="moved to bps", by="sri")
    assert put(catalog, source_id="bps") == "added"
    assert catalog.datasets.get("batas-desa").source_id == "bps"


def test_the_current_version_stands_with_its_dataset(catalog: Catalog) -> None:
    put(catalog)
    info = VersionInfo("batas-desa", 1, "feature", 3, "x", created=datetime(2026, 1, 1, tzinfo=UTC))
    catalog.versions.register(info)
    assert catalog.datasets.get("batas-desa").version is None
    catalog.versions.make_current("batas-desa", 1, by="engine")
    assert catalog.datasets.get("batas-desa").version == info


ESRI = "https://geoservices.big.go.id/rbi/rest/services/BATAS/MapServer"


def link(href: str, protocol: str = "ESRI:REST", title: str = "") -> list[Link]:
    return [Link(href=href, protocol=protocol, title=title)]


def test_the_same_dataset_from_other_sources_by_best_rank(catalog: Catalog) -> None:
    put(catalog, "a", links=link(f"{ESRI}/0"))
    put(catalog, "b", source_id="csw", links=link(f"{ESRI.upper()}/0/?f=json"), rank=200)
    put(catalog, "c", source_id="ckan", links=link(f"{ESRI}/0"), rank=50)
    put(catalog, "d", source_id="ckan", remote_id="1", links=link(f"{ESRI}/1"), rank=10)
    assert catalog.datasets.get("a").also_at == ["c", "b"]
    assert catalog.datasets.get("b").also_at == ["c", "a"]
    assert catalog.datasets.get("d").also_at == []
    catalog.datasets.tombstone("c", reason="", by="x")
    assert catalog.datasets.get("a").also_at == ["b"]


def test_a_declared_identifier_matches_a_service_address(catalog: Catalog) -> None:
    put(catalog, "a", links=link(ESRI))
    put(catalog, "b", source_id="csw", extras={"citation_identifier": ESRI})
    put(catalog, "c", source_id="x", extras={"identifier": "RBI5K"})
    put(catalog, "d", source_id="y", extras={"identifier": "rbi5k"})
    assert catalog.datasets.get("a").also_at == ["b"]
    assert catalog.datasets.get("c").also_at == ["d"]


def test_a_servers_address_is_no_datasets_mark(catalog: Catalog) -> None:
    """All layers of a WFS share its address; only address and layer name together tell one."""
    wfs = "https://geo.example.go.id/ows?service=WFS&request=GetCapabilities"
    put(catalog, "a", remote_id="a", links=link(wfs, "OGC:WFS", "ns:desa"))
    put(catalog, "b", remote_id="b", links=link(wfs, "OGC:WFS", "ns:jalan"))
    put(catalog, "c", source_id="csw", links=link(wfs.replace("WFS", "wfs"), "OGC:WFS", "ns:desa"))
    put(catalog, "d", remote_id="d", links=link(ESRI))
    put(catalog, "e", remote_id="e", links=link(ESRI))
    put(catalog, "f", source_id="csw", remote_id="f", links=link(ESRI))
    assert catalog.datasets.get("c").also_at == ["a"]
    assert catalog.datasets.get("f").also_at == []


def test_an_address_that_is_none_breaks_nothing(catalog: Catalog) -> None:
    assert put(catalog, links=link("http://[broken", "OGC:WMS")) == "added"


def test_all_goes_through_many_in_order(catalog: Catalog) -> None:
    for number in range(12):
        put(catalog, f"d{number:02}", remote_id=str(number))
    assert [d.id for d in catalog.datasets.all()] == [f"d{number:02}" for number in range(12)]
    assert [d.id for d in catalog.datasets.many(["d07", "none", "d01"])] == ["d07", "d01"]
    assert catalog.datasets.ids(kind="raster") == []


def test_what_no_database_can_keep_is_replaced(catalog: Catalog) -> None:
    """Real catalogs hold NUL bytes and half characters; PostgreSQL takes neither."""
    assert put(catalog, title="Batas\0Desa \ud800", extras={"a\0": "b"}, keywords=["x\0"]) == "added"
    found = catalog.datasets.get("batas-desa")
    assert found.record.title.id == "Batas\ufffdDesa \ufffd"
    assert put(catalog, title="Batas\0Desa \ud800", extras={"a\0": "b"}, keywords=["x\0"]) == "unchanged"


def test_a_number_that_is_none_is_a_record_error(catalog: Catalog) -> None:
    with pytest.raises(RecordError):
        put(catalog, bbox=[math.nan, 0, 1, 1])
    assert catalog.datasets.ids() == []
