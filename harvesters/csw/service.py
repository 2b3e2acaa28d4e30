"""A CSW: its capabilities, its requests (built by owslib) and its answers (read by local names).

owslib writes each request body; our HTTP client sends it; the answer is read leniently, since
`nextRecord`, the counts and even the schema of real catalogues can not be trusted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lxml import etree
from owslib import fes, fes2, util
from owslib.catalogue.csw2 import CatalogueServiceWeb as Csw2
from owslib.catalogue.csw3 import CatalogueServiceWeb as Csw3
from owslib.namespaces import Namespaces

from catalog.errors import AuthSourceError, ProtocolError
from catalog.metadata.xmlsafe import Element, attribute, every, first, local, own_text, parse_xml, text_at
from harvesters.http.client import HttpClient
from harvesters.wfs.service import exception_text

log = logging.getLogger(__name__)
GMD = "http://www.isotc211.org/2005/gmd"
MDB = ("http://standards.iso.org/iso/19115/-3/mdb/2.0", "http://standards.iso.org/iso/19115/-3/mdb/1.0")
_RECORDS = {"MD_Metadata", "MI_Metadata", "Record", "SummaryRecord", "BriefRecord"}
_OURS = {"service", "request", "version", "acceptversions", "outputschema", "typenames", "resulttype"}
_NAMES = Namespaces().get_namespaces()


@dataclass(slots=True)
class Capabilities:
    """What the catalogue says of itself."""

    version: str
    title: str
    schemas: tuple[str, ...] = ()
    max_records: int | None = None
    type_names: tuple[str, ...] = ()


@dataclass(slots=True)
class Records:
    """One answer: the record elements, and what the server says of counts (None: nothing usable)."""

    elements: list[Element] = field(default_factory=list)
    matched: int | None = None
    returned: int | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    start: int
    count: int
    full: bool
    cql: str
    result_type: str = "results"


@dataclass(frozen=True, slots=True)
class _Way:
    """How a server wants to be asked."""

    post: bool
    sorted: bool


_WAYS = (_Way(True, True), _Way(True, False), _Way(False, True), _Way(False, False))


class _Unsent:
    """An owslib client that writes requests and sends none."""

    def _invoke(self) -> None:
        self.exceptionreport = "not sent"  # owslib then reads no answer

    _parserecords = None


class _Writer2(_Unsent, Csw2):  # type: ignore[misc]
    pass


class _Writer3(_Unsent, Csw3):  # type: ignore[misc]
    pass


class CswService:
    """Speaks CSW 2.0.2 or 3.0.0 with one catalogue."""

    def __init__(self, url: str, http: HttpClient, *, version: str = "auto", schema: str = "auto") -> None:
        parts = urlsplit(url)
        kept = [(k, v) for k, v in parse_qsl(parts.query) if k.lower() not in _OURS]
        self.url = urlunsplit(parts._replace(query=urlencode(kept), fragment=""))
        self.http = http
        self._version, self._schema = version, schema
        self._capabilities: Capabilities | None = None
        self._way, self._settled = _WAYS[0], False

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities, read once."""
        if self._capabilities is None:
            self._capabilities = self._negotiate()
        return self._capabilities

    def _negotiate(self) -> Capabilities:
        trouble: ProtocolError | None = None
        for version in ("2.0.2", "3.0.0") if self._version == "auto" else (self._version,):
            params = {"service": "CSW", "version": version, "request": "GetCapabilities"}
            key = "acceptversions" if version == "3.0.0" else "version"
            try:
                root = self._answer(self.http.get(self.url, params={**params, key: version}).content)
                return self._read(root)
            except ProtocolError as exc:
                trouble = trouble or exc
        raise trouble or ProtocolError("no CSW here", where=self.url)

    def _read(self, root: Element) -> Capabilities:
        if local(root) != "Capabilities" or "/cat/csw" not in str(root.tag):
            raise ProtocolError(f"<{local(root)}> where CSW capabilities were expected", where=self.url)
        operation = next(
            (o for o in every(root, "OperationsMetadata/Operation") if attribute(o, "name") == "GetRecords"),
            None,
        )
        limits = [v for v in _values(root, "MaxRecordDefault") if v.isdigit() and int(v) > 0]
        return Capabilities(
            version=attribute(root, "version") or "2.0.2",
            title=text_at(root, "ServiceIdentification/Title"),
            schemas=tuple(_values(operation, "outputSchema")),
            max_records=int(limits[0]) if limits else None,
            type_names=tuple(_values(operation, "typeNames")),
        )

    @property
    def schema(self) -> str:
        """The richest output schema that we read and the server offers."""
        if self._schema != "auto":
            return {"gmd": GMD, "mdb": MDB[0], "csw": self._own}.get(self._schema, self._schema)
        offered = self.capabilities.schemas
        wanted = [s for s in (*MDB, GMD) if s in offered]
        wanted += [s for s in offered if "/mdb/" in s or s.endswith("/gmd")]
        # MDB first only where GMD is missing: servers convert to it with losses
        return GMD if GMD in wanted else wanted[0] if wanted else self._own

    @property
    def _own(self) -> str:
        return str(_NAMES["csw30"] if self._three else _NAMES["csw"])

    @property
    def _three(self) -> bool:
        return self.capabilities.version.startswith("3")

    def get_records(
        self, start: int, count: int, *, full: bool = True, cql: str = "", retries: int | None = None
    ) -> Records:
        """Ask for `count` records from `start` (from 1); brief ones in the catalogue's own schema."""
        self._settle()
        return self._send(_Asked(start, count, full, cql), retries)

    def _settle(self) -> None:
        """Find out, once, what the server takes: POST or else GET, sorted by identifier or else not."""
        if self._settled:
            return
        self._settled = True
        for self._way in _WAYS:
            try:
                self._send(_Asked(1, 1, False, ""), None if self._way == _WAYS[0] else 0)
            except (ProtocolError, AuthSourceError) as exc:
                log.info("%s: %s: %s", self.url, self._way, exc)
            else:
                return
        self._way = _WAYS[0]  # it is neither: the question itself will tell

    def hits(self, cql: str = "") -> int | None:
        """Return how many records match, None when the server can not tell."""
        self._settle()
        for result_type in ("hits", "results"):
            try:
                found = self._send(_Asked(1, 1, False, cql, result_type), None)
            except ProtocolError:
                if result_type == "results":
                    raise
                continue
            if found.matched is not None and (found.matched or result_type == "results"):
                return found.matched
        return None

    def _send(self, asked: _Asked, retries: int | None) -> Records:
        if self._way.post:
            headers = {"Content-Type": "application/xml"}
            answer = self.http.post(self.url, data=self._write(asked), headers=headers, retries=retries)
        else:
            answer = self.http.get(self.url, params=self._pairs(asked), retries=retries)
        return read_records(self._answer(answer.content))

    def _pairs(self, asked: _Asked) -> dict[str, Any]:
        """Return the question as key-value pairs, for servers (or their guards) that refuse POST."""
        prefix = "csw30" if self._three else "csw"
        pairs: dict[str, Any] = {
            "service": "CSW", "version": self.capabilities.version, "request": "GetRecords",
            "typeNames": f"{prefix}:Record", "resultType": asked.result_type,
            "elementSetName": "full" if asked.full else "brief",
            "outputSchema": self.schema if asked.full else self._own,
            "startPosition": asked.start, "maxRecords": asked.count,
        }  # fmt: skip
        if self._way.sorted:
            pairs["sortBy"] = "dc:identifier:A"
        if asked.cql:
            pairs |= {
                "constraintLanguage": "CQL_TEXT", "constraint": asked.cql,
                "constraint_language_version": "1.1.0",
            }  # fmt: skip
        return pairs

    def get_by_id(self, identifier: str) -> Records:
        """Ask for one record by its identifier."""
        params = self._by_id(identifier)
        return read_records(self._answer(self.http.get(self.url, params=params).content))

    def record_url(self, identifier: str) -> str:
        """Return the address of one record."""
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self._by_id(identifier))}"

    def _by_id(self, identifier: str) -> dict[str, str]:
        return {
            "service": "CSW", "version": self.capabilities.version, "request": "GetRecordById",
            "id": identifier, "elementSetName": "full", "outputSchema": self.schema,
        }  # fmt: skip

    def _write(self, asked: _Asked) -> bytes:
        version = self.capabilities.version
        writer: Any = (_Writer3 if self._three else _Writer2)(self.url, version=version, skip_caps=True)
        filters = fes2 if self._three else fes
        order = filters.SortBy([filters.SortProperty("dc:identifier", "ASC")]) if self._way.sorted else None
        common: dict[str, Any] = {
            "sortby": order, "esn": "full" if asked.full else "brief", "startposition": asked.start,
            "maxrecords": asked.count, "outputschema": self.schema if asked.full else self._own,
            "cql": asked.cql or None,
        }  # fmt: skip
        if self._three:
            writer.getrecords(typenames="csw30:Record", **common)
        else:
            writer.getrecords2(typenames="csw:Record", resulttype=asked.result_type, **common)
        prefix = "csw30" if self._three else "csw"
        request = util.add_namespaces(util.cleanup_namespaces(writer.request), ["ows", prefix, "dc"])
        return bytes(etree.tostring(request, encoding="utf-8", xml_declaration=True))

    def _answer(self, content: bytes) -> Element:
        root = parse_xml(content, where=self.url, huge=True)
        if (said := exception_text(root)) is not None:
            raise ProtocolError(f"CSW exception: {said}", where=self.url)
        return root


def _values(root: Element | None, name: str) -> list[str]:
    found = (*every(root, "**/Parameter"), *every(root, "**/Constraint"))
    return [
        own_text(value)
        for element in found
        if attribute(element, "name") == name
        for value in (*every(element, "**/Value"), *every(element, "DefaultValue"))
    ]


def read_records(root: Element) -> Records:
    """Collect the records of a GetRecords or GetRecordById answer, whatever its counts claim."""
    if local(root) in _RECORDS:
        return Records([root], 1, 1)
    results = first(root, "SearchResults")
    holder = results if results is not None else root
    elements = [e for e in holder if local(e) in _RECORDS]
    return Records(
        elements,
        _count(holder, "numberOfRecordsMatched"),
        _count(holder, "numberOfRecordsReturned"),
    )


def _count(element: Element, name: str) -> int | None:
    value = attribute(element, name).strip()
    return int(value) if value.isdigit() else None


def identifier_of(element: Element) -> str:
    """Return a record's identifier without reading the rest of it."""
    for path in (
        "fileIdentifier", "metadataIdentifier/MD_Identifier/code", "metadataIdentifier/*/code", "identifier",
    ):  # fmt: skip
        if value := text_at(element, path):
            return value
    return ""
