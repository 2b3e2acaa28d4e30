"""CSW: a real pycsw with 137 records, and a catalogue that misbehaves in every way we know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.config import load_source
from catalog.errors import ConfigError, ProtocolError
from catalog.model import ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.contract import RemoteDataset
from harvesters.csw.data import ways
from harvesters.csw.harvester import CswHarvester, record_options
from harvesters.csw.service import _Way
from harvesters.http.client import HttpClient
from harvesters.registry import check
from tests.servers.iso_records import Rec, gmd, mdb
from tests.servers.loopback import BadCsw, BadWfs, serve
from tests.servers.pycsw import Pycsw, pycsw

__all__ = ["pycsw"]
SOURCES = Path(__file__).resolve().parents[2] / "config" / "sources"
GMD = "http://www.isotc211.org/2005/gmd"
MDB = "http://standards.iso.org/iso/19115/-3/mdb/2.0"


def harvester(url: str, *, options: dict[str, Any] | None = None, **layer: Any) -> CswHarvester:
    source = SourceConfig(
        id="uji", type="csw", url=url, produsen_data="Uji", options=options or {},
        layers=[{"remote": "*", **layer}],
    )  # fmt: skip
    rules = HarvestSettings(
        allow_networks=["127.0.0.0/8"], retries=1, backoff_seconds=0, timeout_seconds=20, page_size=10
    )
    return CswHarvester(source, HttpClient(rules, source))


def read(of: CswHarvester) -> tuple[dict[str, RemoteDataset], list[ItemError]]:
    found: dict[str, RemoteDataset] = {}
    errors: list[ItemError] = []
    for item in of.datasets():
        if isinstance(item, ItemError):
            errors.append(item)
        else:
            assert item.remote_id not in found, "each record once"
            found[item.remote_id] = item
    return found, errors


def documents(count: int = 25, **flaws: Any) -> dict[str, bytes]:
    return {
        f"rec-{n}": gmd(Rec(identifier=f"rec-{n}", title=f"Data {n}", **flaws)) for n in range(1, count + 1)
    }


@pytest.fixture
def bad() -> Iterator[tuple[BadCsw, str]]:
    app = BadCsw(documents())
    with serve(app) as url:
        yield app, f"{url}/csw"


# -- the real server ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0.2", "3.0.0"])
@pytest.mark.parametrize("schema", ["auto", "csw"])
def test_every_record_of_pycsw_comes_once(pycsw: Pycsw, version: str, schema: str):
    found = harvester(pycsw.url, options={"version": version, "schema": schema, "page_size": 30})
    listing = found.listing()
    assert set(listing.ids or ()) == pycsw.identifiers
    assert listing.count == len(pycsw.identifiers)
    datasets, errors = read(found)
    assert errors == []
    assert set(datasets) == pycsw.identifiers
    assert len({d.collection_id for d in datasets.values()}) == len(datasets)


def test_pycsw_records_keep_what_they_say(pycsw: Pycsw):
    datasets, _ = read(harvester(pycsw.url))
    plain = datasets["00000000-0000-4000-8000-000000000007"].record
    assert (plain.title.id, plain.bbox) == ("Data uji 7", (106.77, -7.51, 107.48, -6.6))
    assert plain.licence == "CC-BY 4.0"
    palapa = datasets["00000000-0000-4000-8000-000000000010"].record
    assert palapa.extras["written_by"] == "GSPalapa"
    assert palapa.created is None
    assert datasets["palapa:DESA & Kota/1"].collection_id == "uji-palapa-desa-kota-1"


def test_probe_counts_the_records(pycsw: Pycsw):
    probe = harvester(pycsw.url).probe()
    assert (probe.title, probe.version, probe.details["records"]) == ("CSW uji", "2.0.2", 137)


def test_a_cql_filter_narrows_the_catalogue(pycsw: Pycsw):
    datasets, _ = read(harvester(pycsw.url, where="dc:title = 'Data uji 7'"))
    assert set(datasets) == {"00000000-0000-4000-8000-000000000007"}


def test_one_record_by_its_identifier(pycsw: Pycsw):
    datasets, errors = read(harvester(pycsw.url, remote="palapa:DESA & Kota/1", id="janggal"))
    assert errors == []
    assert [d.collection_id for d in datasets.values()] == ["janggal"]


# -- a catalogue that misbehaves ---------------------------------------------------------------


def test_requests_are_sorted_by_identifier_and_start_with_hits(bad):
    app, url = bad
    read(harvester(url))
    assert any(r.get("resultType") == "hits" for r in app.asked)
    pages = [r for r in app.asked if r.get("resultType") != "hits"]
    assert {r.findtext(".//{*}SortProperty/{*}PropertyName") for r in pages} == {"dc:identifier"}


@pytest.mark.parametrize("next_record", ["0", "1", "7", "999999", "x"])
def test_a_wrong_next_record_changes_nothing(bad, next_record):
    app, url = bad
    app.next_record, app.cap = next_record, 4
    datasets, errors = read(harvester(url, options={"page_size": 10}))
    assert (set(datasets), errors) == (set(app.documents), [])


def test_a_record_that_raises_is_found_and_left_alone(bad):
    app, url = bad
    app.broken = ("rec-3", "rec-17")
    datasets, errors = read(harvester(url, options={"page_size": 10}))
    assert set(datasets) == set(app.documents) - {"rec-3", "rec-17"}
    assert {e.remote_id for e in errors} == {"rec-3", "rec-17"}
    assert all("damaged" in e.message for e in errors)


def test_a_record_that_can_not_even_be_listed_shows_by_its_position(bad):
    app, url = bad
    app.broken = app.broken_brief = ("rec-5",)
    found = harvester(url)
    listing = found.listing()
    assert "#5" in (listing.ids or ())
    datasets, errors = read(found)
    assert len(datasets) == 24
    assert [e.remote_id for e in errors] == ["#5"]


def test_duplicates_come_once(bad):
    app, url = bad
    app.doubles = 6
    datasets, errors = read(harvester(url, options={"page_size": 4}))
    assert (set(datasets), errors) == (set(app.documents), [])


def test_an_empty_page_in_the_middle_is_asked_for_again(bad):
    app, url = bad
    app.cap, app.empty_at = 5, (6, 11)
    datasets, errors = read(harvester(url, options={"page_size": 5}))
    assert (set(datasets), errors) == (set(app.documents), [])


def test_a_catalogue_that_counts_more_than_it_gives_is_incomplete(bad):
    app, url = bad
    app.matched = "40"
    found = harvester(url)
    assert found.listing().count == 40
    datasets, errors = read(found)
    assert len(datasets) == 25
    assert [e.code for e in errors] == ["source-incomplete"]


def test_a_catalogue_that_counts_nothing_is_read_to_its_end(bad):
    app, url = bad
    app.matched = ""
    datasets, errors = read(harvester(url, options={"page_size": 10}))
    assert (set(datasets), errors) == (set(app.documents), [])


def test_a_catalogue_without_sorting_or_hits_is_still_read(bad):
    app, url = bad
    app.sorts = app.hits_supported = False
    assert harvester(url).probe().details["records"] == 25
    datasets, errors = read(harvester(url))
    assert (set(datasets), errors) == (set(app.documents), [])


@pytest.mark.parametrize("status", [403, 405])
@pytest.mark.parametrize("sorts", [True, False])
def test_a_catalogue_that_refuses_post_is_asked_by_get(bad, status, sorts):
    app, url = bad
    app.post_status, app.sorts = status, sorts
    found = harvester(url, options={"page_size": 10})
    assert found.probe().details["records"] == 25
    datasets, errors = read(found)
    assert (set(datasets), errors) == (set(app.documents), [])


def test_pycsw_understands_the_questions_we_send_by_get(pycsw: Pycsw):
    for version in ("2.0.2", "3.0.0"):
        found = harvester(pycsw.url, options={"version": version}, where="dc:title = 'Data uji 7'")
        found._service._settled, found._service._way = True, _Way(post=False, sorted=True)
        datasets, errors = read(found)
        assert (set(datasets), errors) == ({"00000000-0000-4000-8000-000000000007"}, [])


def test_a_catalogue_of_iso_19115_3_records():
    service = "https://geoservices.example.go.id/rest/services/X/MapServer"
    made = {f"m-{n}": mdb(Rec(identifier=f"m-{n}"), service=service) for n in range(12)}
    app = BadCsw(made, schemas=(MDB,))
    with serve(app) as url:
        datasets, errors = read(harvester(url))
    assert (set(datasets), errors) == (set(made), [])
    full = [r for r in app.asked if r.findtext(".//{*}ElementSetName") == "full"]
    assert {r.get("outputSchema") for r in full} == {MDB}
    assert datasets["m-1"].record.links[0].protocol == "ESRI:REST"


def test_every_flaw_of_palapa_records_passes(bad):
    app, url = bad
    links = [("OGC:WFS", "palapa:DESA", "https://node.example.go.id/geoserver/wms")]
    app.documents = documents(5, palapa=True, links=links)
    datasets, errors = read(harvester(url))
    assert (len(datasets), errors) == (5, [])
    assert datasets["rec-1"].record.links[0].href.endswith("/geoserver/wfs")


def test_an_unreadable_record_is_an_item_error_of_its_own(bad):
    app, url = bad
    app.documents["rec-9"] = gmd(Rec(identifier="rec-9")).replace(
        b"<gco:Integer>10000", b"<gco:Integer>9e999"
    )
    app.documents["rec-8"] = b'<?xml version="1.0"?><gmd:MD_Metadata xmlns:gmd="' + GMD.encode() + b'"/>'
    datasets, errors = read(harvester(url))
    assert "rec-9" in datasets
    assert [e.remote_id for e in errors] == ["rec-8"]


@pytest.mark.parametrize("body", ["<html>x</html>", "{}", "<a/>", ""])
def test_what_is_no_csw_is_a_protocol_error(body: str):
    class Page(BadCsw):
        def _capabilities(self) -> str:
            return body

    with serve(Page({})) as url, pytest.raises(ProtocolError):
        harvester(url).probe()


def test_a_server_that_is_broken_all_over_ends_the_listing(bad):
    app, url = bad
    app.documents = documents(60)
    app.broken_brief = tuple(app.documents)
    with pytest.raises(ProtocolError):
        harvester(url).listing()


# -- the data behind ---------------------------------------------------------------------------


def test_the_wfs_behind_a_record_is_harvested(bad):
    app, url = bad
    with serve(BadWfs()) as wfs:
        link = ("OGC:WFS", "a:desa", f"{wfs}/geoserver/wms")
        app.documents = {"rec-1": gmd(Rec(identifier="rec-1", title="Desa", links=[link]))}
        found = harvester(url, options={}, **{"remote": "rec-1", "id": "desa"})
        found.source.layers[0].options = {"data": True}
        datasets, errors = read(found)
        assert errors == []
        offer = datasets["rec-1"]
        assert (offer.kind, offer.collection_id, offer.record.title.id) == ("feature", "desa", "Desa")
        content: Any = offer.content
        rows = [i for p in content.pages(content.listing(), set()) for i in p.batch.ids]
        assert len(rows) == 25
        found.close()


def test_a_dead_link_leaves_the_record_and_says_why(bad):
    app, url = bad
    links = [("OGC:WFS", "a:desa", "http://127.0.0.1:9/wfs"), ("OGC:WMS", "x", "https://x.example/wms")]
    app.documents = {"rec-1": gmd(Rec(identifier="rec-1", links=links))}
    datasets, errors = read(harvester(url, options={}, **{"remote": "*"}))
    assert errors == []
    found = harvester(url)
    found.source.layers[0].options = {"data": True}
    datasets, errors = read(found)
    assert datasets["rec-1"].kind == "record"
    assert [(e.code, e.severity) for e in errors] == [("no-data", "warning")]


def test_a_link_into_a_private_network_is_refused_and_the_rest_goes_on(bad):
    app, url = bad
    app.documents = {
        f"rec-{n}": gmd(Rec(identifier=f"rec-{n}", links=[("OGC:WFS", "x", "http://169.254.169.254/wfs")]))
        for n in (1, 2)
    }
    found = harvester(url)
    found.source.layers[0].options = {"data": True}
    datasets, errors = read(found)
    assert set(datasets) == {"rec-1", "rec-2"}
    assert {(e.code, e.severity) for e in errors} == {("no-data", "warning")}


def test_which_links_lead_to_data():
    from catalog.model import DatasetRecord, Link

    links = [
        Link(href="https://x.example/a.zip", protocol="WWW:DOWNLOAD"),
        Link(href="https://x.example/rest/services/A/MapServer/3", protocol="ESRI:REST"),
        Link(href="https://x.example/wfs?typeName=a:b", protocol="OGC:WFS"),
        Link(href="https://x.example/wms", protocol="OGC:WMS"),
        Link(href="ftp://x.example/a.zip", protocol="WWW:DOWNLOAD"),
    ]
    assert list(ways(DatasetRecord(links=links))) == [
        ("wfs", "https://x.example/wfs?typeName=a:b", "a:b"),
        ("arcgis", "https://x.example/rest/services/A/MapServer", "3"),
        ("file", "https://x.example/a.zip", "*"),
    ]


@pytest.mark.parametrize(
    "path",
    sorted(
        p for pattern in ("csw-*", "palapa-*", "bps-*", "bappenas-*") for p in SOURCES.glob(f"{pattern}.yml")
    ),
    ids=lambda path: path.stem,
)
def test_the_shipped_sources_are_right_and_switched_off(path: Path):
    source = load_source(path)
    assert (source.id, source.enabled) == (path.stem, False)
    assert check(source) == []
    assert all(record_options(layer) for layer in source.layers if source.type in {"csw", "palapa"})


def test_a_wrong_layer_option_is_a_config_error(bad):
    found = harvester(bad[1])
    found.source.layers[0].options = {"dta": True}
    with pytest.raises(ConfigError, match="dta"):
        list(found.datasets())


@settings(max_examples=10)
@given(
    count=st.integers(0, 30), page=st.integers(1, 12), cap=st.none() | st.integers(1, 9),
    broken=st.sets(st.integers(1, 30), max_size=3), doubles=st.integers(0, 5),
)  # fmt: skip
def test_whatever_the_pages_no_record_is_lost_or_doubled(count, page, cap, broken, doubles):
    made = documents(count)
    app = BadCsw(made, cap=cap, broken=tuple(f"rec-{n}" for n in broken), doubles=min(doubles, count))
    with serve(app) as url:
        datasets, errors = read(harvester(url, options={"page_size": page}))
    lost = {f"rec-{n}" for n in broken if n <= count}
    assert set(datasets) == set(made) - lost
    assert {e.remote_id for e in errors} == lost
