"""One door to all readers: bytes or element in, `DatasetRecord` out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from catalog.errors import RecordError
from catalog.metadata.dublin import read_dublin
from catalog.metadata.iso import Reading
from catalog.metadata.iso19115_3 import read_19115_3
from catalog.metadata.iso19139 import read_19139
from catalog.metadata.xmlsafe import Element, local, parse_xml
from catalog.model import DatasetRecord, Localized

Standard = Literal["iso19139", "iso19115-3", "dublin-core"]
_ISO = {"MD_Metadata", "MI_Metadata"}
_DUBLIN = {"Record", "SummaryRecord", "BriefRecord"}


@dataclass(frozen=True, slots=True)
class ParsedMetadata:
    """A record as read: its identifier ('' when it has none), what it says, what was wrong with it.

    `scope` is the ISO scope code (`dataset`, `series`, `service`...), '' when not told.
    """

    identifier: str
    standard: Standard
    scope: str
    record: DatasetRecord
    flaws: tuple[str, ...] = ()


def read_metadata(source: bytes | Element, *, where: str = "") -> ParsedMetadata:
    """Read one metadata record; a wrapper around it (GetRecordById, OAI) is looked through.

    Raises ProtocolError when bytes are not XML, RecordError when no known record is in it or it
    holds neither title nor identifier.
    """
    root = parse_xml(source, where=where) if isinstance(source, bytes) else source
    element = next((e for e in root.iter() if local(e) in _ISO or local(e) in _DUBLIN), None)
    if element is None:
        raise RecordError(f"no metadata record in <{local(root)}>", where=where)
    standard = standard_of(element)
    readers: dict[Standard, Callable[[Element], tuple[str, Reading]]] = {
        "iso19139": read_19139, "iso19115-3": read_19115_3, "dublin-core": read_dublin,
    }  # fmt: skip
    identifier, reading = readers[standard](element)
    return _finish(identifier, standard, reading, where)


def standard_of(element: Element) -> Standard:
    """Tell the standard by its shape, since namespaces differ."""
    if local(element) in _DUBLIN:
        return "dublin-core"
    names = {local(child) for child in element}
    if names & {"metadataIdentifier", "metadataScope", "dateInfo", "metadataStandard"}:
        return "iso19115-3"
    return "iso19139"


def _finish(identifier: str, standard: Standard, reading: Reading, where: str) -> ParsedMetadata:
    title: Localized = reading.values.get("title") or Localized()
    if not title.id:
        reading.flaw("title-missing")
        if not (title.en or identifier):
            raise RecordError("record has neither title nor identifier", where=where)
        reading.values["title"] = Localized(id=title.en or identifier, en=title.en)
    if not identifier:
        reading.flaw("identifier-missing")
    extras = {key: value for key, value in reading.extras.items() if value}
    if reading.flaws:
        extras["flaws"] = ", ".join(reading.flaws)
    record = DatasetRecord(**reading.values, links=reading.links, extras=extras)
    return ParsedMetadata(identifier, standard, extras.get("scope", ""), record, tuple(reading.flaws))
