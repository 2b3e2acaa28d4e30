"""Notices reach real receivers, also those that misbehave: at least once, and never by a redirect."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cloudevents.v1.conversion import to_dict
from cloudevents.v1.http import from_http
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from catalog.config import load_settings
from catalog.errors import ConfigError, PublishError, TransientSourceError
from catalog.notify import deliver as delivery
from catalog.notify.cloudevent import MEDIA, PREFIX, CloudEvent, stable_id
from catalog.notify.deliver import deliver, send
from catalog.notify.outbox import NoticeState
from catalog.response_settings import EmailChannel, MqttChannel, ResponseSettings, WebhookChannel
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock
from tests.servers import PATIENCE, free_port
from tests.servers.misbehaving import Handler, hang, misbehaving
from tests.servers.mosquitto import mosquitto, passwords

TEXT = {
    "id": {"judul": "LATIHAN: Gempa M5,6", "isi": "360 desa"},
    "en": {"judul": "Earthquake", "isi": "360"},
}
EVENT = CloudEvent(
    id=stable_id("respons-x", "1"), source="https://geo.example.go.id/processes/respons-cepat",
    type=f"{PREFIX}.diterbitkan", subject="respons-x", time=datetime(2022, 11, 21, 6, 21, 10, tzinfo=UTC),
    data={"kejadian": "x", "latihan": True, "teks": TEXT},
).as_dict()  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_PAUSE", 0.01)


def hook(url: str, **more: Any) -> WebhookChannel:
    return WebhookChannel.model_validate(
        {"type": "webhook", "name": "pusat", "url": url, "timeout_seconds": 60} | more
    )


def put(catalog: Catalog, *channels: Any, event: dict[str, Any] = EVENT) -> ResponseSettings:
    catalog.outbox.add(event, [channel.name for channel in channels])
    return ResponseSettings(notify=list(channels))


# -- the body ------------------------------------------------------------------------------------------


def test_the_body_keeps_the_rules_of_cloudevents() -> None:
    assert set(EVENT) == {
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data",
    }  # fmt: skip
    assert EVENT["specversion"] == "1.0"
    assert all(EVENT[name] for name in ("id", "source", "type"))
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in EVENT)
    assert _TIME.fullmatch(EVENT["time"])
    assert EVENT["datacontenttype"] == "application/json"
    assert stable_id("respons-x", "1") == EVENT["id"] != stable_id("respons-x", "2")


def test_the_body_is_read_by_the_cloudevents_sdk() -> None:
    with misbehaving() as server:
        server.on("/", lambda handler: handler.reply("ok"))
        send(hook(server.url + "/"), EVENT)
        (seen,) = server.seen
    read = from_http({k.lower(): v for k, v in seen.headers.items()}, seen.body)
    assert to_dict(read) == EVENT
    assert seen.headers["Content-Type"].startswith(MEDIA)


# -- webhooks ------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_as_standard_webhooks_say(tmp_path: Path) -> None:
    key = b"kunci-rahasia-yang-panjang"
    (tmp_path / "key").write_text("whsec_" + base64.b64encode(key).decode(), "utf-8")
    with misbehaving() as server:
        server.on("/", lambda handler: handler.reply("", status=204))
        send(hook(server.url + "/", secret=f"file:{tmp_path / 'key'}"), EVENT)
        (seen,) = server.seen
    signed = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{mac}"
    assert seen.headers["webhook-id"] == EVENT["id"]
    assert key.decode() not in str(seen)


def _hang(handler: Handler) -> None:
    hang()(handler)


def _garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\xff not http\r\n\r\n")
    handler.close_connection = True


def _error(handler: Handler) -> None:
    handler.reply("rusak", status=500)


def _well(handler: Handler) -> None:
    handler.reply("terima kasih")


def test_a_receiver_that_fails_is_tried_again_and_gets_it_once(catalog: Catalog, clock: FakeClock) -> None:
    with misbehaving() as server:
        server.on("/", _error, _hang, _garbage, _error, _error, _error, _well)
        settings = put(catalog, hook(server.url + "/", timeout_seconds=0.5))
        for expected in ((0, 1), (0, 0), (0, 1), (1, 0), (0, 0)):
            assert deliver(catalog, settings, clock=clock) == expected
            if expected == (0, 1):
                assert not catalog.outbox.due()
            elif expected == (0, 0) and catalog.outbox.counts() == {"waiting": 1}:
                clock.advance(seconds=16)
                assert catalog.outbox.due()
            if expected == (0, 1) and len(server.seen) == 6:
                clock.advance(seconds=31)
        assert len(server.seen) == 7
    assert {seen.headers["webhook-id"] for seen in server.seen} == {EVENT["id"]}
    assert len({seen.body for seen in server.seen}) == 1
    (notice,) = catalog.outbox.list()
    assert (notice.state, notice.attempts) == (NoticeState.DELIVERED, 3)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with misbehaving() as server:
        server.on("/", lambda handler: handler.reply("", status=status, Location=f"{server.url}/other"))
        server.on("/other", _well)
        with pytest.raises(PublishError, match=str(status)):
            send(hook(server.url + "/"), EVENT)
        assert [seen.path for seen in server.seen] == ["/"]


def test_a_refusal_is_not_hammered() -> None:
    with misbehaving() as server:
        server.on("/", lambda handler: handler.reply("", status=403))
        with pytest.raises(PublishError, match="403"):
            send(hook(server.url + "/"), EVENT)
        assert len(server.seen) == 1


def test_a_notice_is_given_up_at_last_and_said_so(catalog: Catalog, clock: FakeClock) -> None:
    settings = put(catalog, hook(f"http://127.0.0.1:{free_port()}/"))
    for _ in range(100):
        deliver(catalog, settings, clock=clock)
        clock.advance(hours=1)
    (notice,) = catalog.outbox.list()
    assert notice.state is NoticeState.GIVEN_UP
    assert notice.attempts < 40
    (line,) = catalog.audit.list(EVENT["id"])
    assert (line.action, line.details["channel"]) == ("notice.given-up", "pusat")


def test_one_channel_that_hangs_holds_back_no_other(catalog: Catalog, clock: FakeClock) -> None:
    with misbehaving() as server:
        server.on("/bad", _hang)
        server.on("/good", _well)
        bad = hook(server.url + "/bad", timeout_seconds=0.3)
        good = hook(server.url + "/good", name="lain")
        assert deliver(catalog, put(catalog, bad, good), clock=clock) == (1, 1)


def test_a_notice_outlives_the_process_that_wrote_or_sent_it(catalog: Catalog, clock: FakeClock) -> None:
    with misbehaving() as server:
        server.on("/", _well)
        settings = put(catalog, hook(server.url + "/"))
        assert catalog.outbox.claim(lease_seconds=60) is not None  # taken by one that died then
        assert deliver(catalog, settings, clock=clock) == (0, 0)
        clock.advance(seconds=61)
        assert catalog.outbox.due()
        assert deliver(catalog, settings, clock=clock) == (1, 0)


def test_the_same_event_told_again_is_one_notice(catalog: Catalog) -> None:
    for _ in range(3):
        put(catalog, hook("http://127.0.0.1:9/"))
    assert len(catalog.outbox.list()) == 1


def test_a_channel_that_is_gone_ends_its_notices(catalog: Catalog, clock: FakeClock) -> None:
    put(catalog, hook("http://127.0.0.1:9/"))
    assert deliver(catalog, ResponseSettings(), clock=clock) == (0, 1)
    assert catalog.outbox.list()[0].state is NoticeState.GIVEN_UP


# -- MQTT ----------------------------------------------------------------------------------------------


@contextmanager
def subscriber(port: int, topic: str, **login: str) -> Iterator[queue.Queue[Any]]:
    got: queue.Queue[Any] = queue.Queue()
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    if login:
        client.username_pw_set(**login)
    client.on_message = lambda _c, _d, message: got.put(message)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic, qos=1)
    try:
        assert ready.wait(PATIENCE)
        yield got
    finally:
        client.disconnect()
        client.loop_stop()


def test_an_mqtt_broker_takes_it(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port, subscriber(port, "satudata/#") as got:
        send(MqttChannel(type="mqtt", name="broker", host="127.0.0.1", port=port), EVENT)
        message = got.get(timeout=PATIENCE)
    assert (message.topic, message.qos) == ("satudata/respons-cepat", 1)
    assert json.loads(message.payload) == EVENT
    assert message.properties.ContentType.startswith(MEDIA)


def test_an_mqtt_broker_wants_a_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("benar\n", "utf-8")
    (tmp_path / "wrong").write_text("salah\n", "utf-8")
    channel = MqttChannel(
        type="mqtt", name="broker", host="127.0.0.1", username="satudata", timeout_seconds=60
    )
    with mosquitto(tmp_path, password_file=passwords(tmp_path, "satudata", "benar")) as port:
        channel.port, channel.password = port, f"file:{tmp_path / 'wrong'}"
        with pytest.raises(TransientSourceError, match="refused"):
            send(channel, EVENT)
        channel.password = f"file:{tmp_path / 'secret'}"
        with subscriber(port, "satudata/#", username="satudata", password="benar") as got:
            send(channel, EVENT)
            assert json.loads(got.get(timeout=PATIENCE).payload)["id"] == EVENT["id"]


def test_a_broker_that_is_down_is_passing() -> None:
    channel = MqttChannel(type="mqtt", name="broker", host="127.0.0.1", port=free_port(), timeout_seconds=0.5)
    with pytest.raises(TransientSourceError):
        send(channel, EVENT)


# -- e-mail --------------------------------------------------------------------------------------------


class Box:
    """A mail server's mailbox; `answer` is what it says to a letter."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            self.letters.append(envelope.content)
        return self.answer


@contextmanager
def post(box: Box, **more: Any) -> Iterator[EmailChannel]:
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **more)
    controller.start()
    try:
        yield EmailChannel(
            type="email", name="surel", host="127.0.0.1", port=controller.port, security="none",
            sender="satudata@example.go.id", to=["pusdalops@example.go.id"], timeout_seconds=60,
        )  # fmt: skip
    finally:
        controller.stop()


def test_a_letter_is_in_two_languages_with_the_event_attached() -> None:
    box = Box()
    with post(box) as channel:
        send(channel, EVENT)
    (raw,) = box.letters
    letter: Message = message_from_bytes(raw, policy=default)
    assert isinstance(letter, EmailMessage)
    assert letter["Subject"] == "LATIHAN: Gempa M5,6"
    assert letter["Message-ID"] == f"<{EVENT['id']}@example.go.id>"
    body = letter.get_body()
    assert body is not None
    assert "360 desa" in body.get_content()
    assert "Earthquake" in body.get_content()
    (attached,) = letter.iter_attachments()
    assert attached.get_content_type() == MEDIA
    assert json.loads(attached.get_content()) == EVENT


def test_a_mail_server_that_is_busy_is_passing_and_one_that_refuses_is_not() -> None:
    box = Box()
    with post(box) as channel:
        box.answer = "451 later"
        with pytest.raises(TransientSourceError, match="451"):
            send(channel, EVENT)
        box.answer = "554 spam"
        with pytest.raises(PublishError, match="554"):
            send(channel, EVENT)


def test_a_mail_server_without_starttls_gets_no_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("benar", "utf-8")
    seen: list[str] = []

    def login(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        seen.append(data.password.decode())
        return AuthResult(success=data.password == b"benar")

    with post(Box(), authenticator=login, auth_require_tls=False) as channel:
        channel.username, channel.password = "satudata", f"file:{tmp_path / 'secret'}"
        channel.security = "starttls"
        with pytest.raises(PublishError, match="NotSupported"):
            send(channel, EVENT)
        assert seen == []
        channel.security = "none"
        send(channel, EVENT)
        assert seen == ["benar"]


# -- settings ------------------------------------------------------------------------------------------

CHANNEL = """
response:
  notify:
    - {{type: webhook, name: pusat, url: "https://pusat.example.go.id/satudata", secret: {secret}}}
"""


def test_secrets_stand_by_reference_only(tmp_path: Path) -> None:
    (tmp_path / "satudata.yml").write_text(CHANNEL.format(secret="file:key"), "utf-8")
    (channel,) = load_settings(tmp_path, tmp_path).response.notify
    assert isinstance(channel, WebhookChannel)
    assert channel.secret == f"file:{tmp_path / 'key'}"
    for wrong in ("rahasia-sekali", "4711471147114711"):
        (tmp_path / "satudata.yml").write_text(CHANNEL.format(secret=wrong), "utf-8")
        with pytest.raises(ConfigError) as caught:
            load_settings(tmp_path, tmp_path)
        assert wrong not in str(caught.value)
        assert "response.notify.0" in str(caught.value)
