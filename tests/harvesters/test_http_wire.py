"""The wire: certificates, the address that was really reached, sockets that are cut."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from catalog.errors import ConfigError, ForbiddenAddressError, ProtocolError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.http.address import AddressPolicy
from harvesters.http.client import HttpClient
from tests.servers import misbehaving as mis
from tests.servers import missing


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def tls_url(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl", "no openssl to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(60)


def source(url: str, verify: bool) -> SourceConfig:
    return SourceConfig.model_validate(
        {"id": "s", "type": "file", "url": url, "produsen_data": "p", "verify_tls": verify,
         "layers": [{"remote": "*"}]}
    )  # fmt: skip


LOCAL = HarvestSettings(allow_networks=["127.0.0.0/8"], retries=2, backoff_seconds=0.01)


def test_a_certificate_that_nobody_signed_is_refused_at_once_and_says_what_to_do(tls_url: str) -> None:
    with (
        HttpClient(LOCAL, source(tls_url, True)) as client,
        pytest.raises(ProtocolError, match="TLS") as caught,
    ):
        client.get(tls_url)
    assert "verify_tls" in caught.value.hint()


def test_the_check_can_be_switched_off_for_one_source(
    tls_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # an agency's CA in the environment must not switch it on again
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with HttpClient(LOCAL, source(tls_url, False)) as client:
        assert client.get(tls_url).text == "hello"


def test_the_environments_certificates_are_trusted(
    tls_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with HttpClient(LOCAL, source(tls_url, True)) as client:
        assert client.get(tls_url).text == "hello"


def test_a_name_that_resolves_otherwise_the_second_time_is_caught_at_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the check saw a public address, the connection went to this machine."""
    monkeypatch.setattr(AddressPolicy, "check_url", lambda *_, **__: None)
    with mis.misbehaving() as server, HttpClient(HarvestSettings(retries=0)) as client:
        url = server.on("/secret", mis.good("secret"))
        with pytest.raises(ForbiddenAddressError):
            client.get(url)
        assert server.seen == []


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::", "255.255.255.255"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(ip: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        AddressPolicy().check_ip(ip)


@pytest.mark.parametrize("ip", ["8.8.8.8", "103.12.84.1", "2001:4860:4860::8888"])
def test_public_addresses(ip: str) -> None:
    AddressPolicy().check_ip(ip)


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://localhost/"]
)
def test_other_writings_of_this_machine(url: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        AddressPolicy().check_url(url)


def test_only_what_is_listed_is_allowed() -> None:
    policy = AddressPolicy(["10.8.0.0/16"])
    policy.check_ip("10.8.3.4")
    with pytest.raises(ForbiddenAddressError):
        policy.check_ip("10.9.0.1")
    with pytest.raises(ConfigError):
        AddressPolicy(["10.8.0.0/99"])
