"""Writes a record as ISO 19139 (`gmd:MD_Metadata`), the form that every CSW client reads.

What is written is read back by `iso19139` with nothing lost but what the standard has no place for
(`kode_referensi`, `tingkat_penyajian`, `synthetic` goes into the use limitation).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lxml import etree

from catalog.metadata.xmlsafe import Element
from catalog.model import Contact, DatasetRecord, Link, Localized

GMD = "http://www.isotc211.org/2005/gmd"
GCO = "http://www.isotc211.org/2005/gco"
GML = "http://www.opengis.net/gml/3.2"
CODES = "http://standards.iso.org/iso/19139/resources/gmxCodelists.xml"
_LANGUAGES = {"id": "ind", "en": "eng"}
_CLASSES = {"publik": "unclassified", "terbatas": "restricted", "internal": "confidential"}
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SYNTHETIC = "Data sintetis / synthetic data"


def to_iso19139(
    identifier: str, record: DatasetRecord, *, modified: datetime, scope: str = "dataset"
) -> bytes:
    """Return the record as a UTF-8 document. `modified` is when the record itself changed (aware)."""
    root = etree.Element(f"{{{GMD}}}MD_Metadata", nsmap={"gmd": GMD, "gco": GCO, "gml": GML})
    _text(root, "fileIdentifier", identifier)
    _code(_sub(root, "language"), "LanguageCode", _LANGUAGES.get(record.language, record.language))
    _code(_sub(root, "characterSet"), "MD_CharacterSetCode", "utf8")
    _code(_sub(root, "hierarchyLevel"), "MD_ScopeCode", scope)
    _party(_sub(root, "contact"), record.contact, record.walidata or record.produsen_data, "custodian")
    _gco(_sub(root, "dateStamp"), "DateTime", _instant(modified))
    _text(root, "metadataStandardName", "SNI ISO 19115:2012")
    _text(root, "metadataStandardVersion", "SNI 8843-1:2019")
    if record.title.en or record.description.en:
        locale = _sub(_sub(root, "locale"), "PT_Locale")
        locale.set("id", "EN")
        _code(_sub(locale, "languageCode"), "LanguageCode", "eng")
    if record.crs:
        system = _sub(_sub(root, "referenceSystemInfo"), "MD_ReferenceSystem")
        _text(_sub(_sub(system, "referenceSystemIdentifier"), "RS_Identifier"), "code", record.crs)
    _identification(_sub(_sub(root, "identificationInfo"), "MD_DataIdentification"), identifier, record)
    _distribution(root, record.links)
    if record.lineage:
        quality = _sub(_sub(root, "dataQualityInfo"), "DQ_DataQuality")
        _text(_sub(_sub(quality, "lineage"), "LI_Lineage"), "statement", record.lineage)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _identification(info: Element, identifier: str, record: DatasetRecord) -> None:
    citation = _sub(_sub(info, "citation"), "CI_Citation")
    _localized(citation, "title", record.title)
    for kind, moment in (("creation", record.created), ("revision", record.modified)):
        if moment is not None:
            date = _sub(_sub(citation, "date"), "CI_Date")
            _gco(_sub(date, "date"), "DateTime", _instant(moment))
            _code(_sub(date, "dateType"), "CI_DateTypeCode", kind)
    _text(_sub(_sub(citation, "identifier"), "MD_Identifier"), "code", identifier)
    _localized(info, "abstract", record.description)
    _text(info, "purpose", record.purpose)
    _text(info, "credit", record.credit)
    _party(_sub(info, "pointOfContact"), Contact(), record.produsen_data, "owner")
    if record.frekuensi:
        upkeep = _sub(_sub(info, "resourceMaintenance"), "MD_MaintenanceInformation")
        _code(_sub(upkeep, "maintenanceAndUpdateFrequency"), "MD_MaintenanceFrequencyCode", record.frekuensi)
    if record.keywords:
        words = _sub(_sub(info, "descriptiveKeywords"), "MD_Keywords")
        for word in record.keywords:
            _text(words, "keyword", word)
    _constraints(info, record)
    if record.scale:
        resolution = _sub(_sub(_sub(info, "spatialResolution"), "MD_Resolution"), "equivalentScale")
        _gco(_sub(_sub(resolution, "MD_RepresentativeFraction"), "denominator"), "Integer", str(record.scale))
    _code(_sub(info, "language"), "LanguageCode", _LANGUAGES.get(record.language, record.language))
    for topic in record.topic:
        _sub(_sub(info, "topicCategory"), "MD_TopicCategoryCode").text = topic
    _extent(info, record)


def _constraints(info: Element, record: DatasetRecord) -> None:
    legal = _sub(_sub(info, "resourceConstraints"), "MD_LegalConstraints")
    _text(legal, "useLimitation", record.licence)
    if record.synthetic:
        _text(legal, "useLimitation", SYNTHETIC)
    security = _sub(_sub(info, "resourceConstraints"), "MD_SecurityConstraints")
    _code(_sub(security, "classification"), "MD_ClassificationCode", _CLASSES[record.access])


def _extent(info: Element, record: DatasetRecord) -> None:
    if not (record.cakupan or record.bbox or record.time_start or record.time_end):
        return
    extent = _sub(_sub(info, "extent"), "EX_Extent")
    _text(extent, "description", record.cakupan)
    if record.bbox:
        box = _sub(_sub(extent, "geographicElement"), "EX_GeographicBoundingBox")
        west, south, east, north = record.bbox
        sides = {"westBoundLongitude": west, "eastBoundLongitude": east}
        for name, value in (sides | {"southBoundLatitude": south, "northBoundLatitude": north}).items():
            _gco(_sub(box, name), "Decimal", repr(float(value)))
    if record.time_start or record.time_end:
        temporal = _sub(_sub(_sub(extent, "temporalElement"), "EX_TemporalExtent"), "extent")
        period = etree.SubElement(temporal, f"{{{GML}}}TimePeriod")
        period.set(f"{{{GML}}}id", "waktu")
        for name, moment in (("beginPosition", record.time_start), ("endPosition", record.time_end)):
            position = etree.SubElement(period, f"{{{GML}}}{name}")
            if moment is None:
                position.set("indeterminatePosition", "unknown")
            else:
                position.text = _instant(moment)


def _distribution(root: Element, links: list[Link]) -> None:
    if not links:
        return
    distribution = _sub(_sub(root, "distributionInfo"), "MD_Distribution")
    transfer = _sub(_sub(distribution, "transferOptions"), "MD_DigitalTransferOptions")
    for link in links:
        online = _sub(_sub(transfer, "onLine"), "CI_OnlineResource")
        _sub(_sub(online, "linkage"), "URL").text = _clean(link.href)
        _text(online, "protocol", link.protocol or "WWW:LINK")
        _text(online, "name", link.title)


def _party(holder: Element, contact: Contact, organisation: str, role: str) -> None:
    party = _sub(holder, "CI_ResponsibleParty")
    _text(party, "organisationName", contact.organisation or organisation)
    _text(party, "positionName", contact.name)
    if contact.phone or contact.email or contact.address or contact.url:
        info = _sub(_sub(party, "contactInfo"), "CI_Contact")
        if contact.phone:
            _text(_sub(_sub(info, "phone"), "CI_Telephone"), "voice", contact.phone)
        if contact.address or contact.email:
            address = _sub(_sub(info, "address"), "CI_Address")
            _text(address, "deliveryPoint", contact.address)
            _text(address, "electronicMailAddress", contact.email)
        if contact.url:
            online = _sub(_sub(info, "onlineResource"), "CI_OnlineResource")
            _sub(_sub(online, "linkage"), "URL").text = _clean(contact.url)
    _code(_sub(party, "role"), "CI_RoleCode", role)


def _sub(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{GMD}}}{name}")


def _gco(parent: Element, name: str, value: str) -> Element:
    element = etree.SubElement(parent, f"{{{GCO}}}{name}")
    element.text = _clean(value)
    return element


def _text(parent: Element, name: str, value: str) -> None:
    if value:
        _gco(_sub(parent, name), "CharacterString", value)


def _localized(parent: Element, name: str, value: Localized) -> None:
    holder = _sub(parent, name)
    _gco(holder, "CharacterString", value.get("id"))
    if value.id and value.en:
        group = _sub(_sub(holder, "PT_FreeText"), "textGroup")
        english = _sub(group, "LocalisedCharacterString")
        english.set("locale", "#EN")
        english.text = _clean(value.en)


def _code(parent: Element, name: str, value: str) -> None:
    element = _sub(parent, name)
    element.set("codeList", f"{CODES}#{name}")
    element.set("codeListValue", _clean(value))
    element.text = _clean(value)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _clean(value: str) -> str:
    """Drop what XML 1.0 can not hold."""
    return _FORBIDDEN.sub("", value)
