"""Verdicts about points: as the ministry's verifier asks them, on squares and on real desa."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from analysis.lookup import DesaIndex
from analysis.verify import Hasil, Rujukan, verify_point
from analysis.verify_batch import Kolom, Verifier, verify_batch
from analysis.verify_coordinate import read_coordinate
from analysis.verify_points import verify_points
from catalog.errors import QueryError
from tests.analysis.boundaries import DEGREE, SOUTH, WEST
from tests.analysis.test_lookup import sample

INDONESIA = (94.97, -11.01, 141.02, 6.08)
SATU, DUA, TIGA, EMPAT, LIMA = (f"32.03.01.200{n}" for n in range(1, 6))


def at(column: float, row: float) -> tuple[float, float]:
    return WEST + column * DEGREE, SOUTH + row * DEGREE


def test_inside_is_sesuai(squares: DesaIndex) -> None:
    assert verify_point(squares, *at(0.5, 0.5), SATU) == Hasil("sesuai", SATU, "Satu", 0.0)


@pytest.mark.parametrize("kode", ["32.03.01.2001", "3203012001", 3203012001, " 32.3.1.2001 ", "3203012001.0"])
def test_a_code_in_any_writing(squares: DesaIndex, kode: object) -> None:
    assert verify_point(squares, *at(0.5, 0.5), kode).verdik == "sesuai"


def test_a_shared_border_belongs_to_both(squares: DesaIndex) -> None:
    for kode in (SATU, DUA):
        found = verify_point(squares, WEST + DEGREE, SOUTH + DEGREE / 2, kode)
        assert (found.verdik, found.kode_nyata, found.jarak_m) == ("sesuai", kode, 0.0)


def test_islands_and_holes(squares: DesaIndex) -> None:
    for column, row in ((5.5, 5.5), (8.5, 8.5)):
        assert verify_point(squares, *at(column, row), TIGA).verdik == "sesuai"
    assert verify_point(squares, *at(1.5, 11.5), LIMA).verdik == "sesuai"
    within_hole = verify_point(squares, *at(1.5, 11.5), EMPAT)
    assert (within_hole.verdik, within_hole.kode_nyata) == ("tidak_sesuai", LIMA)
    assert within_hole.jarak_m == pytest.approx(0.5 * DEGREE * 110_600, rel=0.01)


@pytest.mark.parametrize(("metres", "verdik"), [(99.0, "dalam_toleransi"), (101.0, "tidak_sesuai")])
def test_the_tolerance_is_in_metres(squares: DesaIndex, metres: float, verdik: str) -> None:
    x, y = WEST + DEGREE, SOUTH + DEGREE / 2
    lon, lat, _ = Geod(ellps="WGS84").fwd(x, y, 90, metres)
    found = verify_point(squares, lon, lat, SATU)
    assert (found.verdik, found.kode_nyata, found.nama_nyata) == (verdik, DUA, "Dua")
    assert found.jarak_m == pytest.approx(metres, abs=2e-3)


def test_at_sea(squares: DesaIndex) -> None:
    near = verify_point(squares, *at(-0.001, 0.5), SATU)
    assert (near.verdik, near.kode_nyata) == ("dalam_toleransi", None)
    far = verify_point(squares, 120.0, -5.0, SATU)
    assert (far.verdik, far.kode_nyata) == ("di_luar_wilayah", None)
    assert far.jarak_m is not None
    assert far.jarak_m > 1_000_000


@pytest.mark.parametrize("kode", ["32.03.01.2099", "32.03.01", "", None, "XX", "3203-01", "00.00.00.0000"])
def test_a_code_that_is_none_is_told_and_the_place_too(squares: DesaIndex, kode: object) -> None:
    found = verify_point(squares, *at(0.5, 0.5), kode)
    assert found == Hasil("kode_tidak_dikenal", SATU, "Satu", None)


def test_an_old_code_says_what_it_became(squares: DesaIndex) -> None:
    moves = Rujukan(lama={"32.03.01.1999": (SATU, DUA), SATU: (SATU,)})
    found = verify_point(squares, *at(1.5, 0.5), "32.03.01.1999", rujukan=moves)
    assert found == Hasil("kode_lama", DUA, "Dua", 0.0, (SATU, DUA))
    away = verify_point(squares, *at(2.5, 0.5), "3203011999", rujukan=moves)
    assert away.verdik == "kode_lama"
    assert away.jarak_m == pytest.approx(0.5 * DEGREE * 110_500, rel=0.01)
    assert verify_point(squares, *at(0.5, 0.5), SATU, vintage=2020, rujukan=moves).verdik == "sesuai"


def test_a_code_that_was_given_to_another_desa_is_old_only_in_its_vintage(squares: DesaIndex) -> None:
    moves = Rujukan(lama={SATU: (DUA,)})
    assert verify_point(squares, *at(1.5, 0.5), SATU, vintage=2020, rujukan=moves).verdik == "kode_lama"
    assert verify_point(squares, *at(0.5, 0.5), SATU, vintage=2025, rujukan=moves).verdik == "sesuai"


def test_a_code_without_boundary_can_not_be_judged(squares: DesaIndex) -> None:
    known = Rujukan(tanpa_poligon=frozenset({"32.03.01.2077"}))
    found = verify_point(squares, *at(0.5, 0.5), "32.03.01.2077", rujukan=known)
    assert (found.verdik, found.kode_nyata, found.jarak_m) == ("kode_tanpa_poligon", SATU, None)


def test_codes_of_bps_need_a_crosswalk(squares: DesaIndex) -> None:
    with pytest.raises(QueryError) as error:
        verify_point(squares, *at(0.5, 0.5), "3203010001", skema="bps")
    assert error.value.where == "skema"
    crosswalk = Rujukan(alih={"3203010001": (SATU,)})
    for kode, verdik in (("3203010001", "sesuai"), ("3203010002", "kode_tidak_dikenal")):
        assert verify_point(squares, *at(0.5, 0.5), kode, skema="bps", rujukan=crosswalk).verdik == verdik


@pytest.mark.parametrize("metres", [-1, math.nan, 100_001])
def test_a_tolerance_that_is_none(squares: DesaIndex, metres: float) -> None:
    with pytest.raises(QueryError):
        verify_point(squares, *at(0.5, 0.5), SATU, toleransi_m=metres)


BAD: list[tuple[Any, Any, str, tuple[float, float] | None]] = [
    (None, -6.8, "kosong", None),
    (math.nan, -6.8, "kosong", None),
    ("", "", "kosong", None),
    ("NULL", -6.8, "kosong", None),
    (0, 0, "nol", None),
    ("0", "0.0", "nol", None),
    (-6.82, 107.14, "tertukar", (107.14, -6.82)),
    ("-6.82", "107.14", "tertukar", (107.14, -6.82)),
    ("107,14", "-6,82", "koma_desimal", (107.14, -6.82)),
    ("-6,82", "107,14", "koma_desimal", (107.14, -6.82)),
    ("107°08'24\" E", "6°49'12\" S", "derajat_menit", (107.14, -6.82)),
    ("107 08 24 BT", "6 49 12 LS", "derajat_menit", (107.14, -6.82)),
    ("107°8,4' BT", "S 6:49:12", "derajat_menit", (107.14, -6.82)),
    ("107,14", "6°49'12\" LS", "derajat_menit", (107.14, -6.82)),
    (10714000, -682000, "di_luar_rentang", None),
    (math.inf, 1, "bukan_angka", None),
    ("rumah", "-6.8", "bukan_angka", None),
    ("107 99 00", "-6.8", "bukan_angka", None),
]


@pytest.mark.parametrize(("lon", "lat", "alasan", "usulan"), BAD)
def test_bad_coordinates_are_named_and_a_repair_is_offered(
    lon: Any, lat: Any, alasan: str, usulan: tuple[float, float] | None
) -> None:
    found = read_coordinate(lon, lat, INDONESIA)
    assert found.alasan == alasan
    assert math.isnan(found.lon)
    if usulan is None:
        assert found.usulan is None
    else:
        assert found.usulan == pytest.approx(usulan, abs=1e-9)


def test_a_repair_is_never_applied(squares: DesaIndex) -> None:
    lon, lat = at(0.5, 0.5)
    found = verify_point(squares, lat, lon, SATU)
    assert (found.verdik, found.alasan, found.kode_nyata) == ("koordinat_tidak_sah", "tertukar", None)
    assert found.as_dict()["usulan"] == {"lon": lon, "lat": lat}


@given(st.one_of(st.text(max_size=30), st.floats(), st.none()), st.one_of(st.text(max_size=30), st.floats()))
def test_anything_can_stand_in_a_coordinate(lon: object, lat: object) -> None:
    found = read_coordinate(lon, lat, INDONESIA)
    assert (found.alasan is None) == (math.isfinite(found.lon) and math.isfinite(found.lat))


def plain(
    index: DesaIndex, x: float, y: float, claimed: int, tolerance: float
) -> tuple[str, set[int], float]:
    """The reference: no index, no grid, no prepared geometry; the distance by stepping along the border."""
    point = shapely.Point(x, y)
    shapes = index.polygons.shapes(np.arange(len(index)))
    inside = set(np.flatnonzero(shapely.intersects(shapes, point)).tolist())
    if claimed in inside:
        return "sesuai", {claimed}, 0.0
    border = shapely.get_coordinates(shapely.segmentize(shapes[claimed].boundary, 1e-4))
    metres = Geod(ellps="WGS84").inv(np.full(len(border), x), np.full(len(border), y), *border.T)[2].min()
    if metres <= tolerance:
        return "dalam_toleransi", inside, metres
    return ("tidak_sesuai" if inside else "di_luar_wilayah"), inside, metres


@pytest.mark.parametrize("grid", [True, False])
def test_batches_answer_as_a_plain_reference_does(country: DesaIndex, grid: bool) -> None:
    x, y = sample(country, 600, seed=21)
    rng = np.random.default_rng(4)
    # the desa some 55 m east of the point is the right one for most, a neighbour near borders
    beside = country.where(x + 0.0005, y)[0]
    claimed = np.where((rng.random(600) < 0.8) & (beside >= 0), beside, rng.integers(0, len(country), 600))
    batch = pa.record_batch({"lon": x, "lat": y, "kode": country.codes.take(pa.array(claimed))})
    verifier = Verifier(country)
    if not grid:
        verifier._grid = None
    got = verifier.verify(batch).to_pylist()
    for i, row in enumerate(got):
        verdik, inside, metres = plain(country, x[i], y[i], int(claimed[i]), 100.0)
        if abs(metres - 100.0) > 6:  # the reference steps along the border by 11 m
            assert row["verdik"] == verdik
        assert (row["kode_nyata"] is None and not inside) or country.row(row["kode_nyata"]) in inside
        assert row["jarak_m"] == pytest.approx(metres, rel=5e-3, abs=6)
    assert {"sesuai", "tidak_sesuai", "di_luar_wilayah", "dalam_toleransi"} <= {r["verdik"] for r in got}


CLAIMS = st.sampled_from(
    [SATU, "3203012002", TIGA, EMPAT, LIMA, "32.03.01.1999", "32.03.01.2077", "9", None, "x", "32.3.1.2005"]
)
PLACES = st.one_of(
    st.tuples(st.floats(-0.5, 9), st.floats(-0.5, 13)).map(lambda p: at(*p)),
    st.tuples(st.sampled_from([0.0, 1.0, 2.0, 0.5]), st.sampled_from([0.0, 0.5, 1.0, 11.0])).map(
        lambda p: at(*p)
    ),
    st.sampled_from([(b[0], b[1]) for b in BAD if isinstance(b[0], float | int | None)]),
)
RULES = Rujukan(lama={"32.03.01.1999": (SATU, DUA)}, tanpa_poligon=frozenset({"32.03.01.2077"}))


@settings(max_examples=60)
@given(st.lists(st.tuples(PLACES, CLAIMS), min_size=1, max_size=30), st.booleans())
def test_a_batch_says_what_single_points_say(squares: DesaIndex, rows: list[Any], text: bool) -> None:
    values = [[place[axis] for place, _ in rows] for axis in (0, 1)]
    kind = pa.string() if text else pa.float64()
    if text:
        values = [[None if v is None else repr(v) for v in axis] for axis in values]
    batch = pa.record_batch(
        {
            "lon": pa.array(values[0], kind),
            "lat": pa.array(values[1], kind),
            "kode": pa.array([kode for _, kode in rows], pa.string()),
        }
    )
    got = verify_batch(batch, squares, rujukan=RULES).to_pylist()
    for row in got:
        one = verify_point(squares, row["lon"], row["lat"], row["kode"], rujukan=RULES)
        expected = one.as_dict()
        assert row["verdik"] == expected["verdik"]
        assert (row["kode_nyata"], row["nama_nyata"]) == (one.kode_nyata, one.nama_nyata)
        assert row["jarak_m"] == one.jarak_m
        assert (row["menjadi"] or "").split() == list(one.menjadi)
        assert row["alasan"] == one.alasan
        assert (row["usulan_lon"], row["usulan_lat"]) == (one.usulan or (None, None))


def test_only_declared_columns_come_out(squares: DesaIndex) -> None:
    x, y = at(0.5, 0.5)
    columns = {"nik": ["3203010101010001"], "nama": ["x"], "no": [7], "x": [x], "y": [y], "k": [3203012001]}
    out = verify_batch(pa.record_batch(columns), squares, kolom=Kolom("x", "y", "k", ("no",)))
    assert out.schema.names[:4] == ["no", "x", "y", "k"]
    assert not {"nik", "nama"} & set(out.schema.names)
    assert out["verdik"].to_pylist() == ["sesuai"]


def test_a_column_that_is_not_there_is_named(squares: DesaIndex) -> None:
    with pytest.raises(QueryError) as error:
        verify_batch(pa.record_batch({"lon": [1.0], "lat": [1.0]}), squares)
    assert error.value.where == "kode"


def test_an_empty_batch(squares: DesaIndex) -> None:
    empty = pa.record_batch(
        {
            "lon": pa.array([], pa.float64()),
            "lat": pa.array([], pa.float64()),
            "kode": pa.array([], pa.string()),
        }
    )
    assert verify_batch(empty, squares).num_rows == 0


def test_a_request_of_mixed_points(squares: DesaIndex) -> None:
    lon, lat = at(0.5, 0.5)
    points: list[dict[str, Any]] = [
        {"lon": lon, "lat": lat, "kode": SATU},
        {"lon": str(lon), "lat": lat, "kode": 3203012001, "skema": "kemendagri", "vintage": 2025},
        {"lon": lat, "lat": lon, "kode": SATU},
        {"lon": lon, "lat": lat, "kode": "3203010001", "skema": "bps"},
        {"lon": WEST + DEGREE * 1.05, "lat": lat, "kode": SATU, "toleransi_m": 10},
        {"lon": WEST + DEGREE * 1.05, "lat": lat, "kode": SATU, "toleransi_m": 60},
        {"kode": "32.03.01.1999"},
        {},
    ]

    def rules(skema: str | None, _vintage: int | None) -> Rujukan:
        return Rujukan(alih={"3203010001": (SATU,)}) if skema == "bps" else RULES

    found = verify_points(squares, points, rules=rules)
    for point, answer in zip(points, found, strict=True):
        one = verify_point(
            squares,
            point.get("lon"),
            point.get("lat"),
            point.get("kode"),
            skema=point.get("skema"),
            vintage=point.get("vintage"),
            toleransi_m=point.get("toleransi_m", 100.0),
            rujukan=rules(point.get("skema"), None),
        )
        assert answer == one.as_dict()
    assert [a["verdik"] for a in found[:6]] == [
        "sesuai", "sesuai", "koordinat_tidak_sah", "sesuai", "tidak_sesuai", "dalam_toleransi",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("point", "where"),
    [
        ({"skema": "pos"}, "titik[1].skema"),
        ({"vintage": "x"}, "titik[1].vintage"),
        ({"toleransi_m": "10"}, "titik[1].toleransi_m"),
        ({"toleransi_m": math.nan}, "titik[1].toleransi_m"),
    ],
)
def test_a_request_that_is_wrong_names_the_field(
    squares: DesaIndex, point: dict[str, Any], where: str
) -> None:
    with pytest.raises(QueryError) as error:
        verify_points(squares, [{}, point])
    assert error.value.where == where
    with pytest.raises(QueryError):
        verify_points(squares, [{}] * 10_001)


def test_threads_share_an_index(country: DesaIndex) -> None:
    from concurrent.futures import ThreadPoolExecutor

    poor = DesaIndex(country.folder, cached_vertices=2_000)  # emptied all the time
    x, y = sample(country, 4_000, seed=31)
    expected = country.where(x, y)[0]
    parts = np.array_split(np.arange(4_000), 40)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda p: poor.where(x[p], y[p])[0], parts))
    assert np.array_equal(np.concatenate(found), expected)
