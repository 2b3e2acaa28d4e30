"""Any question at all gets an answer that is not a server error, and a problem document when refused."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import SatuDataError
from ogc_server.app import create_app  # noqa: F401 - imported early, so that no example pays for it
from ogc_server.negotiation import coding, language
from ogc_server.parameters import split_query

RELAXED = settings(max_examples=150)
NAMES = st.sampled_from(
    ["f", "lang", "limit", "offset", "after", "bbox", "bbox-crs", "datetime", "crs", "filter", "filter-lang",
     "filter-crs", "sortby", "properties", "skipGeometry", "version", "nama", "luas", "jenis", "kota", "diperbarui",
     "q", "ids", "type"]
)  # fmt: skip
CRS = "http://www.opengis.net/def/crs/"
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.floats(-200, 200).map(str), min_size=3, max_size=7).map(",".join),
    st.sampled_from(
        ["true", "false", "json", "html", "csv", "jsonld", "id", "en", "nama", "-luas,+nama", "..", "../..",
         "2024-01-01/..", "/2024-01-01", "2024-02-30", "0001-01-01/9999-12-31T23:59:60Z", "cql2-text", "cql2-json",
         f"{CRS}OGC/1.3/CRS84", f"{CRS}EPSG/0/4326", f"{CRS}EPSG/0/3857", f"{CRS}EPSG/0/32754",
         "nama = 'a' AND", "luas > 1e400", "{\"op\":\"=\"}", "S_INTERSECTS(geometry, POINT(999 999))",
         "nama LIKE '%\\'", "luas/0 = 1", "T_DURING(diperbarui, INTERVAL('..','..'))", "179,-10,-179,0",
         "-180,-90,180,90", "9e307,9e307,9e307,9e307", "WzEsMl0", "1 = 1", "NOT NOT TRUE"]
    ),
)  # fmt: skip
PATHS = st.sampled_from(
    ["/", "/collections", "/collections/desa", "/collections/desa/items", "/collections/desa-utm/items",
     "/collections/gudang/items", "/collections/idm/items", "/collections/desa/items/32.03.01.1006",
     "/collections/katalog/items", "/collections/desa/queryables", "/collections/desa/schema", "/health"]
)  # fmt: skip


def fine(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (str(answer.request.url), answer.text[:500])
    if answer.status_code >= 400:
        media = answer.headers["content-type"]
        assert media.startswith(("application/problem+json", "text/html")), (media, answer.text[:200])


@RELAXED
@given(path=PATHS, params=st.dictionaries(NAMES, VALUES, max_size=5))
def test_no_query_is_a_server_error(client: httpx.Client, path: str, params: dict[str, str]) -> None:
    fine(client.get(path, params=params))


@RELAXED
@given(text=st.text(max_size=60))
def test_no_filter_text_is_a_server_error(client: httpx.Client, text: str) -> None:
    fine(client.get("/collections/desa/items", params={"filter": text, "limit": 1}))


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.fixed_dictionaries(
            {"op": st.sampled_from(["=", "and", "or", "not", "like", "in", "between", "casei", "s_within", "+", "x"]),
             "args": st.lists(st.one_of(inner, st.just({"property": "luas"})), max_size=3)}
        ),
        st.dictionaries(st.sampled_from(["property", "date", "bbox", "type", "coordinates"]), inner, max_size=2),
    ),
    max_leaves=8,
)  # fmt: skip


@RELAXED
@given(body=_JSON)
def test_no_filter_json_is_a_server_error(client: httpx.Client, body: Any) -> None:
    import json

    fine(
        client.post(
            "/collections/desa/items?limit=1",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
    )


@RELAXED
@given(path=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30))
def test_no_path_is_a_server_error(client: httpx.Client, path: str) -> None:
    from urllib.parse import quote

    fine(client.get("/" + quote(path)))
    fine(client.get("/collections/desa/items/" + quote(path, safe="")))


_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@RELAXED
@given(accept=_HEADER, lang=_HEADER, encoding=_HEADER, known=_HEADER)
def test_no_header_is_a_server_error(
    client: httpx.Client, accept: str, lang: str, encoding: str, known: str
) -> None:
    headers = {
        "accept": accept.strip(), "accept-language": lang.strip(), "if-none-match": known.strip(),
        "x-request-id": known.strip(),
    }  # fmt: skip
    fine(client.get("/collections/desa/items?limit=1", headers=headers))
    assert coding(encoding) in ("br", "gzip", "identity")
    assert language(None, lang) in ("id", "en")


@RELAXED
@given(raw=st.binary(max_size=60))
def test_any_query_string_is_read_or_refused(raw: bytes) -> None:
    try:
        pairs = split_query(raw)
    except SatuDataError as error:
        refused = error.http_status
    else:
        refused = 400
        assert len({name for name, _ in pairs}) == len(pairs)
    assert refused in (400, 414)


def test_an_endless_query_string_and_body_are_refused(client: httpx.Client) -> None:
    assert client.get("/collections?q=" + "x" * 20_000).status_code == 414
    big = b"[" * (1 << 21)
    answer = client.post("/collections/desa/items", content=big, headers={"content-type": "application/json"})
    assert answer.status_code == 413
