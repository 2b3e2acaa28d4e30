"""A small HTTP server on loopback whose answers a test writes; and WFS and CSW that misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from lxml import etree


@dataclass
class Asked:
    """One request: `params` have lower-case names, `xml` is the parsed body of a POST."""

    path: str
    params: dict[str, str]
    body: bytes = b""

    @property
    def xml(self) -> etree._Element:
        return etree.fromstring(self.body)


@dataclass
class Answer:
    """What to send back."""

    body: bytes | str
    type: str = "text/xml"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def serve(app: Callable[[Asked], Answer]) -> Iterator[str]:
    """Serve `app` while in the context; yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            parts = urlsplit(self.path)
            params = {k.lower(): v for k, v in parse_qsl(parts.query, keep_blank_values=True)}
            length = int(self.headers.get("Content-Length") or 0)
            answer = app(Asked(parts.path, params, self.rfile.read(length)))
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _do  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


EXCEPTION = """<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1" version="2.0.0">
<ows:Exception exceptionCode="NoApplicableCode"><ows:ExceptionText>{}</ows:ExceptionText></ows:Exception>
</ows:ExceptionReport>"""


@dataclass
class BadWfs:
    """A WFS with switches. `count` features `desa.1`... with a code, a name and a point."""

    count: int = 25
    geojson: bool = True
    count_default: int | None = None
    ignores_start: bool = False
    cap: int | None = None
    sorts: bool = True
    broken: tuple[int, ...] = ()
    truncated_above: int | None = None
    hits_unknown: bool = False
    counts_as: list[int] = field(default_factory=list)
    srs: str = "urn:ogc:def:crs:EPSG::4326"
    latitude_first: bool = True
    random_ids: bool = False
    nameless: tuple[int, ...] = ()
    breaks_midway: tuple[int, ...] = ()
    exceptions_http_200: bool = True
    capabilities: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked.params)
        request = asked.params.get("request", "")
        if request == "GetCapabilities":
            return Answer(self.capabilities or self._capabilities())
        if request == "DescribeFeatureType":
            return Answer(_XSD)
        return self._features(asked.params)

    def _features(self, params: dict[str, str]) -> Answer:
        if params.get("sortby") and not self.sorts:
            return self._exception("sortBy is not supported")
        total = self.counts_as.pop(0) if self.counts_as else self.count
        if params.get("resulttype") == "hits":
            return Answer(self._gml([], "unknown" if self.hits_unknown else str(total)))
        start = 0 if self.ignores_start else int(params.get("startindex") or 0)
        wanted = int(params.get("count") or params.get("maxfeatures") or 10**6)
        wanted = min(wanted, self.cap or wanted, self.count_default or wanted)
        numbers = list(range(1, total + 1))[start : start + wanted]
        if set(numbers) & set(self.broken):
            return self._exception("Geometry of a feature can not be encoded")
        json_wanted = "json" in params.get("outputformat", "")
        body = self._json(numbers, total) if json_wanted else self._gml(numbers, str(total))
        if self.truncated_above is not None and len(numbers) > self.truncated_above:
            body = body[: len(body) // 2]
        return Answer(body, "application/json" if json_wanted else "text/xml")

    def _exception(self, text: str) -> Answer:
        return Answer(EXCEPTION.format(text), status=200 if self.exceptions_http_200 else 400)

    def _id(self, number: int) -> str:
        return f"desa.fid-{id(object()):x}_{len(self.asked)}" if self.random_ids else f"desa.{number}"

    def _json(self, numbers: list[int], total: int) -> str:
        features = [
            {
                "type": "Feature", "id": self._id(n),
                "properties": {"kode": None if n in self.nameless else f"00{n:03d}", "nama": f"Desa {n}"},
                "geometry": {"type": "Point", "coordinates": [107 + n / 1000, -7.0]},
            }
            for n in numbers
        ]  # fmt: skip
        return json.dumps({"type": "FeatureCollection", "numberMatched": total, "features": features})

    def _gml(self, numbers: list[int], matched: str) -> str:
        def position(n: int) -> str:
            lon, lat = f"{107 + n / 1000}", "-7.0"
            return f"{lat} {lon}" if self.latitude_first else f"{lon} {lat}"

        srs = f'srsName="{self.srs}"' if self.srs else ""
        cut = next((i for i, n in enumerate(numbers) if n in self.breaks_midway), None)
        tail = EXCEPTION.format("stopped") if cut is not None else ""
        members = "".join(
            f'<wfs:member><a:desa gml:id="{self._id(n)}"><a:geom><gml:Point {srs} gml:id="g{n}">'
            f"<gml:pos>{position(n)}</gml:pos></gml:Point></a:geom><a:kode>00{n:03d}</a:kode>"
            f"<a:nama>Desa {n}</a:nama></a:desa></wfs:member>"
            for n in numbers[:cut]
        )
        return (
            '<?xml version="1.0"?><wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" '
            'xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:a="http://a.example" '
            f'numberMatched="{matched}" numberReturned="{len(numbers)}">{members}{tail}</wfs:FeatureCollection>'
        )

    def _capabilities(self) -> str:
        formats = ["application/gml+xml; version=3.2", *(["application/json"] if self.geojson else [])]
        values = "".join(f"<ows:Value>{escape(f)}</ows:Value>" for f in formats)
        limit = (
            f'<ows:Constraint name="CountDefault"><ows:NoValues/><ows:DefaultValue>{self.count_default}'
            "</ows:DefaultValue></ows:Constraint>"
            if self.count_default
            else ""
        )
        return f"""<wfs:WFS_Capabilities xmlns:wfs="http://www.opengis.net/wfs/2.0"
 xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink" version="2.0.0">
 <ows:ServiceIdentification><ows:Title>WFS uji</ows:Title></ows:ServiceIdentification>
 <ows:OperationsMetadata><ows:Operation name="GetFeature"><ows:DCP><ows:HTTP>
  <ows:Get xlink:href="http://salah.example.go.id/wfs"/></ows:HTTP></ows:DCP>
  <ows:Parameter name="outputFormat"><ows:AllowedValues>{values}</ows:AllowedValues></ows:Parameter>
  {limit}</ows:Operation></ows:OperationsMetadata>
 <wfs:FeatureTypeList><wfs:FeatureType><wfs:Name>a:desa</wfs:Name><wfs:Title></wfs:Title>
  <wfs:DefaultCRS>{self.srs or "urn:ogc:def:crs:EPSG::4326"}</wfs:DefaultCRS>
  <ows:WGS84BoundingBox><ows:LowerCorner>107 -7</ows:LowerCorner><ows:UpperCorner>108 -7</ows:UpperCorner>
  </ows:WGS84BoundingBox></wfs:FeatureType></wfs:FeatureTypeList></wfs:WFS_Capabilities>"""


_XSD = """<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:a="http://a.example"
 xmlns:gml="http://www.opengis.net/gml/3.2" targetNamespace="http://a.example">
 <xsd:complexType name="desaType"><xsd:complexContent><xsd:extension base="gml:AbstractFeatureType">
 <xsd:sequence><xsd:element name="kode" type="xsd:string"/><xsd:element name="nama" type="xsd:string"/>
 <xsd:element name="geom" type="gml:PointPropertyType"/></xsd:sequence></xsd:extension></xsd:complexContent>
 </xsd:complexType><xsd:element name="desa" type="a:desaType"/></xsd:schema>"""


def _as_xml(params: dict[str, str]) -> etree._Element:
    """Turn a question of key-value pairs into the XML that POST would have carried."""
    names = {"resulttype": "resultType", "startposition": "startPosition", "maxrecords": "maxRecords"}
    root = etree.Element("GetRecords", {names[k]: v for k, v in params.items() if k in names})
    etree.SubElement(root, "ElementSetName").text = params["elementsetname"]
    if "sortby" in params:
        etree.SubElement(root, "SortBy")
    return root


@dataclass
class BadCsw:
    """A CSW with switches. Records `rec-1`... come from `documents` (identifier -> full record)."""

    documents: dict[str, bytes]
    schemas: tuple[str, ...] = ("http://www.isotc211.org/2005/gmd", "http://www.opengis.net/cat/csw/2.0.2")
    broken: tuple[str, ...] = ()
    broken_brief: tuple[str, ...] = ()
    cap: int | None = None
    next_record: str = "0"
    doubles: int = 0
    sorts: bool = True
    matched: str | None = None
    empty_at: tuple[int, ...] = ()
    hits_supported: bool = True
    post_status: int = 200
    asked: list[etree._Element] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        if asked.body:
            if self.post_status != 200:
                return Answer("<html>Request blocked</html>", "text/html", self.post_status)
            return self._records(asked.xml)
        if asked.params.get("request") == "GetRecords":
            return self._records(_as_xml(asked.params))
        if asked.params.get("request") == "GetRecordById":
            own = asked.params["id"]
            if own in self.broken:
                return Answer(EXCEPTION.format("XML of the record is damaged"))
            body = b"<r xmlns='http://www.opengis.net/cat/csw/2.0.2'>" + self._full(own) + b"</r>"
            return Answer(body)
        return Answer(self._capabilities())

    def _full(self, own: str) -> bytes:
        return self.documents[own].split(b"?>", 1)[-1] if own in self.documents else b""

    def _records(self, request: etree._Element) -> Answer:
        self.asked.append(request)
        if request.find(".//{*}SortBy") is not None and not self.sorts:
            return Answer(EXCEPTION.format("SortBy is not supported"))
        if request.get("resultType") == "hits":
            if not self.hits_supported:
                return Answer(EXCEPTION.format("hits is not supported"))
            return Answer(self._results([], 0))
        start, count = int(request.get("startPosition") or 1), int(request.get("maxRecords") or 10)
        brief = request.findtext(".//{*}ElementSetName") == "brief"
        listed = [*list(self.documents), *list(self.documents)[: self.doubles]]
        page = listed[start - 1 :][: min(count, self.cap or count)]
        if start in self.empty_at:
            self.empty_at = tuple(p for p in self.empty_at if p != start)
            page = []
        if set(page) & set(self.broken_brief if brief else self.broken):
            return Answer(EXCEPTION.format("XML of the record is damaged"))
        bodies = [self._brief(own) if brief else self._full(own) for own in page]
        return Answer(self._results(bodies, start + len(page)))

    def _brief(self, own: str) -> bytes:
        return (
            f'<csw:BriefRecord xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier>{escape(own)}'
            "</dc:identifier><dc:type>dataset</dc:type></csw:BriefRecord>"
        ).encode()

    def _results(self, bodies: list[bytes], following: int) -> bytes:
        matched = self.matched if self.matched is not None else str(len(self.documents) + self.doubles)
        head = (
            '<csw:GetRecordsResponse xmlns:csw="http://www.opengis.net/cat/csw/2.0.2"><csw:SearchResults '
            f'numberOfRecordsMatched="{matched}" numberOfRecordsReturned="{len(bodies)}" '
            f'nextRecord="{self.next_record or following}">'
        )
        return head.encode() + b"".join(bodies) + b"</csw:SearchResults></csw:GetRecordsResponse>"

    def _capabilities(self) -> str:
        values = "".join(f"<ows:Value>{s}</ows:Value>" for s in self.schemas)
        return f"""<csw:Capabilities xmlns:csw="http://www.opengis.net/cat/csw/2.0.2"
 xmlns:ows="http://www.opengis.net/ows" version="2.0.2">
 <ows:ServiceIdentification><ows:Title>CSW uji</ows:Title></ows:ServiceIdentification>
 <ows:OperationsMetadata><ows:Operation name="GetRecords"><ows:Parameter name="outputSchema">{values}
 </ows:Parameter></ows:Operation></ows:OperationsMetadata></csw:Capabilities>"""
