"""The reference of region codes is loaded data: versioned, complete, and honest about what is unsure."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import ConfigError, NotFoundError, RecordError
from catalog.model import Scheme
from catalog.region_moves import moves
from catalog.regions import (
    CrosswalkRow,
    Match,
    Region,
    load_crosswalk_from_rows,
    load_from_rows,
)
from catalog.store import Catalog

REFERENCE = {"scheme": "kemendagri", "vintage": 2025, "code": "kode", "name": "nama", "parent": "induk"}
CROSSWALK = {
    "from": {"scheme": "kemendagri", "vintage": 2025, "code": "kode_kemendagri"},
    "to": {"scheme": "bps", "vintage": 2020, "code": "kode_bps2020"},
    "share": "share", "share_back": "share_bps", "quality": "match",
}  # fmt: skip
PUM25: tuple[Scheme, int] = ("kemendagri", 2025)
BPS20: tuple[Scheme, int] = ("bps", 2020)


def table(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def test_the_official_list_and_the_crosswalk_to_bps(catalog: Catalog, shared_data: Path) -> None:
    book = catalog.regions
    before = catalog.generation()
    count, errors = load_from_rows(
        book, table(shared_data / "kode_wilayah_2025.csv.gz"), REFERENCE, source="kode-wilayah"
    )
    assert (count, errors) == (91_599, [])
    assert catalog.generation() > before
    assert book.vintages("kemendagri") == [2025]
    assert book.vintages("bps") == []
    assert book.get("kemendagri", 2025, "32.03") == Region("32.03", "kabkota", "Kabupaten Cianjur", "32")
    assert book.get("kemendagri", 2025, "3203") == book.get("kemendagri", 2025, "32.03")
    assert book.get("kemendagri", 2025, "32.99") is None
    assert book.get("kemendagri", 2022, "32.03") is None
    assert len(book.children("kemendagri", 2025)) == 38
    assert len(book.children("kemendagri", 2025, "32.03")) == 32
    levels = {
        level: sum(1 for _ in book.all("kemendagri", 2025, level)) for level in ("kabkota", "kecamatan")
    }
    assert levels == {"kabkota": 514, "kecamatan": 7285}

    count, errors = load_crosswalk_from_rows(
        book, table(shared_data / "crosswalk_kemendagri2025_bps2020.csv.gz"), CROSSWALK, source="computed"
    )
    # 33 desa have no match; 36 point at forest and lake that BPS numbers kecamatan 000, which is none
    assert (count, len(errors)) == (83_402 - 33 - 36, 36)
    assert all("000999" in error.message for error in errors)
    (there,) = book.translate("32.03.01.1006", from_=PUM25, to=BPS20)
    assert (there.code, there.quality, there.certain) == ("3203200007", "exact", True)
    back = book.translate("3203200007", from_=BPS20, to=PUM25)
    assert [match.code for match in back] == ["32.03.01.1006"]
    assert book.translate("12.14.08.2047", from_=PUM25, to=BPS20) == []  # none: nothing is made up
    (match,) = book.translate("11.01.01.2001", from_=PUM25, to=BPS20)
    assert (match.quality, match.certain) == ("weak", False)
    # one BPS desa of 2020 that several desa of 2025 point to: sure ones first
    back = book.translate("1103020023", from_=BPS20, to=PUM25)
    assert [m.certain for m in back] == sorted((m.certain for m in back), reverse=True)


def rows(*cells: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(("kode", "nama", "induk"), row, strict=False)) for row in cells]


def test_a_row_that_is_no_region_is_an_item_error(catalog: Catalog) -> None:
    found = rows(
        ("91", "Papua", None),
        ("91.15.--.----", "placeholder", None),
        ("71.05/71.10", "two at once", None),
        ("91", "Papua again", None),
        ("93.01", "Merauke", "91"),
        (None, "no code", None),
        (9101, "Jayapura", ""),
    )
    count, errors = load_from_rows(catalog.regions, found, REFERENCE, source="x")
    assert count == 2
    assert [error.remote_id for error in errors] == ["91.15.--.----", "71.05/71.10", "91", "93.01", ""]
    assert {error.code for error in errors} == {"record"}
    assert catalog.regions.get("kemendagri", 2025, "91.01") == Region("91.01", "kabkota", "Jayapura", "91")


def test_a_new_load_replaces_the_old_one_whole(catalog: Catalog) -> None:
    load_from_rows(catalog.regions, rows(("91", "Papua"), ("92", "Papua Barat")), REFERENCE, source="a")
    load_from_rows(catalog.regions, rows(("91", "Papua")), REFERENCE, source="b")
    assert [region.code for region in catalog.regions.all("kemendagri", 2025)] == ["91"]


def test_a_load_that_breaks_leaves_the_old_one(catalog: Catalog) -> None:
    load_from_rows(catalog.regions, rows(("91", "Papua")), REFERENCE, source="a")

    def broken() -> Iterator[dict[str, Any]]:
        yield {"kode": "92", "nama": "Papua Barat"}
        raise ConnectionError("the layer went away")

    with pytest.raises(ConnectionError):
        load_from_rows(catalog.regions, broken(), REFERENCE, source="b")
    assert [region.code for region in catalog.regions.all("kemendagri", 2025)] == ["91"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"code": None}, "code"), ({"scheme": "depdagri"}, "scheme"), ({"kode": "x"}, "kode"), ({"vintage": "x"}, "vintage")],
)  # fmt: skip
def test_a_wrong_option_is_a_config_error(catalog: Catalog, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_from_rows(catalog.regions, [], {**REFERENCE, **change}, source="x")


def test_a_wrong_crosswalk_row_is_an_item_error(catalog: Catalog) -> None:
    given = [
        {
            "kode_kemendagri": "32.03",
            "kode_bps2020": "3203",
            "share": "0.5",
            "share_bps": "",
            "match": "exact",
        },
        {"kode_kemendagri": "32.03", "kode_bps2020": "3203", "share": "0.5", "match": "exact"},
        {"kode_kemendagri": "32.04", "kode_bps2020": "32.04", "share": "0.5", "match": "exact"},
        {"kode_kemendagri": "32.05", "kode_bps2020": "3205", "share": "many", "match": "exact"},
        {"kode_kemendagri": "32.06", "kode_bps2020": "3206", "share": "50", "match": "exact"},
        {"kode_kemendagri": "32.07", "kode_bps2020": "3207", "share": "1", "match": "sure"},
        {"kode_kemendagri": "32.08", "kode_bps2020": "", "match": "exact"},
    ]
    count, errors = load_crosswalk_from_rows(catalog.regions, given, CROSSWALK, source="x")
    assert count == 1
    assert [error.remote_id for error in errors] == ["32.03", "32.04", "32.05", "32.06", "32.07"]
    assert catalog.regions.translate("3203", from_=BPS20, to=PUM25) == [Match("32.03", None, "exact")]


def test_no_crosswalk_is_said_not_answered_empty(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match="no crosswalk"):
        catalog.regions.translate("32.03", from_=PUM25, to=BPS20)
    with pytest.raises(NotFoundError, match="2022"):
        catalog.regions.derive_crosswalk("kemendagri", 2022, 2025)
    with pytest.raises(RecordError):
        catalog.regions.get("kemendagri", 2025, "91.15.--.----")


OLD = [
    Region("91", "provinsi", "Papua", None),
    Region("91.01", "kabkota", "Kabupaten Merauke", "91"),
    Region("91.01.01", "kecamatan", "Merauke", "91.01"),
    Region("91.01.01.1001", "desa", "Seringgu Jaya", "91.01.01"),
    Region("91.01.01.2002", "desa", "Kembar", "91.01.01"),
    Region("91.01.01.2003", "desa", "Kembar", "91.01.01"),
    Region("91.03", "kabkota", "Kabupaten Jayapura", "91"),
    Region("91.04", "kabkota", "Kabupaten Hilang", "91"),
    Region("91.05", "kabkota", "Kabupaten Lama", "91"),
]
NEW = [
    Region("91", "provinsi", "Papua", None),
    Region("91.03", "kabkota", "KABUPATEN JAYAPURA", "91"),
    Region("91.05", "kabkota", "Kabupaten Baru", "91"),
    Region("93", "provinsi", "Papua Selatan", None),
    Region("93.01", "kabkota", "Kabupaten Merauke", "93"),
    Region("93.01.01", "kecamatan", "Merauke", "93.01"),
    Region("93.01.01.1001", "desa", "Seringgu Jaya", "93.01.01"),
    Region("93.01.01.2002", "desa", "Kembar", "93.01.01"),
    Region("93.01.01.2003", "desa", "Kembar", "93.01.01"),
]


def test_moved_regions_are_derived_from_two_lists_not_from_memory(catalog: Catalog) -> None:
    assert [(row.from_code, row.to_code, row.quality) for row in moves(OLD, NEW)] == [
        ("91", "91", "exact"),
        ("91.03", "91.03", "exact"),
        ("91.01", "93.01", "name"),
        ("91.05", "91.05", "weak"),  # the same code, another name: a person must look
        ("91.01.01", "93.01.01", "name"),
        ("91.01.01.1001", "93.01.01.1001", "name"),
        # 91.04 is gone, and two desa of one name can not be told apart: nothing is said of them
    ]
    catalog.regions.load("kemendagri", 2021, OLD, source="old list")
    catalog.regions.load("kemendagri", 2025, NEW, source="new list")
    assert catalog.regions.derive_crosswalk("kemendagri", 2021, 2025) == 6
    (match,) = catalog.regions.translate("91.01", from_=("kemendagri", 2021), to=PUM25)
    assert (match.code, match.share, match.certain) == ("93.01", None, True)
    assert catalog.regions.translate("91.04", from_=("kemendagri", 2021), to=PUM25) == []


def test_a_code_that_was_split_has_its_parts_largest_first(catalog: Catalog) -> None:
    pairs = [
        CrosswalkRow("32.03.01.2001", "32.03.01.2010", 0.3, "official"),
        CrosswalkRow("32.03.01.2001", "32.03.01.2001", 0.7, "official"),
        CrosswalkRow("32.03.01.2001", "32.03.01.2002", 0.9, "weak"),
    ]
    catalog.regions.load_crosswalk("kemendagri", 2021, "kemendagri", 2025, pairs, "decree")
    found = catalog.regions.translate("3203012001", from_=("kemendagri", 2021), to=PUM25)
    assert [match.code[-4:] for match in found] == ["2001", "2010", "2002"]
