"""The abstract tests of OGC API - EDR 1.1 (19-086r6) for what is claimed, and KNMI's models on what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from covjson_pydantic.coverage import Coverage
from edr_pydantic.collections import Collection

from tests.conformance.classes import EDR, holds
from tests.conformance.rasters import START, raster_door
from tests.ogc_server.world import World

POINT = {"coords": "POINT(107.1 -6.7)"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    with raster_door(tmp_path_factory.mktemp("edr")) as both:
        yield both


@pytest.fixture(scope="module")
def client(opened: tuple[World, httpx.Client]) -> httpx.Client:
    return opened[1]


@holds(f"{EDR}core", "http", "root-op", "root-success", "api-definition", "api-definition-success", "conformance",
       "conformance-success")  # fmt: skip
def test_the_front_door(client: httpx.Client) -> None:
    landing = client.get("/", headers={"accept": "application/json"}).json()
    links = {link["rel"]: link for link in landing["links"]}
    api = links["service-desc"]
    described = client.get(api["href"], headers={"accept": api["type"]})
    assert (described.status_code, described.headers["content-type"]) == (200, api["type"])
    assert described.json()["openapi"].startswith("3.0")
    declared = client.get(links["conformance"]["href"]).json()["conformsTo"]
    assert f"http://www.opengis.net/spec/{EDR}core" in declared
    assert client.get(links["data"]["href"]).status_code == 200
    assert client.get("/tidak-ada").status_code == 404


@pytest.mark.parametrize("name", ["bahaya", "kelas", "berwaktu", "dunia"])
def test_a_raster_is_described_as_edr_has_it(client: httpx.Client, name: str) -> None:
    """The class `collections` is not claimed (tables have no place); rasters do follow its schema."""
    answer = client.get(f"/collections/{name}", headers={"accept": "application/json"})
    doc = answer.json()
    spatial = {key: doc["extent"]["spatial"][key] for key in ("bbox", "crs")}
    known = {key: value for key, value in doc.items() if key in Collection.model_fields}
    said = json.dumps(known | {"extent": doc["extent"] | {"spatial": spatial}})
    described = Collection.model_validate_json(said)
    assert described.data_queries is not None
    assert described.extent.spatial.bbox
    assert {"links", "id", "extent", "data_queries", "parameter_names", "output_formats", "crs"} <= set(doc)
    for kind in ("position", "area"):
        link = doc["data_queries"][kind]["link"]
        assert link["variables"]["query_type"] == kind
        assert client.get(link["href"]).status_code == 400, "without coords"


@holds(f"{EDR}covjson", "definition", "content")
@pytest.mark.parametrize(
    ("path", "coords"),
    [
        ("position", "POINT(107 -6.7)"),
        ("position", "MULTIPOINT((107 -6.7),(106.9 -6.6))"),
        ("area", "POLYGON((107 -6.7,107.1 -6.7,107.1 -6.8,107 -6.7))"),
    ],
)
def test_answers_are_coveragejson(client: httpx.Client, path: str, coords: str) -> None:
    for form in ({}, {"f": "covjson"}):
        answer = client.get(f"/collections/kelas/{path}", params={"coords": coords, **form})
        assert answer.headers["content-type"] == "application/prs.coverage+json"
        Coverage.model_validate_json(answer.content)
    content = client.get("/api").json()["paths"][f"/collections/{{collectionId}}/{path}"]["get"]["responses"][
        "200"
    ]
    assert "application/prs.coverage+json" in content["content"]


def test_another_time_has_no_values(client: httpx.Client) -> None:
    here = "/collections/berwaktu/position"
    there = client.get(here, params={**POINT, "datetime": f"{START:%Y-%m-%d}"})
    assert there.status_code == 200
    assert there.headers["content-datetime"].startswith("2024-01-01")
    assert client.get(here, params={**POINT, "datetime": "2020-01-01/2020-12-31"}).status_code == 404
    assert (
        client.get("/collections/bahaya/position", params={**POINT, "datetime": "2020-01-01"}).status_code
        == 200
    )
