"""Datasets as DCAT 3 in JSON-LD; the context stands in the document, nothing is fetched to read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from catalog.datasets import Dataset
from ogc_server.ask import Ask, segment
from ogc_server.snapshot import CATALOG_ID

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "gsp": "http://www.opengis.net/ont/geosparql#",
}


def catalogue(ask: Ask, items: Iterable[Dataset], title: str) -> dict[str, Any]:
    """Return a dcat:Catalog of datasets."""
    return {
        "@context": CONTEXT,
        "@id": ask.href(f"/collections/{CATALOG_ID}"),
        "@type": "dcat:Catalog",
        "dct:title": {"@value": title, "@language": ask.lang},
        "dcat:dataset": [dataset(ask, one) for one in items],
    }


def dataset(ask: Ask, one: Dataset, *, context: bool = False) -> dict[str, Any]:
    """Return a dcat:Dataset."""
    said = one.record
    made: dict[str, Any] = {
        "@id": ask.href(f"/collections/{CATALOG_ID}/items/{segment(one.id)}"),
        "@type": "dcat:Dataset",
        "dct:identifier": one.id,
        "dct:title": _texts(said.title.id, said.title.en) or one.id,
        "dct:description": _texts(said.description.id, said.description.en),
        "dcat:keyword": said.keywords,
        "dct:issued": {"@value": one.created.isoformat(), "@type": "xsd:dateTime"},
        "dct:modified": {"@value": one.updated.isoformat(), "@type": "xsd:dateTime"},
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": said.produsen_data}
        if said.produsen_data
        else None,
        "dct:license": said.licence,
        "dct:accrualPeriodicity": said.frekuensi,
        "dct:provenance": said.lineage,
        "dct:spatial": _spatial(one),
        "dct:temporal": _period(one),
        "dcat:distribution": _distributions(ask, one),
    }
    made = {key: value for key, value in made.items() if value not in (None, "", [])}
    return {"@context": CONTEXT, **made} if context else made


def _texts(indonesian: str, english: str) -> list[dict[str, str]]:
    pairs = (("id", indonesian), ("en", english))
    return [{"@value": value, "@language": lang} for lang, value in pairs if value]


def _spatial(one: Dataset) -> dict[str, Any] | None:
    box = (one.version.bbox if one.version else None) or one.record.bbox
    if box is None:
        return None
    west, south, east, north = box
    ring = f"(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"
    return {"@type": "dct:Location", "dcat:bbox": {"@value": f"POLYGON {ring}", "@type": "gsp:wktLiteral"}}


def _period(one: Dataset) -> dict[str, Any] | None:
    start, end = one.record.time_start, one.record.time_end
    if start is None and end is None:
        return None
    made: dict[str, Any] = {"@type": "dct:PeriodOfTime"}
    for key, moment in (("dcat:startDate", start), ("dcat:endDate", end)):
        if moment is not None:
            made[key] = {"@value": moment.isoformat(), "@type": "xsd:dateTime"}
    return made


def _distributions(ask: Ask, one: Dataset) -> list[dict[str, Any]]:
    made = []
    if one.version is not None and one.kind in ("feature", "table"):
        for name, media in (("json", "application/geo+json"), ("csv", "text/csv")):
            address = ask.href(f"/collections/{segment(one.id)}/items", {"f": name})
            made.append(
                {"@type": "dcat:Distribution", "dcat:accessURL": {"@id": address}, "dcat:mediaType": media}
            )
    for link in one.record.links:
        made.append(
            {"@type": "dcat:Distribution", "dcat:accessURL": {"@id": link.href}, "dct:title": link.title}
        )
    return made
