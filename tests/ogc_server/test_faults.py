"""What plain pygeoapi and its peers get wrong, one test per line of the fault list."""

from __future__ import annotations

import time
from typing import Any

import httpx
import orjson
import pytest

ITEMS = "/collections/desa/items"
CRS = "http://www.opengis.net/def/crs/"


def matched(client: httpx.Client, path: str, **params: Any) -> int:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["numberMatched"])


def problem(client: httpx.Client, path: str, status: int = 400, **params: Any) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    doc: dict[str, Any] = answer.json()
    assert doc["status"] == status
    assert doc["request_id"] == answer.headers["x-request-id"]
    return doc


# -- filters ------------------------------------------------------------------


def test_filter_crs_and_bbox_crs_of_every_offered_crs_select_the_same(client: httpx.Client) -> None:
    from ogc_server.crs import CRS84, offered, transformer

    west, south, east, north = 107.0, -6.85, 107.2, -6.75
    plain = matched(client, ITEMS, bbox=f"{west},{south},{east},{north}")
    assert plain > 5
    for crs in offered("EPSG:4326").values():
        if crs.code.startswith(("EPSG:3264", "EPSG:3265", "EPSG:3275")) and crs.code != "EPSG:32648":
            continue  # far from its zone a UTM grid bends too much for a comparison of boxes
        xs, ys = transformer(CRS84.code, crs.code).transform(
            [west, east, east, west], [south, south, north, north]
        )
        pairs = [(y, x) if crs.swapped else (x, y) for x, y in zip(xs, ys, strict=True)]
        ring = ", ".join(f"{a:.9f} {b:.9f}" for a, b in [*pairs, pairs[0]])
        chosen = {"filter": f"S_INTERSECTS(geometry, POLYGON(({ring})))", "filter-crs": crs.uri}
        assert abs(matched(client, ITEMS, **chosen) - plain) <= 1, crs
        box = [
            min(p[0] for p in pairs),
            min(p[1] for p in pairs),
            max(p[0] for p in pairs),
            max(p[1] for p in pairs),
        ]
        given = {"bbox": ",".join(f"{n:.9f}" for n in box), "bbox-crs": crs.uri}
        assert abs(matched(client, ITEMS, **given) - plain) <= 2, crs


def test_cql2_bbox_literal_is_read(client: httpx.Client) -> None:
    by_literal = matched(client, ITEMS, filter="S_INTERSECTS(geometry, BBOX(107.0, -6.85, 107.2, -6.75))")
    assert by_literal == matched(client, ITEMS, bbox="107.0,-6.85,107.2,-6.75")


def test_a_filter_is_never_ignored(client: httpx.Client) -> None:
    everything = matched(client, ITEMS)
    few = matched(client, ITEMS, filter="kecamatan = 'Cugenang'")
    assert 0 < few < everything
    as_json = '{"op":"=","args":[{"property":"kecamatan"},"Cugenang"]}'
    assert matched(client, ITEMS, **{"filter": as_json, "filter-lang": "cql2-json"}) == few
    posted = client.post(ITEMS, content=as_json, headers={"content-type": "application/json"})
    assert posted.json()["numberMatched"] == few
    assert matched(client, ITEMS, filter="luas > 100 OR luas <= 100 AND nama = 'tidak ada'") == matched(
        client, ITEMS, filter="luas > 100"
    )


@pytest.mark.parametrize(
    "wrong", ["nama =", "nama = 'x", "tidakada = 1", "nama > 5", "S_INTERSECTS(nama, POINT(1 2))", "f(nama) = 1",
              "S_INTERSECTS(geometry, POLYGON((0 0)))", "luas LIKE 'a%'", "POINT(1 2)", "nama IN ()", "'"],
)  # fmt: skip
def test_a_malformed_filter_is_400_and_says_where(client: httpx.Client, wrong: str) -> None:
    assert problem(client, ITEMS, filter=wrong)["where"] == "filter"


def test_thousands_of_nested_parentheses_are_refused_at_once(client: httpx.Client) -> None:
    began = time.perf_counter()
    problem(client, ITEMS, filter="(" * 1500 + "luas>1" + ")" * 1500)
    deep = '{"op":"not","args":[' * 1500 + "true" + "]}" * 1500
    answer = client.post(ITEMS, content=deep, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert time.perf_counter() - began < 20  # pygeoapi hangs


def test_all_parameters_are_kept_in_next_prev_and_self(client: httpx.Client) -> None:
    asked: dict[str, str] = {
        "limit": "3", "offset": "3", "bbox": "106,-8,108,-6", "filter": "luas > 10", "sortby": "-luas,nama",
        "properties": "nama,luas", "crs": f"{CRS}EPSG/0/23830", "lang": "en", "kota": "false",
    }  # fmt: skip
    answer = client.get(ITEMS, params=asked)
    links = {link["rel"]: httpx.URL(link["href"]).params for link in answer.json()["links"]}
    for rel in ("self", "next", "prev"):
        for name, value in asked.items():
            if name != "offset":
                assert links[rel][name] == value, (rel, name)
    assert "offset" not in links["next"]
    assert links["self"]["offset"] == "3"
    assert client.get(links_href(answer, "next")).json()["numberReturned"] == 3


def links_href(answer: httpx.Response, rel: str) -> str:
    return str(next(link["href"] for link in answer.json()["links"] if link["rel"] == rel))


# -- SQLiteGPKG and PostgreSQL providers ---------------------------------------


def test_number_matched_and_returned_are_there(client: httpx.Client) -> None:
    page = client.get(ITEMS, params={"limit": 7}).json()
    assert page["numberMatched"] == 360
    assert page["numberReturned"] == len(page["features"]) == 7


def test_sortby_and_properties_are_obeyed(client: httpx.Client) -> None:
    page = client.get(ITEMS, params={"sortby": "-luas", "properties": "luas", "limit": 50}).json()
    areas = [feature["properties"]["luas"] for feature in page["features"]]
    assert areas == sorted(areas, reverse=True)
    assert all(feature["properties"].keys() == {"luas"} for feature in page["features"])


def test_24_requests_at_once_all_succeed(address: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> int:
        query = {"limit": "5", "filter": f"luas > {number}"}
        return httpx.get(f"{address}{ITEMS}", params=query, timeout=60, trust_env=False).status_code

    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(ask, range(120))) == {200}


def test_datetime_without_a_time_field_selects_all(client: httpx.Client) -> None:
    assert matched(client, "/collections/gudang/items", datetime="2024-01-01/2024-02-01") == 25


def test_a_feature_id_or_value_of_another_type_is_no_500(client: httpx.Client) -> None:
    assert problem(client, "/collections/gudang/items/abc", 404)["code"] == "not-found"
    assert problem(client, "/collections/gudang/items", stok="banyak")["where"] == "stok"


def test_paging_over_a_tied_column_loses_nothing(client: httpx.Client) -> None:
    seen: list[str] = []
    url = f"{ITEMS}?sortby=kecamatan&limit=17&skipGeometry=true"
    while url:
        page = client.get(url).json()
        assert page["numberReturned"] > 0, "an empty page was linked"
        seen += [feature["id"] for feature in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert len(seen) == len(set(seen)) == 360


def test_attribute_order_is_the_schema_order(client: httpx.Client) -> None:
    feature = client.get(ITEMS, params={"limit": 1}).json()["features"][0]
    assert list(feature["properties"]) == ["nama", "kecamatan", "luas", "jenis", "kota", "diperbarui"]


# -- content negotiation --------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/geo+json"),
        ("*/*", "application/geo+json"),
        ("application/geo+json", "application/geo+json"),
        ("application/json", "application/json"),
        ("text/html;q=0.5, application/geo+json;q=0.9", "application/geo+json"),
        ("text/html, application/geo+json;q=0.9", "text/html; charset=utf-8"),
        ("text/csv;q=0.2, application/ld+json;q=0.3", "application/ld+json"),
        ("text/csv, application/geo+json", "text/csv; charset=utf-8; header=present"),
        ("application/geo+json;q=0, */*;q=0.1", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
    ],
)
def test_accept_order_and_q_values_decide(client: httpx.Client, accept: str | None, media: str) -> None:
    headers = {"accept": accept} if accept is not None else {"accept": "*/*"}
    answer = client.get(ITEMS, params={"limit": 1}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    self_link = next(link for link in answer.links.values() if link["rel"] == "self")
    assert self_link["type"] == media.split(";")[0] or "text" in media


def test_nothing_acceptable_is_406(client: httpx.Client) -> None:
    for accept in ("image/png", "*/*;q=0", "application/geo+json;q=0"):
        answer = client.get(ITEMS, headers={"accept": accept})
        assert answer.status_code == 406
        assert answer.json()["code"] == "not-acceptable"


def test_gzip_q_zero_is_obeyed_and_unknown_f_is_400_even_under_gzip(client: httpx.Client) -> None:
    plain = client.get(ITEMS, headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    zipped = client.get(ITEMS, params={"f": "zzz"}, headers={"accept-encoding": "gzip"})
    assert zipped.status_code == 400
    assert zipped.json()["where"] == "f"
    both = client.get(ITEMS, headers={"accept-encoding": "gzip;q=0.3, br;q=0.8"})
    assert both.headers["content-encoding"] == "br"
    assert orjson.loads(both.content) == plain.json()


# -- parameters -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limt", "3"), ("limit", "0"), ("limit", "-1"), ("limit", "x"), ("limit", "1.5"), ("limit", ""),
        ("offset", "-1"), ("offset", "99999999999999999999"), ("offset", "x"),
        ("datetime", "2024-13-01"), ("datetime", "2024-02-32"), ("datetime", "2024-02-01/2024-01-01"),
        ("datetime", "2024-01-01/2024-01-02/2024-01-03"), ("datetime", ""), ("datetime", "kemarin"),
        ("datetime", "2024-01-01T00:00:00"), ("datetime", "2024-01-01T25:00:00Z"), ("datetime", ".."),
        ("bbox", "NaN,1,2,3"), ("bbox", "1,2,inf,4"), ("bbox", "1,-91,2,3"), ("bbox", "1,2,3,91"),
        ("bbox", "1,2,3"), ("bbox", "1,2,3,4,5"), ("bbox", "a,b,c,d"), ("bbox", "1,5,2,3"), ("bbox", ""),
        ("bbox", "181,1,182,2"), ("bbox", "1e400,1,2,3"), ("bbox", "1_0,1,2,3"),
        ("bbox-crs", f"{CRS}EPSG/0/4326"), ("crs", "EPSG:4326"), ("crs", f"{CRS}EPSG/0/2154"),
        ("skipGeometry", "maybe"), ("skipGeometry", "True"), ("properties", "tidakada"), ("properties", ""),
        ("sortby", "tidakada"), ("sortby", ""), ("sortby", "nama,nama"), ("filter", ""),
        ("filter-lang", "cql2-text"), ("filter-crs", f"{CRS}OGC/1.3/CRS84"), ("version", "0"), ("version", "x"),
        ("after", "bukan-penanda"), ("lang", "fr"), ("f", ""), ("luas", "besar"), ("kota", "ya"),
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_400_and_named(client: httpx.Client, name: str, value: str) -> None:
    assert problem(client, ITEMS, 400, **{name: value})["where"] == name


def test_a_parameter_given_twice_is_400(client: httpx.Client) -> None:
    assert client.get(f"{ITEMS}?limit=1&limit=2").status_code == 400


def test_six_number_bbox_is_read(client: httpx.Client) -> None:
    assert matched(client, ITEMS, bbox="107.0,-6.85,-100,107.2,-6.75,4000") == matched(
        client, ITEMS, bbox="107.0,-6.85,107.2,-6.75"
    )


def test_an_antimeridian_bbox_selects_what_is_in_it(client: httpx.Client) -> None:
    page = client.get("/collections/gudang/items", params={"bbox": "179,-10,-179,0"}).json()
    assert [feature["id"] for feature in page["features"]] == [24, 25]


def test_limits_are_clamped(client: httpx.Client, world: Any) -> None:
    page = client.get("/collections/idm/items", params={"limit": 999_999_999}).json()
    assert page["numberReturned"] == page["numberMatched"] <= world.settings.server.limit_max


# -- paging -----------------------------------------------------------------------


def test_offset_far_beyond_the_end_is_an_empty_page(client: httpx.Client) -> None:
    page = client.get(ITEMS, params={"offset": 10**17}).json()
    assert page["features"] == []
    assert not [link for link in page["links"] if link["rel"] == "next"]


def test_the_last_page_is_not_empty(client: httpx.Client) -> None:
    page = client.get(ITEMS, params={"offset": 350, "limit": 10}).json()
    assert page["numberReturned"] == 10
    assert not [link for link in page["links"] if link["rel"] == "next"]


# -- headers ----------------------------------------------------------------------


def test_validators_cache_rules_and_vary(client: httpx.Client) -> None:
    first = client.get(ITEMS, params={"limit": 2})
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert {"Accept", "Accept-Encoding", "Accept-Language"} <= set(first.headers["vary"].split(", "))
    again = client.get(ITEMS, params={"limit": 2}, headers={"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(ITEMS, params={"limit": 2}, headers={"accept": "text/csv"})
    assert other.headers["etag"] != tag
    assert client.get(ITEMS, params={"limit": 3}).headers["etag"] != tag
    assert client.get(ITEMS, params={"limit": 2}, headers={"if-none-match": '"x"'}).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_the_tag_differs_per_coding_and_still_revalidates(client: httpx.Client, coding: str) -> None:
    first = client.get(ITEMS, headers={"accept-encoding": coding})
    assert first.headers["content-encoding"] == coding
    plain = client.get(ITEMS, headers={"accept-encoding": "identity"})
    assert first.headers["etag"] != plain.headers["etag"]
    headers = {"accept-encoding": coding, "if-none-match": first.headers["etag"]}
    again = client.get(ITEMS, headers=headers)
    assert (again.status_code, again.headers["etag"]) == (304, first.headers["etag"])


def test_cors_exposes_what_clients_need(client: httpx.Client) -> None:
    answer = client.get(ITEMS, headers={"origin": "https://peta.example"})
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("Content-Crs", "Link", "ETag"))
    asked = {"origin": "https://peta.example", "access-control-request-method": "GET"}
    preflight = client.options(ITEMS, headers=asked)
    assert preflight.status_code == 204
    assert "GET" in preflight.headers["access-control-allow-methods"]


def test_no_header_tells_the_software_and_all_protect(client: httpx.Client) -> None:
    for path in ("/", "/collections", ITEMS, "/tidak-ada", "/?f=html", "/static/satudata.css"):
        answer = client.get(path)
        assert "x-powered-by" not in answer.headers
        assert "server" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_head_is_get_without_body(client: httpx.Client) -> None:
    got, head = client.get(ITEMS, params={"limit": 2}), client.head(ITEMS, params={"limit": 2})
    assert head.content == b""
    for name in ("content-type", "content-length", "etag", "content-crs", "link"):
        assert head.headers[name] == got.headers[name]


def test_content_crs_follows_the_crs(client: httpx.Client) -> None:
    for name in ("OGC/1.3/CRS84", "EPSG/0/4326", "EPSG/0/3857", "EPSG/0/23830", "EPSG/0/32748"):
        answer = client.get(ITEMS, params={"crs": CRS + name, "limit": 1})
        assert answer.headers["content-crs"] == f"<{CRS}{name}>"


# -- errors -----------------------------------------------------------------------


def test_errors_are_problem_documents_in_the_asked_language(client: httpx.Client) -> None:
    indonesian = problem(client, "/collections/takada", 404)
    english = problem(client, "/collections/takada", 404, lang="en")
    assert indonesian["title"] == "Tidak ditemukan"
    assert english["title"] == "Not found"
    page = client.get("/collections/takada", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_a_wrong_method_is_405_with_allow(client: httpx.Client) -> None:
    answer = client.put("/collections")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_forged_host_or_path_is_400(client: httpx.Client) -> None:
    assert client.get("/", headers={"host": 'x"><script>'}).status_code == 400
    assert client.get("/collections/%ff").status_code == 400


def test_an_encoded_slash_stays_in_the_feature_id(client: httpx.Client) -> None:
    assert problem(client, "/collections/desa/items/a%2Fb", 404)["detail"].count("a/b") == 1


# -- schemas, records, bytes --------------------------------------------------------


def test_queryables_have_the_https_schema_and_items_link_to_them(client: httpx.Client) -> None:
    queryables = client.get("/collections/desa/queryables")
    assert queryables.headers["content-type"] == "application/schema+json"
    assert queryables.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    rel = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
    assert client.get(ITEMS, params={"limit": 1}).links[rel]["url"].endswith("/collections/desa/queryables")


def test_records_of_the_final_standard(client: httpx.Client) -> None:
    classes = client.get("/conformance").json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/record-core" in classes
    rel = "http://www.opengis.net/def/rel/ogc/1.0/ogc-catalog"
    assert rel in {link["rel"] for link in client.get("/").json()["links"]}
    catalogue = client.get("/collections/katalog").json()
    assert (catalogue["type"], catalogue["itemType"]) == ("Collection", "record")
    some = client.get("/collections/katalog/items", params={"ids": "desa,idm"}).json()
    assert {feature["id"] for feature in some["features"]} == {"desa", "idm"}
    assert client.get("/collections/katalog/items", params={"q": "*"}).status_code == 200


def test_coordinates_have_at_most_seven_decimals(client: httpx.Client) -> None:
    """By value: the writer of GEOS spells one double in a thousand longer than it needs to."""
    for feature in client.get(ITEMS, params={"limit": 20}).json()["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            for x, y in (point for ring in polygon for point in ring):
                assert (round(x, 7), round(y, 7)) == (x, y)


def test_collections_name_their_licence(client: httpx.Client) -> None:
    doc = client.get("/collections/desa").json()
    assert doc["license"] == "CC-BY-4.0"
    assert "license" in {link["rel"] for link in doc["links"]}


def test_html_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    import re

    for path in (
        "/",
        "/collections",
        "/collections/desa",
        ITEMS,
        "/collections/katalog/items",
        "/api",
        "/health",
    ):
        page = client.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1)[^"]*\.(?:js|css)', page.text)
