"""A person reads why a run ended as it did, in Indonesian or English."""

from __future__ import annotations

from harvesters.engine.explain import explain
from tests.harvesters.support import World, layer, points


def test_a_held_dataset_is_explained_by_its_guards(world: World) -> None:
    world.upstream(layer(points(30)))
    assert explain(world.harvest()) == []
    world.upstream(layer(points(20)))
    run = world.harvest()
    assert explain(run)[0] == "fasilitas: 10 dari 30 baris (33.3 %) akan hilang; batasnya 10 %"
    assert explain(run, "en")[0] == "fasilitas: 10 of 30 rows (33.3 %) would go; the limit is 10 %"
    assert explain(world.harvest())[0].startswith(
        "fasilitas: isi yang sama masih menunggu keputusan walidata"
    )


def test_a_failure_has_its_text_and_its_detail(world: World) -> None:
    world.upstream(layer(points(3)), fail_at="probe")
    (said,) = explain(world.harvest())
    assert said.startswith("Sumber data tidak menjawab untuk sementara: ")
    world.upstream(layer(points(3)), listed=["fasilitas", "lain"])
    (said,) = explain(world.harvest(), "en")
    assert said == "not every dataset that is listed could be read: 1 listed did not come: lain"
