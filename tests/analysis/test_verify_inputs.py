"""What the catalog knows of codes, used on real codes; facilities, counts and GeoJSON as they come."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from analysis.inputs import (
    BoundaryColumns,
    aggregates_of,
    facilities_of,
    geometry_of,
    hazards_of,
    index_of_file,
    index_of_reader,
    reference_for,
)
from analysis.lookup import DesaIndex
from analysis.verify import verify_point
from catalog.errors import NotFoundError, QueryError
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from catalog.region_model import CrosswalkRow, Region
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import FeatureBatch, LayerReader, LayerStore
from layers.open import open_store
from tests.analysis.boundaries import DEGREE, SOUTH, WEST, square

SATU = "32.03.01.2001"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog.open(
        f"sqlite:///{tmp_path}/catalog.sqlite", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    yield made
    made.close()


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def test_claims_in_bps_codes_of_cianjur(country: DesaIndex, catalog: Catalog, shared_data: Path) -> None:
    """Weak matches of the real crosswalk are not used: such codes are unknown, not wrong."""
    quality: Any = {"exact": "exact", "name": "name", "geom": "geom", "weak": "weak"}
    pairs = [
        CrosswalkRow(r["kode_bps2020"], r["kode_kemendagri"], float(r["share_bps"] or 0), quality[r["match"]])
        for r in rows(shared_data / "crosswalk_kemendagri2025_bps2020.csv.gz")
        if r["kode_kemendagri"].startswith("32.03") and r["kode_bps2020"] and r["match"] in quality
    ]
    catalog.regions.load_crosswalk("bps", 2020, "kemendagri", 2025, pairs, "uji")
    catalog.regions.load("bps", 2020, [], source="uji")
    rules = reference_for(catalog.regions, country, skema="bps")
    sure = {row.from_code for row in pairs if row.quality != "weak"}
    assert set(rules.alih) == sure
    seen = set()
    for row in pairs[::5]:
        at = country.row(row.to_code)
        assert at is not None
        lon, lat = country.points[at].tolist()
        found = verify_point(country, lon, lat, row.from_code, skema="bps", vintage=2020, rujukan=rules)
        expected = "sesuai" if row.quality != "weak" else "kode_tidak_dikenal"
        if row.from_code in sure and row.quality == "weak":
            continue  # the code has a sure match elsewhere
        assert found.verdik == expected
        seen.add(expected)
    assert seen == {"sesuai", "kode_tidak_dikenal"}


def test_real_codes_without_polygon(country: DesaIndex, catalog: Catalog, shared_data: Path) -> None:
    """21.71, 31.01, Papua and others: those of the code list that the boundaries lack are named as such."""
    kabupaten = {code[:5] for code in country.codes.to_pylist()}
    listed = [
        Region(r["kode"], "desa", r["nama"], r["induk"])
        for r in rows(shared_data / "kode_wilayah_2025.csv.gz")
        if r["level"] == "desa" and r["kode"][:5] in kabupaten
    ]
    catalog.regions.load("kemendagri", 2025, listed, source="uji")
    rules = reference_for(catalog.regions, country)
    with (shared_data / "desa_tanpa_poligon.csv").open(encoding="utf-8") as file:
        expected = {r["kode"] for r in csv.DictReader(file) if r["kode"][:5] in kabupaten}
    assert rules.tanpa_poligon == expected
    for code in expected:
        assert verify_point(country, 107.1, -6.9, code, rujukan=rules).verdik == "kode_tanpa_poligon"


def test_old_codes_lead_to_new_ones_and_weak_rows_nowhere(squares: DesaIndex, catalog: Catalog) -> None:
    """Papua was renumbered in 2022; here one desa moves, one is split, one is only a guess."""
    moves = [
        CrosswalkRow("32.03.99.2001", SATU, None, "name"),
        CrosswalkRow("32.03.99.2002", SATU, 0.6, "official"),
        CrosswalkRow("32.03.99.2002", "32.03.01.2002", 0.4, "official"),
        CrosswalkRow("32.03.99.2003", "32.03.01.2003", None, "weak"),
    ]
    catalog.regions.load("kemendagri", 2020, [], source="uji")
    catalog.regions.load_crosswalk("kemendagri", 2020, "kemendagri", 2025, moves, "uji")
    rules = reference_for(catalog.regions, squares)
    assert rules.lama == {"32.03.99.2001": (SATU,), "32.03.99.2002": (SATU, "32.03.01.2002")}
    assert reference_for(catalog.regions, squares, vintage=2019).lama == {}
    backward = list(catalog.regions.pairs(from_=("kemendagri", 2025), to=("kemendagri", 2020)))
    assert {(r.from_code, r.to_code) for r in backward} == {(r.to_code, r.from_code) for r in moves}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LayerStore]:
    made = open_store(Settings(data_dir=tmp_path))
    yield made
    made.close()


def stored(
    store: LayerStore,
    fields: dict[str, FieldType],
    batch: FeatureBatch,
    *,
    geometry: str | None,
    crs: str = "EPSG:4326",
) -> LayerReader:
    schema = LayerSchema(
        tuple(FieldDef(name, kind) for name, kind in fields.items()),
        geometry,
        crs,
        region_code=RegionCode(field="kode", vintage=2025) if "kode" in fields else None,
    )
    writer = store.writer("uji", schema, "s")
    writer.write("1", batch)
    return store.reader(writer.finish(1, "run"))


def test_boundaries_in_metres_are_asked_in_degrees(tmp_path: Path, store: LayerStore) -> None:
    from pyproj import Transformer

    to = Transformer.from_crs("EPSG:4326", "EPSG:32748", always_xy=True)
    flat = shapely.transform(square(0, 0), lambda c: np.column_stack(to.transform(c[:, 0], c[:, 1])))
    shapes = np.array([shapely.MultiPolygon([flat])], object)
    batch = FeatureBatch(["1"], [{"kode": SATU, "nama": "Satu"}], shapes)
    text = FieldType.TEXT
    reader = stored(store, {"kode": text, "nama": text}, batch, geometry="MultiPolygon", crs="EPSG:32748")
    index = index_of_reader(reader, tmp_path / "i", BoundaryColumns(), cells=False)
    assert (index.info.skema, index.info.vintage) == ("kemendagri", 2025)
    assert verify_point(index, WEST + DEGREE / 2, SOUTH + DEGREE / 2, SATU).verdik == "sesuai"
    assert verify_point(index, WEST + DEGREE * 1.1, SOUTH + DEGREE / 2, SATU).jarak_m == pytest.approx(
        110, rel=0.01
    )


def test_facilities_and_their_stock(store: LayerStore) -> None:
    text, real = FieldType.TEXT, FieldType.REAL
    fields = {"nama": text, "jenis": text, "status": text, "beras_kg": real, "jam": text}
    values: list[dict[str, Any]] = [
        {"nama": "G", "jenis": "gudang", "status": "buka", "beras_kg": 5.0, "jam": "08-16"},
        {"nama": "H", "jenis": "gudang", "status": None, "beras_kg": None, "jam": None},
    ]
    batch = FeatureBatch(["1", "2"], values, np.array([shapely.Point(107, -6), None], object))
    reader = stored(store, fields, batch, geometry="Point")
    [one] = facilities_of(reader)
    assert (one.nama, one.jenis, one.status, one.stok, one.info) == (
        "G", "gudang", "buka", {"beras_kg": 5.0}, {"jam": "08-16"},
    )  # fmt: skip


def test_withheld_counts_are_unknown_not_zero(store: LayerStore) -> None:
    fields = {"kode": FieldType.TEXT, "jiwa": FieldType.INTEGER, "tahun": FieldType.INTEGER}
    values: list[dict[str, Any]] = [
        {"kode": "3203012001", "jiwa": 10, "tahun": 2026},
        {"kode": SATU, "jiwa": 5, "tahun": 2026},
        {"kode": "32.03.01.2002", "jiwa": None, "tahun": 2026},
        {"kode": "32.03", "jiwa": 99, "tahun": 2026},
    ]
    reader = stored(store, fields, FeatureBatch(list("abcd"), values), geometry=None)
    assert aggregates_of(reader) == {SATU: {"jiwa": 15.0}}
    with pytest.raises(QueryError, match="jiwa"):
        aggregates_of(reader, counts=["keluarga"])


def test_geojson_of_any_kind() -> None:
    polygon = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    feature = {"type": "Feature", "properties": {"kelas": "tinggi"}, "geometry": polygon}
    nowhere = {"type": "Feature", "properties": None, "geometry": None}
    many = {"type": "FeatureCollection", "features": [feature, nowhere, {**feature, "properties": None}]}
    assert [one.kelas for one in hazards_of(many)] == ["tinggi", ""]
    assert geometry_of(polygon).equals(geometry_of(feature))
    assert geometry_of(many).geom_type == "GeometryCollection"
    for wrong in (
        {},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": "x"},
        {"type": "Feature", "geometry": 3},
    ):
        with pytest.raises(QueryError):
            hazards_of(wrong)


def test_boundary_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        index_of_file(tmp_path / "none.parquet", tmp_path / "i", BoundaryColumns(), cells=False)
