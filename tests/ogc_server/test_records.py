"""The catalogue as OGC API Records and DCAT."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

ITEMS = "/collections/katalog/items"


def ids(client: httpx.Client, **params: Any) -> list[str]:
    answer = client.get(ITEMS, params=params)
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


def test_every_public_dataset_is_a_record(client: httpx.Client) -> None:
    assert sorted(ids(client)) == ["desa", "desa-utm", "gudang", "idm", "peta"]


def test_a_record_has_what_the_standard_asks(client: httpx.Client) -> None:
    record = client.get(f"{ITEMS}/desa").json()
    assert record["type"] == "Feature"
    assert record["conformsTo"] == ["http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/record-core"]
    assert record["geometry"]["type"] == "Polygon"
    assert "time" in record
    properties = record["properties"]
    assert properties["type"] == "dataset"
    assert properties["title"] == "Batas Desa Cianjur"
    assert properties["produsen_data"] == "Badan Informasi Geospasial"
    assert properties["externalIds"] == [{"scheme": "cianjur", "value": "desa"}]
    assert {"self", "collection", "data", "license", "item"} <= {link["rel"] for link in record["links"]}
    service = client.get(f"{ITEMS}/peta").json()
    assert service["properties"]["type"] == "service"
    assert "https://example.go.id/wms" in {link["href"] for link in service["links"]}


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"q": "indeks"}, {"idm"}),
        ({"q": "*"}, {"desa", "desa-utm", "gudang", "idm", "peta"}),
        ({"q": ""}, {"desa", "desa-utm", "gudang", "idm", "peta"}),
        ({"q": "__import__('os').system('x')"}, set()),
        ({"q": "\"'%_;--"}, set()),
        ({"ids": "idm,peta,rahasia"}, {"idm", "peta"}),
        ({"externalIds": "idm"}, {"idm"}),
        ({"type": "service"}, {"peta"}),
        ({"type": "dataset"}, {"desa", "desa-utm", "gudang", "idm"}),
        ({"type": "table"}, {"idm"}),
        ({"type": "tidakada"}, set()),
        ({"produsen_data": "BIG"}, {"peta"}),
        ({"bbox": "107,-7,107.1,-6.9", "q": "batas"}, {"desa"}),
    ],
)
def test_records_are_found(client: httpx.Client, params: dict[str, str], wanted: set[str]) -> None:
    assert set(ids(client, **params)) == wanted


def test_sorting_and_paging(client: httpx.Client) -> None:
    assert ids(client, sortby="-id") == ["peta", "idm", "gudang", "desa-utm", "desa"]
    page = client.get(ITEMS, params={"limit": 2, "sortby": "id"}).json()
    assert page["numberMatched"] == 5
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert [feature["id"] for feature in client.get(following).json()["features"]] == ["gudang", "idm"]
    last = client.get(ITEMS, params={"limit": 2, "offset": 4, "sortby": "id"}).json()
    assert "next" not in {link["rel"] for link in last["links"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bbox", "1,2,3"),
        ("datetime", "kemarin"),
        ("sortby", "warna"),
        ("limit", "0"),
        ("warna", "biru"),
        ("f", "xml"),
    ],
)
def test_malformed_questions_are_400(client: httpx.Client, name: str, value: str) -> None:
    answer = client.get(ITEMS, params={name: value})
    assert (answer.status_code, answer.json()["where"]) == (400, name)


def test_unknown_withdrawn_and_hidden_records(client: httpx.Client) -> None:
    assert client.get(f"{ITEMS}/takada").status_code == 404
    assert client.get(f"{ITEMS}/rahasia").status_code == 404
    assert client.get(f"{ITEMS}/ditarik").status_code == 410


def test_dcat(client: httpx.Client) -> None:
    doc = client.get(ITEMS, params={"f": "jsonld"}).json()
    assert doc["@type"] == "dcat:Catalog"
    desa = next(one for one in doc["dcat:dataset"] if one["dct:identifier"] == "desa")
    assert desa["dct:license"] == "CC-BY-4.0"
    assert desa["dcat:distribution"][0]["dcat:mediaType"] == "application/geo+json"
    one = client.get(f"{ITEMS}/desa", headers={"accept": "application/ld+json"}).json()
    assert one["@type"] == "dcat:Dataset"
    assert one["@context"]["dcat"] == "http://www.w3.org/ns/dcat#"


def test_records_come_as_a_table_too(client: httpx.Client) -> None:
    answer = client.get(ITEMS, params={"f": "csv", "lang": "id"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(row["id"] for row in rows) == sorted(ids(client))
    desa = next(row for row in rows if row["id"] == "desa")
    assert desa["title"] == "Batas Desa Cianjur"
    assert desa["produsen_data"] == "Badan Informasi Geospasial"
    assert client.get(desa["href"]).json()["id"] == "desa"
    linked = client.get("/collections/katalog").json()["links"]
    assert any(link["rel"] == "items" and link["type"].startswith("text/csv") for link in linked)
