"""The stream of changes: told at once, told once, bounded, and no burden when clients leave or the server stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely

import ogc_server.app
from catalog.model import LayerSchema
from catalog.settings import ServerSettings, Settings
from harvesters.bmkg import events
from ogc_server.kendali import stream
from tests.kendali.world import EVENT, happen, serving
from tests.layers.conftest import batch
from tests.ogc_server.world import World, open_world
from tests.response.world import Desk
from tests.servers import PATIENCE, until
from tests.servers.ours import Deployment

type Told = tuple[str, str, str]


def told(answer: httpx.Response) -> Iterator[Told]:
    """Yield (event, id, data) as a browser reads them."""
    said = {"event": "", "id": "", "data": ""}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line and name in said:
            said[name] = value
        elif not line and said["event"]:
            yield said["event"], said["id"], said["data"]
            said["event"] = said["data"] = ""


def opened(url: str, stack: ExitStack, **headers: str) -> tuple[httpx.Response, Iterator[Told]]:
    client = stack.enter_context(httpx.Client(trust_env=False, timeout=PATIENCE))
    answer = stack.enter_context(client.stream("GET", f"{url}/kendali/stream", headers=headers))
    return answer, told(answer)


def next_state(
    lines: Iterator[Told], that: Callable[[dict[str, Any]], object] = bool
) -> tuple[str, dict[str, Any]]:
    """Return the next state `that` holds for: what happens in steps may be told in steps."""
    for name, tag, data in lines:
        if name == "state" and that(said := json.loads(data)):
            return tag, said
    raise AssertionError("the stream ended")


def test_the_state_comes_at_once_and_again_when_something_happened(desk: Desk) -> None:
    with serving(desk) as url, ExitStack() as stack:
        answer, lines = opened(url, stack)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
        assert next(lines)[0] == "beat"
        first, said = next_state(lines)
        assert said["gempa"] == []
        happen(desk, answer=False)
        second, said = next_state(lines, that=lambda said: said["gempa"])
        assert second != first
        assert said["gempa"][0]["id"] == EVENT


def test_who_comes_back_is_not_told_what_it_knows(
    quiet: Desk, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.3)
    with ExitStack() as stack:
        known, said = next_state(opened(address, stack)[1])
        lines = opened(address, stack, **{"last-event-id": known})[1]
        assert [next(lines)[0] for _ in range(3)] == ["beat"] * 3
        again, _ = next_state(opened(address, stack, **{"last-event-id": "another"})[1])
        assert again == known
        english, other = next_state(opened(address, stack, **{"accept-language": "en"})[1])
        assert english != known
        assert other["jawaban"][0]["judul"] != said["jawaban"][0]["judul"]


def test_other_methods_and_languages_are_refused(client: httpx.Client) -> None:
    assert client.post("/kendali/stream").status_code == 405
    assert client.get("/kendali/stream?lang=xx").status_code == 400


def test_clients_above_the_bound_are_sent_away_for_a_while(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_CLIENTS", 2)
    with ExitStack() as stack:
        held = [opened(address, stack)[1] for _ in range(2)]  # a reader that is dropped closes its answer
        assert len({next_state(one)[0] for one in held}) == 1
        answer, _ = opened(address, stack)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


def test_fifty_clients_come_and_go_and_nothing_of_them_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs: list[stream.Hub] = []

    class Known(stream.Hub):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            hubs.append(self)

    monkeypatch.setattr(ogc_server.app, "Hub", Known)
    with serving(desk) as url:
        port = int(url.rpartition(":")[2])
        before = threading.active_count()
        for _ in range(2):
            sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
            for one in sockets:
                one.sendall(b"GET /kendali/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for one in sockets:
                one.settimeout(PATIENCE)
                seen = b""
                while b"event: state" not in seen:
                    seen += one.recv(65536)
            assert hubs[0].clients == 50
            for number, one in enumerate(sockets):
                if number % 2:  # half of them vanish without a word
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                one.close()
            until(lambda: hubs[0].clients == 0, "all clients are forgotten")
        assert threading.active_count() <= before + 16  # the threads of one pool, not one per client
        assert httpx.get(f"{url}/kendali/state", trust_env=False).status_code == 200


def test_two_workers_tell_the_same_and_stop_in_seconds_with_clients_on(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.settings("server: {reload_seconds: 0.2}\n")
    settings = Settings(
        config_dir=deployment.config, data_dir=deployment.data, server=ServerSettings(reload_seconds=0.2)
    )
    with ExitStack() as stack:
        with deployment.serving(workers=2) as url:
            lines = [opened(url, stack)[1] for _ in range(12)]
            assert len({next_state(one)[0] for one in lines}) == 1
            world: World = open_world(settings)
            row = dict.fromkeys(field.name for field in events.FIELDS) | {
                "magnitudo": 5.5,
                "kedalaman_km": 10.0,
            }
            row["waktu"] = datetime(2022, 11, 21, 6, 21, tzinfo=UTC)
            schema = LayerSchema(events.FIELDS, "Point", "EPSG:4326", time_field="waktu")
            world.publish("gempa", schema, batch({"g1": row}, [shapely.Point(107, -7)]))
            world.close()
            ids = {next_state(one, that=lambda said: said["gempa"])[0] for one in lines}
            assert len(ids) == 1  # whichever worker a client is with
            began = time.monotonic()
        assert time.monotonic() - began < 60  # a second on a quiet machine; clients would stay for ever
        assert [list(one) for one in lines] == [[]] * 12  # ended in order, not cut
