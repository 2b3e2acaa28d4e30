"""Our records as other catalogues read them: ISO 19139 that comes back as it was, and DCAT."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from owslib.iso import MD_Metadata

from catalog.metadata import read_metadata, to_dcat, to_dcat_catalog, to_iso19139
from catalog.model import Contact, DatasetRecord, Link, Localized

NOW = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
FULL = DatasetRecord(
    title=Localized(id="Batas Desa", en="Village boundaries"),
    description=Localized(id="Batas <wilayah> & desa", en="Boundaries"),
    keywords=["batas", "desa"],
    topic=["boundaries"],
    produsen_data="Badan Informasi Geospasial",
    walidata="Walidata BIG",
    contact=Contact(organisation="Walidata BIG", email="info@example.go.id", phone="021", address="Cibinong"),
    cakupan="Kabupaten Cianjur",
    bbox=(106.77, -7.51, 107.48, -6.6),
    time_start=datetime(2023, 1, 1, tzinfo=UTC),
    time_end=datetime(2023, 12, 31, tzinfo=UTC),
    frekuensi="annually",
    access="terbatas",
    licence="CC-BY-4.0",
    purpose="Perencanaan",
    lineage="RBI 1:10.000",
    credit="BIG",
    scale=10000,
    crs="EPSG:4326",
    created=datetime(2022, 5, 6, tzinfo=UTC),
    modified=datetime(2023, 9, 28, tzinfo=UTC),
    links=[Link(href="https://x.example/wfs", rel="service", title="desa", protocol="OGC:WFS")],
)
_SAME = (
    "title", "description", "keywords", "topic", "produsen_data", "walidata", "contact", "cakupan", "bbox",
    "time_start", "time_end", "frekuensi", "access", "licence", "purpose", "lineage", "credit", "scale", "crs",
    "created", "modified", "links", "language",
)  # fmt: skip


def test_what_is_written_is_read_back():
    parsed = read_metadata(to_iso19139("batas-desa", FULL, modified=NOW))
    assert (parsed.identifier, parsed.standard, parsed.flaws) == ("batas-desa", "iso19139", ())
    for name in _SAME:
        assert getattr(parsed.record, name) == getattr(FULL, name), name


def test_another_reader_understands_it():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # owslib announces its own changes
        read = MD_Metadata(etree.fromstring(to_iso19139("batas-desa", FULL, modified=NOW)))
    assert read.identifier == "batas-desa"
    assert read.identification[0].title == "Batas Desa"
    assert read.identification[0].bbox.minx == "106.77"
    assert read.distribution.online[0].url == "https://x.example/wfs"
    assert read.referencesystem.code == "EPSG:4326"


def test_synthetic_data_says_so_in_both_forms():
    record = FULL.model_copy(update={"synthetic": True})
    assert "synthetic data" in read_metadata(to_iso19139("x", record, modified=NOW)).record.licence
    assert "synthetic" in to_dcat("x", record, url="https://x.example/collections/x")["adms:versionNotes"]


_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=60)
@given(title=_TEXT, english=_TEXT, words=st.lists(_TEXT, max_size=3), licence=_TEXT, href=_TEXT)
def test_any_text_gives_a_document_that_is_read(title, english, words, licence, href):
    record = DatasetRecord(
        title=Localized(id=title, en=english), keywords=words, licence=licence, links=[Link(href=href)]
    )
    assert read_metadata(to_iso19139("a", record, modified=NOW)).identifier == "a"
    json.dumps(to_dcat("a", record, url="https://x.example/a"))


def test_dcat_names_what_a_portal_needs():
    found = to_dcat("batas-desa", FULL, url="https://x.example/collections/batas-desa")
    assert found["@type"] == "dcat:Dataset"
    assert {"@value": "Village boundaries", "@language": "en"} in found["dct:title"]
    assert found["dct:publisher"]["foaf:name"] == "Badan Informasi Geospasial"
    assert found["dct:accessRights"]["@id"].endswith("/RESTRICTED")
    assert found["dct:accrualPeriodicity"]["@id"].endswith("/ANNUAL")
    assert found["dct:spatial"]["dcat:bbox"]["@value"].startswith("POLYGON((106.77 -7.51, 107.48 -7.51")
    (distribution,) = found["dcat:distribution"]
    assert distribution["dcat:accessService"]["dcat:endpointURL"] == {"@id": "https://x.example/wfs"}
    assert all(value not in (None, "", [], {}) for value in found.values())


def test_a_catalogue_holds_all_datasets():
    found = to_dcat_catalog(
        ((f"d-{n}", FULL) for n in range(3)),
        url="https://x.example/",
        title=Localized(id="Katalog"),
        publisher="P",
    )
    assert [d["@id"] for d in found["dcat:dataset"]] == [
        f"https://x.example/collections/d-{n}" for n in range(3)
    ]
    assert json.loads(json.dumps(found)) == found
