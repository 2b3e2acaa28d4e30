"""CKAN as a source: real flaws survive, nothing is lost in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.config import load_source
from catalog.errors import (
    AuthSourceError,
    ConfigError,
    IncompleteError,
    ProtocolError,
    TransientSourceError,
)
from catalog.model import ItemError
from catalog.settings import HarvestSettings, Settings
from catalog.sources import SourceConfig
from harvesters.ckan.harvester import CkanHarvester, CkanOptions
from harvesters.ckan.record import record_of
from harvesters.ckan.resource import is_candidate
from harvesters.contract import RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.registry import check
from tests.servers.ckan_speaker import Speaker, speaking

SOURCES = Path(__file__).resolve().parents[2] / "config" / "sources"

type Make = Callable[..., CkanHarvester]


@pytest.fixture
def site() -> Iterator[Speaker]:
    with speaking() as speaker:
        yield speaker


@pytest.fixture
def make(site: Speaker) -> Iterator[Make]:
    opened: list[HttpClient] = []

    def build(*, layers: list[dict[str, Any]] | None = None, auth: dict[str, str] | None = None,
              **options: Any) -> CkanHarvester:  # fmt: skip
        source = SourceConfig.model_validate({
            "id": "bnpb", "type": "ckan", "url": site.url, "produsen_data": "BNPB", "auth": auth or {},
            "options": options, "layers": layers or [{"remote": "*"}],
        })  # fmt: skip
        rules = HarvestSettings(
            allow_networks=["127.0.0.0/8"], retries=2, backoff_seconds=0, timeout_seconds=10
        )
        opened.append(HttpClient(rules, source))
        return CkanHarvester(source, opened[-1])

    yield build
    for http in opened:
        http.close()


@pytest.fixture
def sample(shared_samples: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_samples / "ckan_package_show.json").read_text("utf-8"))
    return dict(found["result"])


def fill(site: Speaker, count: int) -> list[str]:
    """Put `count` packages on the site and return their ids in order."""
    for n in range(count):
        site.packages[f"p{n}"] = {
            "id": f"id-{n:05d}",
            "name": f"p{n}",
            "title": f"Paket {n}",
            "resources": [],
        }
    return sorted(p["id"] for p in site.packages.values())


def good(items: Iterator[RemoteDataset | ItemError]) -> list[RemoteDataset]:
    found = list(items)
    assert not [x for x in found if isinstance(x, ItemError)]
    return [x for x in found if isinstance(x, RemoteDataset)]


# -- records --------------------------------------------------------------------------------------


def test_a_real_package_with_its_flaws_becomes_a_record(
    sample: dict[str, Any], site: Speaker, make: Make
) -> None:
    site.packages["akip"] = sample
    [dataset] = good(make().datasets())
    record = dataset.record
    assert dataset.remote_id == "d910dcf4-e5e1-4ce3-b3c8-d59cf0491885"
    assert dataset.collection_id == "bnpb-hasil-evaluasi-akuntabilitas-kinerja-intansi-pemerintah-akip"
    assert dataset.kind == "record"
    assert record.title.id == "Hasil Evaluasi Akuntabilitas Kinerja Intansi Pemerintah (AKIP)"
    assert record.produsen_data == "Diskominfo"
    assert record.licence == "Creative Commons Attribution"
    assert record.extras == {"2023": "75", "2024": "77", "Tahun 2022": "75"}
    assert record.modified is not None
    assert record.modified.isoformat() == "2026-03-13T08:34:03.872282+00:00"
    [download] = [x for x in record.links if x.rel == "enclosure"]
    assert download.type == "image/png"  # the form said CSV


def test_the_five_extras_and_the_extent_become_fields() -> None:
    polygon = {
        "type": "Polygon",
        "coordinates": [[[106.7, -7.5], [107.5, -7.5], [107.5, -6.5], [106.7, -7.5]]],
    }
    extras = {"frekuensi_penerbitan": "Tahunan", "level_penyajian": "Desa", "tahun": "2025",
              "cakupan": "Cianjur", "rujukan": "Perpres 39/2019", "spatial": json.dumps(polygon),
              "temporal_start": "2025-01-01", "penanggung jawab": "Pusdatin"}  # fmt: skip
    package = {"id": "x", "name": "x", "extras": [{"key": k, "value": v} for k, v in extras.items()]}
    record = record_of(package, "https://ckan.example.go.id")
    assert (record.frekuensi, record.tingkat_penyajian, record.tahun) == ("Tahunan", "Desa", "2025")
    assert (record.cakupan, record.rujukan) == ("Cianjur", "Perpres 39/2019")
    assert record.bbox == (106.7, -7.5, 107.5, -6.5)
    assert record.time_start is not None
    assert record.time_start.tzinfo is not None
    assert record.extras == {"penanggung jawab": "Pusdatin"}


@pytest.mark.parametrize(
    ("spatial", "bbox"),
    [
        ("[95, -11, 141, 6]", (95, -11, 141, 6)),
        ("95, -11, 141, 6", (95, -11, 141, 6)),
        ('{"type": "Point", "coordinates": [107.1, -6.8]}', (107.1, -6.8, 107.1, -6.8)),
        ("Kabupaten Cianjur", None),
        ('{"type": "Polygon"}', None),
        ("[500, 0, 600, 1]", None),
        ("[141, -11, 95, 6]", None),
    ],
)
def test_an_extent_is_read_or_kept_as_text(spatial: str, bbox: tuple[float, ...] | None) -> None:
    record = record_of({"id": "x", "extras": [{"key": "spatial", "value": spatial}]}, "https://x.example")
    assert record.bbox == bbox
    assert record.extras == ({} if bbox else {"spatial": spatial})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["id", "name", "title", "notes", "tags", "groups", "extras", "organization", "resources", "private",
        "license_title", "metadata_modified", "maintainer_email", "url"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_no_package_however_odd_breaks_the_reading(package: dict[str, Any]) -> None:
    record = record_of(package, "https://ckan.example.go.id")
    assert all(isinstance(v, str) for v in record.extras.values())


@pytest.mark.parametrize("url", ["http://[x", "", "  ", "ftp://x/a.csv", "javascript:x.csv", None, 7])
def test_an_address_that_is_none_is_no_link_and_no_data(url: object) -> None:
    resource = {"id": "r", "url": url, "format": "CSV"}
    found = [link for link in record_of({"id": "x", "resources": [resource]}, "https://x.example").links
             if link.rel == "enclosure"]  # fmt: skip
    assert [link.href for link in found] == (["https://x.example/7"] if url == 7 else [])
    assert is_candidate(resource) is (url == 7)


def test_json_that_is_far_too_deep_is_text() -> None:
    deep = "[" * 100_000
    record = record_of({"id": "x", "extras": [{"key": "spatial", "value": deep}]}, "https://x.example")
    assert record.bbox is None


def test_a_private_package_is_not_taken_for_public() -> None:
    assert record_of({"id": "x", "private": True}, "https://x.example").access == "terbatas"


# -- listing and paging ---------------------------------------------------------------------------


@settings(max_examples=15)
@given(count=st.integers(0, 23), rows=st.integers(1, 9), cap=st.integers(1, 9))
def test_every_package_comes_once_whatever_the_page_size(
    count: int, rows: int, cap: int, site: Speaker, make: Make
) -> None:
    site.packages.clear()
    site.cap = cap
    ids = fill(site, count)
    harvester = make(rows=rows)
    assert harvester.listing().ids == tuple(ids)
    assert [d.remote_id for d in good(harvester.datasets())] == ids


@pytest.mark.parametrize("fault", ["repeat-page", "empty-page", "count-moves"])
def test_a_listing_that_repeats_shrinks_or_moves_is_told(fault: str, site: Speaker, make: Make) -> None:
    fill(site, 12)
    site.faults.add(fault)
    with pytest.raises(IncompleteError):
        make(rows=5).listing()


def test_a_listing_that_moved_once_is_read_again(site: Speaker, make: Make) -> None:
    ids = fill(site, 12)
    site.faults.add("count-moves-once")
    assert make(rows=5).listing().ids == tuple(ids)


def test_one_bad_package_does_not_end_the_run(site: Speaker, make: Make) -> None:
    fill(site, 3)
    site.packages["rusak"] = {"id": "", "name": "rusak"}
    found = list(make().datasets())
    assert len([x for x in found if isinstance(x, RemoteDataset)]) == 3
    assert len([x for x in found if isinstance(x, ItemError)]) == 1
    assert len(make().listing().ids or ()) == 4  # so the engine sees that one is missing


def test_named_packages_keep_their_configured_id(site: Speaker, make: Make) -> None:
    fill(site, 3)
    layers = [{"remote": "p1", "id": "bencana"}, {"remote": "tiada"}, {"remote": "*"}]
    found = list(make(layers=layers).datasets())
    ids = {x.remote_id: x.collection_id for x in found if isinstance(x, RemoteDataset)}
    assert ids == {"id-00001": "bencana", "id-00000": "bnpb-p0", "id-00002": "bnpb-p2"}
    [error] = [x for x in found if isinstance(x, ItemError)]
    assert (error.code, error.remote_id) == ("not-found", "tiada")


@given(st.lists(st.text("abz019-_", min_size=2, max_size=100), unique=True, min_size=2, max_size=6))
def test_collection_ids_are_valid_and_never_meet(names: list[str]) -> None:
    from pydantic import TypeAdapter

    from catalog.sources import DatasetId
    from harvesters.ckan.harvester import _collection

    made = [_collection("bnpb", name, f"id of {name}") for name in names]
    assert len(set(made)) == len(names)
    for one in made:
        TypeAdapter(DatasetId).validate_python(one)


# -- faults of the protocol -----------------------------------------------------------------------


def test_probe_tells_title_and_version(site: Speaker, make: Make) -> None:
    fill(site, 2)
    probe = make().probe()
    assert (probe.title, probe.version, probe.details["packages"]) == ("Satu Data Uji", "2.11.0", 2)


def test_a_site_that_became_another_product_is_recognised(site: Speaker, make: Make) -> None:
    site.faults.add("next")
    with pytest.raises(ProtocolError, match="gone") as caught:
        make().probe()
    assert "status_show" in caught.value.hint("en")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("html-in-200", ProtocolError),
        ("denied", AuthSourceError),
        ("down", TransientSourceError),
        ("truncated", TransientSourceError),
    ],
)
def test_what_is_not_a_ckan_answer_is_an_error(
    fault: str, error: type[Exception], site: Speaker, make: Make
) -> None:
    site.faults.add(fault)
    with pytest.raises(error):
        make().listing()


@pytest.mark.parametrize("fault", ["busy-once", "truncated-once"])
def test_a_passing_trouble_is_tried_again(fault: str, site: Speaker, make: Make) -> None:
    ids = fill(site, 2)
    site.faults.add(fault)
    assert make().listing().ids == tuple(ids)


def test_keys_go_to_the_site_and_into_no_message(
    site: Speaker, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUNCI", "rahasia-sekali")
    site.faults.add("html-in-200")
    with pytest.raises(ProtocolError) as caught:
        make(auth={"header:Authorization": "${KUNCI}", "header:Cookie": "${KUNCI}"}).listing()
    assert site.headers[-1]["Authorization"] == "rahasia-sekali"
    assert "rahasia" not in str(caught.value)
    assert "rahasia" not in repr(caught.value.__dict__)


# -- datastore ------------------------------------------------------------------------------------

FIELDS: list[dict[str, Any]] = [
    {"id": "_id", "type": "int"},
    {"id": "kode", "type": "text"},
    {"id": "korban", "type": "int4"},
    {"id": "luas", "type": "numeric", "info": {"label": "Luas", "notes": "hektare"}},
    {"id": "tanggal", "type": "timestamp"},
]


def table(site: Speaker, rows: int, gap: int = 1) -> dict[str, Any]:
    resource = {"id": "21044ffd-c397", "name": "Kejadian", "datastore_active": True, "url": "x"}
    site.packages["bencana"] = {"id": "pkg", "name": "bencana", "title": "Bencana", "resources": [resource]}
    records: list[dict[str, Any]] = [{"_id": 1 + n * gap, "kode": f"{n:04d}", "korban": n, "luas": f"{n}.5",
                "tanggal": "2024-11-04T00:00:00"} for n in range(rows)]  # fmt: skip
    site.tables["21044ffd-c397"] = (FIELDS, records)
    return site.packages["bencana"]


@settings(max_examples=12)
@given(rows=st.integers(0, 40), size=st.integers(1, 11), cap=st.integers(1, 11), gap=st.integers(1, 4))
def test_every_row_of_a_table_comes_once(
    rows: int, size: int, cap: int, gap: int, site: Speaker, make: Make
) -> None:
    table(site, rows, gap)
    site.cap = cap
    content: Any = good(make(data=True, table_rows=size).datasets())[1].content
    listing = content.listing()
    pages = list(content.pages(listing, set()))
    assert listing.count == rows
    assert [i for p in pages for i in p.batch.ids] == [str(1 + n * gap) for n in range(rows)]
    if pages:  # an interrupted run goes on behind what it has
        rest = list(content.pages(listing, {pages[0].key}))
        assert [p.key for p in rest] == [p.key for p in pages[1:]]


def test_a_table_keeps_types_codes_and_names(site: Speaker, make: Make) -> None:
    table(site, 2)
    package, resource = good(make(data=True).datasets())
    content: Any = resource.content
    assert package.kind == "record"
    assert resource.kind == "table"
    assert resource.remote_id == "pkg/21044ffd-c397"
    assert resource.record.title.id == "Bencana: Kejadian"
    assert [(f.name, f.type.value) for f in content.schema().fields] == [
        ("kode", "text"), ("korban", "integer"), ("luas", "real"), ("tanggal", "datetime"),
    ]  # fmt: skip
    row = next(content.pages(content.listing(), set())).batch.rows[1]
    assert (row["kode"], row["korban"], row["luas"]) == ("0001", 1, 1.5)
    assert row["tanggal"].isoformat() == "2024-11-04T00:00:00+00:00"
    [again] = content.refetch(("2",))
    assert again.batch.ids == ["2"]
    assert make(data=True).listing().ids == ("pkg", "pkg/21044ffd-c397")


@pytest.mark.parametrize(
    ("fault", "error"), [("total-moves", IncompleteError), ("repeat-page", ProtocolError)]
)
def test_a_table_that_changes_or_repeats_while_read_is_told(
    fault: str, error: type[Exception], site: Speaker, make: Make
) -> None:
    table(site, 9)
    content: Any = good(make(data=True, table_rows=4).datasets())[1].content
    site.faults.add(fault)
    with pytest.raises(error):
        list(content.pages(content.listing(), set()))


def test_one_resource_can_be_named(site: Speaker, make: Make) -> None:
    table(site, 3)
    layers = [{"remote": "bencana/21044ffd-c397", "id": "kejadian"}, {"remote": "bencana/tiada"}]
    found = list(make(layers=layers).datasets())
    assert [(x.remote_id, x.collection_id) for x in found if isinstance(x, RemoteDataset)] == [
        ("pkg/21044ffd-c397", "kejadian")
    ]
    assert [x.remote_id for x in found if isinstance(x, ItemError)] == ["pkg/tiada"]


def test_a_column_can_name_the_rows(site: Speaker, make: Make) -> None:
    table(site, 5)
    site.tables["21044ffd-c397"][1][2]["kode"] = None
    layers = [{"remote": "bencana/21044ffd-c397", "feature_id": "kode"}]
    content: Any = good(make(layers=layers, table_rows=2).datasets())[0].content
    pages = list(content.pages(content.listing(), set()))
    assert [i for p in pages for i in p.batch.ids] == ["0000", "0001", "0003", "0004"]
    assert [(e.code, e.remote_id) for p in pages for e in p.errors] == [("id-missing", "3")]
    assert content.schema().integer_ids is False
    [again] = content.refetch(("0003",))
    assert again.batch.rows[0]["korban"] == 3


def test_an_id_column_that_is_not_there_is_a_config_error(site: Speaker, make: Make) -> None:
    table(site, 1)
    with pytest.raises(ConfigError, match="no column 'tiada'") as caught:
        list(make(layers=[{"remote": "bencana/21044ffd-c397", "feature_id": "tiada"}]).datasets())
    assert "kode, korban" in caught.value.hint("en")


def test_the_examples_in_the_docs_are_right() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "ckan.md").read_text("utf-8")
    register, source = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    assert Settings.model_validate(register).ckan is not None
    assert check(SourceConfig.model_validate(source)) == []
    for name in CkanOptions.model_fields:
        assert f"| `{name}` |" in page


@pytest.mark.parametrize("path", sorted(SOURCES.glob("ckan-*.yml")), ids=lambda p: p.stem)
def test_shipped_sources_are_right_and_switched_off(path: Path) -> None:
    source = load_source(path)
    assert check(source) == []
    assert source.enabled is False
    assert source.id == path.stem
