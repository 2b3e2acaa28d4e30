"""Our catalog registered in CKAN: in step after one run, untouched by the next, whatever happens between."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.ckan import SyncReport, after_run, sync
from catalog.ckan.client import Register
from catalog.ckan.names import clean_tags, organisation_name, package_name
from catalog.ckan.package import _licence, extent, extra
from catalog.errors import ConfigError, TransientSourceError
from catalog.model import Contact, DatasetRecord, Kind, LayerSchema, Link, Localized, VersionInfo
from catalog.settings import CkanSettings, Settings
from catalog.store import Catalog
from harvesters.engine.notify import Published
from tests.servers.ckan_speaker import Speaker, speaking

type Put = Callable[..., None]
type Run = Callable[..., SyncReport]


@pytest.fixture
def site() -> Iterator[Speaker]:
    with speaking() as speaker:
        yield speaker


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as opened:
        yield opened


@pytest.fixture
def put(catalog: Catalog) -> Put:
    def write(dataset_id: str, *, kind: Kind = "feature", **fields: Any) -> None:
        said = {"title": Localized(id=f"Judul {dataset_id}"), "produsen_data": "Kementerian Sosial", **fields}
        catalog.datasets.put(dataset_id, source_id="uji", remote_id=dataset_id, kind=kind,
                             record=DatasetRecord(**said), run_id="r1")  # fmt: skip

    return write


@pytest.fixture
def run(site: Speaker, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CKAN_KEY", "kunci-rahasia")
    settings = Settings.model_validate({
        "server": {"url": "https://geo.example.go.id/"},
        "ckan": {"url": site.url, "api_key": "${CKAN_KEY}", "batch": 3},
    })  # fmt: skip

    def once(**options: Any) -> SyncReport:
        assert settings.ckan
        with Register(settings.ckan, retries=1, backoff=0) as register:
            return sync(settings, catalog, register=register, **options)

    return once


def publish(catalog: Catalog, dataset_id: str) -> None:
    """Make a version current, so that the dataset is a collection of the OGC API."""
    info = VersionInfo(
        dataset_id, 1, "feature", 10, "abc", schema=LayerSchema(()), bbox=(106.7, -7.5, 107.5, -6.5)
    )
    catalog.versions.register(info)
    catalog.versions.make_current(dataset_id, 1, by="uji")


def test_a_published_layer_is_registered_with_all_its_addresses(
    site: Speaker, catalog: Catalog, put: Put, run: Run
) -> None:
    link = Link(href="https://big.example.go.id/wms", protocol="OGC:WMS", title="WMS BIG")
    own = Link(href="https://geo.example.go.id/collections/batas-desa/items?f=json", title="kami sendiri")
    put("batas-desa", description=Localized(id="Batas desa."), keywords=["Batas (desa)", "x", "batas desa"],
        frekuensi="Tahunan", tingkat_penyajian="Desa", tahun="2025", cakupan="Cianjur", rujukan="Kepmendagri",
        links=[link, link, own], contact=Contact(email="tidak ada"), licence="CC BY 4.0", extras={"Tahun 2022": "75", "title": "bentrok", "kosong": " "})  # fmt: skip
    publish(catalog, "batas-desa")
    report = run()
    package = site.packages["batas-desa"]
    assert (report.created, report.organisations, report.errors) == (1, 1, [])
    assert site.organisations["kementerian-sosial"]["title"] == "Kementerian Sosial"
    assert package["owner_org"] == "kementerian-sosial"
    assert package["private"] is False
    assert package["license_id"] == "cc-by"
    assert package["maintainer_email"] == ""  # CKAN would refuse the package
    assert [t["name"] for t in package["tags"]] == ["Batas desa"]
    for key, value in {"frekuensi_penerbitan": "Tahunan", "level_penyajian": "Desa", "tahun": "2025",
                       "cakupan": "Cianjur", "rujukan": "Kepmendagri", "Tahun 2022": "75",
                       "asal_title": "bentrok"}.items():  # fmt: skip
        assert extra(package, key) == value
    assert '"Polygon"' in extra(package, "spatial")
    assert extra(package, "satudata_uuid") == str(catalog.datasets.get("batas-desa").uuid)
    assert [(r["format"], r["url"]) for r in package["resources"]] == [
        ("HTML", "https://geo.example.go.id/collections/batas-desa?f=html"),
        ("OGC API Features", "https://geo.example.go.id/collections/batas-desa?f=json"),
        ("GeoJSON", "https://geo.example.go.id/collections/batas-desa/items?f=json"),
        ("CSV", "https://geo.example.go.id/collections/batas-desa/items?f=csv"),
        ("OGC API Records", "https://geo.example.go.id/collections/katalog/items/batas-desa?f=json"),
        ("WMS", "https://big.example.go.id/wms"),
    ]


def test_the_second_run_writes_nothing(site: Speaker, put: Put, run: Run) -> None:
    for n in range(8):
        put(f"d{n}", produsen_data=f"Produsen {n % 3}")
    first = run()
    before = len(site.writes())
    second = run()
    assert (first.created, first.organisations) == (8, 3)
    assert (second.writes, second.unchanged) == (0, 8)
    assert len(site.writes()) == before == 11


def test_only_what_changed_is_sent_and_links_keep_their_ids(site: Speaker, put: Put, run: Run) -> None:
    put("aa")
    put("bb")
    run()
    ids = {r["url"]: r["id"] for r in site.packages["aa"]["resources"]}
    put("aa", title=Localized(id="Judul baru"), links=[Link(href="https://x.example/a.csv")])
    report = run()
    assert (report.updated, report.unchanged) == (1, 1)
    assert site.packages["aa"]["title"] == "Judul baru"
    assert ids.items() <= {r["url"]: r["id"] for r in site.packages["aa"]["resources"]}.items()


def test_internal_is_never_sent_and_restricted_is_private(site: Speaker, put: Put, run: Run) -> None:
    put("umum")
    put("terbatas", access="terbatas", title=Localized(id="Terbatas"))
    put("rahasia", access="internal", title=Localized(id="Sangat Rahasia"))
    report = run()
    assert site.packages.keys() == {"umum", "terbatas"}
    assert site.packages["terbatas"]["private"] is True
    assert report.withheld == 1
    assert "Sangat Rahasia" not in str([c for c in site.calls if c[0] != "package_search"])


def test_what_becomes_internal_or_is_withdrawn_leaves_ckan(
    site: Speaker, catalog: Catalog, put: Put, run: Run
) -> None:
    for name in ("a", "b", "c"):
        put(name + "-data")
    run()
    put("a-data", access="internal")
    catalog.datasets.tombstone("b-data", reason="ganti", by="uji")
    report = run()
    assert report.deleted == 2
    assert {n: p["state"] for n, p in site.packages.items()} == {
        "a-data": "deleted", "b-data": "deleted", "c-data": "active",
    }  # fmt: skip
    assert run().writes == 0
    put("b-data")  # the source has it again
    assert run().updated == 1
    assert site.packages["b-data"]["state"] == "active"


def test_a_refused_dataset_is_an_item_error_and_the_others_go_on(site: Speaker, put: Put, run: Run) -> None:
    for name in ("aa", "bb", "cc"):
        put(name)
    put("dd", produsen_data="")
    site.faults.add("refuse-bb")
    report = run()
    assert report.created == 2
    assert [(e.code, e.remote_id) for e in report.errors] == [("record", "bb"), ("record", "dd")]
    assert "Tag is wrong" in report.errors[0].message
    site.faults.clear()
    assert run().created == 1


def test_a_package_that_is_not_ours_is_left_alone(site: Speaker, put: Put, run: Run) -> None:
    site.packages["penduduk"] = {"id": "1", "name": "penduduk", "title": "Milik orang", "state": "active"}
    put("penduduk")
    report = run()
    assert [e.remote_id for e in report.errors] == ["penduduk"]
    assert site.packages["penduduk"]["title"] == "Milik orang"
    assert report.writes == len(site.writes()) == 0


def test_a_run_that_was_cut_is_finished_by_the_next(site: Speaker, put: Put, run: Run) -> None:
    for n in range(9):
        put(f"d{n}")
    kept = Speaker._keep

    def until_five(self: Speaker, ask: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
        if len(self.packages) >= 5:
            self.faults.add("write-down")
        return kept(self, ask, base)

    Speaker._keep = until_five  # type: ignore[method-assign]
    try:
        first = run()
    finally:
        Speaker._keep = kept  # type: ignore[method-assign]
    assert first.stopped
    done = len(site.packages)
    assert 0 < done < 9
    site.faults.clear()
    second = run()
    assert (second.created, second.unchanged, second.stopped) == (9 - done, done, "")


def test_ckan_that_is_down_is_one_error_without_the_key(site: Speaker, put: Put, run: Run) -> None:
    put("data")
    site.faults.add("down")
    with pytest.raises(TransientSourceError) as caught:
        run()
    assert "kunci-rahasia" not in str(caught.value)


def test_a_ckan_restored_from_an_old_backup_is_brought_forward(site: Speaker, put: Put, run: Run) -> None:
    put("data")
    run()
    site.packages.clear()
    site.organisations["kementerian-sosial"]["state"] = "deleted"
    assert run().created == 1
    assert site.organisations["kementerian-sosial"]["state"] == "active"


def test_only_some_datasets_can_be_synced(site: Speaker, put: Put, run: Run) -> None:
    for name in ("aa", "bb"):
        put(name)
    assert run(only={"bb"}).created == 1
    assert site.packages.keys() == {"bb"}


def test_what_a_harvest_published_is_registered_at_once(
    site: Speaker,
    catalog: Catalog,
    put: Put,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CKAN_KEY", "kunci-rahasia")
    settings = Settings.model_validate({
        "server": {"url": "https://geo.example.go.id/"}, "ckan": {"url": site.url, "api_key": "${CKAN_KEY}"},
    })  # fmt: skip
    put("baru")
    put("lain")
    after_run(settings, catalog, Published("r1", "uji", ("baru",)))
    assert site.packages.keys() == {"baru"}
    site.faults.add("down")
    calls = len(site.calls)
    after_run(settings, catalog, Published("r2", "uji", ("lain",)))  # no error, no second try
    assert len(site.calls) == calls + 1
    assert "was not brought into step" in caplog.text
    after_run(Settings(), catalog, Published("r3", "uji", ("lain",)))


def test_synthetic_data_is_marked(site: Speaker, put: Put, run: Run) -> None:
    put("contoh", synthetic=True)
    run()
    package = site.packages["contoh"]
    assert "DATA SINTETIS" in package["notes"]
    assert {"name": "data sintetis"} in package["tags"]
    assert extra(package, "data_sintetis") == "ya"


def test_without_a_public_address_nothing_is_sent(site: Speaker, catalog: Catalog) -> None:
    ckan = CkanSettings(url=site.url, api_key="${CKAN_KEY}")
    with pytest.raises(ConfigError, match="public address"):
        sync(Settings(ckan=ckan), catalog)
    with pytest.raises(ConfigError, match="no CKAN"):
        sync(Settings(), catalog)
    assert not site.calls


_IDS = st.from_regex(r"[a-z0-9]+([-_.][a-z0-9]+){0,30}", fullmatch=True).filter(lambda x: len(x) <= 120)


@given(st.lists(_IDS, unique=True, min_size=1, max_size=8))
def test_package_names_fit_ckan_and_never_meet(ids: list[str]) -> None:
    names = [package_name(i) for i in ids]
    assert all(re.fullmatch(r"[a-z0-9_-]{2,100}", n) and n not in {"new", "edit", "search"} for n in names)
    assert len(set(names)) == len(ids)


@given(st.lists(st.text(max_size=130), max_size=8))
def test_tags_fit_ckan(words: list[str]) -> None:
    tags = clean_tags(words)
    assert all(re.fullmatch(r"[\w \-.]{2,100}", t) and t == t.strip() for t in tags)
    assert len({t.casefold() for t in tags}) == len(tags)


@given(st.text(max_size=150))
def test_organisation_names_fit_ckan(title: str) -> None:
    name = organisation_name(title)
    assert (name == "") == (title.split() == [])
    assert not name or re.fullmatch(r"[a-z0-9_-]{2,100}", name)


def test_one_organisation_however_it_is_spelt() -> None:
    assert organisation_name("Kementerian  Sosial") == organisation_name("KEMENTERIAN SOSIAL")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("CC BY 4.0", "cc-by"), ("CC-BY-4.0", "cc-by"), ("Creative Commons Attribution", "cc-by"),
     ("CC BY-SA 4.0", "cc-by-sa"), ("CC0-1.0", "cc-zero"), ("ODbL-1.0", "odc-odbl"), ("Terbatas", "notspecified"),
     ("", "notspecified")],
)  # fmt: skip
def test_licences_are_recognised_and_never_guessed(written: str, meant: str) -> None:
    assert _licence(written) == meant


def test_an_extent_across_the_antimeridian_is_two_polygons() -> None:
    found = extent((170, -10, -170, 10))
    assert found["type"] == "MultiPolygon"
    assert [[p[0] for p in ring[0][:2]] for ring in found["coordinates"]] == [[170, 180.0], [-180.0, -170]]
    assert extent((107.1, -6.8, 107.1, -6.8)) == {"type": "Point", "coordinates": [107.1, -6.8]}
