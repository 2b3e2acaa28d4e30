"""Our sync against a real CKAN 2.12 with Solr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.ckan import SyncReport, sync
from catalog.ckan.package import extra
from catalog.model import Contact, DatasetRecord, LayerSchema, Link, Localized, VersionInfo
from catalog.settings import Settings
from catalog.store import Catalog
from tests.servers.ckan import Ckan


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as opened:
        yield opened


def put(catalog: Catalog, dataset_id: str, **fields: Any) -> None:
    said = {"title": Localized(id=f"Judul {dataset_id}"), "produsen_data": "Kementerian Sosial", **fields}
    catalog.datasets.put(dataset_id, source_id="uji", remote_id=dataset_id, kind="feature",
                         record=DatasetRecord(**said), run_id="r1")  # fmt: skip


def run(ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, key: str = "") -> SyncReport:
    monkeypatch.setenv("CKAN_KEY", key or ckan.token)
    settings = Settings.model_validate({
        "server": {"url": "https://geo.example.go.id"}, "ckan": {"url": ckan.url, "api_key": "${CKAN_KEY}"},
    })  # fmt: skip
    return sync(settings, catalog)


def search(ckan: Ckan, **question: Any) -> dict[str, Any]:
    found = ckan.action("package_search", **question)
    assert isinstance(found, dict)
    return found


def show(ckan: Ckan, action: str, name: str) -> dict[str, Any]:
    found = ckan.action(action, id=name)
    assert isinstance(found, dict)
    return found


def test_a_real_ckan_is_brought_into_step_and_stays_so(
    ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Link(href="https://big.example.go.id/wms?service=WMS", protocol="OGC:WMS", title="WMS BIG")
    put(catalog, "batas-desa", description=Localized(id="Batas desa se-Cianjur.", en="Village boundaries."),
        keywords=["batas wilayah", "desa/kelurahan", "Ciamis–Cianjur"], produsen_data="Badan Informasi Geospasial",
        walidata="BIG", frekuensi="Tahunan", tingkat_penyajian="Desa", tahun="2025", cakupan="Kabupaten Cianjur",
        rujukan="Kepmendagri 300.2.2-2138/2025", bbox=(106.7, -7.5, 107.5, -6.5), links=[link], synthetic=True,
        extras={"Tahun 2022": "75", "terbit_date": "entah", "notes": "bentrok", "panjang": "x" * 40_000})  # fmt: skip
    info = VersionInfo("batas-desa", 1, "feature", 10, "abc", schema=LayerSchema(()))
    catalog.versions.register(info)
    catalog.versions.make_current("batas-desa", 1, by="uji")
    put(catalog, "gudang.logistik", title=Localized(id="Gudang logistik"))
    put(catalog, "penerima-bantuan", access="terbatas", title=Localized(id="Penerima bantuan"))
    put(catalog, "rahasia", access="internal")

    first = run(ckan, catalog, monkeypatch)
    assert (first.created, first.organisations, first.errors, first.stopped) == (3, 2, [], "")
    second = run(ckan, catalog, monkeypatch)
    assert (second.writes, second.unchanged, second.errors) == (0, 3, [])

    found = search(ckan, q="batas desa Cianjur")
    assert [p["name"] for p in found["results"]] == ["batas-desa"]
    package = found["results"][0]
    assert package["organization"]["title"] == "Badan Informasi Geospasial"
    assert extra(package, "cakupan") == "Kabupaten Cianjur"
    assert extra(package, "asal_notes") == "bentrok"
    assert {t["name"] for t in package["tags"]} == {
        "batas wilayah", "desa kelurahan", "Ciamis Cianjur", "data sintetis",
    }  # fmt: skip
    assert [r["format"] for r in package["resources"]][-1] == "WMS"
    assert search(ckan, fq="extras_cakupan:Cianjur")["count"] == 1
    organisations = ckan.action("organization_list")
    assert organisations == ["badan-informasi-geospasial", "kementerian-sosial"]
    assert search(ckan, q="rahasia", include_private=True)["count"] == 0
    assert search(ckan, q="penerima")["count"] == 0  # private: found by those who may only
    assert search(ckan, q="penerima", include_private=True)["count"] == 1

    catalog.datasets.tombstone("batas-desa", reason="ditarik", by="uji")
    put(catalog, "penerima-bantuan", access="internal")
    third = run(ckan, catalog, monkeypatch)
    assert (third.deleted, third.unchanged, third.errors) == (2, 1, [])
    assert show(ckan, "package_show", "batas-desa")["state"] == "deleted"
    assert search(ckan, include_private=True)["count"] == 1
    assert run(ckan, catalog, monkeypatch).writes == 0

    put(
        catalog,
        "batas-desa",
        title=Localized(id="Batas desa baru"),
        produsen_data="Badan Informasi Geospasial",
    )
    back = run(ckan, catalog, monkeypatch)
    assert (back.updated, back.errors) == (1, [])
    assert [p["title"] for p in search(ckan, q="baru")["results"]] == ["Batas desa baru"]
    assert run(ckan, catalog, monkeypatch).writes == 0


def test_resources_keep_their_ids_and_a_lost_organisation_comes_back(
    ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(catalog, "sentra", produsen_data="Ditjen Rehabilitasi Sosial")
    run(ckan, catalog, monkeypatch)
    before = {r["url"]: r["id"] for r in show(ckan, "package_show", "sentra")["resources"]}
    put(
        catalog,
        "sentra",
        produsen_data="Ditjen Rehabilitasi Sosial",
        links=[Link(href="https://x.example/a.csv")],
    )
    assert run(ckan, catalog, monkeypatch).updated == 1
    after = {r["url"]: r["id"] for r in show(ckan, "package_show", "sentra")["resources"]}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1

    ckan.action("package_delete", id="sentra")
    ckan.action("organization_delete", id="ditjen-rehabilitasi-sosial")
    again = run(ckan, catalog, monkeypatch)
    assert (again.organisations, again.updated, again.errors) == (1, 1, [])
    assert show(ckan, "package_show", "sentra")["state"] == "active"


def test_a_wrong_key_writes_nothing_and_is_not_shown(
    ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        put(catalog, f"ditolak-{n}")
    report = run(ckan, catalog, monkeypatch, key="kunci-salah")
    assert report.writes == 0
    assert report.stopped
    assert {e.code for e in report.errors} == {"source-auth"}
    assert "kunci-salah" not in str(report)
    assert search(ckan, q="ditolak", include_private=True)["count"] == 0


def test_a_name_that_others_use_is_left_alone(
    ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ckan.action("organization_create", name="orang-lain", title="Orang lain")
    ckan.action("package_create", name="peta-bersama", title="Milik orang", owner_org="orang-lain")
    put(catalog, "peta-bersama")
    report = run(ckan, catalog, monkeypatch)
    assert [e.remote_id for e in report.errors] == ["peta-bersama"]
    assert show(ckan, "package_show", "peta-bersama")["title"] == "Milik orang"


def test_whatever_a_record_holds_ckan_takes_it(
    ckan: Ckan, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "nol\x00 kontrol\x0b separuh\ud800 emoji \U0001f30b <b>&amp;\"' ; DROP TABLE\n" + "é" * 9000
    links = [Link(href=f"https://x.example/{part}", title=odd[:300], protocol="WWW:LINK")
             for part in ("a b", "a b", "<x>", "%zz", "?q=1&r=2#f")]  # fmt: skip
    links.append(Link(href="https://geo.example.go.id/collections/katalog/items/aneh?f=json"))
    links.append(Link(href="ftp://x.example/a"))
    put(catalog, "aneh", title=Localized(id="  "), description=Localized(id=odd), keywords=[odd, "", "a", "Ilmu & Data"],
        produsen_data="Dinas \u200bAneh (Kab. X) / Bidang ; \"Y\"", contact=Contact(email="tidak ada; x@y"),
        bbox=(170, -10, -170, 10), links=links, extras={"kunci / aneh: \"1\"": odd, "title": "x", "  ": "y", "satudata_hash": "z",
        "tgl_date": "31/12/2024"})  # fmt: skip
    put(catalog, "x.1", title=Localized(id="Bertitik"))
    put(catalog, "new")
    first = run(ckan, catalog, monkeypatch)
    assert first.errors == []
    assert first.created == 3
    assert run(ckan, catalog, monkeypatch).writes == 0
    package = show(ckan, "package_show", "aneh")
    assert package["title"] == "aneh"
    assert package["maintainer_email"] == ""
    assert "emoji \U0001f30b" in package["notes"]
    assert len(package["resources"]) == 5
