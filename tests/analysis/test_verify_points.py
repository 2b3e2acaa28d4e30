"""A request of many points, each with its own choices, is answered as each alone would be."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.lookup import DesaIndex
from analysis.verify import Rujukan, verify_point
from analysis.verify_points import verify_points
from tests.analysis.test_lookup import sample
from tests.analysis.test_verify import CLAIMS, DUA, PLACES, RULES, SATU

BPS = Rujukan(alih={"3203010001": (SATU,), "3203010002": (SATU, DUA)})
OLD = Rujukan(lama={SATU: (DUA,)})


def rules(skema: str | None, vintage: int | None) -> Rujukan:
    if skema == "bps":
        return BPS
    return OLD if vintage == 2019 else RULES


def written(value: Any, as_text: bool) -> Any:
    return repr(value) if as_text and value is not None else value


POINTS = st.builds(
    lambda place, kode, text, more: {
        "lon": written(place[0], text), "lat": written(place[1], text), "kode": kode, **more,
    },
    PLACES,
    CLAIMS | st.sampled_from(["3203010001", "3203010002", 3203012001]),
    st.booleans(),
    st.fixed_dictionaries(
        {},
        optional={
            "skema": st.sampled_from(["kemendagri", "bps", None]),
            "vintage": st.sampled_from([2019, 2020, 2025, None]),
            "toleransi_m": st.sampled_from([0, 5.5, 60, 1200, 100_000, None]),
        },
    ),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(POINTS, max_size=40))
def test_points_of_any_choices_get_the_answers_that_each_gets_alone(
    squares: DesaIndex, points: list[dict[str, Any]]
) -> None:
    found = verify_points(squares, points, rules=rules)
    assert len(found) == len(points)
    for point, answer in zip(points, found, strict=True):
        skema, vintage, metres = point.get("skema"), point.get("vintage"), point.get("toleransi_m")
        alone = verify_point(
            squares, point["lon"], point["lat"], point["kode"], skema=skema, vintage=vintage,
            toleransi_m=100.0 if metres is None else metres, rujukan=rules(skema, vintage),
        )  # fmt: skip
        assert answer == alone.as_dict()


def test_a_full_request_of_as_many_tolerances_is_one_piece_of_work(country: DesaIndex) -> None:
    """10,000 points take some 0.1 s of CPU; ten times that would mean work per point again."""
    x, y = sample(country, 10_000, seed=51)
    where = country.where(x, y)[0]
    points = [
        {"lon": lon, "lat": lat, "kode": country.code(max(row, 0)), "toleransi_m": n / 10, "vintage": n}
        for n, (lon, lat, row) in enumerate(zip(x.tolist(), y.tolist(), where.tolist(), strict=True))
    ]
    spent = []
    for _ in range(3):  # a busy machine makes it slower, never faster
        before = time.process_time()
        found = verify_points(country, points, rules=rules)
        spent.append(time.process_time() - before)
    assert min(spent) < 1.0
    inside = np.array([answer["verdik"] == "sesuai" for answer in found])
    assert np.array_equal(inside, where >= 0)
