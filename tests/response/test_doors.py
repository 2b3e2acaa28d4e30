"""The other doors: the command line, the scheduler's child, HTTP, warnings."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import shapely
from click.testing import CliRunner, Result

from catalog.messages import catalogue
from catalog.model import LayerSchema, RunState
from cli.app import App
from cli.main import main
from cli.respond_beside import responder_beside
from harvesters.bmkg.alerts import FIELDS
from layers.contract import FeatureBatch
from layers.open import open_store
from ogc_server.response.answer import dataset_id
from ogc_server.response.responder import Responder
from tests.ogc_server.conftest import running
from tests.ogc_server.world import World
from tests.response.world import Desk, quake
from tests.servers import until
from tests.servers.misbehaving import misbehaving

ID = "respons-20221121t062110z-6.84-107.05"
EVENT = "20221121T062110Z_-6.84_107.05"
CAP = LayerSchema(FIELDS, "MultiPolygon", "EPSG:4326", time_field="berlaku")
AREA = shapely.MultiPolygon([shapely.box(107.05, -6.9, 107.2, -6.75)])


@dataclass
class Command:
    """The `satudata` command in this process, on a desk's folders."""

    config: Path
    data: Path

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        places = ["--config", str(self.config), "--data", str(self.data), "--lang", "en"]
        return CliRunner().invoke(main, [*places, *arguments], standalone_mode=True)

    def json(self, *arguments: str) -> Any:
        """Run a command; return what it says as JSON."""
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


def command(desk: Desk, **more: Any) -> Command:
    """Write the desk's settings and BMKG's source as files."""
    server = {"url": "https://geo.example.go.id", "contact": {"organisation": "Kementerian Sosial"}}
    response = desk.settings.response.model_dump(mode="json") | {"max_age_hours": 9e5} | more
    said = {
        "server": server, "processes": desk.settings.processes.model_dump(mode="json"), "response": response,
        "harvest": {"allow_networks": ["127.0.0.0/8"]}, "scheduler": {"jitter_seconds": 0},
    }  # fmt: skip
    config = desk.folder / "config"
    (config / "satudata.yml").write_text(json.dumps(said), "utf-8")  # JSON is YAML
    layers = [{"remote": "gempa", "id": "gempa"}]
    source = {"id": "bmkg", "type": "bmkg", "url": desk.url, "produsen_data": "BMKG", "layers": layers}
    (config / "sources" / "bmkg.yml").write_text(json.dumps(source), "utf-8")
    return Command(config, desk.folder / "data")


# -- the command line ----------------------------------------------------------------------------------


def test_a_harvest_by_hand_is_answered_and_told(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    with misbehaving() as pusat:
        pusat.on("/", lambda handler: handler.reply("ok"))
        ours = command(desk, notify=[{"type": "webhook", "name": "pusat", "url": pusat.url + "/"}])
        assert ours.run("harvest", "bmkg").exit_code == 0  # its answer runs in a process of its own
        (seen,) = pusat.seen
    body = orjson.loads(seen.body)
    assert (body["subject"], body["type"]) == (ID, "id.satudata-geo.respons-cepat.diterbitkan")
    assert body["data"]["tautan"] == [
        f"https://geo.example.go.id/collections/{n}" for n in (ID, f"{ID}-rencana")
    ]
    assert body["data"]["ringkasan"]["desa"] == len(desk.rows(ID))
    assert body["data"]["teks"]["en"]["judul"].startswith("Earthquake M5.6")
    (one,) = ours.json("respond", "--list")
    assert (one["state"], one["revision"], one["dataset"]) == ("answered", 1, ID)
    assert [(n["channel"], n["state"]) for n in ours.json("notify", "list")] == [("pusat", "delivered")]


def test_a_person_asks_for_one_event(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake(Magnitude="5.1")]
    assert desk.harvest().state is RunState.OK
    ours = command(desk, enabled=False)
    (dry,) = ours.json("respond", "--latest", "--dry-run")
    assert (dry["event"], dry["state"], dry["version"]) == (EVENT, "rehearsed", None)
    assert desk.catalog.versions.current(ID) is None
    (done,) = ours.json("respond", EVENT)
    assert (done["state"], done["dataset"], done["version"]) == ("answered", ID, 1)
    assert done["villages"] == dry["villages"] == len(desk.rows(ID))
    (drill,) = ours.json("respond", EVENT, "--exercise")
    assert drill["dataset"] == ID.replace("respons-", "respons-latihan-")
    wrong = ours.run("respond", "tidak-ada")
    assert wrong.exit_code == 1
    assert "Not found" in wrong.stderr
    assert ours.run("respond").exit_code != 0


def test_a_channel_is_tried_by_hand(desk: Desk) -> None:
    with misbehaving() as pusat:
        pusat.on("/", lambda handler: handler.reply("ok"))
        pusat.on("/bad", lambda handler: handler.reply("", status=403))
        channels = [
            {"type": "webhook", "name": name, "url": pusat.url + path}
            for name, path in (("pusat", "/"), ("lain", "/bad"))
        ]
        ours = command(desk, notify=channels)
        assert ours.json("notify", "test", "pusat") == [
            {"channel": "pusat", "state": "delivered", "reason": ""}
        ]
        (seen,) = pusat.seen
        assert orjson.loads(seen.body)["type"].endswith(".uji")
        both = ours.run("notify", "test")
        assert both.exit_code == 1
        assert "403" in both.stdout
        assert ours.run("notify", "test", "salah").exit_code != 0


def test_the_schedule_has_events_answered_and_leaves_no_process_behind(desk: Desk) -> None:
    ours = command(desk)
    app = App(config_dir=ours.config, data_dir=ours.data, lang="en")
    try:
        with responder_beside(app):
            desk.feeds["autogempa"] = [quake()]
            assert desk.harvest().state is RunState.OK
            until(lambda: desk.catalog.versions.current(ID), "the answer", pause=0.2)
        assert desk.catalog.versions.current(ID) is not None
        assert not [thread for thread in threading.enumerate() if thread.name == "respond"]
    finally:
        app.close()


# -- HTTP ----------------------------------------------------------------------------------------------


def test_over_http_it_answers_and_publishes_nothing(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    world = World(desk.settings, desk.catalog, desk.store)
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:

        def ask(**inputs: Any) -> httpx.Response:
            return client.post("/processes/respons-cepat/execution", json={"inputs": inputs})

        quake_ = {"lon": 107.05, "lat": -6.84, "magnitudo": 5.6, "kedalaman_km": 11}
        said, known = ask(gempa=quake_).json(), ask(kejadian=EVENT).json()
        for name in ("ringkasan", "desa", "terdekat", "kiriman", "tidak_terpenuhi"):
            assert said[name] == known[name]
        assert known["koleksi"] == []
        assert known["lapisan"]["events"] == "gempa v1"
        assert desk.catalog.versions.current(ID) is None
        assert desk.catalog.responses.list() == []
        store = open_store(desk.settings)  # the responder is another process
        (done,) = Responder(desk.settings, desk.catalog, store, clock=desk.clock).run()
        assert {one["kode"] for one in said["desa"]} == {row["kode"] for row in desk.rows(ID)}
        assert done.summary == {**said["ringkasan"]}
        until(lambda: client.get(f"/collections/{ID}").status_code == 200, "the answer is served")
        assert [one["id"] for one in ask(kejadian=EVENT).json()["koleksi"]] == [ID, f"{ID}-rencana"]
        listed = {
            one["id"] for one in client.get("/collections", params={"limit": 100}).json()["collections"]
        }
        assert {ID, f"{ID}-rencana"} <= listed
        found = client.get("/collections/katalog/items", params={"q": "respons cepat"}).json()
        assert {one["id"] for one in found["features"]} == {ID, f"{ID}-rencana"}
        items = client.get(f"/collections/{ID}/items", params={"limit": 1, "f": "json"}).json()
        assert items["numberMatched"] == len(said["desa"])
        wrong = ask(kejadian="tidak-ada")
        assert (wrong.status_code, wrong.json()["where"]) == (400, "inputs.kejadian")
        wrong = ask()
        assert (wrong.status_code, wrong.json()["where"]) == (400, "inputs.kejadian")
        page = client.get("/processes/respons-cepat", headers={"Accept": "text/html"}, params={"lang": "id"})
        assert "tidak ada yang diterbitkan" in page.text


def test_health_tells_of_events_that_could_not_be_answered(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    broken = desk.responder(needs=[{"item": "beras_kg", "per": "kambing", "amount": 1}])
    world = World(desk.settings, desk.catalog, desk.store)
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        assert client.get("/health").json()["responses"] == {"events": 0, "notices": 0}
        store = open_store(desk.settings)
        Responder(broken.settings, desk.catalog, store, clock=desk.clock).run()
        said = client.get("/health").json()
    assert (said["status"], said["responses"]) == ("degraded", {"events": 1, "notices": 0})


# -- warnings ------------------------------------------------------------------------------------------


def alert(**changes: Any) -> dict[str, Any]:
    return dict.fromkeys(name.name for name in FIELDS) | {
        "peristiwa": "Hujan Lebat dan Petir", "wilayah": "Cianjur", "tingkat": "Extreme",
        "kemendesakan": "Immediate", "kepastian": "Observed", "dikirim": "2022-11-21T06:20:00+00:00",
        "berlaku": "2022-11-21T06:30:00+00:00", "kedaluwarsa": "2022-11-21T09:00:00+00:00", "status": "Actual",
        "jenis": "Alert", **changes,
    }  # fmt: skip


def warn(desk: Desk, **alerts: dict[str, Any]) -> list[Any]:
    """Publish these alerts (id -> row) and let the responder work."""
    world = World(desk.settings, desk.catalog, desk.store)
    shapes = np.array([AREA for _ in alerts], dtype=object)
    world.publish("peringatan-cuaca", CAP, FeatureBatch(list(alerts), list(alerts.values()), shapes))
    return desk.responder().run()


def test_a_warning_is_answered_updated_and_called_off(desk: Desk) -> None:
    first = alert()
    (done,) = warn(desk, a1=first)
    assert (done.state, done.dataset_id) == ("answered", "respons-a1")
    rows = desk.rows("respons-a1")
    assert {row["kelas"] for row in rows} == {"Extreme"}
    assert all(0 < row["bagian"] <= 1 and row["mmi"] is None for row in rows)
    part = next(row for row in rows if 0.2 < row["bagian"] < 0.8 and row["jumlah_jiwa"])
    assert part["perkiraan_jiwa"] == round(part["jumlah_jiwa"] * part["bagian"])
    later = {
        "dikirim": "2022-11-21T06:22:00+00:00",
        "rujukan": "cuaca@bmkg.go.id,a1,2022-11-21T06:20:00+00:00",
    }
    second = alert(jenis="Update", tingkat="Severe", **later)
    (done,) = warn(desk, a1=first, a2=second)
    assert (done.dataset_id, done.version) == ("respons-a1", 2)
    assert {row["kelas"] for row in desk.rows("respons-a1")} == {"Severe"}
    later |= {
        "dikirim": "2022-11-21T06:24:00+00:00",
        "rujukan": "cuaca@bmkg.go.id,a2,2022-11-21T06:22:00+00:00",
    }
    (done,) = warn(desk, a1=first, a2=second, a3=alert(jenis="Cancel", **later))
    assert (done.dataset_id, done.version, done.summary["desa"]) == ("respons-a1", 3, 0)
    assert desk.catalog.datasets.get("respons-a1").record.title.id.startswith("DIBATALKAN: ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tingkat": "Moderate"}, "tingkat"),
        ({"kemendesakan": "Future"}, "kemendesakan"),
        ({"kepastian": "Possible"}, "kepastian"),
        ({"status": "Test"}, "status"),
        ({"jenis": "Cancel"}, "dibatalkan"),
        ({"kedaluwarsa": "2022-11-21T06:00:00+00:00"}, "kedaluwarsa"),
    ],
)
def test_warnings_that_the_rules_do_not_want(desk: Desk, change: dict[str, Any], reason: str) -> None:
    assert warn(desk, a1=alert(**change)) == []
    (entry,) = desk.catalog.responses.list()
    assert entry.reason == reason


def test_a_warning_that_is_an_exercise_is_marked_so(desk: Desk) -> None:
    (done,) = warn(desk, a1=alert(status="Exercise"))
    assert done.dataset_id == "respons-latihan-a1"
    assert {row["latihan"] for row in desk.rows(done.dataset_id)} == {True}


# -- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        "2.49.0.1.360.0.2026.09.24.07.75.002",
        "A B/ç",
        "..a--b..",
        "x" * 300,
        "20260921T234813Z_4.74_125.30",
    ],
)
def test_the_collection_of_any_event_has_a_good_id(event: str) -> None:
    from pydantic import TypeAdapter

    from catalog.sources import DatasetId

    for exercise in (False, True):
        name = dataset_id(event, exercise=exercise)
        TypeAdapter(DatasetId).validate_python(f"{name}-rencana")


def test_every_column_has_a_title(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    desk.responder().run()
    for name in (ID, f"{ID}-rencana"):
        info = desk.catalog.versions.current(name)
        assert info is not None
        assert info.schema is not None
        for field in info.schema.fields:
            assert field.title
            assert "{" not in field.title
            assert field.title not in catalogue()
