"""Every vector format that agencies hand in, written by GDAL or by hand, read feature by feature."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import mapping, shape

from catalog.errors import ConfigError, ProtocolError
from catalog.model import FieldType, ItemError
from catalog.sources import LayerConfig
from harvesters.file.layers import Found, Opened, open_layer, scan

DESA: list[dict[str, Any]] = [
    {"kode": "32.03.01.1001", "nama": "Pamoyanan", "jumlah": 12, "luas": 1.5, "tgl": "2025-03-01"},
    {"kode": "32.03.01.1002", "nama": "Sayang ñ é", "jumlah": None, "luas": None, "tgl": None},
    {"kode": "32.03.01.1003", "nama": "Solok Pandan", "jumlah": 3, "luas": 0.25, "tgl": "2025-12-31"},
]
SQUARES = [shapely.box(107 + i, -7, 107.5 + i, -6.5) for i in range(3)]
SCHEMA = {
    "geometry": "Polygon",
    "properties": {"kode": "str", "nama": "str", "jumlah": "int", "luas": "float", "tgl": "date"},
}


def write(
    path: Path, driver: str, *, crs: str | None = "EPSG:4326", shapes: list[Any] = SQUARES, **more: Any
) -> Path:
    schema: dict[str, Any] = {**SCHEMA, "geometry": more.pop("geometry", "Polygon")}
    if driver == "FlatGeobuf":  # fiona does not write dates there
        schema["properties"] = {**schema["properties"], "tgl": "str"}
    with fiona.open(path, "w", driver=driver, crs=crs, schema=schema, **more) as sink:
        for row, geometry in zip(DESA, shapes, strict=True):
            shaped = mapping(geometry) if geometry is not None else None
            sink.write({"type": "Feature", "properties": row, "geometry": shaped})
    return path


def layers(path: Path, folder: Path) -> list[Found]:
    found = scan(path, folder / "unpacked")
    assert not [item for item in found if isinstance(item, ItemError)]
    return [item for item in found if isinstance(item, Found)]


def opened(path: Path, folder: Path, page_size: int = 1000, **layer: Any) -> Opened:
    (found,) = layers(path, folder)
    return open_layer(found, LayerConfig.model_validate({"remote": "*", **layer}), page_size=page_size)


def read(one: Opened) -> tuple[list[str], list[dict[str, Any]], list[Any], list[ItemError]]:
    listing = one.content.listing()
    ids, rows, shapes, errors = [], [], [], []
    for page in one.content.pages(listing, set()):
        ids += page.batch.ids
        rows += page.batch.rows
        shapes += [None] * len(page.batch) if page.batch.geometries is None else list(page.batch.geometries)
        errors += page.errors
    assert listing.count == len(ids) + sum(e.severity == "error" for e in errors)
    return ids, rows, shapes, errors


DRIVERS = {
    "a.gpkg": "GPKG",
    "a.shp": "ESRI Shapefile",
    "a.geojson": "GeoJSON",
    "a.geojsonl": "GeoJSONSeq",
    "a.fgb": "FlatGeobuf",
}


@pytest.mark.parametrize("name", DRIVERS)
def test_every_feature_of_each_format_comes_with_its_values_and_shape(name: str, tmp_path: Path):
    one = opened(write(tmp_path / name, DRIVERS[name]), tmp_path, feature_id="kode")
    ids, rows, shapes, errors = read(one)
    by_code = dict(zip(ids, zip(rows, shapes, strict=True), strict=True))
    assert one.kind == "feature"
    assert not errors
    assert sorted(by_code) == [row["kode"] for row in DESA]
    for row, square in zip(DESA, SQUARES, strict=True):
        values, geometry = by_code[str(row["kode"])]
        assert values["nama"] == row["nama"]
        assert values["jumlah"] == row["jumlah"]
        assert values["luas"] == row["luas"]
        assert (None if values["tgl"] is None else str(values["tgl"])) == row["tgl"]
        assert geometry.equals(square)
    schema = one.content.schema()
    kinds = {f.name: f.type for f in schema.fields}
    assert kinds["jumlah"] is FieldType.INTEGER
    assert kinds["luas"] is FieldType.REAL
    assert kinds["tgl"] is (FieldType.TEXT if name == "a.fgb" else FieldType.DATE)
    assert schema.geometry_type == "MultiPolygon"
    assert schema.crs == "EPSG:4326"
    assert one.bbox == pytest.approx((107, -7, 109.5, -6.5))


@pytest.mark.parametrize("name", [name for name in DRIVERS if name != "a.shp"])
def test_the_bytes_decide_not_the_name(name: str, tmp_path: Path):
    path = write(tmp_path / name, DRIVERS[name])
    (tmp_path / "x").mkdir()
    lying = path.rename(tmp_path / "x" / "unduhan.csv")
    ids, _, _, errors = read(opened(lying, tmp_path, feature_id="kode"))
    assert len(ids) == 3
    assert not errors


def test_missing_geometry_stays_a_row_without_geometry(tmp_path: Path):
    path = write(tmp_path / "a.gpkg", "GPKG", shapes=[SQUARES[0], None, SQUARES[2]])
    _, rows, shapes, errors = read(opened(path, tmp_path))
    assert [shape is None for shape in shapes] == [False, True, False]
    assert len(rows) == 3
    assert not errors


def test_mixed_geometry_types_are_a_layer_of_geometry(tmp_path: Path):
    mixed = [SQUARES[0], shapely.Point(107, -7), shapely.LineString([(107, -7), (108, -7)])]
    path = write(tmp_path / "a.geojson", "GeoJSON", shapes=mixed, geometry="Unknown")
    one = opened(path, tmp_path)
    assert one.content.schema().geometry_type == "Geometry"
    assert [s.geom_type for s in read(one)[2]] == ["Polygon", "Point", "LineString"]


def test_a_geopackage_offers_each_of_its_layers(shared_data: Path, tmp_path: Path):
    found = layers(shared_data / "cianjur_desa.gpkg", tmp_path)
    assert [item.name for item in found] == ["desa", "kecamatan", "kabkota"]
    counts = [len(read(open_layer(item, LayerConfig(remote="*")))[0]) for item in found]
    assert counts == [360, 32, 1]


def test_pages_are_bounded_by_rows_and_cut_at_the_same_place_every_time(shared_data: Path, tmp_path: Path):
    desa = layers(shared_data / "cianjur_desa.gpkg", tmp_path)[0]
    one = open_layer(desa, LayerConfig(remote="desa"), page_size=50)
    listing = one.content.listing()
    pages = list(one.content.pages(listing, set()))
    assert [len(page.batch) for page in pages] == [50] * 7 + [10]
    rest = list(one.content.pages(listing, {page.key for page in pages[:3]}))
    assert [(p.key, p.batch.ids) for p in rest] == [(p.key, p.batch.ids) for p in pages[3:]]
    again = open_layer(desa, LayerConfig(remote="desa"), page_size=50)
    assert again.content.listing() == listing


def test_a_page_is_also_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harvesters.file.rows.PAGE_BYTES", 100_000)
    ring = shapely.Point(107, -7).buffer(0.1, quad_segs=1000)
    path = write(tmp_path / "a.gpkg", "GPKG", shapes=[ring, ring, ring])
    one = opened(path, tmp_path)
    sizes = [len(page.batch) for page in one.content.pages(one.content.listing(), set())]
    assert sizes == [2, 1]


def test_single_ids_can_be_fetched_again(tmp_path: Path):
    one = opened(write(tmp_path / "a.fgb", "FlatGeobuf"), tmp_path, feature_id="kode")
    (page,) = one.content.refetch(("32.03.01.1003",))
    assert page.batch.ids == ["32.03.01.1003"]
    assert page.batch.rows[0]["nama"] == "Solok Pandan"


# -- shapefiles -----------------------------------------------------------------------------------


def test_a_zipped_shapefile_is_named_by_its_file(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "batas desa.shp", "ESRI Shapefile", encoding="UTF-8")
    path = shutil.make_archive(str(tmp_path / "kiriman"), "zip", tmp_path / "in")
    (found,) = layers(Path(path), tmp_path)
    assert found.name == "batas desa"
    rows = read(open_layer(found, LayerConfig(remote="*")))[1]
    assert rows[1]["nama"] == "Sayang ñ é"


@pytest.mark.parametrize(("encoding", "guess"), [("UTF-8", "UTF-8"), ("CP1252", "CP1252")])
def test_a_shapefile_without_cpg_has_its_encoding_found_out(encoding: str, guess: str, tmp_path: Path):
    path = write(tmp_path / "a.shp", "ESRI Shapefile", encoding=encoding)
    (tmp_path / "a.cpg").unlink()
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    dbf[29] = 0  # no language byte either
    (tmp_path / "a.dbf").write_bytes(dbf)
    one = opened(path, tmp_path)
    assert read(one)[1][1]["nama"] == "Sayang ñ é"
    assert one.notes["encoding"].startswith(guess)


def test_a_shapefile_without_prj_is_taken_as_degrees_when_it_is(tmp_path: Path):
    path = write(tmp_path / "a.shp", "ESRI Shapefile")
    (tmp_path / "a.prj").unlink()
    one = opened(path, tmp_path)
    assert one.content.schema().crs == "EPSG:4326"
    assert "crs" in one.notes


def test_metres_without_a_crs_need_the_config_and_then_fit(tmp_path: Path):
    metres = [shapely.box(700_000 + i * 1000, 9_200_000, 700_900 + i * 1000, 9_200_900) for i in range(3)]
    path = write(tmp_path / "a.shp", "ESRI Shapefile", crs="EPSG:32748", shapes=metres)
    (tmp_path / "a.prj").unlink()
    with pytest.raises(ProtocolError, match="no CRS") as caught:
        opened(path, tmp_path)
    assert "crs" in caught.value.hint()
    one = opened(path, tmp_path, crs="EPSG:32748")
    assert one.content.schema().crs == "EPSG:32748"
    assert one.bbox is not None
    assert shapely.box(95, -11, 141, 6).contains(shapely.box(*one.bbox))


def test_a_declared_crs_is_transformed_when_another_is_configured(tmp_path: Path):
    metres = [shapely.box(700_000 + i * 1000, 9_200_000, 700_900 + i * 1000, 9_200_900) for i in range(3)]
    path = write(tmp_path / "a.gpkg", "GPKG", crs="EPSG:32748", shapes=metres)
    one = opened(path, tmp_path, crs="EPSG:4326")
    assert one.content.schema().crs == "EPSG:4326"
    assert 106 < read(one)[2][0].centroid.x < 109
    assert "transformed" in one.notes["crs"]


def test_a_crs_without_a_code_is_transformed_to_degrees(tmp_path: Path):
    lcc = "+proj=lcc +lat_1=-6 +lat_2=-8 +lat_0=-7 +lon_0=107 +x_0=5 +ellps=GRS80 +units=m"
    squares = [shapely.box(i * 1000, 0, i * 1000 + 900, 900) for i in range(3)]
    one = opened(write(tmp_path / "a.gpkg", "GPKG", crs=lcc, shapes=squares), tmp_path)
    assert one.content.schema().crs == "EPSG:4326"
    assert read(one)[2][0].centroid.x == pytest.approx(107.004, abs=0.001)


def test_latitude_before_longitude_is_put_right_when_told(tmp_path: Path):
    swapped = [shapely.transform(s, lambda xy: xy[:, ::-1]) for s in SQUARES]
    path = write(tmp_path / "a.geojson", "GeoJSON", shapes=swapped)
    shapes = read(opened(path, tmp_path, options={"swap_xy": True}))[2]
    assert all(a.equals(b) for a, b in zip(shapes, SQUARES, strict=True))


@pytest.mark.parametrize("suffix", [".shx", ".dbf"])
def test_a_shapefile_that_lacks_a_part_says_which(suffix: str, tmp_path: Path):
    path = write(tmp_path / "a.shp", "ESRI Shapefile")
    (tmp_path / f"a{suffix}").unlink()
    with pytest.raises(ProtocolError, match=suffix):
        scan(path, tmp_path / "unpacked")


# -- others ---------------------------------------------------------------------------------------

KML = """<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>
<Placemark id="p1"><name>Posko A</name><description>Dekat sungai</description><ExtendedData>
 <Data name="jenis"><value>lumbung-sosial</value></Data></ExtendedData>
 <Point><coordinates>107.1,-6.8,12</coordinates></Point></Placemark>
<Placemark><name>Zona</name><ExtendedData><SchemaData schemaUrl="#s"><SimpleData name="kelas">tinggi</SimpleData>
 </SchemaData></ExtendedData><MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>
 107,-7 108,-7 108,-6 107,-6 107,-7</coordinates></LinearRing></outerBoundaryIs><innerBoundaryIs><LinearRing>
 <coordinates>107.2,-6.8 107.4,-6.8 107.4,-6.6 107.2,-6.8</coordinates></LinearRing></innerBoundaryIs></Polygon>
 </MultiGeometry></Placemark>
<Placemark><name>Tanpa tempat</name></Placemark>
<Placemark><name>Rusak</name><Point><coordinates>seratus,tujuh</coordinates></Point></Placemark>
</Folder></Document></kml>"""


def test_kml_keeps_extended_data(tmp_path: Path):
    path = tmp_path / "posko.kml"
    path.write_text(KML, "utf-8")
    ids, rows, shapes, errors = read(opened(path, tmp_path))
    assert ids == ["p1", "2", "3"]
    assert rows[0] == {
        "name": "Posko A",
        "description": "Dekat sungai",
        "jenis": "lumbung-sosial",
        "kelas": None,
    }
    assert rows[1]["kelas"] == "tinggi"
    assert shapes[0].equals(shapely.Point(107.1, -6.8))
    assert shapes[1].area == pytest.approx(1 - 0.02)
    assert shapes[2] is None
    assert [e.code for e in errors] == ["geometry-unreadable"]


def test_kmz_is_a_zipped_kml(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "posko.kmz", "w") as archive:
        archive.writestr("doc.kml", KML)
        archive.writestr("files/ikon.png", b"\x89PNG")
    ids, *_ = read(opened(tmp_path / "posko.kmz", tmp_path))
    assert len(ids) == 3


def test_kml_with_an_entity_bomb_expands_nothing(tmp_path: Path):
    bomb = '<!DOCTYPE k [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    path = tmp_path / "a.kml"
    path.write_text(KML.replace("<kml ", bomb + "<kml ").replace("Posko A", "&b;"), "utf-8")
    _, rows, _, _ = read(opened(path, tmp_path))
    assert "aaaa" not in str(rows[0]["name"])


def test_geoparquet_and_plain_parquet(tmp_path: Path):
    geo = {
        "version": "1.0.0",
        "primary_column": "geom",
        "columns": {"geom": {"encoding": "WKB", "geometry_types": ["Polygon"]}},
    }
    columns = {key: [row[key] for row in DESA] for key in ("kode", "nama", "jumlah", "luas")}
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "tabel.parquet")
    with_shapes = table.append_column("geom", pa.array([s.wkb for s in SQUARES]))
    pq.write_table(with_shapes.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "peta.parquet")
    one = opened(tmp_path / "peta.parquet", tmp_path, feature_id="kode")
    ids, rows, shapes, _ = read(one)
    assert one.content.schema().geometry_type == "MultiPolygon"
    assert ids[0] == "32.03.01.1001"
    assert rows[1]["jumlah"] is None
    assert shapes[2].equals(SQUARES[2])
    assert opened(tmp_path / "tabel.parquet", tmp_path).kind == "table"


def test_geoparquet_of_a_whole_country_starts_at_once(shared_data: Path, tmp_path: Path):
    one = opened(shared_data / "desa_2025.parquet", tmp_path, page_size=500)
    listing = one.content.listing()
    assert listing.count == 83_402
    first = next(iter(one.content.pages(listing, set())))
    assert len(first.batch) == 500
    assert one.content.schema().geometry_type == "MultiPolygon"


def test_gzip_around_a_file(tmp_path: Path):
    path = write(tmp_path / "a.geojson", "GeoJSON")
    with gzip.open(tmp_path / "b.geojson.gz", "wb") as packed:
        packed.write(path.read_bytes())
    (found,) = layers(tmp_path / "b.geojson.gz", tmp_path)
    assert found.name == "b"


def test_a_folder_offers_each_file_by_its_name(tmp_path: Path):
    folder = tmp_path / "kiriman"
    (folder / "2025").mkdir(parents=True)
    write(folder / "batas.gpkg", "GPKG")
    (folder / "2025" / "idm.csv").write_text("kode,nilai\n01,2\n")
    (folder / ".tersembunyi.csv").write_text("x\n")
    write(folder / "titik.shp", "ESRI Shapefile")
    assert [item.name for item in layers(folder, tmp_path)] == ["2025/idm.csv", "batas.gpkg", "titik.shp"]


def test_a_zip_with_several_layers_and_a_zip_in_it(tmp_path: Path):
    write(tmp_path / "a.gpkg", "GPKG")
    with zipfile.ZipFile(tmp_path / "dalam.zip", "w") as archive:
        archive.writestr("tabel.csv", "kode;n\n01;2\n")
    with zipfile.ZipFile(tmp_path / "luar.zip", "w") as archive:
        archive.write(tmp_path / "a.gpkg", "a.gpkg")
        archive.write(tmp_path / "dalam.zip", "dalam.zip")
        archive.writestr("BACA.txt", "salam")
        archive.writestr("__MACOSX/._a.gpkg", b"x")
    assert sorted(item.name for item in layers(tmp_path / "luar.zip", tmp_path)) == ["a", "tabel"]


def test_an_id_field_that_is_not_there_names_what_is(tmp_path: Path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    with pytest.raises(ProtocolError, match="KODE") as caught:
        opened(path, tmp_path, feature_id="KODE")
    assert "nama" in caught.value.hint()


def test_wrong_layer_options_name_the_right_ones(tmp_path: Path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    with pytest.raises(ConfigError, match="encodng") as caught:
        opened(path, tmp_path, options={"encodng": "utf-8"})
    assert "encoding" in caught.value.hint()


def test_a_feature_without_its_id_is_an_item_error(tmp_path: Path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    ids, _, _, errors = read(opened(path, tmp_path, feature_id="jumlah"))
    assert ids == ["12", "3"]
    assert [e.code for e in errors] == ["id-missing"]


def test_big_numbers_of_coordinates_come_back_exactly(tmp_path: Path):
    rng = np.random.default_rng(3)
    rings = [shapely.Point(107 + rng.random(), -7).buffer(0.2, quad_segs=200) for _ in range(3)]
    path = write(tmp_path / "a.fgb", "FlatGeobuf", shapes=rings)
    got = {s.wkb for s in read(opened(path, tmp_path))[2]}
    with fiona.open(path) as source:
        assert got == {shape(f["geometry"]).wkb for f in source}
