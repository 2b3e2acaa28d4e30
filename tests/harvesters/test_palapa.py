"""Palapa: the public listing of a node, with the flaws that nodes have."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ProtocolError
from catalog.model import ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.contract import RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.palapa import PalapaHarvester, read_links
from tests.servers.loopback import Answer, Asked, BadWfs, serve


def harvester(url: str, **layer: Any) -> PalapaHarvester:
    source = SourceConfig(
        id="simpul", type="palapa", url=url, produsen_data="Uji", layers=[{"remote": "*", **layer}]
    )
    rules = HarvestSettings(allow_networks=["127.0.0.0/8"], retries=0, backoff_seconds=0, timeout_seconds=20)
    return PalapaHarvester(source, HttpClient(rules, source))


def node(items: Any):
    def app(asked: Asked) -> Answer:
        assert asked.path == "/api/record/publik"
        return Answer(json.dumps(items), "application/json")

    return serve(app)


def item(own: str = "palapa:DESA", **more: Any) -> dict[str, Any]:
    return {
        "identifier": own, "title": "Desa", "abstract": "Uji", "insert_date": "2024-01-01T00:00:00",
        "date_publication": "2007-09-01", "type": "dataset", "keywords": "a, b,,c",
        "organization": "Bappeda", "links": f"{own},None,OGC:WMS,https://n.example.go.id/geoserver/wms",
        "dataPublikasi": {"is_public": True, "filename": "DESA"},
    } | more  # fmt: skip


def test_the_listing_of_a_real_node_is_read(shared_samples: Path):
    items = json.loads((shared_samples / "palapa_record_publik.assembled.json").read_text())
    with node(items) as url:
        found = harvester(url)
        assert found.listing().ids == ("palapa:JASLINGPENYEDIAPANGAN_SUMSEL",)
        (offer,) = found.datasets()
    assert isinstance(offer, RemoteDataset)
    assert (offer.kind, offer.collection_id) == ("record", "simpul-palapa-jaslingpenyediapangan-sumsel")
    record = offer.record
    assert record.title.id == "Jasa Lingkungan Penyedia Pangan"
    assert record.produsen_data.startswith("Dinas Lingkungan Hidup")
    assert record.keywords == ["lingkungan", "pangan"]
    assert record.created is None, "2007-09-01 is the template's date"
    assert record.modified == datetime(2024, 1, 1, tzinfo=UTC)
    assert [(x.protocol, x.title, x.href) for x in record.links] == [
        ("OGC:WMS", "palapa:JASLINGPENYEDIAPANGAN_SUMSEL", "https://geoportal.sumselprov.go.id/geoserver/wms")
    ]


def test_what_the_node_keeps_to_itself_is_not_taken():
    hidden = item("palapa:RAHASIA", dataPublikasi={"is_public": False})
    with node([item(), hidden]) as url:
        found = harvester(url)
        assert found.listing().ids == ("palapa:DESA",)
        assert [d.remote_id for d in found.datasets()] == ["palapa:DESA"]


def test_twins_come_once_and_a_nameless_record_is_an_item_error():
    with node([item(), item(), item(None), "x", item("b", links=None, keywords=None, title=None)]) as url:  # type: ignore[arg-type]
        offers = list(harvester(url).datasets())
    assert [o.remote_id for o in offers] == ["#3", "#4", "palapa:DESA", "b"]
    assert [o.code for o in offers if isinstance(o, ItemError)] == ["record", "record"]


@pytest.mark.parametrize("body", ["<html>", "{}", '{"message": "error"}', "", "[", "null"])
def test_what_is_no_listing_is_a_protocol_error(body):
    with serve(lambda _: Answer(body)) as url, pytest.raises(ProtocolError):
        harvester(url).listing()


def test_links_in_pycsw_form_with_all_their_flaws():
    flaws: list[str] = []
    text = (
        "DESA,Peta desa, kecamatan, dan kota,OGC:WFS,https://n.example/geoserver/wms^"
        "DESA,None,WWW:LINK,https://n.example/unduh/a.zip^rusak^x,None,None,javascript:alert(1)^"
        "DESA,None,OGC:WMS,https://n.example/wms?layers=a,b&x=1^DESA,None,OGC:WMS,https://n.example/wms?layers=a,b&x=1"
    )
    found = [(x.protocol, x.href) for x in read_links(text, flaws)]
    assert found == [
        ("OGC:WFS", "https://n.example/geoserver/wfs"),
        ("WWW:DOWNLOAD", "https://n.example/unduh/a.zip"),
        ("OGC:WMS", "https://n.example/wms?layers=a,b&x=1"),
    ]
    assert set(flaws) == {"wfs-link-is-wms", "link-malformed", "link-unusable"}


@given(st.text(max_size=120))
def test_no_links_text_breaks_the_reader(text):
    for one in read_links(text, []):
        assert one.href.startswith(("http://", "https://", "ftp://"))


def test_the_wfs_behind_a_record_is_found_beside_its_wms():
    with serve(BadWfs()) as wfs:
        listed = item("a:desa", links=f"a:desa,None,OGC:WMS,{wfs}/geoserver/wms")
        with node([listed]) as url:
            found = harvester(url)
            found.source.layers[0].options = {"data": True}
            (offer,) = found.datasets()
            assert isinstance(offer, RemoteDataset), offer
            content: Any = offer.content
            count = sum(len(p.batch) for p in content.pages(content.listing(), set()))
            found.close()
    assert (offer.kind, offer.remote_id, count) == ("feature", "a:desa", 25)
    assert [x.protocol for x in offer.record.links] == ["OGC:WMS"], "the guess is not published"
