"""The main road as a user walks it: sample, harvest over HTTP, publish, roll back, serve, doctor."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.servers import PATIENCE, free_port, listens, until
from tests.servers.ours import HOUSE, Deployment, environment, sample_upstream
from tests.servers.postgres import Postgres
from tests.servers.sample import copied

DATASETS = {
    "contoh-bahaya-banjir",
    "contoh-batas-desa",
    "contoh-batas-kabupaten",
    "contoh-batas-kecamatan",
    "contoh-batas-provinsi",
    "contoh-fasilitas",
    "contoh-gempa",
    "contoh-indeks-bahaya",
    "contoh-jalan",
    "contoh-kode-wilayah",
    "contoh-logistik",
    "contoh-penerima-bantuan",
    "contoh-zona-banjir",
    # the sample's earthquake has answered itself
    "respons-20260101t023015z-9.01-108.45",
    "respons-20260101t023015z-9.01-108.45-rencana",
}


@pytest.fixture(scope="module")
def shop(harvested_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The shipped configuration, its sample harvested; the upstream on a free port."""
    deployment = copied(harvested_sample, tmp_path_factory.mktemp("road"))
    with sample_upstream(deployment):
        yield deployment


@pytest.fixture(scope="module")
def served(shop: Deployment) -> Iterator[str]:
    """The shop's server with two workers."""
    with shop.serving(workers=2) as base:
        yield base


def test_the_sample_is_all_there(shop: Deployment) -> None:
    assert {row["id"] for row in shop.json("dataset", "list")} == DATASETS
    for row in shop.json("runs"):
        assert row["state"] == "ok"
        assert row["expected"] == row["seen"]
        assert row["failed"] == 0


def test_a_second_harvest_is_unchanged_and_keeps_the_steward_s_edit(shop: Deployment) -> None:
    shop.run("dataset", "edit", "contoh-batas-desa", "frekuensi=Tahunan", "--note", "surat 12/2026")
    assert shop.json("harvest", "contoh-batas")[0]["state"] == "unchanged"
    shown = shop.json("dataset", "show", "contoh-batas-desa")
    assert shown["record"]["frekuensi"] == "Tahunan"
    assert shown["provenance"]["frekuensi"] == "overlay"


def test_a_dry_run_changes_nothing(shop: Deployment) -> None:
    before = shop.json("dataset", "show", "contoh-batas-desa")["versions"]
    shop.run("harvest", "contoh-batas", "--dry-run")
    assert shop.json("dataset", "show", "contoh-batas-desa")["versions"] == before


def test_preview_shows_fields_and_rows_and_stores_nothing(shop: Deployment) -> None:
    shown = shop.json("source", "preview", "contoh-batas", "--rows", "2")
    assert shown[0]["count"] > 0
    assert len(shown[0]["rows"]) == 2
    assert "KDEPUM" in shown[0]["fields"]


def test_sources_are_listed_and_checked(shop: Deployment) -> None:
    listed = shop.json("source", "list")
    assert {"big-batas-2026", "contoh-batas"} <= {row["id"] for row in listed}
    assert all(row["enabled"] is False for row in listed if row["id"].startswith(("big-", "bnpb-", "bmkg-")))
    assert {row["state"] for row in shop.json("source", "check")} == {"ok"}


def test_every_shipped_source_is_sound(shop: Deployment) -> None:
    ids = [row["id"] for row in shop.json("source", "list")]
    rows = shop.json("source", "check", "--offline", *ids)
    assert [row for row in rows if row["state"] != "ok"] == []


def test_a_wrong_key_names_file_line_and_the_nearest_right_key(shop: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "salah.yml"
    file.write_text("id: salah\ntype: file\nurl: x.csv\nprodusen_dta: BPS\nlayers:\n  - remote: '*'\n")
    done = shop.run("source", "add", str(file), check=False)
    assert done.returncode == 2
    assert "salah.yml:4" in done.stderr
    assert "produsen_data" in done.stderr


def test_an_unknown_source_says_what_there_is(shop: Deployment) -> None:
    done = shop.run("harvest", "contoh-bats", "--json", check=False)
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 1
    assert error["code"] == "not-found"
    assert "contoh-batas" in error["hint"]


def test_search_and_rollback_without_an_older_version(shop: Deployment) -> None:
    found = shop.json("dataset", "search", "lumbung")
    assert [item["id"] for item in found["items"]] == ["contoh-logistik"]
    done = shop.run("rollback", "contoh-logistik", check=False)
    assert done.returncode == 1
    assert "older" in done.stderr


def test_a_new_version_can_be_rolled_back_and_the_old_one_pruned(shop: Deployment) -> None:
    csv = shop.data / "sample" / "kode-wilayah.csv"
    kept = csv.read_text("utf-8")
    lines = kept.splitlines(keepends=True)
    csv.write_text(
        "".join([*lines[:-1], lines[-1].replace(lines[-1].split(",")[2], "Desa Ubah", 1)]), "utf-8"
    )
    assert shop.json("harvest", "contoh-kode-wilayah")[0]["state"] == "ok"
    shop.run("rollback", "contoh-kode-wilayah", "--reason", "salah nama")
    states = {
        v["version"]: v["state"] for v in shop.json("dataset", "show", "contoh-kode-wilayah")["versions"]
    }
    assert states[1] == "current"
    assert states[2] != "current"
    csv.write_text(kept, "utf-8")


def test_doctor_finds_the_installation_sound(shop: Deployment) -> None:
    findings = shop.json("doctor", "--verify")
    assert [f for f in findings if f["state"] == "error"] == []


def test_doctor_finds_a_version_that_was_tampered_with(shop: Deployment, tmp_path: Path) -> None:
    copy = Deployment(tmp_path)
    shutil.copytree(shop.config, copy.config)
    shutil.copytree(shop.data, copy.data)
    file = next((copy.data / "layers" / "contoh-fasilitas").glob("*.gpkg"))
    os.chmod(file, 0o644)
    file.write_bytes(file.read_bytes()[:-4096])
    findings = copy.json("doctor", "--verify", check=False)
    assert any(f["state"] == "error" and "contoh-fasilitas" in f["check"] for f in findings)


def test_schema_files_are_written_for_editors(shop: Deployment, tmp_path: Path) -> None:
    shop.run("schema", "--write", str(tmp_path))
    schema = json.loads((tmp_path / "source.schema.json").read_text())
    assert "produsen_data" in schema["properties"]


def _titles(address: str) -> set[str]:
    """Return what a dozen connections are told, to whichever worker they come."""
    return {requests.get(address, timeout=PATIENCE).json()["title"] for _ in range(12)}


def test_two_workers_serve_the_sample_and_see_a_change_by_themselves(shop: Deployment, served: str) -> None:
    listed = requests.get(f"{served}/collections?f=json", timeout=PATIENCE).json()["collections"]
    assert {c["id"] for c in listed} >= DATASETS - {"contoh-bahaya-banjir", "contoh-indeks-bahaya"}
    shop.run("dataset", "edit", "contoh-fasilitas", "title={id: Judul Baru, en: New title}")
    address = f"{served}/collections/contoh-fasilitas?f=json&lang=id"
    until(lambda: _titles(address) == {"Judul Baru"}, "every worker tells the new title")
    shop.run("dataset", "edit", "contoh-fasilitas", "title=")


def test_every_curl_example_of_the_api_page_finds_something(served: str) -> None:
    page = (HOUSE / "docs" / "api.md").read_text("utf-8")
    examples = [line for line in page.splitlines() if line.startswith("curl ")]
    assert len(examples) > 5
    for line in examples:
        words = [
            word.replace("$B", served)
            for word in shlex.split(line)[1:]
            if word not in ("-G", "--data-urlencode")
        ]
        address, *data = words
        asked = dict(part.partition("=")[::2] for part in data)
        answer = requests.get(address, params=asked, timeout=PATIENCE)
        assert answer.status_code == 200, (line, answer.text[:300])
        if "json" in answer.headers["Content-Type"]:
            doc = answer.json()
            found = doc.get("features", doc)
        else:
            found = answer.text.splitlines()
        assert len(found) > 0, line


def test_every_curl_example_of_the_downloads_page_is_a_file(served: str) -> None:
    page = (HOUSE / "docs" / "downloads.md").read_text("utf-8")
    examples = [shlex.split(line)[-1] for line in page.splitlines() if line.startswith("curl ")]
    assert len(examples) > 1
    for example in examples:
        answer = requests.get(example.replace("http://127.0.0.1:8000", served), timeout=PATIENCE)
        assert answer.status_code == 200, (example, answer.text[:300])
        assert "attachment" in answer.headers["Content-Disposition"]


def test_a_backup_is_restored_whole(shop: Deployment, tmp_path: Path) -> None:
    """docs/operate.md, "Backup and restore": SQLite's own backup, and a copy of the versions."""
    restored = Deployment(tmp_path)
    shutil.copytree(shop.config, restored.config)
    restored.data.mkdir()
    with (
        sqlite3.connect(shop.data / "catalog.sqlite") as live,
        sqlite3.connect(restored.data / "catalog.sqlite") as copy,
    ):
        live.backup(copy)
    live.close()
    copy.close()
    shutil.copytree(shop.data / "layers", restored.data / "layers")
    shutil.copytree(shop.data / "sample", restored.data / "sample")
    assert [f for f in restored.json("doctor", "--verify") if f["state"] == "error"] == []
    assert restored.json("dataset", "list") == shop.json("dataset", "list")


def test_demo_runs_the_whole_road_and_ends_cleanly(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    shutil.copytree(HOUSE / "config", deployment.config)
    upstream_port, port = free_port(), free_port()
    for file in (deployment.config / "sources").glob("sample-*.yml"):
        file.write_text(
            file.read_text("utf-8").replace("127.0.0.1:8765", f"127.0.0.1:{upstream_port}"), "utf-8"
        )
    with (tmp_path / "demo.log").open("wb") as log:
        child = subprocess.Popen(
            deployment.command("demo", "--port", str(port), "--workers", "1"),
            stdout=log, stderr=log, cwd=tmp_path, env=environment(),
        )  # fmt: skip
        try:
            until(lambda: child.poll() is not None or listens(port), "the demo serves", seconds=2 * PATIENCE)
            assert child.poll() is None, (tmp_path / "demo.log").read_text()
            items = f"http://127.0.0.1:{port}/collections/contoh-batas-desa/items?f=json"
            answer = requests.get(items, timeout=PATIENCE)
            assert answer.json()["numberMatched"] == 80
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(PATIENCE)
    assert f"http://127.0.0.1:{port}" in (tmp_path / "demo.log").read_text()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{upstream_port}/", timeout=2)


def test_the_same_road_on_postgresql_and_postgis_with_two_workers(tmp_path: Path, postgres: Postgres) -> None:
    """Past one machine: catalog and layers in PostgreSQL, several server processes, one code path."""
    deployment = Deployment(tmp_path)
    url = postgres.database(postgis=True)
    layers = url.replace("+psycopg", "")
    deployment.settings(f"database: {url}\nlayers: {layers}\nharvest: {{contact: test@example.org}}\n")
    (deployment.config / "sources").mkdir()
    shutil.copy(HOUSE / "config" / "sources" / "sample-wilayah.yml", deployment.config / "sources")
    shutil.copy(HOUSE / "config" / "sources" / "sample-logistik.yml", deployment.config / "sources")
    deployment.run("sample", "generate")
    assert {row["state"] for row in deployment.json("harvest", "--all")} == {"ok"}
    assert deployment.json("harvest", "contoh-logistik")[0]["state"] == "unchanged"
    with deployment.serving(workers=2) as base:
        items = f"{base}/collections/contoh-logistik/items"
        first = requests.get(f"{items}?limit=5&f=json", timeout=PATIENCE).json()
        assert first["numberMatched"] == 17
        found = [feature["id"] for feature in first["features"]]
        following = next(link["href"] for link in first["links"] if link["rel"] == "next")
        while following:
            page = requests.get(following, timeout=PATIENCE).json()
            found += [feature["id"] for feature in page["features"]]
            following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        assert len(found) == len(set(found)) == 17
        one = requests.get(
            items, params={"filter": f"id = '{found[0]}'", "f": "json"}, timeout=PATIENCE
        ).json()
        assert [feature["id"] for feature in one["features"]] == [found[0]]
        deployment.run("dataset", "edit", "contoh-logistik", "title={id: Gudang Baru, en: New stores}")
        address = f"{base}/collections/contoh-logistik?f=json&lang=id"
        until(lambda: _titles(address) == {"Gudang Baru"}, "every worker tells the new title")
