"""Metadata of other catalogues becomes our record, whatever is wrong with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ProtocolError, RecordError
from catalog.metadata import parse_xml, read_metadata
from catalog.metadata.values import INDONESIA, WORLD, crs_code, extent, link_protocol, moment
from tests.servers.iso_records import Rec, gmd, mdb

ISO_LINKS = [
    ("WWW:LINK", "Unduh", "https://node.example.go.id/unduh/desa.zip"),
    ("OGC:WMS", "palapa:DESA", "https://node.example.go.id/geoserver/wms"),
    ("OGC:WFS", "palapa:DESA", "https://node.example.go.id/geoserver/wms"),
]


def test_a_sni_iso_19139_record_is_read_whole():
    parsed = read_metadata(gmd(Rec(links=ISO_LINKS[:2])))
    record = parsed.record
    assert (parsed.identifier, parsed.standard, parsed.scope) == (Rec().identifier, "iso19139", "dataset")
    assert record.title.id == "Batas Desa Kabupaten Cianjur"
    assert record.keywords == ["batas", "desa"]
    assert record.topic == ["boundaries"]
    assert record.bbox == (106.77, -7.51, 107.48, -6.60)
    assert record.crs == "EPSG:4326"
    assert record.scale == 10000
    assert record.frekuensi == "annually"
    assert record.cakupan == "Kabupaten Cianjur"
    assert record.licence == "CC-BY 4.0"
    assert record.access == "publik"
    assert record.lineage == "Peta RBI skala 1:10.000\nDigitasi"
    assert (record.produsen_data, record.contact.email) == (
        "Badan Informasi Geospasial",
        "info@example.go.id",
    )
    assert record.time_end == datetime(2023, 12, 31, tzinfo=UTC)
    assert record.modified == datetime(2023, 9, 28, tzinfo=UTC)
    assert [link.protocol for link in record.links] == ["WWW:DOWNLOAD", "OGC:WMS"]
    assert parsed.flaws == ()


def test_a_private_person_never_enters_the_record():
    for document in (gmd(Rec()), mdb(Rec())):
        assert "Orang Rekaan" not in read_metadata(document).record.model_dump_json()


def test_a_palapa_record_with_all_its_flaws_is_still_usable():
    parsed = read_metadata(gmd(Rec(palapa=True, links=ISO_LINKS)))
    record = parsed.record
    assert set(parsed.flaws) == {
        "classification-misspelt", "format-without-name", "palapa-publication-date", "time-empty",
        "wfs-link-is-wms",
    }  # fmt: skip
    assert record.purpose == "", '"Tidak Ada" is no purpose'
    assert record.created is None, "2007-09-01 is the template's date, not the data's"
    assert record.crs == "EPSG:4326"
    assert record.access == "publik"
    assert (record.time_start, record.time_end) == (None, None)
    wfs = next(link for link in record.links if link.protocol == "OGC:WFS")
    assert wfs.href == "https://node.example.go.id/geoserver/wfs"
    assert record.extras["written_by"] == "GSPalapa"
    assert "wfs-link-is-wms" in record.extras["flaws"]


def test_big_19115_3_record_gives_its_service_from_the_citation():
    service = "https://geoservices.example.go.id/rbi/rest/services/BATASWILAYAH/DESA/MapServer"
    parsed = read_metadata(mdb(Rec(), service=service))
    record = parsed.record
    assert (parsed.identifier, parsed.standard, parsed.scope) == (Rec().identifier, "iso19115-3", "dataset")
    assert [(link.protocol, link.href) for link in record.links] == [("ESRI:REST", service)]
    assert record.extras["parent"] == "RBI5KINDONESIA2015"
    assert record.crs == "EPSG:4326"
    assert record.scale == 5000
    assert record.created == datetime(2015, 6, 1, tzinfo=UTC)
    assert record.modified == datetime(2023, 9, 28, 3, 4, 5, tzinfo=UTC)
    assert record.produsen_data == "Badan Informasi Geospasial"
    assert record.contact.phone == "021-0000000"


def test_namespace_versions_do_not_matter():
    old, new = (read_metadata(mdb(Rec(), version=v)).record for v in ("1.0", "2.0"))
    assert old == new


def test_a_record_inside_a_response_is_found():
    inner = gmd(Rec()).split(b"?>", 1)[1]
    wrapped = b'<csw:R xmlns:csw="http://www.opengis.net/cat/csw/2.0.2">' + inner + b"</csw:R>"
    assert read_metadata(wrapped).identifier == Rec().identifier


def test_dublin_core_with_its_latitude_first_box():
    record = read_metadata(b"""<csw:Record xmlns:csw="http://www.opengis.net/cat/csw/2.0.2"
      xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dct="http://purl.org/dc/terms/"
      xmlns:ows="http://www.opengis.net/ows"><dc:identifier>a</dc:identifier><dc:title>Sungai</dc:title>
      <dc:subject>air</dc:subject><dct:modified>2024-05-06</dct:modified>
      <dct:references scheme="OGC:WMS">https://x.example/wms</dct:references>
      <ows:BoundingBox crs="urn:x-ogc:def:crs:EPSG:6.11:4326"><ows:LowerCorner>-8 106</ows:LowerCorner>
      <ows:UpperCorner>-7 108</ows:UpperCorner></ows:BoundingBox></csw:Record>""").record
    assert record.bbox == (106, -8, 108, -7)
    assert record.links[0].protocol == "OGC:WMS"
    assert record.modified == datetime(2024, 5, 6, tzinfo=UTC)


def test_the_imagery_form_mi_metadata_is_read_too():
    document = gmd(Rec()).replace(b"gmd:MD_Metadata", b"gmi:MI_Metadata")
    document = document.replace(
        b"<gmi:MI_Metadata ", b'<gmi:MI_Metadata xmlns:gmi="http://www.isotc211.org/2005/gmi" '
    )
    assert read_metadata(document).identifier == Rec().identifier


def test_english_translation_is_kept():
    text = gmd(Rec()).replace(
        b"Batas Desa Kabupaten Cianjur</gco:CharacterString>",
        b"Batas Desa</gco:CharacterString><gmd:PT_FreeText><gmd:textGroup>"
        b'<gmd:LocalisedCharacterString locale="#EN">Village boundaries</gmd:LocalisedCharacterString>'
        b"</gmd:textGroup></gmd:PT_FreeText>",
    )
    title = read_metadata(text).record.title
    assert (title.id, title.en) == ("Batas Desa", "Village boundaries")


def test_a_restricted_record_is_not_public():
    text = gmd(Rec()).replace(b'codeListValue="unclassified"', b'codeListValue="confidential"')
    assert read_metadata(text).record.access == "internal"


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "file:///etc/passwd", "C:\\data\\desa.shp", "Tidak Ada"]
)
def test_links_that_lead_nowhere_or_to_harm_are_dropped(href):
    assert read_metadata(gmd(Rec(links=[("WWW:LINK", "x", href)]))).record.links == []


def test_xxe_is_refused():
    document = (
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + gmd(Rec(title="T")).split(b"?>", 1)[1]
    )
    with pytest.raises(ProtocolError, match="entities"):
        read_metadata(document.replace(b"T</gco", b"&x;</gco"))


def test_billion_laughs_is_refused_at_once():
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    document = f'<!DOCTYPE r [<!ENTITY l0 "ha">{entities}]><r>&l11;</r>'.encode()
    started = time.process_time()
    with pytest.raises(ProtocolError):
        parse_xml(document)
    assert time.process_time() - started < 20  # expanded, it would not end


def test_a_bare_doctype_as_wms_1_1_1_has_it_is_read():
    assert parse_xml(b'<!DOCTYPE r SYSTEM "http://x.example/r.dtd" [<!ELEMENT r EMPTY>]><r/>').tag == "r"


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html><body>login</body></html>", b"", b"<a><b></a>", b"{}", gmd(Rec())[:2000]],
)
def test_what_is_not_xml_is_a_protocol_error(content):
    with pytest.raises(ProtocolError):
        parse_xml(content, where="https://x.example/csw")


def test_control_characters_and_a_wrong_charset_are_mended():
    dirty = gmd(Rec(title="Sungai \x0bCitarum")).replace(b"Cibinong", b"Cibinong\xe9&#x1F;")
    record = read_metadata(dirty).record
    assert record.title.id == "Sungai Citarum"
    assert record.contact.address == "Cibinongé"


def test_a_document_without_a_record_is_a_record_error():
    with pytest.raises(RecordError):
        read_metadata(b"<a/>")
    with pytest.raises(RecordError):
        read_metadata(gmd(Rec(identifier="", title="")))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("urn:ogc:def:crs:EPSG::4326", "EPSG:4326"),
        ("urn:ogc:def:crs:EPSG:4326", "EPSG:4326"),
        ("urn:x-ogc:def:crs:EPSG:6.11.2:23830", "EPSG:23830"),
        ("http://www.opengis.net/def/crs/EPSG/0/3857", "EPSG:3857"),
        ("http://www.opengis.net/gml/srs/epsg.xml#32748", "EPSG:32748"),
        ("EPSG:4326", "EPSG:4326"),
        ("4326", "EPSG:4326"),
        ("WGS 84 (EPSG:4326)", "EPSG:4326"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84"),
        ("SRGI 2013", ""),
        ("Tidak Ada", ""),
    ],
)
def test_every_way_to_write_a_crs(written, code):
    assert crs_code(written) == code


@pytest.mark.parametrize(
    ("box", "expected", "flaw"),
    [
        ((46.9, -68, 141, 35.7), (92, -15, 141, 12), "extent-clamped"),
        ((-180, -90, 180, 90), INDONESIA, "extent-clamped"),
        ((-7.5, 106.7, -6.6, 107.4), (106.7, -7.5, 107.4, -6.6), "extent-axes-swapped"),
        ((107.4, -6.6, 106.7, -7.5), (106.7, -7.5, 107.4, -6.6), "extent-sides-swapped"),
        ((0, 0, 0, 0), None, "extent-zero"),
        ((None, 0, 1, 1), None, "extent-missing"),
        ((700000, 9200000, 800000, 9300000), None, "extent-not-degrees"),
        ((-10, 40, 5, 50), (-10, 40, 5, 50), ""),
    ],
)
def test_extents_are_made_plausible(box, expected, flaw):
    assert extent(*box, within=INDONESIA) == (expected, flaw)


_ANY = st.floats(-400, 400)


@given(_ANY, _ANY, _ANY, _ANY)
def test_an_extent_is_always_within_the_world_or_none(west, south, east, north):
    box, _ = extent(west, south, east, north)
    if box is not None:
        assert WORLD[0] <= box[0] <= WORLD[2]
        assert WORLD[1] <= box[1] <= box[3] <= WORLD[3]
        assert WORLD[0] <= box[2] <= WORLD[2]


@given(st.text(max_size=40))
def test_no_text_breaks_the_readers_of_values(value):
    moment(value)
    crs_code(value)
    link_protocol(value, value)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60))
def test_a_title_comes_back_as_it_was(title):
    got = read_metadata(gmd(Rec(title=title))).record.title.id
    folded = " ".join(title.split())
    assert got == folded or folded.casefold() in {"", "tidak ada", "none", "null", "nan", "-"}
