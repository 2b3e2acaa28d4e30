"""OGC's abstract tests of Features Part 1 and 2 (17-069r4 Annex A, 18-058r1 Annex A), on every collection.

They stand in for the official suite where that can not be had, and follow what it checks, so that it
holds no surprise where it can.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import shapely
import shapely.geometry

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GEOJSON = "application/geo+json"
CONF = "http://www.opengis.net/spec/"


@pytest.fixture(scope="module")
def collections(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/collections", headers={"accept": "application/json"}).json()[
        "collections"
    ]
    assert len(found) >= 5
    return found


@pytest.fixture(scope="module")
def parameters(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """The parameters of items, as the suite reads them."""
    api = client.get("/api").json()
    refs = api["paths"]["/collections/{collectionId}/items"]["get"]["parameters"]
    found = [api["components"]["parameters"][ref["$ref"].rpartition("/")[2]] for ref in refs]
    return {one["name"]: one for one in found}


def items_url(collection: dict[str, Any]) -> str:
    return next(
        str(link["href"])
        for link in collection["links"]
        if link["rel"] == "items" and link["type"] == GEOJSON
    )


def items(client: httpx.Client, collection: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = client.get(
        items_url(collection), params=_merged(items_url(collection), params), headers={"accept": GEOJSON}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == GEOJSON
    page: dict[str, Any] = answer.json()
    check_response(page)
    return page


def _merged(url: str, params: dict[str, Any]) -> dict[str, Any]:
    return {**dict(httpx.URL(url).params), **params}


def check_response(page: dict[str, Any]) -> None:
    """/conf/core/fc-response, fc-links, fc-numberMatched, fc-numberReturned."""
    assert page["type"] == "FeatureCollection"
    assert isinstance(page["features"], list)
    assert page["numberReturned"] == len(page["features"]) <= page["numberMatched"]
    assert all(link["rel"] and link["type"] and link["href"] for link in page["links"])
    rels = [link["rel"] for link in page["links"]]
    assert rels.count("self") == 1
    assert {link["type"] for link in page["links"] if link["rel"] == "alternate"} >= {"text/html"}
    for feature in page["features"]:
        if feature["geometry"] is not None:
            west, south, east, north = shapely.geometry.shape(feature["geometry"]).bounds
            assert -180 <= west <= east <= 180
            assert -90 <= south <= north <= 90


def test_landing_api_and_conformance(client: httpx.Client) -> None:
    landing = client.get("/", headers={"accept": "application/json"}).json()
    rels = {link["rel"] for link in landing["links"]}
    assert rels >= {"service-desc", "conformance", "data"}
    assert rels & {"service-doc"}
    api = next(link for link in landing["links"] if link["rel"] == "service-desc")
    assert client.get(api["href"], headers={"accept": api["type"]}).status_code == 200
    declared = set(client.get("/conformance").json()["conformsTo"])
    for name in ("core", "geojson", "html", "oas30"):
        assert f"{CONF}ogcapi-features-1/1.0/conf/{name}" in declared
    assert f"{CONF}ogcapi-features-2/1.0/conf/crs" in declared


@pytest.mark.parametrize("name", ["limit", "bbox", "datetime"])
def test_parameter_definitions(parameters: dict[str, dict[str, Any]], name: str) -> None:
    """/conf/core/fc-{limit,bbox,time}-definition."""
    one = parameters[name]
    assert (one["in"], one["required"], one["style"], one["explode"]) == ("query", False, "form", False)
    schema = one["schema"]
    if name == "limit":
        assert schema["type"] == "integer"
        assert 0 <= schema["minimum"] <= schema["default"] <= schema["maximum"]
    elif name == "bbox":
        assert schema["type"] == "array"
        assert schema["items"] == {"type": "number"}
        assert schema["oneOf"] == [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}]
    else:
        assert schema["type"] == "string"


def test_collections_and_collection_agree(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    for listed in collections:
        doc = client.get(f"/collections/{listed['id']}", headers={"accept": "application/json"}).json()
        assert {link["rel"] for link in doc["links"]} >= {"self", "alternate", "items"}
        for name in ("id", "title", "extent", "crs", "storageCrs", "itemType"):
            assert doc.get(name) == listed.get(name)
        extent = listed.get("extent", {})
        if "temporal" in extent:
            for end in extent["temporal"]["interval"][0]:
                assert datetime.fromisoformat(end).tzinfo is not None


def test_limit(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    for collection in collections:
        for limit in (1, 100):
            assert len(items(client, collection, limit=limit)["features"]) <= limit


def test_bbox(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    boxes = [
        (-1.5, 50, 1.5, 53),
        (-80, -5, -70, 5),
        (177, 65, -177, 70),
        (-180, 85, 180, 90),
        (-180, -90, 180, -85),
    ]
    for collection in collections:
        spatial = collection.get("extent", {}).get("spatial")
        if spatial is None:
            continue
        for box in (*boxes, tuple(spatial["bbox"][0])):
            page = items(client, collection, bbox=",".join(str(number) for number in box))
            west, south, east, north = box
            halves = [(west, east)] if west <= east else [(west, 180), (-180, east)]
            for feature in page["features"]:
                if feature["geometry"] is not None:
                    shape = shapely.geometry.shape(feature["geometry"])
                    assert any(shape.intersects(shapely.box(a, south, b, north)) for a, b in halves)
        if collection["itemType"] == "feature":
            whole = items(client, collection, bbox=",".join(str(n) for n in spatial["bbox"][0]))
            assert whole["numberMatched"] == items(client, collection)["numberMatched"]


def test_datetime(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    for collection in collections:
        temporal = collection.get("extent", {}).get("temporal")
        if temporal is None:
            continue
        begin, end = (datetime.fromisoformat(text).astimezone(UTC) for text in temporal["interval"][0])
        quarter = begin + (end - begin) / 4
        for asked in (
            begin.isoformat().replace("+00:00", "Z"),
            f"{quarter:%Y-%m-%dT%H:%M:%SZ}/{quarter + timedelta(days=60):%Y-%m-%dT%H:%M:%SZ}",
            f"{quarter:%Y-%m-%d}/P2D",
        ):
            items(client, collection, datetime=asked)


def test_query_and_unknown_parameters(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    """/conf/core/query-param-unknown and query-param-invalid."""
    for collection in collections:
        url = items_url(collection)
        for name, value in (
            ("unknownQueryParameter", "1"),
            ("limit", "-1"),
            ("limit", "x"),
            ("bbox", "1,2,3"),
        ):
            assert client.get(url, params=_merged(url, {name: value})).status_code == 400


def test_feature(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    for collection in collections:
        first = items(client, collection, limit=1)["features"][0]
        answer = client.get(
            f"/collections/{collection['id']}/items/{first['id']}", headers={"accept": GEOJSON}
        )
        assert (answer.status_code, answer.headers["content-type"]) == (200, GEOJSON)
        feature = answer.json()
        assert (feature["type"], feature["id"]) == ("Feature", first["id"])
        assert {link["rel"] for link in feature["links"]} >= {"self", "alternate", "collection"}
        for name in ("geometry", "properties"):
            assert feature[name] == first[name]


# -- Part 2 -----------------------------------------------------------------------


def spatial_ones(collections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in collections if one.get("storageCrs")]


def test_crs_lists(collections: list[dict[str, Any]]) -> None:
    found = spatial_ones(collections)
    assert found
    for collection in found:
        assert CRS84 in collection["crs"]
        assert collection["storageCrs"] in collection["crs"]
        assert all(uri.startswith("http://www.opengis.net/def/crs/") for uri in collection["crs"])


def test_crs_parameter_on_features_and_feature(
    client: httpx.Client, collections: list[dict[str, Any]]
) -> None:
    for collection in spatial_ones(collections):
        url = items_url(collection)
        first = items(client, collection, limit=1)["features"][0]["id"]
        for target in (url, f"/collections/{collection['id']}/items/{first}"):
            known = _merged(url, {"limit": 1}) if target == url else {"f": "json"}
            assert client.get(target, params=known).headers["content-crs"] == f"<{CRS84}>"
            for uri in collection["crs"]:
                answer = client.get(target, params={**known, "crs": uri})
                assert answer.status_code == 200
                assert answer.headers["content-crs"] == f"<{uri}>"
            bad = client.get(target, params={**known, "crs": "http://www.opengis.net/def/crs/EPSG/0/0000"})
            assert bad.status_code == 400


def test_bbox_crs(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    for collection in spatial_ones(collections):
        west, south, east, north = collection["extent"]["spatial"]["bbox"][0]
        plain = items(client, collection, bbox=f"{west},{south},{east},{north}")
        named = items(client, collection, bbox=f"{west},{south},{east},{north}", **{"bbox-crs": CRS84})
        swapped = items(
            client, collection, bbox=f"{south},{west},{north},{east}",
            **{"bbox-crs": "http://www.opengis.net/def/crs/EPSG/0/4326"},
        )  # fmt: skip
        assert plain["numberMatched"] == named["numberMatched"] == swapped["numberMatched"]
        url = items_url(collection)
        wrong = {"bbox": "1,1,2,2", "bbox-crs": "http://www.opengis.net/def/crs/EPSG/0/0000"}
        assert client.get(url, params=_merged(url, wrong)).status_code == 400


# -- Part 3 -----------------------------------------------------------------------


def test_queryables_and_filter(client: httpx.Client, collections: list[dict[str, Any]]) -> None:
    rel = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
    for collection in collections:
        href = next(link["href"] for link in collection["links"] if link["rel"] == rel)
        answer = client.get(href)
        assert answer.headers["content-type"] == "application/schema+json"
        doc = answer.json()
        assert doc["$schema"] in (
            "https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
        )  # fmt: skip
        assert doc["type"] == "object"
        assert str(answer.url).split("?")[0] == doc["$id"]
        assert client.get(items_url(collection)).links[rel]["url"] == href.split("?")[0]
        if collection["itemType"] == "feature":
            for text, status in (("1 =", 400), ("tidak_ada = 1", 400)):
                url = items_url(collection)
                assert client.get(url, params=_merged(url, {"filter": text})).status_code == status
