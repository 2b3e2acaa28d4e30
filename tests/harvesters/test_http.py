"""The HTTP client against a server that misbehaves."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import (
    AuthSourceError,
    CancelledRunError,
    ConfigError,
    ForbiddenAddressError,
    ProtocolError,
    TransientSourceError,
)
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.http.auth import safe_url
from harvesters.http.client import HttpClient, Response, Validators
from harvesters.http.errors import MAX_RETRY_AFTER, retry_after
from tests.servers import free_port, until
from tests.servers import misbehaving as mis
from tests.servers.misbehaving import Misbehaving

Make = Callable[..., HttpClient]


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with mis.misbehaving() as server:
        yield server


@pytest.fixture
def make(server: Misbehaving) -> Iterator[Make]:
    clients: list[HttpClient] = []

    def client(source: dict[str, Any] | None = None, **settings: Any) -> HttpClient:
        given: dict[str, Any] = {
            "allow_networks": ["127.0.0.0/8"], "backoff_seconds": 0.01, "retries": 2, "timeout_seconds": 20,
            "contact": "data@dinas.example",
        } | settings  # fmt: skip
        cancel = given.pop("cancel", None)
        config = None
        if source is not None:
            base = {"id": "s", "type": "file", "url": server.url, "produsen_data": "p"}
            config = SourceConfig.model_validate({**base, "layers": [{"remote": "*"}], **source})
        clients.append(HttpClient(HarvestSettings(**given), config, cancel=cancel))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


def test_a_good_answer_comes_whole_and_says_who_asked(server: Misbehaving, make: Make) -> None:
    url = server.on("/ok", mis.good({"a": 1}, ETag='"x"', Last_Modified="Mon, 02 Mar 2026 00:00:00 GMT"))
    answer = make().get(url, params={"q": "é"})
    assert answer.json() == {"a": 1}
    assert answer.validators == Validators('"x"', "Mon, 02 Mar 2026 00:00:00 GMT")
    agent = server.seen[0].headers["User-Agent"]
    assert agent.startswith("SatuDataGeo/")
    assert agent.endswith("(+data@dinas.example)")
    assert server.seen[0].params == {"q": "é"}


def test_unchanged_content_is_none_and_a_304_nobody_asked_for_is_an_error(
    server: Misbehaving, make: Make
) -> None:
    url = server.on("/doc", mis.good(b"", 304))
    assert make().request("GET", url, validators=Validators('"x"', "then")) is None
    assert server.seen[0].headers["If-None-Match"] == '"x"'
    assert server.seen[0].headers["If-Modified-Since"] == "then"
    with pytest.raises(ProtocolError):
        make().get(url)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_transient_statuses_are_tried_again(server: Misbehaving, make: Make, status: int) -> None:
    url = server.on("/flaky", mis.good("no", status), mis.good("no", status), mis.good("yes"))
    assert make().get(url).text == "yes"
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthSourceError), (403, AuthSourceError), (404, ProtocolError), (400, ProtocolError),
     (410, ProtocolError), (501, ProtocolError)],
)  # fmt: skip
def test_final_statuses_are_not_tried_again(
    server: Misbehaving, make: Make, status: int, error: type[Exception]
) -> None:
    url = server.on("/no", mis.good("<html><script>x()</script><b>Tidak boleh</b></html>", status))
    with pytest.raises(error, match=f"HTTP {status}.*Tidak boleh") as caught:
        make().get(url)
    assert "script" not in str(caught.value)
    assert len(server.seen) == 1


def test_it_gives_up_after_the_configured_tries(server: Misbehaving, make: Make) -> None:
    url = server.on("/down", mis.good("no", 503))
    with pytest.raises(TransientSourceError, match="HTTP 503"):
        make(retries=3).get(url)
    assert len(server.seen) == 4
    with pytest.raises(TransientSourceError):
        make(retries=3).get(url, retries=0)
    assert len(server.seen) == 5


@pytest.mark.parametrize(
    "step",
    [mis.reset(), mis.cut(b'{"a": 1}', 100), mis.cut_chunks(b'{"a": 1}'), mis.cut_gzip(b"0123456789" * 900)],
    ids=["reset", "short", "chunks", "gzip"],
)
def test_a_cut_answer_is_never_taken_for_whole(server: Misbehaving, make: Make, step: mis.Step) -> None:
    with pytest.raises(TransientSourceError):
        make(retries=0).get(server.on("/cut", step))
    assert make().get(server.on("/cut", step, mis.good("whole"))).text == "whole"


def test_retry_after_is_obeyed(server: Misbehaving, make: Make) -> None:
    url = server.on("/busy", mis.busy("1"), mis.good("now"))
    make().get(url)
    first, second = server.asked("/busy")
    assert second.at - first.at >= 1.0


def test_retry_after_is_read_as_seconds_or_date_and_capped() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert retry_after("7", now) == 7
    assert retry_after(format_datetime(now + timedelta(seconds=30), usegmt=True), now) == 30
    # `.seconds` of a negative or long timedelta is nonsense; `.total_seconds()` is not
    assert retry_after(format_datetime(now - timedelta(seconds=5), usegmt=True), now) == 0
    assert retry_after(format_datetime(now + timedelta(days=2), usegmt=True), now) == MAX_RETRY_AFTER
    assert retry_after("86400", now) == MAX_RETRY_AFTER
    assert retry_after("soon", now) is None
    assert retry_after("nan", now) is None


@given(st.text(max_size=40))
def test_any_retry_after_header_is_harmless(text: str) -> None:
    found = retry_after(text, datetime(2026, 3, 2, tzinfo=UTC))
    assert found is None or 0 <= found <= MAX_RETRY_AFTER


def test_a_hanging_server_is_given_up_and_tried_again(server: Misbehaving, make: Make) -> None:
    url = server.on("/slow", mis.hang(), mis.good("awake"))
    assert make(timeout_seconds=0.5, retries=20).get(url).text == "awake"


def test_a_drip_is_no_answer(server: Misbehaving, make: Make) -> None:
    url = server.on("/drip", mis.drip())
    begin = time.monotonic()
    with pytest.raises(TransientSourceError, match="drip"):
        make(timeout_seconds=0.5, connect_timeout_seconds=0.5, retries=0).get(url)
    assert time.monotonic() - begin < 50  # the drip goes on for 100 s


def test_cancel_ends_a_hanging_request_within_seconds(server: Misbehaving, make: Make) -> None:
    cancel = threading.Event()
    client = make(cancel=cancel, timeout_seconds=60)
    threading.Timer(0.3, cancel.set).start()
    begin = time.monotonic()
    with pytest.raises(CancelledRunError):
        client.get(server.on("/hang", mis.hang()))
    assert time.monotonic() - begin < 50  # the server hangs for far longer


def test_cancel_ends_a_long_wait_between_tries(server: Misbehaving, make: Make) -> None:
    cancel = threading.Event()
    client = make(cancel=cancel)
    threading.Timer(0.3, cancel.set).start()
    begin = time.monotonic()
    with pytest.raises(CancelledRunError):
        client.get(server.on("/busy", mis.busy("100")))
    assert time.monotonic() - begin < 50  # the server hangs for far longer


def test_a_gzip_bomb_is_stopped_by_the_cap(server: Misbehaving, make: Make) -> None:
    url = server.on("/bomb", mis.gzip_bomb())
    with pytest.raises(ProtocolError, match="larger than"):
        make(max_response_bytes=2**20).get(url)


def test_an_endless_answer_is_stopped_by_the_cap(server: Misbehaving, make: Make) -> None:
    with pytest.raises(ProtocolError, match="larger than"):
        make(max_response_bytes=2**20).get(server.on("/endless", mis.endless()))


def test_the_cap_holds_for_libraries_that_use_the_session(server: Misbehaving, make: Make) -> None:
    with pytest.raises(ProtocolError, match="larger than"):
        make(max_response_bytes=2**20).session.get(server.on("/bomb", mis.gzip_bomb()))


def test_gzip_and_deflate_are_read(server: Misbehaving, make: Make) -> None:
    import gzip
    import zlib

    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": gzip.compress(b"one") + gzip.compress(b" two"),
        "deflate": zlib.compress(b"one two"),
        "x-gzip": gzip.compress(b"one two"),
    }
    for encoding, body in bodies.items():
        assert make().get(server.on("/z", mis.good(body, Content_Encoding=encoding))).text == "one two"
    body = raw.compress(b"one two") + raw.flush()
    assert make().get(server.on("/z", mis.good(body, Content_Encoding="deflate"))).text == "one two"


def test_text_survives_a_wrong_or_missing_charset() -> None:
    def text(content: bytes, encoding: str | None) -> str:
        return Response("u", 200, {}, content, encoding).text

    assert text("Cianjur é".encode(), None) == "Cianjur é"
    assert text("é".encode("windows-1252"), "windows-1252") == "é"
    assert text("é".encode(), "no-such-charset") == "é"
    assert text(b"\xff\xfe", "utf-8") == "\ufffd\ufffd"
    assert text(b"\xef\xbb\xbfabc", None) == "abc"


def test_json_that_is_none_is_a_protocol_error_that_shows_what_came() -> None:
    html = Response("http://x/q", 200, {}, b"<html><body><h1>Server Error</h1></body></html>")
    with pytest.raises(ProtocolError, match="Server Error"):
        html.json()
    with pytest.raises(ProtocolError):
        Response("http://x/q", 200, {}, b'{"features": [{"a":').json()
    assert Response("u", 200, {}, b'\xef\xbb\xbf{"a": 1}').json() == {"a": 1}
    assert Response("u", 200, {}, '{"a": "é"}'.encode("latin-1"), "latin-1").json() == {"a": "é"}


def test_no_more_requests_at_once_than_the_limit_over_all_clients(server: Misbehaving, make: Make) -> None:
    def slow(handler: mis.Handler) -> None:
        until(lambda: server.most_at_once > 1, "a second request beside the first")
        time.sleep(0.1)  # a third one would come now
        handler.reply("ok")

    url = server.on("/slow", slow)
    clients = [make(), make(), make()]
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda i: clients[i % 3].get(url), range(9)))
    assert server.most_at_once == 2


# -- addresses ---------------------------------------------------------------------------------------


def test_this_machine_is_no_target_unless_allowed(server: Misbehaving, make: Make) -> None:
    url = server.on("/ok", mis.good())
    with pytest.raises(ForbiddenAddressError) as caught:
        make(allow_networks=[]).get(url)
    assert "allow_networks" in caught.value.hint()
    assert server.seen == []


def test_a_redirect_to_a_private_address_is_refused(server: Misbehaving, make: Make) -> None:
    for target in ("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::1]/"):
        with pytest.raises(ForbiddenAddressError):
            make().get(server.on("/go", mis.redirect(target)))


def test_a_redirect_to_a_file_or_round_in_circles_is_refused(server: Misbehaving, make: Make) -> None:
    with pytest.raises(ProtocolError):
        make().get(server.on("/go", mis.redirect("file:///etc/passwd")))
    with pytest.raises(ProtocolError, match="redirects"):
        make().get(server.on("/loop", mis.redirect("/loop")))


def test_a_redirect_bomb_is_not_read(server: Misbehaving, make: Make) -> None:
    url = server.on("/go", mis.good(b"x" * 2_000_000, 302, Location="/ok"))
    server.on("/ok", mis.good("there"))
    assert make(max_response_bytes=1000).get(url).text == "there"


@pytest.mark.parametrize("url", ["ftp://x.example/a", "http://", "//x", "not an address", "http://[bad/"])
def test_an_address_that_is_none_is_a_protocol_error(make: Make, url: str) -> None:
    with pytest.raises(ProtocolError):
        make().get(url)


def test_nobody_listening_is_transient(make: Make) -> None:
    with pytest.raises(TransientSourceError, match="connection failed"):
        make(retries=0).get(f"http://127.0.0.1:{free_port()}/")


# -- secrets -----------------------------------------------------------------------------------------


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("THE_TOKEN", "s3cr3t/+value")
    return "s3cr3t/+value"


def test_a_token_is_sent_and_never_shown(
    server: Misbehaving, make: Make, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.on("/q", mis.good(f"bad token {token}", 503), mis.good({"ok": True}), mis.good("no", 403))
    client = make({"auth": {"token": "${THE_TOKEN}"}})
    answer = client.get(url, params={"where": "1=1"})
    assert server.seen[1].params == {"where": "1=1", "token": token}
    assert token not in answer.url
    assert "token=***" in answer.url
    with pytest.raises(AuthSourceError) as caught:
        client.get(url)
    shown = f"{caught.value} {caught.value!r} {caught.value.where}"
    ours = " ".join(r.getMessage() for r in caplog.records if r.name.startswith(("harvesters", "catalog")))
    for secret in (token, "s3cr3t"):
        assert secret not in shown + ours


def test_basic_and_header_credentials(server: Misbehaving, make: Make, token: str) -> None:
    url = server.on("/q", mis.good())
    make({"auth": {"header:X-Api-Key": "${THE_TOKEN}"}}).get(url)
    assert server.seen[-1].headers["X-Api-Key"] == token
    make({"auth": {"username": "${THE_TOKEN}", "password": "${THE_TOKEN}"}}).get(url)
    pair = base64.b64decode(server.seen[-1].headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == f"{token}:{token}"
    make({"auth": {"param:apikey": "${THE_TOKEN}"}}).post(url, data={"a": "b"})
    assert server.seen[-1].params == {"apikey": token}
    assert server.seen[-1].body == b"a=b"


def test_credentials_stay_with_the_sources_own_host(server: Misbehaving, make: Make, token: str) -> None:
    with mis.misbehaving() as other:
        elsewhere = other.on("/steal", mis.good()).replace("127.0.0.1", "localhost")
        client = make({"auth": {"header:X-Api-Key": "${THE_TOKEN}", "token": "${THE_TOKEN}"}},
                      allow_networks=["127.0.0.0/8", "::1/128"])  # fmt: skip
        client.get(server.on("/go", mis.redirect(elsewhere)))
        client.get(elsewhere)
        assert len(other.seen) == 2
        for seen in other.seen:
            assert "X-Api-Key" not in seen.headers
            assert "token" not in seen.params


def test_an_unknown_auth_key_or_an_open_secret_is_a_config_error(make: Make, token: str) -> None:
    with pytest.raises(ConfigError, match="tokken"):
        make({"auth": {"tokken": "${THE_TOKEN}"}})
    with pytest.raises(ConfigError):
        make({"auth": {"token": "plain-secret"}})


def test_switching_tls_checks_off_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make({"verify_tls": False})
    assert client.session.verify is False
    assert "not checked" in caplog.text
    assert make({}).session.verify is not False


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@x.example/a?b=1", "https://***@x.example/a?b=1"),
        ("https://x.example/a?token=abc&b=1", "https://x.example/a?token=***&b=1"),
        ("https://x.example/a?b=1", "https://x.example/a?b=1"),
        ("http://[bad/?token=abc", "http://[bad/"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert safe_url(url) == shown
