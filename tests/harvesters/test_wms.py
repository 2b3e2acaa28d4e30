"""WMS and WMTS: layers by reference whose links work, from documents as bad as the real ones."""

from __future__ import annotations

from typing import Any
from urllib.request import urlopen

import pytest

from catalog.errors import ProtocolError
from catalog.metadata import parse_xml
from catalog.model import DatasetRecord, ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.contract import Harvester, RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.wms.capabilities import read_wms
from harvesters.wms.harvester import WmsHarvester, WmtsHarvester, asked
from tests.servers.loopback import Answer, Asked, serve
from tests.servers.mapserver import MapServer, mapserver

__all__ = ["mapserver"]


def harvester(kind: type[Harvester], url: str, options: dict[str, Any] | None = None, **layer: Any) -> Any:
    source = SourceConfig(
        id="peta", type=kind.type, url=url, produsen_data="Uji", options=options or {},
        layers=[{"remote": "*", **layer}],
    )  # fmt: skip
    rules = HarvestSettings(allow_networks=["127.0.0.0/8"], retries=0, backoff_seconds=0, timeout_seconds=20)
    return kind(source, HttpClient(rules, source))


def records(of: Harvester) -> dict[str, DatasetRecord]:
    found = {}
    for item in of.datasets():
        assert isinstance(item, RemoteDataset), item
        assert (item.kind, item.content) == ("service", None)
        found[item.remote_id] = item.record
    return found


def link(record: DatasetRecord, rel: str) -> str:
    return next(one.href for one in record.links if one.rel == rel)


# -- the real server ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.3.0", "1.1.1"])
def test_the_getmap_and_legend_links_of_mapserver_give_pictures(mapserver: MapServer, version: str):
    found = records(harvester(WmsHarvester, mapserver.url, {"version": version}))
    assert {"desa", "pos"} <= set(found)
    desa = found["desa"]
    assert desa.title.id == "desa (uji)"
    assert desa.bbox == pytest.approx((106.776, -7.505, 107.485, -6.602), abs=0.01)
    for rel in ("preview", "legend"):
        href = link(desa, rel)
        assert href.startswith(mapserver.url), "never the wrong host of the OnlineResource"
        with urlopen(href, timeout=20) as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
    template = link(desa, "template").replace("{bbox-epsg-3857}", "11900000,-830000,11950000,-780000")
    with urlopen(template, timeout=20) as answer:
        assert answer.read(4) == b"\x89PNG"


def test_the_picture_shows_the_layer_and_not_an_empty_sea(mapserver: MapServer):
    with urlopen(link(records(harvester(WmsHarvester, mapserver.url))["desa"], "preview")) as answer:
        assert len(answer.read()) > 3000, "axes swapped would give an empty picture"


# -- documents as they are ---------------------------------------------------------------------


def capabilities(layers: int = 60, crs: int = 12000) -> bytes:
    """Like BPS's: http OnlineResource, empty titles, thousands of CRS lines, odd extents (467 KB)."""
    lines = "".join(f"<CRS>EPSG:{2000 + n}</CRS>\n" for n in range(crs))
    boxes = "".join(
        f'<BoundingBox CRS="EPSG:{2000 + n}" minx="nan" miny="" maxx="1" maxy="x"/>' for n in range(40)
    )
    body = "".join(
        f"""<Layer queryable="1" cascaded="x"><Name>banjir:l{n}</Name><Title></Title><Abstract/>
        <KeywordList><Keyword>banjir</Keyword><Keyword/></KeywordList>
        <EX_GeographicBoundingBox><westBoundLongitude>46.9</westBoundLongitude>
        <eastBoundLongitude>141.0</eastBoundLongitude><southBoundLatitude>-68</southBoundLatitude>
        <northBoundLatitude>35.7</northBoundLatitude></EX_GeographicBoundingBox>{boxes}
        <Style><Name>s</Name><LegendURL width="20" height="20"><Format>image/png</Format>
        <OnlineResource xmlns:xlink="http://www.w3.org/1999/xlink"
        xlink:href="http://geoserver.example.go.id/geoserver/ows?service=WMS&amp;request=GetLegendGraphic"/>
        </LegendURL></Style><Style/></Layer>"""
        for n in range(layers)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?><WMS_Capabilities xmlns="http://www.opengis.net/wms"
     version="1.3.0"><Service><Name>WMS</Name><Title/><ContactInformation/></Service><Capability><Request>
     <GetMap><Format>image/jpeg</Format><Format>image/png</Format></GetMap></Request>
     <Layer><Title/>{lines}<EX_GeographicBoundingBox><westBoundLongitude>x</westBoundLongitude>
     </EX_GeographicBoundingBox>{body}
     <Layer><Name>banjir:l0</Name><Title>kembar</Title></Layer>
     <Layer><Title>kelompok</Title><Layer><Name>dalam</Name><Title>Dalam</Title></Layer></Layer>
     </Layer></Capability></WMS_Capabilities>""".encode()


@pytest.mark.timeout(20)  # a guard against minutes, no measurement: it takes 0.3 s
def test_a_document_of_half_a_megabyte_with_every_flaw_is_read():
    content = capabilities()
    assert len(content) > 400_000
    with serve(lambda _: Answer(content)) as url:
        found = records(harvester(WmsHarvester, f"{url}/geoserver/wms"))
    assert len(found) == 61
    first = found["banjir:l0"]
    assert first.title.id == "l0", "an empty title falls back to the name"
    assert first.bbox == (92.0, -15.0, 141.0, 12.0), "clamped to Indonesia"
    assert first.extras["flaws"] == "extent-clamped"
    assert link(first, "legend").startswith(url)
    assert found["dalam"].bbox is None


def test_capabilities_are_read_once_a_run():
    asked_for: list[Asked] = []

    def app(one: Asked) -> Answer:
        asked_for.append(one)
        return Answer(capabilities(5, 5))

    with serve(app) as url:
        of = harvester(WmsHarvester, url)
        of.probe()
        of.listing()
        records(of)
    assert len(asked_for) == 1


def test_version_1_1_1_with_its_doctype():
    document = b"""<?xml version="1.0"?><!DOCTYPE WMT_MS_Capabilities SYSTEM "http://x.example/c.dtd" [
    <!ELEMENT VendorSpecificCapabilities EMPTY>]><WMT_MS_Capabilities version="1.1.1"><Service><Title>T</Title>
    </Service><Capability><Request><GetMap><Format>image/gif</Format></GetMap></Request><Layer>
    <SRS>EPSG:4326 EPSG:3857</SRS><LatLonBoundingBox minx="106" miny="-8" maxx="108" maxy="-6"/>
    <Layer><Name>a</Name><Title>A</Title></Layer></Layer></Capability></WMT_MS_Capabilities>"""
    service = read_wms(parse_xml(document), "http://x.example/wms")
    assert (service.version, service.image_format, service.mercator) == ("1.1.1", "image/gif", True)
    assert service.layers["a"].bbox == (106, -8, 108, -6), "inherited from the parent"


def test_layers_nested_a_thousand_deep_do_not_explode():
    deep = (
        b"<Layer><Name>x</Name>" * 1 + b"<Layer>" * 200 + b"<Name>y</Name>" + b"</Layer>" * 200 + b"</Layer>"
    )
    document = (
        b'<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"><Service/><Capability><Request>'
        b"<GetMap/></Request>" + deep + b"</Capability></WMS_Capabilities>"
    )
    assert set(read_wms(parse_xml(document), "http://x.example").layers) == {"x", "y"}


@pytest.mark.parametrize(
    "body",
    [
        "<html/>", "{}", "", "<a/>",
        "<ServiceExceptionReport><ServiceException code='X'>no</ServiceException></ServiceExceptionReport>",
    ],
)  # fmt: skip
def test_what_is_no_map_service_is_a_protocol_error(body: str):
    with serve(lambda _: Answer(body)) as url:
        for kind in (WmsHarvester, WmtsHarvester):
            with pytest.raises(ProtocolError):
                harvester(kind, url).probe()


def test_a_layer_that_is_gone_is_named():
    with serve(lambda _: Answer(capabilities(2, 2))) as url:
        (item,) = harvester(WmsHarvester, url, None, remote="hilang").datasets()
    assert isinstance(item, ItemError)
    assert item.code == "not-found"


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("http://peta.example.go.id/x?y=1", "https://peta.example.go.id/x?y=1"),
        ("http://geoserver:8080/geoserver/x", "https://peta.example.go.id/geoserver/x"),
        ("/geoserver/x", "https://peta.example.go.id/geoserver/x"),
        ("http://lain.example.go.id/x", "http://lain.example.go.id/x"),
    ],
)
def test_addresses_get_the_scheme_and_host_that_were_asked(href, expected):
    assert asked(href, "https://peta.example.go.id/geoserver/wms") == expected


# -- WMTS --------------------------------------------------------------------------------------

MATRIX = """<TileMatrix><ows:Identifier>{p}{z}</ows:Identifier><ScaleDenominator>1.0</ScaleDenominator>
<TopLeftCorner>-20037508 20037508</TopLeftCorner><TileWidth>256</TileWidth><TileHeight>256</TileHeight>
<MatrixWidth>1</MatrixWidth><MatrixHeight>1</MatrixHeight></TileMatrix>"""


def wmts(resource: str = "", prefix: str = "EPSG:900913:") -> bytes:
    matrices = "".join(MATRIX.format(p=prefix, z=z) for z in range(12))
    return f"""<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
     xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
     <ows:ServiceIdentification><ows:Title>Ubin uji</ows:Title></ows:ServiceIdentification><Contents><Layer>
     <ows:Title>Banjir</ows:Title><ows:Identifier>p:banjir</ows:Identifier><ows:WGS84BoundingBox>
     <ows:LowerCorner>46.9 -68</ows:LowerCorner><ows:UpperCorner>141 35.7</ows:UpperCorner>
     </ows:WGS84BoundingBox><Style isDefault="true"><ows:Identifier/></Style>
     <Format>image/jpeg</Format><Format>image/png</Format>
     <TileMatrixSetLink><TileMatrixSet>EPSG:4326</TileMatrixSet></TileMatrixSetLink>
     <TileMatrixSetLink><TileMatrixSet>EPSG:900913</TileMatrixSet></TileMatrixSetLink>{resource}</Layer>
     <TileMatrixSet><ows:Identifier>EPSG:900913</ows:Identifier><ows:SupportedCRS>urn:ogc:def:crs:EPSG::900913
     </ows:SupportedCRS>{matrices}</TileMatrixSet>
     <TileMatrixSet><ows:Identifier>EPSG:4326</ows:Identifier><ows:SupportedCRS>urn:ogc:def:crs:EPSG::4326
     </ows:SupportedCRS>{matrices}</TileMatrixSet></Contents></Capabilities>""".encode()


def test_wmts_gives_a_tile_template_by_key_and_value():
    with serve(lambda _: Answer(wmts())) as url:
        record = records(harvester(WmtsHarvester, f"{url}/gwc/service/wmts"))["p:banjir"]
    assert record.bbox == (92.0, -15.0, 141.0, 12.0)
    href = link(record, "template")
    assert href.startswith(url)
    assert "tilematrixset=EPSG%3A900913" in href
    assert href.endswith("&tilematrix=EPSG:900913:{z}&tilerow={y}&tilecol={x}")


def test_wmts_gives_its_own_resource_template():
    resource = (
        '<ResourceURL format="image/png" resourceType="tile" template="http://127.0.0.1/t/{style}/'
        '{TileMatrixSet}/{TileMatrix}/{TileRow}/{TileCol}.png"/>'
    )
    with serve(lambda _: Answer(wmts(resource, prefix=""))) as url:
        record = records(harvester(WmtsHarvester, f"{url}/WMTSCapabilities.xml"))["p:banjir"]
    assert link(record, "template") == f"{url}/t//EPSG:900913/{{z}}/{{y}}/{{x}}.png"
