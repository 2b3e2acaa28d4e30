"""Files to take away hold the same features as the layer, whoever opens them."""

from __future__ import annotations

import csv
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from csvw import CSVW
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.codes import parse
from catalog.errors import NotFoundError, PublishError, QueryError, RecordError
from catalog.metadata.read import read_metadata
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode, VersionInfo
from layers.contract import FeatureBatch
from layers.crs import transform
from layers.downloads.about import SYNTHETIC, about
from layers.downloads.build import Builder
from layers.downloads.extract import WHOLE, Extract, read_extract, where
from layers.downloads.formats import FORMATS, fitting
from layers.downloads.kit import KitLayer, KitStyle, write_kit
from layers.downloads.shelf import KITS, REVISION, Shelf, file_name
from layers.downloads.write import Piece, dbf_names, write
from tests.ogc_server.world import World, desa, make_settings, open_world, points

SCHEMA = LayerSchema(
    (
        FieldDef("kode"),
        FieldDef("nama_desa_yang_panjang"),
        FieldDef("nama_desa_yang_lain"),
        FieldDef("id", FieldType.INTEGER),
        FieldDef("luas", FieldType.REAL),
        FieldDef("kota", FieldType.BOOLEAN),
        FieldDef("hari", FieldType.DATE),
        FieldDef("waktu", FieldType.DATETIME),
    ),
    "MultiPolygon",
    "EPSG:4326",
    region_code=RegionCode(field="kode", vintage=2025),
)
WRITTEN = ("gpkg", "geoparquet", "flatgeobuf", "shapefile", "geojson", "csv", "kml")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    made = open_world(make_settings(tmp_path_factory.mktemp("unduhan")))
    villages = desa(shared_data)
    rows = [
        {
            "kode": feature_id, "nama_desa_yang_panjang": row["nama"], "nama_desa_yang_lain": "=cmd" if n == 0 else None,
            "id": 2**40 + n, "luas": row["luas"], "kota": row["kota"], "hari": date(2025, 1, 1),
            "waktu": datetime(2025, 1, 1, 12, 0, tzinfo=UTC) if n % 2 else None,
        }
        for n, (feature_id, row) in enumerate(zip(villages.ids, villages.rows, strict=True))
    ]  # fmt: skip
    batch = FeatureBatch(villages.ids, rows, villages.geometries)
    made.publish("batas", SCHEMA, batch, title="Batas Desa", synthetic=True)
    utm = LayerSchema(SCHEMA.fields, "MultiPolygon", "EPSG:32748", region_code=SCHEMA.region_code)
    moved = transform(villages.geometries, "EPSG:4326", "EPSG:32748")
    made.publish("batas-utm", utm, FeatureBatch(villages.ids, rows, moved), title="Batas UTM")
    flat = LayerSchema(SCHEMA.fields, None, region_code=SCHEMA.region_code)
    made.publish("tabel", flat, FeatureBatch(villages.ids, rows), kind="table", title="Tabel")
    stores = LayerSchema((FieldDef("nama"), FieldDef("stok", FieldType.INTEGER)), "Point")
    made.publish("gudang", stores, points(), title="Gudang")
    made.publish("rahasia", stores, points(3), title="Rahasia", access="terbatas")
    yield made
    made.close()


def piece(world: World, layer: str, part: Extract = WHOLE) -> Piece:
    dataset = world.catalog.datasets.get(layer)
    info = dataset.version
    assert info is not None
    assert info.schema is not None
    return Piece(world.store.reader(info), where(info.schema, part), about(dataset, info))


def written(world: World, layer: str, kind: str, folder: Path, part: Extract = WHOLE) -> Path:
    path = folder / f"{layer}.{FORMATS[kind].suffix}"
    write(FORMATS[kind], piece(world, layer, part), path)
    return path


def read(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, shapely.Geometry], dict[str, Any]]:
    """Return what GDAL (or Arrow, for Parquet) reads: rows and geometries by code, and facts."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        facts = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        name = "geometry"
    else:
        source = f"/vsizip/{path}" if path.suffix == ".zip" else str(path)
        facts, table = pyogrio.raw.read_arrow(source)
        name = facts["geometry_name"] or "wkb_geometry"
    rows = {row["kode"]: row for row in table.to_pylist()}
    shapes = {}
    for code, row in rows.items():
        raw = row.pop(name, None)
        shape = shapely.force_2d(shapely.from_wkb(raw)) if raw else None
        if isinstance(shape, shapely.Polygon):  # Shapefile and KML write a lone part without its multi
            shape = shapely.MultiPolygon([shape])
        shapes[code] = shape
    return rows, shapes, facts


@pytest.mark.parametrize("kind", [k for k in WRITTEN if k != "csv"])
@pytest.mark.parametrize("layer", ["batas", "batas-utm"])
def test_every_format_gives_back_every_desa(world: World, kind: str, layer: str, tmp_path: Path) -> None:
    source = piece(world, layer)
    rows, shapes, _ = read(written(world, layer, kind, tmp_path))
    expected: dict[str, shapely.Geometry] = {}
    for batch in source.batches():
        expected |= dict(zip([row["kode"] for row in batch.rows], batch.geometries, strict=True))  # type: ignore[arg-type]
    assert rows.keys() == expected.keys()
    assert len(rows) == 360
    lonlat = kind in ("geojson", "kml") and layer == "batas-utm"
    for code, shape in expected.items():
        original = transform(shape, "EPSG:32748", "EPSG:4326") if lonlat else shape
        # GeoJSON has 7 decimals (1 cm); the others every bit
        tolerance = 1e-6 if kind in ("geojson", "kml") else 0
        if tolerance == 0:
            assert shapely.equals_exact(shapely.normalize(shapes[code]), shapely.normalize(original), 1e-12)
        else:
            assert shapely.hausdorff_distance(shapes[code], original) < tolerance


def test_attributes_keep_their_types(world: World, tmp_path: Path) -> None:
    for kind in ("gpkg", "geoparquet", "flatgeobuf"):
        rows, _, _ = read(written(world, "batas", kind, tmp_path))
        first, second = rows["32.03.01.1006"], list(rows.values())[1]
        assert isinstance(first["id_2"], int)
        assert first["id_2"] >= 2**40
        assert isinstance(first["luas"], float)
        assert first["kota"] in (True, False)
        assert str(first["hari"]).startswith("2025-01-01")  # FlatGeobuf has no date without a time
        known = {row["waktu"] for row in (first, second)}
        assert {None, datetime(2025, 1, 1, 12, tzinfo=UTC)} == {
            moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
            for moment in (None if m is None else datetime.fromisoformat(str(m)) for m in known)
        }


def test_files_say_what_they_are(world: World, tmp_path: Path) -> None:
    with sqlite3.connect(written(world, "batas", "gpkg", tmp_path)) as db:
        iso = db.execute("SELECT metadata FROM gpkg_metadata WHERE mime_type = 'text/xml'").fetchone()[0]
        title, text = db.execute("SELECT identifier, description FROM gpkg_contents").fetchone()
    db.close()
    assert read_metadata(iso.encode()).record.title.id == "Batas Desa"
    assert SYNTHETIC in title
    assert "license: CC-BY-4.0" in text
    assert "checksum" in text
    _, _, facts = read(written(world, "batas", "geoparquet", tmp_path))
    assert facts["license"] == "CC-BY-4.0"
    assert facts["synthetic"] == "true"
    geo = json.loads(facts["geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["geometry_types"] == ["MultiPolygon"]
    info = pyogrio.read_info(str(written(world, "batas", "flatgeobuf", tmp_path)))
    assert SYNTHETIC in info["layer_metadata"]["TITLE"]
    assert "CC-BY-4.0" in info["layer_metadata"]["DESCRIPTION"]
    told = json.loads(written(world, "batas", "geojson", tmp_path).read_bytes())["metadata"]
    assert told["license"] == "CC-BY-4.0"
    with zipfile.ZipFile(written(world, "batas", "shapefile", tmp_path)) as archive:
        assert {"batas.shp", "batas.dbf", "batas.shx", "batas.prj", "batas.cpg", "batas.shp.xml"} <= set(
            archive.namelist()
        )
        assert "CC-BY-4.0" in read_metadata(archive.read("batas.shp.xml")).record.licence
        assert "nama_desa2 = nama_desa_yang_lain" in archive.read("batas.txt").decode()
    assert "CC-BY-4.0" in written(world, "batas", "kml", tmp_path).read_text("utf-8")


def test_duckdb_reads_the_geoparquet_as_geometry(world: World, tmp_path: Path) -> None:
    """A reader that shares nothing with our writer."""
    path = written(world, "batas", "geoparquet", tmp_path)
    wheel = Path(str(files("duckdb_extension_spatial")))
    extension = wheel / "extensions" / f"v{duckdb.__version__}" / "spatial.duckdb_extension"
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as db:
        db.execute(f"LOAD '{extension}'")
        count, kinds, area = db.execute(
            f"SELECT count(*), count(DISTINCT ST_GeometryType(geometry)), sum(ST_Area(geometry)) FROM '{path}'"
        ).fetchone() or (0, 0, 0.0)
    expected = sum(shapely.area(b.geometries).sum() for b in piece(world, "batas").batches())
    assert (count, kinds) == (360, 1)
    assert area == pytest.approx(expected, rel=1e-12)


def test_csv_is_safe_in_a_spreadsheet_and_has_the_geometry(world: World, tmp_path: Path) -> None:
    with written(world, "batas-utm", "csv", tmp_path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 360
    assert rows[0]["nama_desa_yang_lain"] == "'=cmd"
    assert shapely.from_wkt(rows[0]["geometry_wkt"]).bounds[0] > 106
    assert rows[0]["hari"] == "2025-01-01"


def read_csvw(folder: Path, name: str) -> CSVW:
    """Return the described table as the `csvw` package reads it; anything doubtful is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = CSVW(str(folder / f"{name}.csv-metadata.json"), validate=True)
        assert found.is_valid, [str(one.message) for one in found.warnings]
    return found


@pytest.mark.parametrize("layer", ["batas", "tabel"])
def test_a_zipped_csv_has_its_licence_and_metadata_beside_it(
    world: World, layer: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(written(world, layer, "csvw", tmp_path)) as archive:
        names = {f"{layer}{end}" for end in (".csv", ".csv-metadata.json", ".csvt", ".xml", ".txt")}
        names |= {"batas.prj"} if layer == "batas" else set()
        assert set(archive.namelist()) == names
        archive.extractall(tmp_path)
    assert (tmp_path / f"{layer}.csv").read_bytes() == written(world, layer, "csv", tmp_path).read_bytes()
    assert "CC-BY-4.0" in read_metadata((tmp_path / f"{layer}.xml").read_bytes()).record.licence
    assert "license: CC-BY-4.0" in (tmp_path / f"{layer}.txt").read_text("utf-8")
    doc = json.loads((tmp_path / f"{layer}.csv-metadata.json").read_bytes())
    assert doc["dc:license"] == "CC-BY-4.0"
    assert doc["url"] == f"{layer}.csv"
    (table,) = read_csvw(tmp_path, layer).tables
    rows = list(table)
    assert len(rows) == 360
    assert isinstance(rows[0]["luas"], Decimal | float)
    assert rows[0]["hari"] == datetime(2025, 1, 1)  # noqa: DTZ001 - the package reads a date so
    assert {type(row["kota"]) for row in rows} == {bool}
    assert rows[1]["waktu"] == datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert rows[0]["waktu"] is None


def test_gdal_reads_the_types_of_a_zipped_csv(world: World, tmp_path: Path) -> None:
    path = written(world, "batas", "csvw", tmp_path)
    meta, table = pyogrio.raw.read_arrow(f"/vsizip/{path}/batas.csv")
    kinds = {one.name: str(one.type).partition("[")[0] for one in table.schema}
    assert kinds["kode"] == "string"
    assert (kinds["id_2"], kinds["luas"], kinds["kota"], kinds["hari"], kinds["waktu"]) == (
        "int64", "double", "bool", "date32", "timestamp",
    )  # fmt: skip
    assert "WGS" in meta["crs"]
    assert meta["geometry_type"] == "Unknown"
    assert table.column("kode").to_pylist()[0].startswith("32.03")


def test_tables_are_written_where_they_can_be(world: World, tmp_path: Path) -> None:
    info = world.catalog.datasets.get("tabel").version
    assert info is not None
    assert info.schema is not None
    assert [kind.name for kind in fitting(info.schema)] == ["gpkg", "geoparquet", "csv", "csvw"]
    for kind in ("gpkg", "geoparquet"):
        rows, _, _ = read(written(world, "tabel", kind, tmp_path))
        assert len(rows) == 360
    with pytest.raises(PublishError):
        write(FORMATS["kml"], piece(world, "tabel"), tmp_path / "x.kml")


def test_features_without_geometry_are_not_lost(world: World, tmp_path: Path) -> None:
    schema = LayerSchema((FieldDef("kode"),), "Point")
    shapes = np.array([shapely.Point(107, -6), None], dtype=object)
    world.publish(
        "bolong",
        schema,
        FeatureBatch(["1", "2"], [{"kode": "a"}, {"kode": "b"}], shapes),
        bbox=(107, -6, 107, -6),
    )
    for kind in WRITTEN:
        if kind == "csv":
            continue
        path = written(world, "bolong", kind, tmp_path)
        if kind == "flatgeobuf":  # GDAL's Arrow reader fails on its absent geometries; the plain one does not
            _, _, shapes, columns = pyogrio.raw.read(path, columns=["kode"])
            places = dict(zip(columns[0].tolist(), shapes.tolist(), strict=True))
        else:
            _, places, _ = read(path)
        assert places.keys() == {"a", "b"}, kind
        assert places["a"] is not None, kind
        assert places["b"] is None, kind


@pytest.mark.parametrize("code", ["32", "32.03", "3203", "32.03.01", "32.03.01.1006"])
def test_a_region_is_taken_by_its_code(world: World, code: str, tmp_path: Path) -> None:
    part = read_extract(SCHEMA, code, None)
    rows, _, _ = read(written(world, "batas", "gpkg", tmp_path, part))
    all_codes = {row["kode"] for batch in piece(world, "batas").batches() for row in batch.rows}
    digits = code.replace(".", "")
    assert rows.keys() == {kode for kode in all_codes if kode.replace(".", "").startswith(digits)}
    assert rows


def test_a_box_is_taken_by_place(world: World, tmp_path: Path) -> None:
    box = (107.1, -6.9, 107.2, -6.8)
    one, _, _ = read(written(world, "batas", "geoparquet", tmp_path, read_extract(SCHEMA, None, box)))
    two, _, _ = read(written(world, "batas-utm", "geojson", tmp_path, read_extract(SCHEMA, None, box)))
    inside = {
        row["kode"]
        for batch in piece(world, "batas").batches()
        for row, shape in zip(batch.rows, batch.geometries, strict=True)  # type: ignore[arg-type]
        if shapely.intersects(shape, shapely.box(*box))
    }
    assert one.keys() == inside
    assert inside <= two.keys()  # the box is bent in UTM: some more are near it
    assert len(two) - len(inside) < 5


def test_what_can_not_be_chosen_is_said() -> None:
    table = LayerSchema((FieldDef("kode"),), None)
    with pytest.raises(QueryError):
        read_extract(table, "32.03", None)
    with pytest.raises(QueryError):
        read_extract(table, None, (1, 1, 2, 2))
    with pytest.raises(RecordError):
        read_extract(SCHEMA, "Cianjur", None)


@given(st.lists(st.text(min_size=1, max_size=30), unique=True, max_size=60))
@settings(max_examples=60)
def test_short_names_are_short_and_all_different(names: list[str]) -> None:
    short = dbf_names(names)
    assert list(short) == names
    assert all(len(name.encode()) <= 10 for name in short.values())
    assert len({name.lower() for name in short.values()}) == len(names)


def test_the_builder_makes_each_file_once_and_drops_what_is_old(world: World, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    builder = Builder(world.catalog, world.store, shelf, world.settings.downloads)
    made = builder.build(["gudang", "rahasia"])
    assert {one.dataset for one in made} == {"gudang"}
    assert len(made) == 8
    assert all(one.download is not None for one in made)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("gudang/v1-*/*.facts.json")}
    builder.build(["gudang"])
    assert {path: path.stat().st_mtime_ns for path in first} == first
    schema = LayerSchema((FieldDef("nama"), FieldDef("stok", FieldType.INTEGER)), "Point")
    for count in (5, 6):
        world.publish("gudang", schema, points(count), title="Gudang")
    builder.build(["gudang"])
    assert sorted(path.name for path in (tmp_path / "gudang").iterdir()) == [f"v3-r{REVISION}"]


def test_files_of_a_layer_that_is_no_longer_public_go_and_kits_with_them(tmp_path: Path) -> None:
    fresh = open_world(make_settings(tmp_path))
    root = fresh.settings.data_dir / "downloads"
    builder = Builder(fresh.catalog, fresh.store, Shelf(root), fresh.settings.downloads)
    schema = LayerSchema((FieldDef("nama"), FieldDef("stok", FieldType.INTEGER)), "Point")
    for name in ("gudang", "posko", "dapur"):
        fresh.publish(name, schema, points(3), title=name)
    builder.build()
    kit = root / KITS / "32.03" / "paket.gpkg"
    arriving = root / "raster" / "unduhan.tif.part"  # a harvest keeps what has come of a raster here
    for path in (kit, arriving):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    builder.build()
    assert kit.is_file()
    fresh.catalog.datasets.tombstone("gudang", reason="salah", by="tests")
    fresh.catalog.datasets.overlay("posko", {"access": "terbatas"}, by="tests")
    builder.build(["dapur"])
    assert any((root / "gudang").glob("v*"))  # who names a layer means that layer
    builder.build()
    assert not any(path for name in ("gudang", "posko") for path in (root / name).iterdir())
    assert len(list((root / "dapur").glob("v1-*/*.facts.json"))) == 8
    assert (kit.exists(), arriving.exists()) == (False, True)
    fresh.close()


def test_a_failing_write_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    info = world.catalog.datasets.get("batas").version
    assert info is not None

    def broken(*_: object, **__: object) -> None:
        raise PublishError("disk")

    monkeypatch.setattr("layers.downloads.shelf.write", broken)
    with pytest.raises(PublishError):
        shelf.make(info, FORMATS["gpkg"], WHOLE, piece(world, "batas"))
    assert shelf.find(info, file_name(info, FORMATS["gpkg"], WHOLE)) is None
    assert [path.name for path in shelf.folder(info).iterdir() if not path.name.endswith(".lock")] == []


def test_new_words_make_a_new_file(world: World, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    info = world.catalog.datasets.get("batas").version
    assert info is not None
    one = shelf.make(info, FORMATS["csv"], WHOLE, piece(world, "batas"))
    world.catalog.datasets.overlay("batas", {"licence": "CC0-1.0"}, by="tests")
    two = shelf.make(info, FORMATS["csv"], WHOLE, piece(world, "batas"))
    world.catalog.datasets.clear_overlay("batas", ["licence"], by="tests")
    assert one.stamp != two.stamp


def test_parts_make_room_when_it_is_short(world: World, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    info = world.catalog.datasets.get("batas").version
    assert info is not None
    whole = shelf.make(info, FORMATS["csv"], WHOLE, piece(world, "batas"))
    part = Extract(parse("32.03.01", "kemendagri"))
    small = shelf.make(info, FORMATS["csv"], part, piece(world, "batas", part))
    assert shelf.trim(small.size) == 0
    assert shelf.trim(small.size - 1) == 1
    assert shelf.find(info, small.name) is None
    assert shelf.find(info, whole.name) == whole


def _kit_layer(world: World, layer: str, *styles: KitStyle) -> KitLayer:
    dataset = world.catalog.datasets.get(layer)
    info = dataset.version
    assert isinstance(info, VersionInfo)
    return KitLayer(world.store.reader(info), about(dataset, info), styles)


def test_the_field_kit_has_boundaries_facilities_styles_and_metadata(world: World, tmp_path: Path) -> None:
    path = tmp_path / "kit.gpkg"
    layers = [
        _kit_layer(world, "batas", KitStyle("Luas", "<qgis/>", "<sld/>"), KitStyle("Polos", "<a/>", "<b/>")),
        _kit_layer(world, "tabel"),
        _kit_layer(world, "gudang"),
    ]
    rows = write_kit(path, parse("32.03", "kemendagri"), layers)
    tables = {
        name: pyogrio.read_info(str(path), layer=name)["features"] for name in ("batas", "tabel", "gudang")
    }
    assert tables["batas"] == tables["tabel"] == 360
    assert 0 < tables["gudang"] < 25  # the warehouses beyond the kabupaten stay behind
    assert rows == sum(tables.values())
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT f_table_name, styleQML, useAsDefault FROM layer_styles").fetchall() == [
            ("batas", "<qgis/>", 1),
            ("batas", "<a/>", 0),
        ]
        records = db.execute("SELECT table_name FROM gpkg_metadata_reference ORDER BY 1").fetchall()
    db.close()
    assert [name for (name,) in records] == ["batas", "gudang", "tabel"]
    with pytest.raises(NotFoundError):
        write_kit(tmp_path / "no.gpkg", parse("11.01", "kemendagri"), layers)
