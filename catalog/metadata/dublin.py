"""Dublin Core (`csw:Record`), for catalogues that offer nothing richer."""

from __future__ import annotations

from catalog.metadata.iso import Reading, add_link
from catalog.metadata.values import crs_code, extent, language_code, moment, number
from catalog.metadata.xmlsafe import Element, attribute, every, first, own_text, text_at
from catalog.model import Localized


def read_dublin(root: Element) -> tuple[str, Reading]:
    """Return the identifier and what the record says (full, summary or brief)."""
    reading = Reading()
    values = reading.values
    values["title"] = Localized(id=text_at(root, "title"))
    values["description"] = Localized(id=text_at(root, "abstract") or text_at(root, "description"))
    values["keywords"] = list(dict.fromkeys(v for e in every(root, "subject") if (v := own_text(e))))
    values["produsen_data"] = text_at(root, "creator") or text_at(root, "publisher")
    values["walidata"] = text_at(root, "publisher")
    values["licence"] = text_at(root, "rights") or text_at(root, "license")
    values["lineage"] = text_at(root, "source") or text_at(root, "provenance")
    values["language"] = language_code(text_at(root, "language"))
    values["created"] = moment(text_at(root, "created") or text_at(root, "date"))
    values["modified"] = moment(text_at(root, "modified"))
    reading.extras["scope"] = text_at(root, "type")
    _box(reading, root)
    for element in every(root, "references"):
        add_link(reading, own_text(element), attribute(element, "scheme"), "")
    for element in every(root, "URI"):
        title = attribute(element, "name") or attribute(element, "description")
        add_link(reading, own_text(element), attribute(element, "protocol"), title)
    return text_at(root, "identifier"), reading


def _box(reading: Reading, root: Element) -> None:
    box = first(root, "BoundingBox")
    if box is None:
        box = first(root, "WGS84BoundingBox")
    if box is None:
        return
    low, high = text_at(box, "LowerCorner").split(), text_at(box, "UpperCorner").split()
    if len(low) != 2 or len(high) != 2:
        reading.flaw("extent-missing")
        return
    ordinates = [number(value) for value in (*low, *high)]
    declared = attribute(box, "crs")
    if declared.lower().startswith("urn:") and crs_code(declared) == "EPSG:4326":
        ordinates = [ordinates[1], ordinates[0], ordinates[3], ordinates[2]]
    reading.values["bbox"], flaw = extent(*ordinates)
    reading.flaw(flaw)
