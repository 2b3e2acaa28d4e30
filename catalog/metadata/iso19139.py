"""ISO 19139 (`gmd:MD_Metadata`), as pycsw, GeoNetwork, GeoNode and Palapa write it."""

from __future__ import annotations

from catalog.metadata.iso import (
    PALAPA_NOTE,
    Reading,
    assign_parties,
    code,
    link_from_identifier,
    prop,
    read_crs,
    read_dates,
    read_distribution,
    read_identification,
    read_language,
    read_lineage,
)
from catalog.metadata.xmlsafe import Element, every, first, text_at
from catalog.model import Contact


def read_19139(root: Element) -> tuple[str, Reading]:
    """Return the file identifier and what the record says."""
    reading = Reading()
    info = read_identification(reading, root)
    read_language(
        reading, root, "language/*", "identificationInfo/*/language/*",
        "defaultLocale/PT_Locale/languageCode/*", "defaultLocale/LanguageCode", "LanguageCode",
    )  # fmt: skip
    read_crs(reading, root)
    read_distribution(reading, root)
    if not reading.links:
        link_from_identifier(reading, info)
    read_lineage(reading, root)
    read_dates(reading, info, text_at(root, "dateStamp"))
    note = text_at(root, "metadataMaintenance/*/maintenanceNote").casefold()
    if PALAPA_NOTE in note:
        reading.extras["written_by"] = "GSPalapa"
    cited = every(info, "citation/CI_Citation/citedResponsibleParty/CI_ResponsibleParty")
    parties = [_party(e) for e in every(info, "pointOfContact/CI_ResponsibleParty")]
    parties += [_party(e) for e in cited]
    parties += [_party(e) for e in every(root, "contact/CI_ResponsibleParty")]
    assign_parties(reading, parties)
    reading.extras["parent"] = prop(root, "parentIdentifier")
    reading.extras["scope"] = code(first(root, "hierarchyLevel/*"))
    reading.extras["metadata_standard"] = prop(root, "metadataStandardName")
    return prop(root, "fileIdentifier"), reading


def _party(element: Element) -> tuple[str, Contact]:
    """Read an office; the individual's name is left out on purpose (UU 27/2022)."""
    info = "contactInfo/CI_Contact"
    address = (
        prop(element, f"{info}/address/CI_Address/{part}")
        for part in ("deliveryPoint", "city", "administrativeArea", "postalCode", "country")
    )
    return code(first(element, "role/*")), Contact(
        organisation=prop(element, "organisationName"),
        name=prop(element, "positionName"),
        email=prop(element, f"{info}/address/CI_Address/electronicMailAddress"),
        phone=prop(element, f"{info}/phone/CI_Telephone/voice"),
        url=text_at(element, f"{info}/onlineResource/CI_OnlineResource/linkage"),
        address=", ".join(filter(None, address)),
    )
