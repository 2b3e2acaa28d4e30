"""BMKG's earthquake feeds: captured answers, the flaws seen in the field, and windows that move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ConfigError, ProtocolError, RecordError, SourceError
from catalog.model import ItemError, RunState
from catalog.settings import HarvestSettings, Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.bmkg.events import local_time, number, read_event
from harvesters.bmkg.harvester import BmkgHarvester
from harvesters.engine.engine import Engine
from harvesters.http.client import HttpClient
from layers.open import open_store
from tests.servers.loopback import Answer, Asked, serve

SETTINGS = HarvestSettings(allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=0)
FEEDS = ("autogempa", "gempaterkini", "gempadirasakan")
type Answers = dict[str, Any]


@pytest.fixture
def captured(shared_samples: Path) -> Answers:
    """The three feeds as BMKG answered."""
    return {feed: orjson.loads((shared_samples / f"bmkg_{feed}.json").read_bytes()) for feed in FEEDS}


@contextmanager
def bmkg(answers: Answers) -> Iterator[str]:
    """Serve the feeds; what `answers` does not have is a 500."""

    def app(asked: Asked) -> Answer:
        body = answers.get(asked.path.rpartition("/")[2].removesuffix(".json"))
        if body is None:
            return Answer("broken", status=500)
        return Answer(body if isinstance(body, bytes) else orjson.dumps(body), type="application/json")

    with serve(app) as url:
        yield f"{url}/DataMKG/TEWS/"


def source(url: str, *remotes: str, **options: Any) -> SourceConfig:
    layers = [{"remote": r, "id": r if r == "gempa" else None} for r in remotes or ("gempa",)]
    return SourceConfig(id="bmkg", type="bmkg", url=url, produsen_data="BMKG", layers=layers, options=options)


def harvest(url: str, *remotes: str, **options: Any) -> list[tuple[Any, dict[str, Any], list[ItemError]]]:
    """Return per dataset: its listing, id -> (row, geometry), item errors."""
    config, found = source(url, *remotes, **options), []
    with HttpClient(SETTINGS, config) as http:
        for dataset in BmkgHarvester(config, http).datasets():
            assert not isinstance(dataset, ItemError)
            content: Any = dataset.content
            listing = content.listing()
            pages = list(content.pages(listing, frozenset()))
            rows = {
                i: (row, shape)
                for p in pages
                for i, row, shape in zip(p.batch.ids, p.batch.rows, p.batch.geometries, strict=True)
            }
            assert set(rows) == set(listing.ids)
            found.append((listing, rows, [e for p in pages for e in p.errors]))
    return found


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "Tanggal": "23 Sep 2026", "Jam": "19:16:56 WIB", "DateTime": "2026-09-23T12:16:56+00:00",
        "Coordinates": "-8.51,123.27", "Lintang": "8.51 LS", "Bujur": "123.27 BT", "Magnitude": "1.8",
        "Kedalaman": "12 km", "Wilayah": "Lembata",
    } | changes  # fmt: skip


def test_the_captured_feeds_become_one_collection(captured: Answers) -> None:
    with bmkg(captured) as url:
        ((listing, rows, errors),) = harvest(url)
        base = url
    assert not errors
    assert listing.window
    assert len(rows) == 5
    row, shape = rows["20260923T121656Z_-8.51_123.27"]
    assert (shape.x, shape.y) == (123.27, -8.51)
    assert row == {
        "waktu": "2026-09-23T12:16:56+00:00", "magnitudo": 1.8, "kedalaman_km": 12.0, "lintang": -8.51,
        "bujur": 123.27, "wilayah": "Pusat gempa berada di darat 24 km barat daya Lembata",
        "potensi": "Gempa ini dirasakan untuk diteruskan pada masyarakat", "dirasakan": "II-III Kab. Lembata",
        "shakemap": f"{base}20260923191656.mmi.jpg", "waktu_setempat": "23 Sep 2026 19:16:56 WIB",
        "umpan": "autogempa",
    }  # fmt: skip
    north = rows["20260921T234813Z_4.74_125.30"][0]
    assert (north["lintang"], north["dirasakan"], north["potensi"]) == (
        4.74,
        None,
        "Tidak berpotensi tsunami",
    )


def test_each_feed_can_be_a_collection_of_its_own(captured: Answers) -> None:
    with bmkg(captured) as url:
        assert [len(rows) for _, rows, _ in harvest(url, "*")] == [1, 2, 2]
        with pytest.raises(ConfigError, match="no feed"):
            harvest(url, "tsunami")


def test_one_event_in_two_feeds_is_one_feature_with_what_each_says() -> None:
    answers = {
        "autogempa": {"Infogempa": {"gempa": entry(Shakemap="x.jpg", Potensi="Tidak")}},
        "gempaterkini": {"Infogempa": {"gempa": [entry(Coordinates=None)]}},
        "gempadirasakan": {"Infogempa": {"gempa": [entry(DateTime=None, Dirasakan="III Larantuka")]}},
    }
    with bmkg(answers) as url:
        ((listing, rows, errors),) = harvest(url)
    assert not errors
    assert (listing.count, len(rows)) == (1, 1)
    row, _ = next(iter(rows.values()))
    assert (row["potensi"], row["dirasakan"]) == ("Tidak", "III Larantuka")
    assert row["umpan"] == "autogempa,gempaterkini,gempadirasakan"


def test_one_bad_entry_or_feed_does_not_hold_back_the_others(captured: Answers) -> None:
    captured["gempaterkini"]["Infogempa"]["gempa"].append(entry(DateTime=None, Tanggal="kemarin"))
    captured["gempadirasakan"] = b"<html>pemeliharaan</html>"
    with bmkg(captured) as url:
        ((_, rows, errors),) = harvest(url)
        assert len(rows) == 3
        assert [(e.code, e.remote_id) for e in errors] == [
            ("event-unreadable", "gempaterkini[2]"),
            ("source-protocol", "gempadirasakan"),
        ]
    with bmkg({}) as url, pytest.raises(SourceError):
        harvest(url)
    with bmkg({"autogempa": {"Infogempa": {}}}) as url, pytest.raises(ProtocolError):
        harvest(url, "autogempa")


@pytest.mark.parametrize(
    ("changes", "id_"),
    [
        ({"Coordinates": "-8,51,123,27"}, "20260923T121656Z_-8.51_123.27"),
        ({"Coordinates": "-8,51, 123,27"}, "20260923T121656Z_-8.51_123.27"),
        ({"Coordinates": ""}, "20260923T121656Z_-8.51_123.27"),
        ({"Coordinates": None, "Lintang": "4,74 LU"}, "20260923T121656Z_4.74_123.27"),
        ({"DateTime": None}, "20260923T121656Z_-8.51_123.27"),
        ({"DateTime": "2026-09-23T19:16:56+07:00"}, "20260923T121656Z_-8.51_123.27"),
        ({"DateTime": "", "Jam": "01:30:00 WIT", "Tanggal": "01 Agu 2026"}, "20260731T163000Z_-8.51_123.27"),
    ],
)
def test_writings_seen_in_the_field(changes: dict[str, Any], id_: str) -> None:
    assert read_event(entry(**changes), "autogempa", "http://x/").id == id_


@pytest.mark.parametrize(
    ("day", "hour", "utc"),
    [
        ("17 Agu 2026", "00:00:00 WIB", (2026, 8, 16, 17, 0, 0)),
        ("1 Mei 2026", "10:00:05 WITA", (2026, 5, 1, 2, 0, 5)),
        ("31-Okt-26", "23:59:59 WIB", (2026, 10, 31, 16, 59, 59)),
        ("25 Des 2026", "08:15 WIT", (2026, 12, 24, 23, 15, 0)),
        ("25 Desember 2026", "08.15.00 WIB", (2026, 12, 25, 1, 15, 0)),
        ("03 Peb 2026", "07:00:00 WIB", (2026, 2, 3, 0, 0, 0)),
    ],
)
def test_indonesian_dates_and_zones(day: str, hour: str, utc: tuple[int, ...]) -> None:
    assert local_time(day, hour) == datetime(*utc, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("day", "hour"),
    [
        ("31 Feb 2026", "00:00:00 WIB"),
        ("1 Foo 2026", "00:00:00 WIB"),
        ("1 Jan 2026", "00:00:00 EST"),
        ("", ""),
    ],
)
def test_a_date_that_is_none_is_a_record_error(day: str, hour: str) -> None:
    with pytest.raises(RecordError):
        local_time(day, hour)


@pytest.mark.parametrize("coordinates", ["91,123", "1,181", "nan,120", "1;2"])
def test_a_place_that_is_none_is_a_record_error(coordinates: str) -> None:
    with pytest.raises(RecordError):
        read_event(entry(Coordinates=coordinates, Lintang=None, Bujur=None), "autogempa", "http://x/")


@given(
    st.integers(946_684_800, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.integers(-1100, 600),
    st.integers(9000, 14500),
)
def test_any_event_reads_back(time: datetime, lat: int, lon: int) -> None:
    place = f"{lat / 100:.2f},{lon / 100:.2f}"
    plain = read_event(entry(DateTime=time.isoformat(), Coordinates=place), "autogempa", "http://x/")
    commas = read_event(
        entry(DateTime=time.isoformat(), Coordinates=place.replace(".", ",")), "autogempa", "http://x/"
    )
    assert plain.id == commas.id
    assert (plain.lat, plain.lon) == (lat / 100, lon / 100)
    assert datetime.fromisoformat(plain.row["waktu"]) == time


def test_numbers_with_units_and_commas() -> None:
    assert [number(v) for v in ("10 km", "5,2", "-3.25", None, "-", 7)] == [10.0, 5.2, -3.25, None, None, 7.0]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], tuple[Any, dict[str, Any]]]]:
    """Run the source through the engine; return the run and the published events."""
    settings = Settings(harvest=SETTINGS, data_dir=tmp_path, config_dir=tmp_path)
    catalog, store = Catalog.open(settings.database_url()), open_store(settings)

    def go(url: str) -> tuple[Any, dict[str, Any]]:
        done = Engine(settings, catalog, store, hooks=[]).run(source(url))
        info = catalog.versions.current("gempa")
        assert info is not None
        batches = list(store.reader(info).batches())
        return done, {i: row for b in batches for i, row in zip(b.ids, b.rows, strict=True)}

    yield go
    catalog.close()


def test_an_event_that_leaves_the_list_stays_published(captured: Answers, run: Any) -> None:
    with bmkg(captured) as url:
        done, events = run(url)
        assert (done.state, len(events)) == (RunState.OK, 5), done.reason
        assert run(url)[0].state is RunState.UNCHANGED
        captured["autogempa"]["Infogempa"]["gempa"] = entry(DateTime="2026-09-24T01:00:00+00:00")
        captured["gempaterkini"]["Infogempa"]["gempa"].pop()
        done, events = run(url)
        assert (done.state, len(events)) == (RunState.OK, 6), done.reason
        assert done.counts.removed == 0


def test_what_a_feed_said_of_an_event_stays_when_only_another_still_lists_it(
    captured: Answers, run: Any
) -> None:
    first = captured["autogempa"]["Infogempa"]["gempa"]
    with bmkg(captured) as url:
        run(url)
        for hour in (1, 2):  # two newer events; the first one is listed as felt only later
            captured["autogempa"]["Infogempa"]["gempa"] = entry(DateTime=f"2026-09-24T0{hour}:00:00+00:00")
            run(url)
        felt = {k: v for k, v in first.items() if k not in {"Shakemap", "Potensi"}}
        captured["gempadirasakan"]["Infogempa"]["gempa"].insert(0, felt | {"Dirasakan": "III Kab. Lembata"})
        _, events = run(url)
    event = events["20260923T121656Z_-8.51_123.27"]
    assert event["shakemap"].endswith(first["Shakemap"])
    assert event["dirasakan"] == "III Kab. Lembata"
    assert event["umpan"] == "gempadirasakan,autogempa"
