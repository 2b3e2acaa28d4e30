"""What ISO 19139 and ISO 19115-3 share once namespaces are set aside: most of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from catalog.metadata.values import (
    access_of,
    crs_code,
    extent,
    language_code,
    link_address,
    link_protocol,
    moment,
    number,
)
from catalog.metadata.xmlsafe import Element, attribute, every, first, local, own_text, text_at
from catalog.model import Contact, Link, Localized

PALAPA_NOTE = "dibuat oleh gspalapa"
PALAPA_DATE = "2007-09-01"
"""Palapa's template prints this publication date on every record."""


@dataclass(slots=True)
class Reading:
    """A record under way: values for DatasetRecord and the flaws met."""

    values: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    def flaw(self, name: str) -> None:
        """Note a flaw once."""
        if name and name not in self.flaws:
            self.flaws.append(name)


def text_of(element: Element | None) -> str:
    """Return the main text of an ISO property; its translations are left out."""
    if element is None:
        return ""
    for child in element:
        if local(child) != "PT_FreeText":
            return own_text(child)
    return own_text(element) if not len(element) else ""


def prop(element: Element | None, path: str) -> str:
    """Return the main text of the first property at `path` that has one."""
    return next((value for found in every(element, path) if (value := text_of(found))), "")


def localized(element: Element | None, path: str) -> Localized:
    """Return the main text and its English translation, when there is one."""
    found = first(element, path)
    english = ""
    for variant in every(found, "PT_FreeText/textGroup/LocalisedCharacterString"):
        if attribute(variant, "locale").lstrip("#").casefold() in {"en", "eng", "english", "locale-en"}:
            english = own_text(variant)
    return Localized(id=prop(element, path), en=english)


def code(element: Element | None) -> str:
    """Return a code-list value, by attribute or text."""
    if element is None:
        return ""
    return (attribute(element, "codeListValue") or own_text(element)).strip()


def read_language(reading: Reading, root: Element, *paths: str) -> None:
    """Take the first language told at `paths`."""
    told = next((value for path in paths if (value := code(first(root, path)))), "")
    reading.values["language"] = language_code(told)


def read_crs(reading: Reading, root: Element) -> None:
    """Read referenceSystemInfo into `crs`."""
    for identifier in every(root, "referenceSystemInfo/MD_ReferenceSystem/referenceSystemIdentifier/*"):
        space = prop(identifier, "codeSpace")
        found = crs_code(prop(identifier, "code"), space)
        if found:
            reading.values["crs"] = found
            return
        reading.flaw("crs-unreadable")


def read_identification(reading: Reading, root: Element) -> Element | None:
    """Read identificationInfo: all but its contacts, which the two standards write differently."""
    info = first(root, "identificationInfo/*")
    if info is None:
        reading.flaw("identification-missing")
        return None
    values = reading.values
    values["title"] = localized(info, "citation/CI_Citation/title")
    values["description"] = localized(info, "abstract")
    values["purpose"] = prop(info, "purpose")
    values["credit"] = "; ".join(filter(None, (text_of(e) for e in every(info, "credit"))))
    values["topic"] = [v for e in every(info, "topicCategory/MD_TopicCategoryCode") if (v := own_text(e))]
    values["keywords"] = _keywords(info)
    values["frekuensi"] = code(first(info, "resourceMaintenance/*/maintenanceAndUpdateFrequency/*"))
    scale = number(text_at(info, "spatialResolution/MD_Resolution/equivalentScale/*/denominator"))
    values["scale"] = int(scale) if scale and scale > 0 else None
    reading.extras["status"] = code(first(info, "status/*"))
    reading.extras["spatial_representation"] = code(first(info, "spatialRepresentationType/*"))
    reading.extras["resource_identifier"] = prop(info, "citation/CI_Citation/identifier/*/code")
    _constraints(reading, info)
    _extent(reading, info)
    _overviews(reading, info)
    return info


def _keywords(info: Element) -> list[str]:
    words: dict[str, None] = {}
    for element in every(info, "descriptiveKeywords/MD_Keywords/keyword"):
        for word in text_of(element).split(";"):
            if word.strip():
                words[word.strip()] = None
    return list(words)


def _constraints(reading: Reading, info: Element) -> None:
    texts: dict[str, None] = {}
    codes: list[str] = []
    for constraint in every(info, "resourceConstraints/*"):
        for name in ("useLimitation", "otherConstraints"):
            for element in every(constraint, name):
                if value := text_of(element):
                    texts[value] = None
        for element in every(constraint, "classification/*"):
            if local(element) != "MD_ClassificationCode":
                reading.flaw("classification-misspelt")
            codes.append(code(element))
        codes += [code(e) for e in every(constraint, "accessConstraints/*")]
    reading.values["licence"] = "; ".join(texts)
    reading.values["access"] = access_of(*codes)


def _extent(reading: Reading, info: Element) -> None:
    names: dict[str, None] = {}
    for found in every(info, "extent/EX_Extent"):
        if value := prop(found, "description"):
            names[value] = None
        for element in every(found, "geographicElement/EX_GeographicDescription/geographicIdentifier/*/code"):
            if value := text_of(element):
                names[value] = None
        box = first(found, "geographicElement/EX_GeographicBoundingBox")
        if box is not None and reading.values.get("bbox") is None:
            _box(reading, box)
        _period(reading, found)
    reading.values["cakupan"] = "; ".join(names)


def _box(reading: Reading, box: Element) -> None:
    west, south, east, north = (
        number(text_at(box, name))
        for name in ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
    )
    reading.values["bbox"], flaw = extent(west, south, east, north)
    reading.flaw(flaw)


def _period(reading: Reading, found: Element) -> None:
    for temporal in every(found, "temporalElement/EX_TemporalExtent/extent/*"):
        begin = text_at(temporal, "beginPosition") or text_at(temporal, "begin/TimeInstant/timePosition")
        end = text_at(temporal, "endPosition") or text_at(temporal, "end/TimeInstant/timePosition")
        single = text_at(temporal, "timePosition")
        start, stop = moment(begin or single), moment(end or single)
        if start is None and stop is None:
            reading.flaw("time-empty")
            continue
        if start and stop and start > stop:
            start, stop = stop, start
            reading.flaw("time-reversed")
        reading.values["time_start"], reading.values["time_end"] = start, stop


def _overviews(reading: Reading, info: Element) -> None:
    for graphic in every(info, "graphicOverview/MD_BrowseGraphic"):
        add_link(reading, prop(graphic, "fileName"), "WWW:LINK", prop(graphic, "fileDescription"), "preview")


def add_link(reading: Reading, href: str, declared: str, title: str, rel: str = "") -> None:
    """Add one link, its address and protocol mended; twins and unusable ones are left out."""
    if not href:
        return
    protocol = link_protocol(declared, href)
    address, flaw = link_address(href, protocol)
    reading.flaw(flaw)
    if not address or any(link.href == address and link.protocol == protocol for link in reading.links):
        return
    default = "service" if protocol.startswith(("OGC:", "ESRI:")) else "related"
    rel = rel or ("enclosure" if "DOWNLOAD" in protocol.upper() else default)
    reading.links.append(Link(href=address, rel=rel, title=title, protocol=protocol))


def read_distribution(reading: Reading, root: Element) -> None:
    """Read the online links and format names of distributionInfo (and of a service's operations)."""
    formats: dict[str, None] = {}
    for distribution in every(root, "distributionInfo/MD_Distribution"):
        for element in every(distribution, "**/MD_Format"):
            name = prop(element, "name") or prop(element, "formatSpecificationCitation/CI_Citation/title")
            if name:
                formats[name] = None
            elif first(element, "name") is not None:
                reading.flaw("format-without-name")
        for online in every(distribution, "**/onLine/CI_OnlineResource"):
            _online(reading, online)
    for online in every(root, "identificationInfo/*/containsOperations/*/connectPoint/CI_OnlineResource"):
        _online(reading, online)
    reading.extras["formats"] = ", ".join(formats)


def _online(reading: Reading, online: Element) -> None:
    href = text_at(online, "linkage")
    name, description = prop(online, "name"), prop(online, "description")
    if code(first(online, "function/*")) == "download" and not prop(online, "protocol"):
        add_link(reading, href, "WWW:DOWNLOAD", name or description)
        return
    add_link(reading, href, prop(online, "protocol"), name or description)


def link_from_identifier(reading: Reading, info: Element | None) -> None:
    """Take the service address from the citation identifier, where BIG's 19115-3 records keep it."""
    for element in every(info, "citation/CI_Citation/identifier/*/code"):
        value = text_of(element)
        if value.lower().startswith(("http://", "https://")):
            add_link(reading, value, "", "")


def read_lineage(reading: Reading, root: Element) -> None:
    """Read the lineage statement and its process steps into one text."""
    parts: dict[str, None] = {}
    for path in ("dataQualityInfo/DQ_DataQuality/lineage/LI_Lineage", "resourceLineage/LI_Lineage"):
        for lineage in every(root, path):
            for element in (*every(lineage, "statement"), *every(lineage, "processStep/*/description")):
                if value := text_of(element):
                    parts[value] = None
    reading.values["lineage"] = "\n".join(parts)


def read_dates(reading: Reading, info: Element | None, metadata_date: str) -> None:
    """Read creation and the latest date of change; Palapa's constant publication date is no date."""
    by_type: dict[str, str] = {}
    for element in every(info, "citation/CI_Citation/date/CI_Date"):
        kind = code(first(element, "dateType/*"))
        by_type.setdefault(kind, text_at(element, "date"))
    if by_type.get("publication") == PALAPA_DATE:
        reading.flaw("palapa-publication-date")
        by_type.pop("publication")
    created = by_type.get("creation") or by_type.get("publication") or ""
    changed = by_type.get("revision") or metadata_date or by_type.get("publication") or ""
    reading.values["created"], reading.values["modified"] = moment(created), moment(changed)
    if reading.values["created"]:
        reading.values["tahun"] = str(reading.values["created"].year)


_PRODUCER = ("owner", "originator", "author", "principalInvestigator", "processor")
_STEWARD = ("custodian", "resourceProvider", "distributor", "publisher", "pointOfContact")


def assign_parties(reading: Reading, parties: list[tuple[str, Contact]]) -> None:
    """Choose produsen data, walidata and contact from (role, contact) pairs, best role first."""
    named = [(role, contact) for role, contact in parties if contact.organisation]

    def pick(roles: tuple[str, ...]) -> str:
        return next((c.organisation for wanted in roles for role, c in named if role == wanted), "")

    producer, steward = pick(_PRODUCER), pick(_STEWARD)
    reading.values["produsen_data"] = producer or steward or (named[0][1].organisation if named else "")
    reading.values["walidata"] = steward
    if parties:
        reachable = [c for _, c in parties if c.email or c.phone] or [c for _, c in parties]
        reading.values["contact"] = reachable[0]
