"""Writes records as DCAT 3 (profile DCAT-AP 3) in JSON-LD: one dataset, or a whole catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from catalog.model import Contact, DatasetRecord, Link, Localized

CONTEXT: dict[str, Any] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "locn": "http://www.w3.org/ns/locn#",
    "geo": "http://www.opengis.net/ont/geosparql#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "adms": "http://www.w3.org/ns/adms#",
}
_ACCESS = "http://publications.europa.eu/resource/authority/access-right/"
_RIGHTS = {"publik": "PUBLIC", "terbatas": "RESTRICTED", "internal": "NON_PUBLIC"}
_DATA = {"service", "enclosure", "item", "items", "data"}
_FREQUENCY = "http://publications.europa.eu/resource/authority/frequency/"
_FREQUENCIES = {
    "continual": "CONT", "daily": "DAILY", "weekly": "WEEKLY", "fortnightly": "BIWEEKLY",
    "monthly": "MONTHLY", "quarterly": "QUARTERLY", "biannually": "ANNUAL_2", "annually": "ANNUAL",
    "asneeded": "IRREG", "irregular": "IRREG", "notplanned": "NEVER", "unknown": "UNKNOWN",
    "tahunan": "ANNUAL", "bulanan": "MONTHLY", "harian": "DAILY", "mingguan": "WEEKLY",
    "triwulanan": "QUARTERLY", "semesteran": "ANNUAL_2",
}  # fmt: skip


def to_dcat(dataset_id: str, record: DatasetRecord, *, url: str) -> dict[str, Any]:
    """Return one `dcat:Dataset` with its own `@context`; `url` is the dataset's page and its `@id`."""
    return {"@context": CONTEXT, **_dataset(dataset_id, record, url)}


def to_dcat_catalog(
    datasets: Iterable[tuple[str, DatasetRecord]], *, url: str, title: Localized, publisher: str
) -> dict[str, Any]:
    """Return a `dcat:Catalog` of (id, record) pairs; a dataset's `@id` is `<url>/collections/<id>`."""
    base = url.rstrip("/")
    return {
        "@context": CONTEXT,
        "@id": base,
        "@type": "dcat:Catalog",
        "dct:title": _texts(title),
        "dct:publisher": _agent(publisher),
        "dcat:dataset": [_dataset(i, record, f"{base}/collections/{i}") for i, record in datasets],
    }


def _dataset(dataset_id: str, record: DatasetRecord, url: str) -> dict[str, Any]:
    frequency = _FREQUENCIES.get(record.frekuensi.casefold().replace(" ", ""))
    found: dict[str, Any] = {
        "@id": url,
        "@type": "dcat:Dataset",
        "dct:identifier": dataset_id,
        "dct:title": _texts(record.title),
        "dct:description": _texts(record.description),
        "dcat:keyword": [{"@value": word, "@language": "id"} for word in record.keywords],
        "dct:publisher": _agent(record.produsen_data),
        "dcat:contactPoint": _contact(record.contact),
        "dct:spatial": _place(record),
        "dct:temporal": _period(record.time_start, record.time_end),
        "dct:issued": _instant(record.created),
        "dct:modified": _instant(record.modified),
        "dct:accrualPeriodicity": {"@id": _FREQUENCY + frequency} if frequency else None,
        "dct:accessRights": {"@id": _ACCESS + _RIGHTS[record.access]},
        "dct:provenance": _labelled("dct:ProvenanceStatement", record.lineage),
        "dct:language": record.language,
        "adms:versionNotes": "Data sintetis / synthetic data" if record.synthetic else None,
        "dcat:landingPage": {"@id": url},
        "dcat:distribution": [_distribution(link, record) for link in record.links if _is_data(link)],
        "dct:relation": [{"@id": link.href} for link in record.links if not _is_data(link)],
    }
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def _is_data(link: Link) -> bool:
    return (
        link.rel in {"service", "enclosure", "item", "items", "data"} or "DOWNLOAD" in link.protocol.upper()
    )


def _distribution(link: Link, record: DatasetRecord) -> dict[str, Any]:
    served = link.protocol.startswith(("OGC:", "ESRI:"))
    found: dict[str, Any] = {
        "@type": "dcat:Distribution",
        "dct:title": link.title,
        "dcat:accessURL": {"@id": link.href},
        "dcat:downloadURL": {"@id": link.href} if link.rel == "enclosure" and not served else None,
        "dcat:mediaType": link.type,
        "dct:license": _labelled("dct:LicenseDocument", record.licence),
        "dcat:accessService": {
            "@type": "dcat:DataService", "dct:title": link.title or link.protocol,
            "dcat:endpointURL": {"@id": link.href}, "dct:conformsTo": link.protocol,
        } if served else None,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value not in (None, "")}


def _texts(value: Localized) -> list[dict[str, str]]:
    pairs = (("id", value.id), ("en", value.en))
    return [{"@value": text, "@language": lang} for lang, text in pairs if text]


def _agent(name: str) -> dict[str, str] | None:
    return {"@type": "foaf:Agent", "foaf:name": name} if name else None


def _labelled(kind: str, text: str) -> dict[str, str] | None:
    if not text:
        return None
    if text.startswith(("http://", "https://")) and " " not in text:
        return {"@type": kind, "@id": text}
    return {"@type": kind, "dct:title": text}


def _contact(contact: Contact) -> dict[str, Any] | None:
    found = {
        "vcard:fn": contact.organisation or contact.name,
        "vcard:hasEmail": {"@id": f"mailto:{contact.email}"} if contact.email else None,
        "vcard:hasTelephone": contact.phone,
        "vcard:hasURL": {"@id": contact.url} if contact.url else None,
    }
    kept = {key: value for key, value in found.items() if value}
    return {"@type": "vcard:Organization", **kept} if kept else None


def _place(record: DatasetRecord) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if record.bbox:
        west, south, east, north = record.bbox
        ring = ", ".join(
            f"{x} {y}" for x, y in ((west, south), (east, south), (east, north), (west, north), (west, south))
        )
        found["dcat:bbox"] = {"@value": f"POLYGON(({ring}))", "@type": "geo:wktLiteral"}
    if record.cakupan:
        found["locn:geographicName"] = record.cakupan
    return {"@type": "dct:Location", **found} if found else None


def _period(start: datetime | None, end: datetime | None) -> dict[str, Any] | None:
    found = {"dcat:startDate": _instant(start), "dcat:endDate": _instant(end)}
    kept = {key: value for key, value in found.items() if value}
    return {"@type": "dct:PeriodOfTime", **kept} if kept else None


def _instant(moment: datetime | None) -> dict[str, str] | None:
    return {"@value": moment.isoformat(), "@type": "xsd:dateTime"} if moment else None
