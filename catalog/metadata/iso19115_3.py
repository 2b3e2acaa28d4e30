"""ISO 19115-3 (`mdb:MD_Metadata`), as ArcGIS tools of BIG and ATR/BPN and newer catalogues write it."""

from __future__ import annotations

from catalog.metadata.iso import (
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
from catalog.metadata.xmlsafe import Element, attribute, every, first, text_at
from catalog.model import Contact


def read_19115_3(root: Element) -> tuple[str, Reading]:
    """Return the metadata identifier and what the record says."""
    reading = Reading()
    info = read_identification(reading, root)
    read_language(
        reading, root, "defaultLocale/PT_Locale/language/*",
        "identificationInfo/*/defaultLocale/PT_Locale/language/*",
    )  # fmt: skip
    read_crs(reading, root)
    read_distribution(reading, root)
    if not reading.links:
        link_from_identifier(reading, info)
    read_lineage(reading, root)
    read_dates(reading, info, _metadata_date(root))
    parties = [p for e in every(info, "pointOfContact/CI_Responsibility") for p in _parties(e)]
    cited = every(info, "citation/CI_Citation/citedResponsibleParty/CI_Responsibility")
    parties += [p for e in cited for p in _parties(e)]
    parties += [p for e in every(root, "contact/CI_Responsibility") for p in _parties(e)]
    assign_parties(reading, parties)
    parent = first(root, "parentMetadata")
    if parent is not None:
        reading.extras["parent"] = attribute(parent, "uuidref") or text_at(parent, "**/code")
    reading.extras["scope"] = code(first(root, "metadataScope/MD_MetadataScope/resourceScope/*"))
    reading.extras["metadata_standard"] = prop(root, "metadataStandard/CI_Citation/title")
    return prop(root, "metadataIdentifier/MD_Identifier/code"), reading


def _metadata_date(root: Element) -> str:
    dates = {code(first(e, "dateType/*")): text_at(e, "date") for e in every(root, "dateInfo/CI_Date")}
    return dates.get("revision") or dates.get("publication") or dates.get("creation") or ""


def _parties(element: Element) -> list[tuple[str, Contact]]:
    """Read the offices of one responsibility; individuals' names are left out on purpose."""
    role = code(first(element, "role/*"))
    return [(role, _office(party)) for party in every(element, "party/CI_Organisation")]


def _office(party: Element) -> Contact:
    info = "contactInfo/CI_Contact"
    address = (
        prop(party, f"{info}/address/CI_Address/{part}")
        for part in ("deliveryPoint", "city", "administrativeArea", "postalCode", "country")
    )
    return Contact(
        organisation=prop(party, "name"),
        name=prop(party, "individual/CI_Individual/positionName"),
        email=prop(party, f"{info}/address/CI_Address/electronicMailAddress"),
        phone=prop(party, f"{info}/phone/CI_Telephone/number"),
        url=text_at(party, f"{info}/onlineResource/CI_OnlineResource/linkage"),
        address=", ".join(filter(None, address)),
    )
