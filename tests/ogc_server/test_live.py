"""Collections appear, change and vanish while clients ask; broken layers are left out; many workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.model import Localized, identity
from ogc_server.live import Live
from ogc_server.snapshot import Snapshot
from tests.ogc_server.conftest import running
from tests.ogc_server.world import POINTS, World, make_settings, open_world, points
from tests.servers import PATIENCE, free_port, until


def ids(client: httpx.Client) -> set[str]:
    return {one["id"] for one in client.get("/collections").json()["collections"]}


def test_four_clients_see_no_error_while_collections_come_change_and_go(fresh: World) -> None:
    fresh.publish("tetap", POINTS, points(20))
    stop = threading.Event()
    wrong: list[Any] = []
    asked = [0] * 4
    versions: list[list[int]] = [[] for _ in range(4)]

    def hammer(number: int, url: str) -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            while not stop.is_set():
                for path in ("/collections", "/collections/tetap/items?limit=7", "/collections/lewat/items"):
                    answer = client.get(path)
                    allowed = (200, 404, 410) if "lewat" in path else (200,)
                    if answer.status_code not in allowed:
                        wrong.append((path, answer.status_code, answer.text))
                    asked[number] += 1
                versions[number].append(client.get("/collections/tetap").json()["version"])

    def rounds() -> None:
        """Let every client see the newest version, and go round once more."""
        newest = fresh.catalog.versions.current("tetap")
        assert newest is not None
        until(lambda: wrong or all(seen and seen[-1] == newest.version for seen in versions), "all see it")
        before = list(asked)
        until(lambda: wrong or all(n >= b + 4 for n, b in zip(asked, before, strict=True)), "a round")

    with running(fresh) as url:
        threads = [threading.Thread(target=hammer, args=(number, url)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(6):
                fresh.publish("tetap", POINTS, points(20 + turn))
                fresh.publish("lewat", POINTS, points(5 + turn))
                rounds()
                fresh.catalog.datasets.tombstone("lewat", reason="sudah lewat", by="tests")
                if turn:
                    fresh.catalog.versions.mark_removed("tetap", turn, by="tests")
                    fresh.store.remove("tetap", turn)
                rounds()
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
    assert not wrong
    assert all(seen == sorted(seen) for seen in versions), "a client saw time run backwards"
    assert max(max(seen) for seen in versions) >= 5


def test_a_state_that_was_read_before_a_change_does_not_hide_it(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ask a new snapshot at once: one read the catalog before a version came, and is late."""
    fresh.publish("tetap", POINTS, points(20))
    snapshot = Snapshot.build(fresh.catalog)
    read, late = fresh.catalog.datasets.many, list[int]()

    def many(wanted: list[str]) -> Any:
        found = list(read(wanted))
        if not late:
            late.append(max(one.version.version for one in found if one.version))
            fresh.publish("tetap", POINTS, points(21))
            assert seen() == 2  # the second to ask is the first to know
        return found

    def seen() -> int:
        info = snapshot.dataset("tetap").version
        assert info is not None
        return info.version

    monkeypatch.setattr(fresh.catalog.datasets, "many", many)
    assert seen() == 2, "the late one came back with what it had read before"
    assert late == [1]


def test_a_new_collection_shows_and_a_withdrawn_one_is_410_by_itself(fresh: World) -> None:
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert ids(client) == {"katalog"}
        fresh.publish("gudang", POINTS, points())
        until(lambda: "gudang" in ids(client))
        fresh.catalog.datasets.tombstone("gudang", reason="ditarik", by="tests")
        until(lambda: client.get("/collections/gudang").status_code == 410)
        assert "gudang" not in ids(client)


def test_a_new_title_changes_the_tag_and_the_answer(fresh: World) -> None:
    fresh.publish("gudang", POINTS, points())
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        before = client.get("/collections/gudang")
        tag = before.headers["etag"]
        fresh.catalog.datasets.overlay("gudang", {"title": {"id": "Gudang baru"}}, by="walidata")
        until(lambda: client.get("/collections/gudang").json()["title"] == "Gudang baru")
        again = client.get("/collections/gudang", headers={"if-none-match": tag})
        assert again.status_code == 200


def test_a_broken_layer_is_left_out_and_reported_and_heals(fresh: World) -> None:
    fresh.publish("baik", POINTS, points())
    fresh.publish("rusak", POINTS, points())
    files = [path for path in fresh.settings.data_dir.rglob("*") if path.is_file() and "rusak" in str(path)]
    for path in files:
        path.unlink()
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        answer = client.get("/collections/rusak/items")
        assert (answer.status_code, answer.json()["code"]) == (503, "layer-unavailable")
        assert str(fresh.settings.data_dir) not in answer.text
        assert client.get("/collections/baik/items").status_code == 200
        health = client.get("/health")
        assert health.status_code == 200
        assert [one["id"] for one in health.json()["broken"]] == ["rusak"]
        assert health.json()["status"] == "degraded"
        fresh.publish("rusak", POINTS, points())
        until(lambda: client.get("/collections/rusak/items").status_code == 200)
        assert client.get("/health").json()["broken"] == []


def test_a_broken_record_does_not_take_the_list_down(fresh: World) -> None:
    import sqlalchemy as sa

    from catalog.tables import datasets

    fresh.publish("baik", POINTS, points())
    fresh.publish("aneh", POINTS, points())
    with fresh.catalog.database.write() as connection:
        broken = {"title": 5, "tidak": "dikenal"}
        connection.execute(sa.update(datasets).where(datasets.c.id == "aneh").values(harvested=broken))
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert ids(client) == {"katalog", "baik"}
        assert [one["id"] for one in client.get("/health").json()["broken"]] == ["aneh"]


def test_the_last_state_is_served_when_the_catalog_is_away(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.publish("gudang", POINTS, points())
    live = Live(fresh.catalog, lambda: pytest.importorskip("datetime").datetime.now())
    kept = live.snapshot
    monkeypatch.setattr(fresh.catalog, "generation", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert live.refresh() is False
    assert live.snapshot is kept
    assert live.trouble == "OSError"
    monkeypatch.undo()
    assert live.refresh() is False
    assert live.trouble == ""


def test_a_raster_is_described_and_has_no_items(fresh: World) -> None:
    from catalog.model import DatasetRecord, VersionInfo

    said = DatasetRecord(title=Localized(id="Bahaya banjir"))
    fresh.catalog.datasets.put("bahaya", source_id="s", remote_id="b", kind="raster", record=said, run_id="")
    fresh.catalog.versions.register(
        VersionInfo("bahaya", 1, "raster", 1, "x", bbox=(107.0, -7.0, 108.0, -6.0))
    )
    fresh.catalog.versions.make_current("bahaya", 1, by="tests")
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        doc = client.get("/collections/bahaya").json()
        assert doc["extent"]["spatial"]["bbox"] == [[107.0, -7.0, 108.0, -6.0]]
        assert "itemType" not in doc
        assert "items" not in {link["rel"] for link in doc["links"]}
        assert client.get("/collections/bahaya/items").status_code == 404
        assert "bahaya" in ids(client)


def test_restricted_datasets_are_hidden_everywhere(fresh: World) -> None:
    fresh.publish("rahasia", POINTS, points(), access="terbatas", title="Rahasia Negara")
    fresh.publish("dalam", POINTS, points(), access="internal", title="Rahasia Kantor")
    with running(fresh) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for path in ("/collections", "/collections?q=rahasia", "/collections/katalog/items", "/health", "/?f=html",
                     "/collections/katalog/items?q=rahasia", "/collections/katalog/items?ids=rahasia,dalam",
                     "/collections/katalog/items?f=jsonld"):  # fmt: skip
            body = client.get(path).text
            assert "Rahasia" not in body
            assert '"rahasia"' not in body
            assert '"dalam"' not in body
        for path in ("/collections/rahasia", "/collections/dalam/items", "/collections/katalog/items/rahasia",
                     "/collections/rahasia/queryables", "/collections/rahasia/items/1"):  # fmt: skip
            assert client.get(path).status_code == 404


def test_5000_collections_are_listed_without_reading_their_records(fresh: World) -> None:
    """Structure, not time: a snapshot of 5,000 takes three queries and loads no record."""
    import sqlalchemy as sa

    from catalog.tables import datasets, versions

    fresh.publish("gudang", POINTS, points())
    with fresh.catalog.database.write() as connection:
        row = dict(connection.execute(sa.select(datasets)).mappings().one())
        current = dict(connection.execute(sa.select(versions)).mappings().one())
        many = [f"lapisan-{number:04d}" for number in range(5000)]
        connection.execute(
            datasets.insert(),
            [{**row, "id": key, "uuid": str(identity("s", key)), "remote_id": key} for key in many],
        )
        connection.execute(versions.insert(), [{**current, "layer_id": key} for key in many])
    asked: list[str] = []
    sa.event.listen(fresh.catalog.database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    snapshot = Snapshot.build(fresh.catalog)
    assert len(snapshot.visible()) == 5001
    assert len([text for text in asked if text.lstrip().upper().startswith("SELECT")]) == 3
    assert not snapshot._loaded
    with running(fresh) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        first = client.get("/collections")
        assert first.json()["numberMatched"] == 5002
        seen, page = 0, first.json()
        while True:
            seen += len(page["collections"])
            following = [link["href"] for link in page["links"] if link["rel"] == "next"]
            if not following:
                break
            page = client.get(following[0]).json()
        assert seen == 5002
        assert len(client.get("/api").content) < 120_000
        again = client.get("/collections", headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304


_SERVE = """
import sys
from pathlib import Path
from catalog.settings import ServerSettings, Settings
from ogc_server.serve import serve
server = ServerSettings(reload_seconds=0.2)
settings = Settings(server=server, config_dir=Path(sys.argv[1]), data_dir=Path(sys.argv[2]))
serve(settings, "127.0.0.1", int(sys.argv[3]), workers=2)
"""


def test_two_workers_both_see_changes_and_stop_when_told(tmp_path: Path) -> None:
    world = open_world(make_settings(tmp_path))
    world.publish("gudang", POINTS, points())
    url = f"http://127.0.0.1:{(port := free_port())}"
    folders = [str(world.settings.config_dir), str(world.settings.data_dir)]
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *folders, str(port)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip

    def status(path: str) -> int:
        try:
            return httpx.get(url + path, trust_env=False, timeout=2).status_code
        except httpx.TransportError:
            return 0

    def workers() -> set[int]:
        lines = (tmp_path / "server.log").read_text()
        return {int(pid) for pid in re.findall(r"INFO (\d+) ogc_server.access", lines)}

    try:
        until(lambda: status("/health/ready") == 200 and workers(), "a worker answers")
        first = min(workers())
        # The system chooses which worker takes a connection, and may choose the same one every time:
        # with one of them held still, it is the other that answers.
        with _held_still(first):
            until(
                lambda: status("/health/ready") == 200 and workers() - {first},
                "the other answers",
                seconds=50,
            )
        (second,) = workers() - {first}
        world.publish("baru", POINTS, points())
        for still in (first, second):
            with _held_still(still):
                until(lambda: status("/collections/baru") == 200, "the new collection", seconds=50)
    finally:
        process.terminate()
        stopped = process.wait(PATIENCE)
        log.close()
        world.close()
    assert stopped in (0, -15)
    log_text = (tmp_path / "server.log").read_text()
    answered = re.findall(r"INFO (\d+) ogc_server.access GET /collections/baru 200 .* id=", log_text)
    assert {int(pid) for pid in answered} == {first, second}


@contextmanager
def _held_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
