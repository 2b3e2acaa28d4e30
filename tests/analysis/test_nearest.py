"""The nearest facilities: in geodesic order, by kind, with what a responder needs to know."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from analysis.lookup import DesaIndex
from analysis.nearest import Asal, FacilityIndex, Fasilitas, origins_of_codes, origins_of_geometry
from catalog.errors import NotFoundError, QueryError
from tests.analysis.boundaries import DEGREE, SOUTH, WEST

GEOD = Geod(ellps="WGS84")
CIANJUR = Asal("posko", 107.14, -6.82)


def warehouses(count: int, seed: int = 1) -> list[Fasilitas]:
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(95, 141, count), rng.uniform(-11, 6, count)
    kinds = rng.choice(["gudang", "lumbung", "sentra"], count)
    return [
        Fasilitas(f"F{n:05}", f"Gudang {n}", str(kinds[n]), float(lon[n]), float(lat[n]))
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def facilities() -> FacilityIndex:
    return FacilityIndex(warehouses(5000))


def brute(origin: Asal, facilities: list[Fasilitas], k: int) -> list[tuple[float, str]]:
    count = len(facilities)
    metres = GEOD.inv(
        np.full(count, origin.lon), np.full(count, origin.lat),
        [f.lon for f in facilities], [f.lat for f in facilities],
    )[2]  # fmt: skip
    return sorted(zip(metres, (f.id for f in facilities), strict=True))[:k]


def test_the_order_is_that_of_the_geodesic_everywhere(facilities: FacilityIndex) -> None:
    rng = np.random.default_rng(2)
    origins = [Asal(str(n), *p) for n, p in enumerate(rng.uniform((95, -11), (141, 6), (200, 2)).tolist())]
    for origin, found in zip(origins, facilities.nearest(origins, k=10), strict=True):
        expected = brute(origin, list(facilities.facilities), 10)
        assert [one.fasilitas.id for one in found] == [name for _, name in expected]
        assert [one.jarak_m for one in found] == pytest.approx([metres for metres, _ in expected])
        assert [one.urutan for one in found] == list(range(1, 11))


def test_only_the_kinds_asked_for(facilities: FacilityIndex) -> None:
    chosen = [f for f in facilities.facilities if f.jenis in {"gudang", "sentra"}]
    [found] = facilities.nearest([CIANJUR], k=5, jenis=["gudang", "sentra", "gudang"])
    assert [one.fasilitas.id for one in found] == [name for _, name in brute(CIANJUR, chosen, 5)]


def test_stock_status_and_the_kind_of_distance_are_in_the_answer() -> None:
    one = Fasilitas(
        "G1", "Gudang Cianjur", "gudang", 107.14, -6.81, {"beras_kg": 5000.0}, "buka", {"jam": "08-16"}
    )
    [[found]] = FacilityIndex([one]).nearest([CIANJUR], k=3)
    metres = GEOD.inv(107.14, -6.82, 107.14, -6.81)[2]
    assert found.as_dict() == {
        "asal": "posko", "urutan": 1, "jarak_m": round(metres, 1), "jarak_jenis": "geodesik", "id": "G1",
        "nama": "Gudang Cianjur", "jenis": "gudang", "status": "buka", "stok": {"beras_kg": 5000.0},
        "lon": 107.14, "lat": -6.81, "info": {"jam": "08-16"},
    }  # fmt: skip


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(0, 10_000))
def test_any_k_and_any_number_of_facilities(count: int, k: int, seed: int) -> None:
    some = warehouses(count, seed)
    some += [Fasilitas("twin", "x", "gudang", some[0].lon, some[0].lat)]
    [found] = FacilityIndex(some).nearest([CIANJUR], k=k)
    assert [(one.jarak_m, one.fasilitas.id) for one in found] == brute(CIANJUR, some, k)


def test_across_the_date_line_and_the_pole() -> None:
    east, far = Fasilitas("e", "", "a", -179.9, 0), Fasilitas("f", "", "a", 178.0, 0)
    assert FacilityIndex([east, far]).nearest([Asal("x", 179.9, 0)])[0][0].fasilitas.id == "e"


def test_origins_of_areas_points_and_desa(squares: DesaIndex) -> None:
    area = shapely.box(107, -7, 108, -6).difference(shapely.box(107.3, -6.7, 107.7, -6.3))
    [origin] = origins_of_geometry(area)
    assert shapely.Point(origin.lon, origin.lat).within(area)
    points = origins_of_geometry(shapely.MultiPoint([(107, -6), (108, -7)]))
    assert points == [Asal("asal-1", 107, -6), Asal("asal-2", 108, -7)]
    [desa] = origins_of_codes(squares, ["3203012003"])
    assert desa.id == "32.03.01.2003"
    assert squares.where(np.array([desa.lon]), np.array([desa.lat]))[0].tolist() == [2]
    assert WEST < desa.lon < WEST + 9 * DEGREE
    assert desa.lat > SOUTH


def test_wrong_questions_name_the_field(facilities: FacilityIndex, squares: DesaIndex) -> None:
    for k in (0, 1001):
        with pytest.raises(QueryError) as error:
            facilities.nearest([CIANJUR], k=k)
        assert error.value.where == "k"
    with pytest.raises(QueryError, match="gudang, lumbung, sentra") as kind:
        facilities.nearest([CIANJUR], jenis=["bank"])
    assert kind.value.where == "jenis"
    with pytest.raises(NotFoundError):
        origins_of_codes(squares, ["32.03.99.2001"])
    with pytest.raises(QueryError):
        origins_of_geometry(shapely.Polygon())
    with pytest.raises(QueryError, match="G9"):
        FacilityIndex([Fasilitas("G9", "", "a", float("nan"), 0)])
    assert FacilityIndex([]).nearest([CIANJUR]) == [[]]
    assert facilities.nearest([]) == []
