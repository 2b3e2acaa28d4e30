"""Harvest from a real CKAN 2.12: packages, an uploaded file, a datastore table; counted."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from catalog.model import RunState
from catalog.runs import Run
from catalog.settings import Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.ckan.harvester import CkanHarvester
from harvesters.engine.engine import Engine
from harvesters.http.client import HttpClient
from layers.contract import Query
from layers.open import open_store
from tests.servers.ckan import Ckan

TABLE_ROWS = 1234
ORG = "bnpb-uji"
RULES = {"allow_networks": ["127.0.0.0/8"], "retries": 1, "backoff_seconds": 0}


@pytest.fixture(scope="module")
def regions(shared_data: Path) -> list[dict[str, str]]:
    """The first real region codes, with their dots."""
    with gzip.open(shared_data / "kode_wilayah_2025.csv.gz", "rt", encoding="utf-8") as file:
        return list(itertools.islice(csv.DictReader(file), 700))


@pytest.fixture(scope="module")
def filled(ckan: Ckan, regions: list[dict[str, str]]) -> Ckan:
    """A CKAN with 25 packages: one with an uploaded CSV, one with a datastore table, one private."""
    ckan.action("organization_create", name=ORG, title="BNPB")
    for n in range(22):
        ckan.action("package_create", name=f"paket-{n:02d}", title=f"Paket {n}", owner_org=ORG,
                    extras=[{"key": "cakupan", "value": "Cianjur"}, {"key": "Tahun 2022", "value": "75"}])  # fmt: skip
    ckan.action("package_create", name="tertutup", owner_org=ORG, private=True)
    ckan.action("package_create", name="kode-wilayah", title="Kode wilayah", owner_org=ORG)
    _upload(ckan, "kode-wilayah", regions)
    ckan.action("package_create", name="kejadian", title="Kejadian bencana", owner_org=ORG)
    _table(ckan, "kejadian", regions)
    return ckan


def _upload(ckan: Ckan, package: str, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    answer = requests.post(
        f"{ckan.url}/api/3/action/resource_create", timeout=60, headers={"Authorization": ckan.token},
        data={"package_id": package, "name": "Tabel kode", "format": "PDF"},  # the form is wrong
        files={"upload": ("kode.csv", text.getvalue().encode(), "text/csv")},
    )  # fmt: skip
    assert answer.ok, answer.text


def _table(ckan: Ckan, package: str, regions: list[dict[str, str]]) -> None:
    code = next(iter(regions[0]))
    records = [{"kode": regions[n % 700][code], "korban": n, "luas": n / 8, "tanggal": "2024-11-04T01:02:03"}
               for n in range(TABLE_ROWS)]  # fmt: skip
    fields = [{"id": "kode", "type": "text"}, {"id": "korban", "type": "int"},
              {"id": "luas", "type": "numeric"}, {"id": "tanggal", "type": "timestamp"}]  # fmt: skip
    ckan.action("datastore_create", resource={"package_id": package, "name": "Kejadian"}, force=True,
                fields=fields, records=records)  # fmt: skip


def source(ckan: Ckan, **options: Any) -> SourceConfig:
    return SourceConfig.model_validate({
        "id": "bnpb", "type": "ckan", "url": ckan.url, "produsen_data": "BNPB",
        "options": {"rows": 10, "table_rows": 500, **options},
        "layers": [{"remote": "*", "where": f"organization:{ORG}"}],
    })  # fmt: skip


def settings_in(folder: Path) -> Settings:
    return Settings.model_validate({"data_dir": folder, "harvest": RULES})


def harvest(settings: Settings, catalog: Catalog, chosen: SourceConfig) -> Run:
    return Engine(settings, catalog, open_store(settings), hooks=[]).run(chosen)


def properties(settings: Settings, catalog: Catalog, dataset_id: str) -> list[dict[str, Any]]:
    version = catalog.datasets.get(dataset_id).version
    assert version is not None
    page = open_store(settings).reader(version).page(Query(limit=5000))
    return [json.loads(feature)["properties"] for feature in page.features]


def test_probe_and_listing_agree_with_ckan(filled: Ckan) -> None:
    http = HttpClient(settings_in(Path()).harvest, source(filled))
    harvester = CkanHarvester(source(filled), http)
    assert harvester.probe().version == "2.12.0"
    listing = harvester.listing()
    found = filled.action("package_search", fq=f"organization:{ORG}", rows=100, sort="id asc")
    assert isinstance(found, dict)
    assert listing.count == found["count"] == 24
    assert listing.ids == tuple(p["id"] for p in found["results"])
    http.close()


def test_packages_and_the_data_behind_them_come_whole(
    filled: Ckan, tmp_path: Path, regions: list[dict[str, str]]
) -> None:
    settings = settings_in(tmp_path)
    with Catalog.open(settings.database_url()) as catalog:
        run = harvest(settings, catalog, source(filled, data=True))
        assert (run.state, run.reason) == (RunState.OK, "")
        assert catalog.runs.errors(run.id) == []
        assert run.layers["(records)"].seen == 24
        by_kind = {kind: catalog.datasets.ids(kind=kind) for kind in ("record", "table")}
        assert len(by_kind["record"]) == 24
        table_id, file_id = by_kind["table"]
        assert table_id.startswith("bnpb-kejadian-")
        assert file_id.startswith("bnpb-kode-wilayah-")
        code = next(iter(regions[0]))
        stored = [r[code] for r in properties(settings, catalog, file_id)]
        assert sorted(stored) == sorted(r[code] for r in regions)
        table = properties(settings, catalog, table_id)
        assert len(table) == TABLE_ROWS == run.layers[table_id].seen
        assert sorted(r["korban"] for r in table) == list(range(TABLE_ROWS))
        assert {r["kode"] for r in table} == {r[code] for r in regions}
        record = catalog.datasets.get("bnpb-paket-07").record
        assert (record.cakupan, record.extras) == ("Cianjur", {"Tahun 2022": "75"})

        versions = [catalog.datasets.get(i).version for i in (file_id, table_id)]
        again = harvest(settings, catalog, source(filled, data=True))
        assert again.state is RunState.UNCHANGED
        assert [catalog.datasets.get(i).version for i in (file_id, table_id)] == versions


def test_private_packages_come_only_with_the_key_and_stay_restricted(
    filled: Ckan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKAN_KEY", filled.token)
    settings = settings_in(tmp_path)
    with_key = source(filled, include_private=True).model_copy(
        update={"auth": {"header:Authorization": "${CKAN_KEY}"}}
    )
    with Catalog.open(settings.database_url()) as catalog:
        harvest(settings, catalog, source(filled))
        assert catalog.datasets.find("bnpb-tertutup") is None
        run = harvest(settings, catalog, with_key)
        assert (run.state, run.reason) == (RunState.OK, "")
        assert catalog.datasets.get("bnpb-tertutup").record.access == "terbatas"


def test_a_deleted_package_is_noted_as_missing(filled: Ckan, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with Catalog.open(settings.database_url()) as catalog:
        harvest(settings, catalog, source(filled))
        filled.action("package_delete", id="paket-21")
        try:
            harvest(settings, catalog, source(filled))
        finally:
            filled.action("package_patch", id="paket-21", state="active")
        assert catalog.datasets.get("bnpb-paket-21").missing_since is not None
        assert catalog.datasets.get("bnpb-paket-20").missing_since is None
