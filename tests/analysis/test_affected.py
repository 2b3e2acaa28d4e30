"""Who is hit: shares against a geodesic reference, people, roll-ups, earthquakes by the relation."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.affected import Bahaya, affected_by_area, affected_by_earthquake
from analysis.earthquake import Gempa, hypocentral_km, intensity, roman, sigma
from analysis.lookup import GEOD, DesaIndex
from catalog.errors import QueryError
from tests.analysis.boundaries import DEGREE, SOUTH, WEST, square

SATU, DUA, TIGA, EMPAT, LIMA = (f"32.03.01.200{n}" for n in range(1, 6))
CIANJUR_2022 = Gempa(107.05, -6.86, 5.6, 11)


def blob(lon: float, lat: float, radius: float, vertices: int = 400) -> shapely.Polygon:
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    r = radius * (1 + 0.3 * np.sin(5 * angle))
    return shapely.Polygon(np.column_stack([lon + r * np.cos(angle), lat + r * np.sin(angle)]))


def geodesic_area(geometry: shapely.Geometry) -> float:
    return abs(float(GEOD.geometry_area_perimeter(shapely.orient_polygons(geometry))[0]))


def test_shares_people_and_estimates(squares: DesaIndex) -> None:
    quarter = shapely.box(WEST + 0.5 * DEGREE, SOUTH, WEST + 1.25 * DEGREE, SOUTH + DEGREE)
    people = {SATU: {"jiwa": 1000.0, "keluarga": 300.0}, DUA: {"jiwa": 400.0, "keluarga": 100.0}}
    found = affected_by_area(
        squares, [Bahaya(quarter, "tinggi")], aggregates=people, names={"32.03": "Cianjur"}
    )
    assert [one.kode for one in found.desa] == [SATU, DUA]
    assert [one.bagian for one in found.desa] == pytest.approx([0.5, 0.25], abs=1e-6)
    assert found.desa[0].perkiraan == pytest.approx({"jiwa": 500, "keluarga": 150}, rel=1e-5)
    [kabupaten] = found.wilayah["kabkota"]
    assert (kabupaten.kode, kabupaten.nama, kabupaten.desa) == ("32.03", "Cianjur", 2)
    assert kabupaten.jumlah == {"jiwa": 1400, "keluarga": 400}
    assert kabupaten.perkiraan == pytest.approx({"jiwa": 600, "keluarga": 175}, rel=1e-5)
    assert kabupaten.bagian == pytest.approx(0.75 / (1 + 1 + 2 + 8 + 1), rel=1e-3)
    assert [one.kode for one in found.wilayah["provinsi"]] == ["32"]
    assert found.desa[0].as_dict()["bagian"] == 0.5


def test_classes_overlap_without_counting_ground_twice(squares: DesaIndex) -> None:
    low, high = square(0, 0), shapely.box(WEST, SOUTH, WEST + 0.5 * DEGREE, SOUTH + DEGREE)
    [desa] = affected_by_area(squares, [Bahaya(low, "rendah"), Bahaya(high, "tinggi")]).desa
    assert desa.kelas == "tinggi"
    assert desa.bagian == pytest.approx(1.0)
    assert desa.bagian_kelas == pytest.approx({"rendah": 1.0, "tinggi": 0.5}, abs=1e-6)


def test_neighbours_that_only_touch_are_not_hit(squares: DesaIndex) -> None:
    assert [one.kode for one in affected_by_area(squares, [Bahaya(square(0, 0))]).desa] == [SATU]


def test_islands_and_holes(squares: DesaIndex) -> None:
    found = affected_by_area(squares, [Bahaya(square(8, 8)), Bahaya(square(1, 11))]).desa
    assert [(one.kode, round(one.bagian, 4)) for one in found] == [(TIGA, 0.5), (LIMA, 1.0)]


def test_no_data_is_not_nobody(squares: DesaIndex) -> None:
    both = shapely.box(WEST, SOUTH, WEST + 2 * DEGREE, SOUTH + DEGREE)
    found = affected_by_area(squares, [Bahaya(both)], aggregates={SATU: {"jiwa": 10.0}})
    assert [one.jumlah for one in found.desa] == [{"jiwa": 10.0}, None]
    assert found.wilayah["kecamatan"][0].tanpa_data == 1
    assert affected_by_area(squares, [Bahaya(both)]).wilayah["kecamatan"][0].jumlah is None


@settings(max_examples=15)
@given(st.sampled_from([(107.1, -6.9), (104.0, 1.0), (139.0, -8.0), (99.0, -1.5)]), st.floats(0.02, 0.8))
def test_shares_are_those_of_plain_geodesic_overlay(
    country: DesaIndex, place: tuple[float, float], radius: float
) -> None:
    area = blob(*place, radius)
    found = {one.kode: one.bagian for one in affected_by_area(country, [Bahaya(area)]).desa}
    shapes = country.polygons.shapes(np.arange(len(country)))
    for row in np.flatnonzero(shapely.intersects(shapes, area)):
        common = shapely.intersection(shapes[row], area)
        expected = geodesic_area(common) / geodesic_area(shapes[row]) if common.area else 0.0
        assert found.pop(country.code(int(row)), 0.0) == pytest.approx(expected, abs=5e-4)
    assert not found


def test_real_poverty_pockets_of_cianjur(country: DesaIndex, shared_data: Path) -> None:
    """IDM 2024 stands in for the aggregates, as far as its codes are known."""
    with (shared_data / "cianjur_idm2024.csv").open(encoding="utf-8") as file:
        idm = {
            row["kode_kemendagri"]: {"desa_tertinggal": float(row["status_i"])}
            for row in csv.DictReader(file)
        }
    found = affected_by_area(country, [Bahaya(blob(107.0, -7.1, 0.6))], aggregates=idm)
    [cianjur] = [one for one in found.wilayah["kabkota"] if one.kode == "32.03"]
    assert cianjur.desa > 250
    assert cianjur.jumlah == {
        "desa_tertinggal": sum(idm[d.kode]["desa_tertinggal"] for d in found.desa if d.kode in idm)
    }
    assert cianjur.tanpa_data == sum(d.kode not in idm for d in found.desa)


@pytest.mark.parametrize(
    "wrong", [shapely.Point(107, -6), shapely.Polygon(), shapely.box(700000, 9e6, 700100, 9.1e6)]
)
def test_what_is_no_area(squares: DesaIndex, wrong: shapely.Geometry) -> None:
    with pytest.raises(QueryError) as error:
        affected_by_area(squares, [Bahaya(wrong)])
    assert error.value.where == "area"


def test_an_area_that_crosses_itself_is_mended(squares: DesaIndex) -> None:
    x, y, d = WEST, SOUTH, DEGREE
    bow = shapely.Polygon([(x, y), (x + d, y + d), (x + d, y), (x, y + d)])
    assert affected_by_area(squares, [Bahaya(bow)]).desa[0].bagian == pytest.approx(0.5, abs=1e-4)


def test_a_speck_beside_an_area_does_no_harm(squares: DesaIndex) -> None:
    """A part that is a single point: GEOS alone gives up on it."""
    area = shapely.MultiPolygon([square(0, 0), shapely.Polygon([(120, -5)] * 4)])
    assert [one.kode for one in affected_by_area(squares, [Bahaya(area)]).desa] == [SATU]


def test_an_area_at_sea_hits_nothing(squares: DesaIndex) -> None:
    found = affected_by_area(squares, [Bahaya(shapely.box(120, -5, 121, -4))])
    assert (list(found.desa), found.wilayah["provinsi"]) == ([], [])


# by hand from the paper's equation: R in km, M -> mean intensity
BY_HAND = [
    (5.0, 10.0, 2.085 + 1.428 * 5 - 1.402 * math.log(math.sqrt(100 + 1.833**2))),
    (7.0, 50.0, 2.085 + 9.996 - 1.402 * math.log(math.sqrt(2500 + (2.042 * math.e**2 - 0.209) ** 2))),
    (
        6.0,
        200.0,
        2.085 + 8.568 - 1.402 * math.log(math.hypot(200, 2.042 * math.e - 0.209)) + 0.078 * math.log(4),
    ),
]


@pytest.mark.parametrize(("magnitude", "distance", "expected"), BY_HAND)
def test_the_relation(magnitude: float, distance: float, expected: float) -> None:
    assert intensity(magnitude, np.array([distance]))[0] == pytest.approx(expected, abs=1e-12)


def test_the_relation_s_numbers() -> None:
    """Worked out beforehand, so that a slip in the formula above shows."""
    assert intensity(5.0, np.array([10.0]))[0] == pytest.approx(5.9736, abs=5e-4)
    assert intensity(6.0, np.array([200.0]))[0] == pytest.approx(3.3325, abs=5e-4)
    assert sigma(np.array([0.0, 22.9]))[1] == pytest.approx(0.82 + 0.37 / 2)


# (magnitude, distance) -> mean and deviation by the Matlab implementation that OpenQuake is verified with
# (gem/oq-engine, openquake/hazardlib/tests/gsim/data/a12ipe/AWW_IPE_RHYPO_MEAN.csv and _SIGMA.csv)
INDEPENDENT = [
    (5.0, 1.0, 8.1928149, 1.1892958),
    (5.0, 50.0, 3.7394023, 0.8841552),
    (5.0, 300.0, 1.3680280, 0.8221434),
    (6.0, 10.0, 7.2488079, 1.1307441),
    (6.0, 100.0, 4.2486195, 0.8384363),
    (7.0, 20.0, 7.5721877, 1.0298979),
    (7.0, 300.0, 4.2223319, 0.8221434),
]


@pytest.mark.parametrize(("magnitude", "distance", "mean", "deviation"), INDEPENDENT)
def test_the_relation_is_that_of_others(
    magnitude: float, distance: float, mean: float, deviation: float
) -> None:
    assert intensity(magnitude, np.array([distance]))[0] == pytest.approx(mean, abs=5e-8)
    assert sigma(np.array([distance]))[0] == pytest.approx(deviation, abs=5e-8)


def test_intensity_grows_with_magnitude_and_falls_with_distance() -> None:
    distance = np.linspace(1, 300, 600)
    assert (np.diff(intensity(6.5, distance)) < 0).all()
    assert (intensity(7.0, distance) > intensity(6.0, distance)).all()


def test_depth_is_a_leg_of_the_distance() -> None:
    found = hypocentral_km(Gempa(107, -6, 6, 40), np.array([107.0, 107.0]), np.array([-6.0, -6.2712]))
    assert found == pytest.approx([40, 50], abs=0.05)


def test_an_earthquake_in_cianjur(country: DesaIndex) -> None:
    found = affected_by_earthquake(country, CIANJUR_2022, least_mmi=5)
    assert {one.kode[:5] for one in found.desa} == {"32.03"}
    by_code = {one.kode: one for one in found.desa}
    strongest = max(found.desa, key=lambda one: one.mmi or 0)
    assert strongest.kelas == "VII"
    assert strongest.sigma is not None
    for row in range(len(country)):
        distance = hypocentral_km(CIANJUR_2022, *country.points[row : row + 1].T)
        mmi = float(intensity(5.6, distance)[0])
        assert (country.code(row) in by_code) == (mmi >= 5)
    [kabupaten] = found.wilayah["kabkota"]
    assert kabupaten.mmi == strongest.mmi
    assert kabupaten.bagian == pytest.approx(sum(kabupaten.bagian_kelas.values()))
    assert "Allen" in found.sumber_intensitas
    assert found.catatan == ()


def test_outside_of_the_relation_it_warns(country: DesaIndex) -> None:
    deep = affected_by_earthquake(country, Gempa(107.0, -6.9, 8.2, 120), least_mmi=4)
    assert deep.catatan == ("di_luar_relasi.magnitudo", "di_luar_relasi.kedalaman_km")
    assert deep.desa


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("lon", (190, 0, 5, 5)),
        ("lat", (0, -91, 5, 5)),
        ("magnitudo", (0, 0, 0, 5)),
        ("kedalaman_km", (0, 0, 5, math.nan)),
    ],
)
def test_an_earthquake_that_can_not_be(field: str, values: tuple[float, float, float, float]) -> None:
    with pytest.raises(QueryError) as error:
        Gempa(*values)
    assert error.value.where == field


def test_degrees() -> None:
    assert [roman(v) for v in (0.3, 1.0, 4.4, 5.5, 6.51, 12.0)] == ["I", "I", "IV", "VI", "VII", "X"]
