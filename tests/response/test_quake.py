"""An earthquake of BMKG is harvested, answered, published, revised: the road that nobody has to walk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.earthquake import Gempa, hypocentral_km, intensity
from catalog.errors import GoneError
from catalog.model import RunState
from catalog.responses import ResponseState
from catalog.search import SearchQuery
from layers.contract import LayerStore
from tests.response.world import Desk, quake

EVENT = "20221121T062110Z_-6.84_107.05"
ID = "respons-20221121t062110z-6.84-107.05"
SHIFTED = {"Coordinates": "-6.86,107.01", "DateTime": "2022-11-21T06:21:12+00:00", "Magnitude": "5.4"}


def answered(desk: Desk, *events: dict[str, Any], **response: Any) -> Any:
    """Harvest these events and let the responder work; return what became of the one that was due."""
    desk.feeds["autogempa"] = list(events)
    assert desk.harvest().state is RunState.OK
    done = desk.responder(**response).run()
    assert len(done) == 1, done
    return done[0]


def test_an_earthquake_is_answered_by_itself(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert not desk.responder().pending()
    assert desk.harvest().state is RunState.OK
    responder = desk.responder()
    assert responder.pending()
    (done,) = responder.run()
    assert (done.state, done.dataset_id, done.version) == ("answered", ID, 1), done.reason
    assert not responder.pending()
    rows = desk.rows(ID)
    assert done.summary is not None
    assert len(rows) == done.summary["desa"] > 100
    assert {row["kejadian"] for row in rows} == {EVENT}
    assert {row["latihan"] for row in rows} == {False}
    assert all(row["mmi"] >= 5 for row in rows)


def test_the_desa_hit_are_those_of_the_relation_and_each_has_its_nearest_stores(desk: Desk) -> None:
    answered(desk, quake())
    rows = {row["kode"]: row for row in desk.rows(ID)}
    info = desk.catalog.versions.current("batas")
    assert info is not None
    for batch in desk.store.reader(info).batches():
        assert batch.geometries is not None
        for kode, shape in zip(batch.ids, batch.geometries, strict=True):
            place = shape.point_on_surface()
            lon, lat = np.array([place.x]), np.array([place.y])
            km = hypocentral_km(Gempa(107.05, -6.84, 5.6, 11), lon, lat)
            mmi = float(intensity(5.6, km)[0])
            if abs(mmi - 5) > 0.01:  # our point inside of the desa is another one
                assert (kode in rows) == (mmi > 5), (kode, mmi)
    for row in rows.values():
        metres = [row[f"bantuan_{n}_jarak_m"] for n in (1, 2, 3)]
        assert metres == sorted(metres)
        assert row["bantuan_1_nama"].startswith("Lumbung")
        assert "persen_miskin" not in " ".join(row)


def test_needs_follow_the_rule_and_the_plan_keeps_to_the_stock(desk: Desk) -> None:
    done = answered(desk, quake(), plan_targets=500)
    hit, plan = desk.rows(ID), desk.rows(f"{ID}-rencana")
    for row in hit:
        if row["jumlah_jiwa"] is None:  # nothing published: not known, not zero
            assert row["butuh_beras_kg"] == 0
            continue
        assert row["butuh_beras_kg"] == -(
            -row["perkiraan_jiwa"] * 28 // 10
        )  # 0.4 kg a day, 7 days, rounded up
        assert 0 <= row["kirim_beras_kg"] <= row["butuh_beras_kg"]
    sent: dict[str, int] = {}
    for line in plan:
        if line["gudang"]:
            sent[line["gudang"]] = sent.get(line["gudang"], 0) + line["jumlah"]
            assert line["alasan"] is None
            assert line["satuan"] == "kg"
        else:
            assert line["alasan"] == "stok_kurang"
    assert sent == {
        "lumbung-0": 400_000,
        "lumbung-1": 90_000,
        "lumbung-2": 5_000,
    }  # one is closed, one is empty
    (item,) = done.summary["item"]
    unmet = sum(line["jumlah"] for line in plan if not line["gudang"])
    assert item == {
        "item": "beras_kg", "kebutuhan": 495_000 + unmet, "dikirim": 495_000, "dirilis": 495_000, "kurang": unmet,
    }  # fmt: skip


def test_both_collections_are_in_the_catalogue_with_their_lineage(desk: Desk) -> None:
    answered(desk, quake())
    found = desk.catalog.datasets.search(SearchQuery(q="respons cepat gempa")).items
    assert {one.id: one.kind for one in found} == {ID: "feature", f"{ID}-rencana": "table"}
    record = desk.catalog.datasets.get(ID).record
    assert record.title.id == (
        "Gempa M5,6, Pusat gempa berada di darat 10 km barat daya Kab. Cianjur, 21 Nov 2022 13.21 WIB:"
        " wilayah terdampak"
    )
    assert record.title.en.startswith("Earthquake M5.6, ")
    assert record.title.en.endswith(", 21 Nov 2022 13:21 WIB: who is hit")
    for said in (EVENT, "batas v1", "gudang v1", "jiwa v1", "gempa v1", "10.1007/s10950-012-9278-7"):
        assert said in record.lineage
    assert (record.access, record.synthetic) == ("publik", False)
    assert {"respons cepat", "gempa bumi", "BMKG"} <= set(record.keywords)
    assert record.bbox is not None
    (entry,) = desk.catalog.audit.list(EVENT)
    assert (entry.action, entry.details["used"]["people"]) == ("response.answered", "jiwa v1")


def test_a_revision_is_a_new_version_of_the_same_collection(desk: Desk) -> None:
    answered(desk, quake())
    first = len(desk.rows(ID))
    desk.clock.forward(minutes=4)
    done = answered(desk, quake(Magnitude="5.9", Kedalaman="10 km"))
    assert (done.dataset_id, done.version) == (ID, 2)
    rows = desk.rows(ID)
    assert len(rows) > first
    assert {(row["revisi"], row["magnitudo"]) for row in rows} == {(2, 5.9)}
    desk.catalog.versions.rollback(ID, by="tests")
    assert len(desk.rows(ID)) == first


def test_a_revision_that_moves_time_and_place_is_the_same_event(desk: Desk) -> None:
    answered(desk, quake())
    desk.clock.forward(minutes=4)
    done = answered(desk, quake(**SHIFTED))
    assert (done.event, done.dataset_id, done.version) == (EVENT, ID, 2)
    assert {row["magnitudo"] for row in desk.rows(ID)} == {5.4}
    (entry,) = desk.catalog.responses.list()
    assert (entry.revision, len(entry.members)) == (2, 2)
    # the old report stays in the event layer for ever: it must not be taken for the next revision
    desk.feeds["gempaterkini"] = [
        quake(DateTime="2022-11-21T03:00:00+00:00", Magnitude="5.0", Kedalaman="200 km")
    ]
    assert desk.harvest().state is RunState.OK
    assert desk.responder().run() == []


def test_what_an_answer_does_not_depend_on_is_no_revision(desk: Desk) -> None:
    answered(desk, quake())
    desk.feeds["autogempa"] = [quake(Dirasakan="VI Cianjur", Shakemap="y.jpg")]
    assert desk.harvest().state is RunState.OK
    responder = desk.responder()
    assert responder.run() == []
    assert not responder.pending()


def test_an_event_that_shrinks_below_the_rule_is_still_revised(desk: Desk) -> None:
    answered(desk, quake())
    done = answered(desk, quake(Magnitude="3.1"))
    assert (done.version, done.summary["desa"]) == (2, 0)
    assert desk.rows(ID) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Magnitude": "4.9"}, "magnitudo"),
        ({"Magnitude": None}, "tanpa-magnitudo"),
        ({"Kedalaman": "101 km"}, "kedalaman"),
        ({"Coordinates": "20.0,107.05"}, "di-luar-wilayah"),
        ({"DateTime": "2022-11-20T23:00:00+00:00"}, "terlalu-lama"),
    ],
)
def test_what_the_rules_do_not_want_is_left_alone_and_says_why(
    desk: Desk, change: dict[str, Any], reason: str
) -> None:
    desk.feeds["autogempa"] = [quake(**change)]
    assert desk.harvest().state is RunState.OK
    responder = desk.responder()
    assert responder.run() == []
    assert not responder.pending()
    entries = desk.catalog.responses.list()
    assert [(one.state, one.reason) for one in entries] == (
        [] if reason == "terlalu-lama" else [(ResponseState.IGNORED, reason)]
    )
    assert desk.catalog.datasets.ids(source_id=f"analisis:{ID}") == []


def test_an_old_feed_harvested_for_the_first_time_notifies_nobody(desk: Desk) -> None:
    channel = {"type": "webhook", "name": "pusat", "url": "http://127.0.0.1:9/"}
    desk.clock.forward(days=3)
    desk.feeds["gempaterkini"] = [quake(), quake(DateTime="2022-11-20T01:00:00+00:00", Magnitude="7.0")]
    assert desk.harvest().state is RunState.OK
    assert desk.responder(notify=[channel]).run() == []
    assert desk.catalog.outbox.list() == []


def test_a_small_quake_that_is_revised_upwards_is_answered(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake(Magnitude="4.8")]
    assert desk.harvest().state is RunState.OK
    assert desk.responder().run() == []
    done = answered(desk, quake(**(SHIFTED | {"Magnitude": "5.5"})))
    assert (done.state, done.dataset_id, done.version) == ("answered", ID, 1)


def test_a_strong_quake_far_out_at_sea_hits_nobody(desk: Desk) -> None:
    done = answered(desk, quake(Coordinates="-11.5,100.0", Magnitude="5.6"))
    assert (done.state, done.reason) == ("ignored", "tidak-ada-desa")


def test_a_rehearsal_publishes_nothing(desk: Desk) -> None:
    done = answered(desk, quake(), dry_run=True)
    assert done.state == "rehearsed"
    assert done.summary["desa"] > 100
    assert desk.catalog.datasets.find(ID) is None
    assert desk.catalog.outbox.list() == []
    assert [one.action for one in desk.catalog.audit.list(EVENT)] == ["response.rehearsed"]


def test_an_exercise_is_marked_everywhere_and_kept_apart(desk: Desk) -> None:
    channel = {"type": "webhook", "name": "pusat", "url": "http://127.0.0.1:9/", "timeout_seconds": 0.1}
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    (done,) = desk.responder(exercise=True, notify=[channel]).run()
    name = f"respons-latihan-{ID.removeprefix('respons-')}"
    assert done.dataset_id == name
    assert {row["latihan"] for row in (*desk.rows(name), *desk.rows(f"{name}-rencana"))} == {True}
    record = desk.catalog.datasets.get(name).record
    assert record.title.id.startswith("LATIHAN: ")
    assert record.title.en.startswith("EXERCISE (LATIHAN): ")
    assert "latihan" in record.keywords
    (notice,) = desk.catalog.outbox.list()
    assert notice.body["data"]["latihan"] is True
    assert notice.body["data"]["teks"]["id"]["judul"].startswith("LATIHAN: ")
    (real,) = desk.responder().run()  # the exercise took nothing away from the real event
    assert (real.dataset_id, real.version) == (ID, 1)


def test_a_failure_is_noted_waits_and_is_made_good(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    wrong = [{"item": "beras_kg", "per": "kambing", "amount": 1}]
    responder = desk.responder(needs=wrong)
    for _ in range(2):
        (done,) = responder.run()
        assert (done.state, "kambing" in done.reason) == ("failed", True)
        assert not responder.pending()
        desk.clock.forward(minutes=1)
        assert responder.pending()
    (line,) = desk.catalog.audit.list(EVENT)  # told once, not at every try
    assert line.action == "response.failed"
    (done,) = desk.responder().run()
    assert (done.state, done.version) == ("answered", 1)


def test_a_failure_does_not_last_for_ever(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    responder = desk.responder(needs=[{"item": "beras_kg", "per": "kambing", "amount": 1}])
    responder.run()
    desk.clock.forward(hours=7)
    responder.run()
    (entry,) = desk.catalog.responses.list()
    assert entry.state is ResponseState.FAILED
    assert not responder.pending()


def test_a_worker_that_died_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    responder = desk.responder()

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(desk.catalog.responses, "answered", dies)  # published, and then the power goes
        with pytest.raises(KeyboardInterrupt):
            responder.run()
    assert desk.responder().run() == []  # its lease still runs
    desk.clock.forward(minutes=4)
    assert responder.pending()
    (done,) = responder.run()
    assert (done.state, done.version) == ("answered", 1)  # the same content makes no second version


def test_a_revision_during_the_work_is_answered_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    real, rounds = desk.catalog.responses.answered, list[int]()

    def slow(*given: Any, **more: Any) -> None:
        if not rounds:
            desk.feeds["autogempa"] = [quake(Magnitude="5.8")]
            assert desk.harvest().state is RunState.OK
            other = desk.responder()
            with other._open() as at:
                assert len(other.scan(at)) == 1
        rounds.append(1)
        real(*given, **more)

    monkeypatch.setattr(desk.catalog.responses, "answered", slow)
    responder = desk.responder()
    done = [*responder.run(), *(responder.run() if responder.pending() else [])]
    assert [one.version for one in done] == [1, 2]
    assert {row["magnitudo"] for row in desk.rows(ID)} == {5.8}


def test_a_large_event_is_planned_by_larger_region(desk: Desk) -> None:
    done = answered(desk, quake(), plan_targets=10)
    assert done.summary["tingkat_rencana"] == "kabkota"
    plan = desk.rows(f"{ID}-rencana")
    assert {(line["kode"], line["tingkat"]) for line in plan} == {("32.03", "kabkota")}
    assert not any(name.startswith("butuh_") for name in desk.rows(ID)[0])


def test_a_layer_that_is_not_public_is_never_opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    desk.catalog.datasets.overlay("gempa", {"access": "internal"}, by="tests")
    opened: list[str] = []
    real: Any = type(desk.store).reader

    def reader(self: LayerStore, info: Any) -> Any:
        opened.append(info.layer_id)
        return real(self, info)

    monkeypatch.setattr(type(desk.store), "reader", reader)
    assert not desk.responder().pending()
    assert desk.responder().run() == []
    assert "gempa" not in opened


def test_old_answers_are_withdrawn_and_deleted_and_can_be_made_anew(desk: Desk) -> None:
    desk.feeds["autogempa"] = [quake()]
    assert desk.harvest().state is RunState.OK
    (done,) = desk.responder().run()
    names = [done.dataset_id, f"{done.dataset_id}-rencana"]
    folders = [desk.settings.data_dir / "layers" / name for name in names]
    desk.clock.forward(days=89)
    desk.responder(keep_days=90).run()
    desk.clock.forward(days=2)
    desk.responder(keep_days=None).run()
    assert all(desk.catalog.versions.current(name) for name in names)  # not old enough, then never
    desk.responder(keep_days=90).run()
    for name, folder in zip(names, folders, strict=True):
        with pytest.raises(GoneError):
            desk.catalog.datasets.get(name)
        assert [one.state for one in desk.catalog.versions.list(name)] == ["removed"]
        assert not list(folder.glob("1.*"))
    assert desk.catalog.datasets.find("gempa") is not None  # nothing else is touched
    (known,) = desk.catalog.responses.list()
    assert known.dataset_id == names[0]
    assert desk.responder().respond(known.id).state == "answered"  # by a person's word
    assert desk.catalog.versions.current(names[0]) is not None
    assert desk.responder(keep_days=90).run() == []
    assert desk.catalog.versions.current(names[0]) is not None  # it is young again
