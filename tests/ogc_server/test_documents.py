"""The documents about the data: API definition, conformance, collections, schemas, health, languages."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from catalog.messages import catalogue
from ogc_server.conformance import CLASSES
from ogc_server.routes import ROUTES
from tests.ogc_server.world import World

OGC = "http://www.opengis.net/def/rel/ogc/1.0/"


@pytest.fixture(scope="module")
def api(client: httpx.Client) -> dict[str, Any]:
    """The API definition."""
    doc: dict[str, Any] = client.get("/api").json()
    return doc


def rels(doc: dict[str, Any]) -> set[str]:
    return {link["rel"] for link in doc["links"]}


def test_the_landing_page_leads_everywhere(client: httpx.Client) -> None:
    doc = client.get("/").json()
    assert doc["title"] == "Data Uji"
    assert rels(doc) >= {
        "self",
        "alternate",
        "service-desc",
        "service-doc",
        "conformance",
        "data",
        f"{OGC}ogc-catalog",
    }
    desc = next(link for link in doc["links"] if link["rel"] == "service-desc")
    assert desc["type"] == "application/vnd.oai.openapi+json;version=3.0"
    assert client.get(desc["href"]).headers["content-type"] == desc["type"]
    for link in doc["links"]:
        assert client.get(link["href"]).status_code == 200, link


def test_openapi_is_valid_closed_and_small(api: dict[str, Any], client: httpx.Client) -> None:
    validate(api)
    assert api["openapi"] == "3.0.3"
    text = client.get("/api").text
    assert '"$ref":"http' not in text
    assert len(text) < 120_000  # grows with the doors we have, not with the collections


def test_openapi_names_every_parameter_of_items(api: dict[str, Any]) -> None:
    refs = api["paths"]["/collections/{collectionId}/items"]["get"]["parameters"]
    found = {api["components"]["parameters"][ref["$ref"].rpartition("/")[2]]["name"] for ref in refs}
    assert found == {
        "collectionId", "f", "lang", "limit", "offset", "after", "bbox", "bbox-crs", "datetime", "crs", "filter",
        "filter-lang", "filter-crs", "sortby", "properties", "skipGeometry", "version", "queryables",
    }  # fmt: skip


def test_openapi_describes_every_route(api: dict[str, Any]) -> None:
    assert set(api["paths"]) == {"/" + "/".join(route.pattern) for route in ROUTES}


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"), ("/conformance", "/conformance"), ("/collections", "/collections"),
        ("/collections/desa", "/collections/{collectionId}"),
        ("/collections/desa/items?limit=3", "/collections/{collectionId}/items"),
        ("/collections/idm/items?limit=3", "/collections/{collectionId}/items"),
        ("/collections/desa/items/32.03.01.1006", "/collections/{collectionId}/items/{featureId}"),
        ("/collections/katalog/items", "/collections/katalog/items"),
        ("/collections/katalog/items/desa", "/collections/katalog/items/{recordId}"),
    ],
)  # fmt: skip
def test_answers_meet_their_schemas(
    client: httpx.Client, api: dict[str, Any], path: str, template: str
) -> None:
    answer = client.get(path)
    media = answer.headers["content-type"]
    schema = api["paths"][template]["get"]["responses"]["200"]["content"][media]["schema"]
    jsonschema.validate(answer.json(), _closed(schema, api))
    assert answer.headers["content-language"] == "id"


def _closed(node: Any, api: dict[str, Any]) -> Any:
    """Return an OpenAPI 3.0 schema as plain JSON Schema (references filled in, `nullable` spelled out)."""
    if isinstance(node, list):
        return [_closed(one, api) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _closed(api["components"]["schemas"][node["$ref"].rpartition("/")[2]], api)
    made = {key: _closed(value, api) for key, value in node.items()}
    if made.pop("nullable", False):
        made["type"] = [made["type"], "null"]
    return made


def test_conformance_is_what_the_server_says_everywhere(client: httpx.Client) -> None:
    doc = client.get("/conformance").json()
    assert doc["conformsTo"] == list(CLASSES)
    assert len(set(CLASSES)) == len(CLASSES)


def test_a_collection_says_all_that_clients_need(client: httpx.Client) -> None:
    doc = client.get("/collections/desa").json()
    assert doc["itemType"] == "feature"
    assert doc["itemCount"] == 360
    assert doc["extent"]["spatial"]["crs"] == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    west, south, east, north = doc["extent"]["spatial"]["bbox"][0]
    assert 106 < west < east < 108
    assert -8 < south < north < -6
    ((begin, end),) = doc["extent"]["temporal"]["interval"]
    assert begin.startswith("2024-01")
    assert end.startswith("2024-12")
    assert rels(doc) >= {
        "self",
        "items",
        "license",
        "describedby",
        f"{OGC}schema",
        f"{OGC}queryables",
        f"{OGC}sortables",
    }
    for link in doc["links"]:
        if link["href"].startswith(str(client.base_url)):
            answer = client.get(link["href"])
            assert answer.status_code == 200, link
            assert answer.headers["content-type"].split(";")[0] == link["type"].split(";")[0], link


def test_english_on_request(client: httpx.Client) -> None:
    for asked in ({"params": {"lang": "en"}}, {"headers": {"accept-language": "fr, en;q=0.8, id;q=0.2"}}):
        answer = client.get("/collections/desa", **asked)  # type: ignore[arg-type]
        assert answer.json()["title"] == "Batas Desa Cianjur (en)"
        assert answer.headers["content-language"] == "en"


def test_collections_can_be_searched_and_paged(client: httpx.Client) -> None:
    def ids(**params: Any) -> list[str]:
        return [one["id"] for one in client.get("/collections", params=params).json()["collections"]]

    assert ids() == ["katalog", "desa", "desa-utm", "gudang", "idm"]
    assert ids(q="indeks") == ["idm"]
    assert ids(q="tidakadakata") == []
    assert "desa" not in ids(bbox="0,0,1,1")
    assert ids(limit=1) == ["katalog", "desa"]
    page = client.get("/collections", params={"limit": 1}).json()
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert [one["id"] for one in client.get(following).json()["collections"]] == ["desa-utm"]


def test_the_schema_has_roles_and_types(client: httpx.Client) -> None:
    doc = client.get("/collections/desa/schema").json()
    jsonschema.Draft202012Validator.check_schema(doc)
    assert doc["$id"].endswith("/collections/desa/schema")
    assert doc["x-ogc-collectionId"] == "desa"
    properties = doc["properties"]
    assert properties["geometry"] == {
        "title": "Geometri", "format": "geometry-multipolygon", "x-ogc-role": "primary-geometry",
        "x-ogc-propertySeq": 2,
    }  # fmt: skip
    assert properties["id"]["x-ogc-role"] == "id"
    assert properties["diperbarui"]["x-ogc-role"] == "primary-instant"
    assert properties["diperbarui"]["format"] == "date-time"
    assert properties["luas"] | {"x-ogc-propertySeq": 0} == {
        "title": "luas", "type": "number", "x-ogc-unit": "ha", "x-ogc-propertySeq": 0,
    }  # fmt: skip
    for feature in client.get("/collections/desa/items?limit=20").json()["features"]:
        shape = {
            name: {**said, "type": [said["type"], "null"]}
            for name, said in properties.items()
            if "type" in said
        }
        jsonschema.validate(feature["properties"], {"type": "object", "properties": shape})


def test_queryables_are_what_filters_take(client: httpx.Client) -> None:
    properties = client.get("/collections/desa/queryables").json()["properties"]
    assert set(properties) == {"geometry", "nama", "kecamatan", "luas", "jenis", "kota", "diperbarui"}
    for name in set(properties) - {"geometry"}:
        answer = client.get("/collections/desa/items", params={"filter": f"{name} IS NULL", "limit": 1})
        assert answer.status_code == 200
    for name in client.get("/collections/desa/sortables").json()["properties"]:
        assert client.get("/collections/desa/items", params={"sortby": name, "limit": 1}).status_code == 200


def test_old_addresses_of_pygeoapi_still_lead_to_the_definition(client: httpx.Client) -> None:
    assert client.get("/openapi").json() == client.get("/api").json()


def test_trailing_slashes_do_no_harm(client: httpx.Client) -> None:
    assert client.get("/collections/").json()["collections"]
    assert client.get("/collections/desa/items/").status_code == 200


def test_health_says_what_is_up(client: httpx.Client) -> None:
    doc = client.get("/health").json()
    assert (doc["status"], doc["collections"], doc["broken"]) == ("ok", 4, [])
    for path in ("/health", "/health/live", "/health/ready"):
        answer = client.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_the_public_address_of_the_settings_is_used_in_links(world: World) -> None:
    from ogc_server.app import Dispatcher

    settings = world.settings.model_copy(deep=True)
    settings.server.url = "https://geo.example.go.id/api/"
    scope: dict[str, Any] = {
        "method": "GET",
        "headers": [],
        "path": "/",
        "scheme": "http",
        "query_string": b"",
        "server": None,
    }
    assert Dispatcher(settings)._ask(scope).base == "https://geo.example.go.id/api"


def test_every_text_is_there_in_both_languages() -> None:
    import re
    from pathlib import Path

    import ogc_server

    known = catalogue()
    folder = Path(ogc_server.__file__).parent
    used: set[str] = set()
    for path in folder.glob("*.py"):
        used |= set(re.findall(r'(?:text\(|ParameterError\()\s*"([a-z][a-z.-]+)"', path.read_text("utf-8")))
    for route in ROUTES:
        used |= {f"api.{route.summary}", *(f"api.param.{param.name}" for param in route.table(_server()))}
    assert used
    for key in used:
        assert known.get(key, {}).keys() == {"id", "en"}, key


def _server() -> Any:
    from catalog.settings import ServerSettings

    return ServerSettings()
