"""CAP 1.2 warnings: the captured alert, its slivers and duplicates, and hostile XML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ProtocolError, RecordError
from catalog.model import ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.bmkg.alerts import join, parse_xml, read_alert
from harvesters.bmkg.harvester import CapHarvester
from harvesters.http.client import HttpClient
from tests.servers.loopback import Answer, Asked, serve

SETTINGS = HarvestSettings(allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=0)
ID = "2.49.0.1.360.0.2026.09.24.07.75.002"
RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Peringatan</title>
<lastBuildDate>{date}</lastBuildDate>{items}</channel></rss>"""
ITEM = "<item><title>x</title><link>{link}</link><pubDate>{date}</pubDate></item>"


@pytest.fixture
def alert(shared_samples: Path) -> str:
    return (shared_samples / "bmkg_cap_CGT20260924002.xml").read_text("utf-8")


@contextmanager
def feed(alerts: dict[str, str], date: str = "Mon, 01 Jan 2052 00:00:00 +0700", **more: str) -> Iterator[str]:
    """Serve an RSS list of the alerts; a link that has no alert is a 404."""
    items = "".join(ITEM.format(link=link, date=date) for link in (*alerts, *more))

    def app(asked: Asked) -> Answer:
        if asked.path == "/rss.xml":
            return Answer(RSS.format(items=items, date=date))
        body = alerts.get(asked.path.lstrip("/"))
        return Answer(body) if body is not None else Answer("no", status=404)

    with serve(app) as url:
        yield f"{url}/rss.xml"


def harvest(url: str, **options: Any) -> tuple[Any, dict[str, Any], list[ItemError]]:
    config = SourceConfig(
        id="bmkg-peringatan", type="cap", url=url, produsen_data="BMKG", options=options,
        layers=[{"remote": "*", "id": "peringatan-cuaca"}],
    )  # fmt: skip
    with HttpClient(SETTINGS, config) as http:
        harvester = CapHarvester(config, http)
        assert harvester.probe().version == "1.2"
        (dataset,) = harvester.datasets()
        assert not isinstance(dataset, ItemError)
        assert dataset.collection_id == "peringatan-cuaca"
        content: Any = dataset.content
        listing = content.listing()
        (page,) = content.pages(listing, frozenset())
        assert tuple(page.batch.ids) == listing.ids
        shapes = page.batch.geometries
        rows = {i: (r, g) for i, r, g in zip(page.batch.ids, page.batch.rows, shapes, strict=True)}
        return listing, rows, page.errors


def test_the_captured_alert_is_read_whole(alert: str) -> None:
    with feed({"CGT20260924002_alert.xml": alert}) as url:
        listing, rows, errors = harvest(url)
    assert not errors
    assert listing.window
    row, shape = rows[ID]
    assert (row["dikirim"], row["berlaku"], row["kedaluwarsa"]) == (
        "2026-09-24T07:07:00+00:00", "2026-09-24T07:27:00+00:00", "2026-09-24T09:27:00+00:00",
    )  # fmt: skip
    assert (row["peristiwa"], row["tingkat"], row["wilayah"]) == (
        "Hujan Lebat dan Petir",
        "Moderate",
        "Gorontalo",
    )
    assert row["kode_peristiwa"] == "OET-194"
    assert shape.geom_type == "MultiPolygon"
    assert shape.bounds == pytest.approx((122.117, 0.405, 122.130, 0.481))
    assert (row["poligon_asal"], row["poligon_serpihan"], row["poligon_ganda"]) == (2, 0, 0)


def test_a_feed_that_stands_still_is_a_warning_and_its_alerts_are_kept(alert: str) -> None:
    with feed({"a.xml": alert}, date="Wed, 23 Sep 2020 10:00:00 +0700") as url:
        _, rows, errors = harvest(url)
    assert list(rows) == [ID]
    assert [(e.code, e.severity) for e in errors] == [("feed-stale", "warning")]


def test_a_broken_alert_is_an_item_error_and_a_feed_of_only_those_fails(alert: str) -> None:
    two = alert.replace(".002", ".003")
    alerts = {"a.xml": alert, "b.xml": two[:300], "c.xml": two, "d.xml": "<html/>"}
    with feed(alerts, gone="") as url:
        _, rows, errors = harvest(url)
        assert len(rows) == 2
        assert sorted(e.remote_id.rpartition("/")[2] for e in errors) == ["b.xml", "d.xml", "gone"]
    with feed({"b.xml": alert[:300]}) as url, pytest.raises(ProtocolError, match="none of 1"):
        harvest(url)
    with feed({}) as url:
        listing, rows, errors = harvest(url)
        assert (listing.count, rows, errors) == (0, {}, [])


def test_slivers_and_duplicates_are_counted_and_left_out() -> None:
    large = "0.0,122.0 0.0,123.0 1.0,123.0 1.0,122.0 0.0,122.0"
    same = "1.0,123.0 1.0,122.0 0.0,122.0 0.0,123.0 1.0,123.0"
    sliver = "5.0,122.0 5.0,122.00001 5.00001,122.0 5.0,122.0"
    broken = ["", "1,2", "a,b c,d e,f", "91,0 91,1 92,1", "0,0 0,0 0,0 0,0"]
    neighbour = "0.0,123.0 0.0,124.0 1.0,124.0 1.0,123.0 0.0,123.0"
    shape, counts = join([large, same, sliver, neighbour, *broken], 0.01)
    assert counts == {"poligon_asal": 9, "poligon_serpihan": 1, "poligon_ganda": 1, "poligon_rusak": 5}
    assert shape.area == pytest.approx(2)
    assert len(shape.geoms) == 1
    only, counts = join([sliver], 0.01)
    assert only is not None
    assert counts["poligon_serpihan"] == 0
    assert join(broken, 0.01)[0] is None


def test_a_ring_that_crosses_itself_still_warns_its_area() -> None:
    shape, _ = join(["0,0 1,1 0,1 1,0 0,0"], 0.01)
    assert shape.is_valid
    assert shape.area > 0.2


@given(st.lists(st.tuples(st.integers(-10, 10), st.integers(95, 140)), min_size=1, max_size=8))
def test_any_boxes_are_joined_into_their_union(corners: list[tuple[int, int]]) -> None:
    texts = [f"{y},{x} {y},{x + 1} {y + 1},{x + 1} {y + 1},{x} {y},{x}" for y, x in corners]
    shape, counts = join(texts, 0.01)
    assert shape.area == pytest.approx(len(set(corners)))
    assert counts["poligon_ganda"] == len(corners) - len(set(corners))
    assert shapely.is_valid(shape)


def test_the_info_in_our_language_is_taken(alert: str) -> None:
    info = alert[alert.index("<info>") : alert.index("</info>") + 7]
    english = info.replace("<language>id", "<language>en-GB").replace("Hujan Lebat dan Petir", "Thunderstorm")
    both = parse_xml(alert.replace(info, english + info).encode(), "x")
    assert read_alert(both, "id", 0).row["peristiwa"] == "Hujan Lebat dan Petir"
    assert read_alert(both, "en", 0).row["peristiwa"] == "Thunderstorm"
    assert read_alert(both, "fr", 0).row["peristiwa"] == "Thunderstorm"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<identifier>2", "<x>2"),
        ("+08:00</sent>", "</sent>"),
        ("2026-09-24T17:27:00+08:00", "besok"),
        ("info>", "infos>"),
    ],
)
def test_an_alert_without_what_it_needs_is_a_record_error(alert: str, old: str, new: str) -> None:
    closing = {"<identifier>2": ("</identifier>", "</x>")}.get(old, ("", ""))
    text = alert.replace(old, new).replace(*closing) if closing[0] else alert.replace(old, new)
    with pytest.raises(RecordError):
        read_alert(parse_xml(text.encode(), "x"), "id", 0)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>',
        '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><alert>&b;</alert>',
        "<alert>",
        "",
    ],
    ids=["file entity", "entity bomb", "not closed", "empty"],
)
def test_hostile_or_broken_xml_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_xml(text.encode(), "x")


def test_a_page_that_is_no_list_is_said(alert: str) -> None:
    with serve(lambda asked: Answer(alert)) as url, pytest.raises(ProtocolError, match="not an RSS list"):
        harvest(f"{url}/rss.xml")
