"""What pusat kendali says to programs: the state, how old each feed is, an answer to an event and to an area."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from catalog.model import RunState
from ogc_server.kendali import making
from ogc_server.kendali.picture import Picture
from tests.kendali.world import AREA, EVENT, ID, happen, serving, warn
from tests.response.world import Desk, quake
from tests.servers import PATIENCE, free_port, until


def state_of(url: str, lang: str = "id") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(
        f"{url}/kendali/state?lang={lang}", trust_env=False, timeout=PATIENCE
    ).json()
    return found


def _version(url: str) -> int:
    told = httpx.get(f"{url}/collections/peringatan-cuaca?f=json", trust_env=False, timeout=PATIENCE)
    return int(told.json()["version"])


def feed(said: dict[str, Any], name: str = "bmkg") -> dict[str, Any]:
    return next(one for one in said["umpan"] if one["id"] == name)


def test_the_state_holds_events_warnings_answers_and_the_age_of_feeds(client: httpx.Client) -> None:
    said = client.get("/kendali/state").json()
    newest = said["gempa"][0]
    assert (newest["id"], newest["magnitudo"], newest["jawaban"], newest["status"]) == (
        EVENT,
        5.6,
        ID,
        "answered",
    )
    assert [one["id"] for one in said["peringatan"]] == ["hujan-1"]
    (card,) = said["jawaban"]
    assert card["id"] == ID
    assert card["ringkasan"]["desa"] > 100
    assert card["ringkasan"]["perkiraan"]["jiwa"] > 100_000
    assert (feed(said)["keadaan"], feed(said)["judul"]) == ("baik", "Gempa BMKG")
    assert feed(said, "cianjur")["keadaan"] == "tetap"


def test_the_state_has_a_strong_tag_and_is_not_sent_twice(client: httpx.Client) -> None:
    first = client.get("/kendali/state")
    assert not first.headers["etag"].startswith("W/")
    again = client.get("/kendali/state", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/kendali/state?lang=en").headers["etag"] != first.headers["etag"]


def test_warnings_that_ended_were_called_off_or_replaced_are_not_in_force(desk: Desk) -> None:
    warn(desk, "a")
    with serving(desk) as url:
        assert [one["id"] for one in state_of(url)["peringatan"]] == ["a"]
        desk.clock.forward(hours=3)
        assert state_of(url)["peringatan"] == []
        warn(desk, "b", jenis="Cancel", rujukan="bmkg,a,2022-11-21T06:25:00+00:00")
        until(lambda: _version(url) == 2, "the call-off is served")
        assert state_of(url)["peringatan"] == []
        warn(desk, "c", status="Test")
        until(lambda: _version(url) == 3, "the test message is served")
        assert state_of(url)["peringatan"] == []


def test_a_feed_becomes_late_against_its_schedule_and_says_why_it_fails(desk: Desk) -> None:
    happen(desk, answer=False)
    with serving(desk) as url:
        assert feed(state_of(url))["keadaan"] == "baik"
        good = feed(state_of(url))["terakhir_baik"]
        desk.clock.forward(minutes=3)  # a minute's schedule, a minute of jitter, two of grace
        assert feed(state_of(url))["keadaan"] == "baik"
        desk.clock.forward(minutes=2)
        assert feed(state_of(url))["keadaan"] == "terlambat"
        desk.url = f"http://127.0.0.1:{free_port()}/"
        assert desk.harvest().state is RunState.FAILED
        failing = feed(state_of(url))
        assert failing["keadaan"] == "gagal"
        assert failing["terakhir_baik"] == good
        assert failing["alasan"]
        assert failing["alasan"] != feed(state_of(url, "en"))["alasan"]
        assert state_of(url)["gempa"][0]["id"] == EVENT  # the last data stays


def test_the_last_state_is_shown_when_the_catalog_is_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(desk)
    with serving(desk) as url:
        before = state_of(url)

        def away(*_: Any, **__: Any) -> Any:
            raise OSError("the database is away")

        monkeypatch.setattr(desk.catalog.responses, "list", away)
        after = state_of(url)
        assert after["katalog"] == {"terhubung": False}
        assert (after["gempa"], after["jawaban"]) == (before["gempa"], before["jawaban"])


def test_an_answer_by_event_or_collection_is_the_published_one(client: httpx.Client) -> None:
    by_event = client.get("/kendali/jawaban", params={"kejadian": EVENT})
    assert by_event.content == client.get("/kendali/jawaban", params={"kejadian": ID}).content
    said = by_event.json()
    assert said["ringkasan"]["desa"] == len(said["desa"]) == len(said["peta"]["desa"]["features"])
    mmi = [row["mmi"] for row in said["desa"]]
    assert mmi == sorted(mmi, reverse=True)
    rice = said["ringkasan"]["item"][0]
    assert rice["butuh"] == rice["kirim"] + rice["kurang"]
    assert rice["kirim"] == sum(row["jumlah"] for row in said["kiriman"])
    assert rice["kurang"] == sum(row["jumlah"] for row in said["kurang"]) > 0
    stores = {one["id"]: one for one in said["fasilitas"]}
    assert stores["lumbung-0"]["stok"]["beras_kg"] == 400_000
    assert {one["id"]: one["versi"] for one in said["sumber"]} == {
        "gempa": 1,
        "batas": 1,
        "gudang": 1,
        "jiwa": 1,
    }
    tag = by_event.headers["etag"]
    assert (
        client.get("/kendali/jawaban", params={"kejadian": ID}, headers={"if-none-match": tag}).status_code
        == 304
    )


def test_an_area_gets_the_same_answer_as_a_warning_of_that_area(client: httpx.Client) -> None:
    answer = client.post("/kendali/jawaban", json={"area": AREA})
    said = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    process = client.post("/processes/wilayah-terdampak/execution", json={"inputs": {"area": AREA}}).json()
    assert {row["kode"]: row["bagian"] for row in said["desa"]} == {
        row["kode"]: row["bagian"] for row in process["desa"]
    }
    assert said["ringkasan"]["item"][0]["kirim"] > 0
    assert said["fasilitas"][0]["nama"].startswith("Lumbung")
    assert said["jenis"] == "area"


@pytest.mark.parametrize(
    "area",
    [
        None, {}, {"type": "Point", "coordinates": [107, -7]}, {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[107, -7], [107, -7], [107, -7], [107, -7]]]},
        {"type": "Polygon", "coordinates": [[[700, -7], [701, -7], [701, -8], [700, -7]]]},
        {"type": "Polygon", "coordinates": [[["x", "y"]]]}, "POLYGON((1 2))",
    ],
)  # fmt: skip
def test_what_is_no_area_is_refused_with_its_field(client: httpx.Client, area: Any) -> None:
    answer = client.post("/kendali/jawaban", json={"area": area})
    assert (answer.status_code, answer.json()["where"]) == (400, "area")


def test_an_outline_that_crosses_itself_encloses_two_areas(client: httpx.Client) -> None:
    west, middle, east, south, north = 107.05, 107.1, 107.15, -6.9, -6.8
    bow = [[west, south], [east, north], [east, south], [west, north], [west, south]]
    halves = [
        [[west, south], [middle, (south + north) / 2], [west, north], [west, south]],
        [[middle, (south + north) / 2], [east, north], [east, south], [middle, (south + north) / 2]],
    ]
    areas: list[dict[str, Any]] = [
        {"type": "Polygon", "coordinates": [bow]},
        {"type": "MultiPolygon", "coordinates": [[half] for half in halves]},
        {"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [half]}}
            for half in (*halves, halves[0])
        ]},
    ]  # fmt: skip
    found = [client.post("/kendali/jawaban", json={"area": one}).json()["desa"] for one in areas]
    assert len(found[0]) > 10
    shares = [[(row["kode"], round(row["bagian"], 4)) for row in one] for one in found]
    assert shares[0] == shares[1] == shares[2]


def test_an_area_that_a_screen_can_not_wait_for_is_refused_with_what_to_do(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "MOST_DRAWN", 50)
    answer = client.post("/kendali/jawaban", json={"area": AREA})
    assert answer.status_code == 400
    assert "paling banyak 50. Gambar area yang lebih kecil" in answer.json()["detail"]


def test_an_area_with_personal_data_is_refused(client: httpx.Client) -> None:
    feature = {"type": "Feature", "geometry": AREA, "properties": {"nik": "3203011505800001"}}
    answer = client.post("/kendali/jawaban", json={"area": feature})
    assert answer.status_code == 400
    assert "3203011505800001" not in answer.text


def test_what_is_not_there_is_a_404_that_says_so(client: httpx.Client) -> None:
    answer = client.get("/kendali/jawaban?kejadian=tidak-ada")
    assert answer.status_code == 404
    assert "tidak-ada" in answer.json()["detail"]
    assert client.get("/kendali/jawaban").status_code == 400


def test_an_event_that_nobody_answered_is_computed_when_it_is_asked(desk: Desk) -> None:
    happen(desk, quake(Magnitude="4.9"), answer=False)
    with serving(desk) as url:
        said = httpx.get(
            f"{url}/kendali/jawaban", params={"kejadian": EVENT}, trust_env=False, timeout=30
        ).json()
        assert (said["id"], said["kejadian"], said["jenis"]) == (None, EVENT, "gempa")
        assert said["desa"]


def test_what_is_not_for_everybody_is_not_shown(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    desk.harvest()
    assert [one.state for one in desk.responder(access="terbatas").run()] == ["answered"]
    with serving(desk) as url:
        said = state_of(url)
        assert said["jawaban"] == []
        assert "jawaban" not in said["gempa"][0]
        assert httpx.get(f"{url}/kendali/jawaban?kejadian={ID}", trust_env=False).status_code == 404


def test_an_exercise_is_marked_and_kept_apart(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    desk.harvest()
    assert [one.state for one in desk.responder(exercise=True).run()] == ["answered"]
    with serving(desk) as url:
        (card,) = state_of(url)["jawaban"]
        assert card["latihan"] is True
        assert card["judul"].startswith("LATIHAN")


def test_the_tag_does_not_move_while_nothing_happens(quiet: Desk, client: httpx.Client) -> None:
    first = client.get("/kendali/state").headers["etag"]
    quiet.clock.now += timedelta(seconds=20)
    assert client.get("/kendali/state").headers["etag"] == first


def test_the_state_is_made_from_memory_when_no_version_is_new(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.get("/kendali/state").json()
    made: list[Any] = []
    monkeypatch.setattr(Picture, "summary", lambda picture: made.append(picture))
    assert [client.get("/kendali/state").json() for _ in range(3)] == [before] * 3
    assert made == []


def test_the_process_answers_an_area_as_the_page_does(client: httpx.Client) -> None:
    drawn = client.post("/kendali/jawaban", json={"area": AREA}).json()

    def ask(**inputs: Any) -> httpx.Response:
        return client.post("/processes/respons-cepat/execution", json={"inputs": inputs})

    said = ask(area=AREA).json()
    assert {one["kode"] for one in said["desa"]} == {one["kode"] for one in drawn["desa"]}
    assert said["ringkasan"]["perkiraan"] == pytest.approx(drawn["ringkasan"]["perkiraan"], rel=0.02)
    sent = [(one["item"], one["kode"], one["gudang"], one["jumlah"]) for one in said["kiriman"]]
    assert sent
    assert sent == [(one["item"], one["kode"], one["gudang"], one["jumlah"]) for one in drawn["kiriman"]]
    line = {"type": "LineString", "coordinates": [[107, -7], [107.1, -7]]}
    for wrong, where in (
        ({"area": line}, "inputs.area"),
        ({"area": AREA, "mmi_minimum": 6}, "inputs.mmi_minimum"),
        ({"area": AREA, "kejadian": EVENT}, "inputs.area"),
    ):
        refused = ask(**wrong)
        assert (refused.status_code, refused.json()["where"]) == (400, where)
