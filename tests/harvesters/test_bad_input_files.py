"""Bad files through the engine: a clear error or a recorded repair, and the last good version stays."""

from __future__ import annotations

import gzip
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import mapping

from catalog.errors import ProtocolError
from catalog.model import RunState
from catalog.runs import Run
from catalog.sources import SourceConfig
from harvesters.file.unpack import Budget, unpack_zip
from tests.harvesters.support import World
from tests.servers.loopback import Answer, Asked, serve

COUNT = 400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, retries=0)
    yield world
    world.close()


def source(
    url: object, *, remote: str = "*", options: dict[str, Any] | None = None, **layer: Any
) -> SourceConfig:
    chosen = {"remote": remote, "id": "fasilitas", "feature_id": "kode", **layer}
    if remote == "*":
        chosen.pop("id")
    return SourceConfig.model_validate(
        {
            "id": "dinas", "type": "file", "url": str(url), "produsen_data": "Dinas Contoh",
            "layers": [chosen], "options": options or {},
        }
    )  # fmt: skip


def rows(count: int = COUNT) -> list[dict[str, Any]]:
    return [{"kode": f"{i:04d}", "nama": f"Lumbung Sosial {i}", "stok": i * 3} for i in range(1, count + 1)]


def squares(count: int = COUNT) -> list[Any]:
    return [shapely.Point(107 + i / 100, -7).buffer(0.01, quad_segs=4) for i in range(count)]


def vector(
    path: Path, driver: str, shapes: list[Any] | None = None, data: list[dict[str, Any]] | None = None
) -> None:
    data = rows() if data is None else data
    shapes = squares(len(data)) if shapes is None else shapes
    schema = {
        "geometry": "Unknown" if driver in {"GeoJSON", "GPKG"} else "Polygon",
        "properties": {"kode": "str", "nama": "str", "stok": "int"},
    }
    with fiona.open(path, "w", driver=driver, crs="EPSG:4326", schema=schema) as sink:
        for row, geometry in zip(data, shapes, strict=True):
            sink.write(
                {"type": "Feature", "properties": row, "geometry": mapping(geometry) if geometry else None}
            )


def shapefile_zip(path: Path) -> None:
    folder = path.parent / "shp"
    folder.mkdir()
    vector(folder / "fasilitas.shp", "ESRI Shapefile")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)


def spreadsheet(path: Path, cells: list[list[Any]] | None = None) -> None:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    for row in cells or [["kode", "nama", "stok"], *([r["kode"], r["nama"], r["stok"]] for r in rows())]:
        page.append(row)
    book.save(path)


def text_table(path: Path) -> None:
    lines = ["kode;nama;stok", *(f"{r['kode']};{r['nama']};{r['stok']}" for r in rows())]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def placemarks(path: Path) -> None:
    marks = "".join(
        f'<Placemark id="{r["kode"]}"><name>{r["nama"]}</name><ExtendedData><Data name="kode"><value>{r["kode"]}'
        f"</value></Data></ExtendedData><Point><coordinates>107,-7</coordinates></Point></Placemark>"
        for r in rows()
    )
    path.write_text(
        f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{marks}</Document></kml>', "utf-8"
    )


def parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows()), path)


FORMATS: dict[str, Callable[[Path], None]] = {
    "fasilitas.gpkg": lambda path: vector(path, "GPKG"),
    "fasilitas.geojson": lambda path: vector(path, "GeoJSON"),
    "fasilitas.fgb": lambda path: vector(path, "FlatGeobuf"),
    "fasilitas.zip": shapefile_zip,
    "fasilitas.xlsx": spreadsheet,
    "fasilitas.csv": text_table,
    "fasilitas.kml": placemarks,
    "fasilitas.parquet": parquet,
}


def explained(world: World, run: Run) -> str:
    """Everything that the run tells a person."""
    return " ".join([run.reason, *(error.message for error in world.catalog.runs.errors(run.id))])


# -- half of a file -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.97, 0.6, 0.05])
def test_half_a_file_never_replaces_the_good_version(name: str, share: float, world: World):
    path = world.folder / name
    FORMATS[name](path)
    whole = path.read_bytes()
    config = source(path, remote="fasilitas" if name != "fasilitas.xlsx" else "*")
    layer = "fasilitas" if name != "fasilitas.xlsx" else "dinas-fasilitas"
    first = world.harvest(config)
    assert first.state is RunState.OK, explained(world, first)
    good, version = world.rows(layer), world.live(layer)
    assert len(good) == COUNT

    cut = int(len(whole) * share)
    if name == "fasilitas.csv":  # a CSV that ends between two rows can not be told from a shorter one
        cut = whole.rindex(b";", 0, cut) - 1
    path.write_bytes(whole[:cut])
    run = world.harvest(config)
    assert run.state in {RunState.FAILED, RunState.INCOMPLETE}, (run.state, explained(world, run))
    assert len(explained(world, run)) > 20
    assert world.live(layer) == version
    assert world.rows(layer) == good

    path.write_bytes(whole)
    assert world.harvest(config).state is RunState.UNCHANGED


def test_half_a_download_is_noticed(world: World):
    vector(world.folder / "fasilitas.geojson", "GeoJSON")
    body = (world.folder / "fasilitas.geojson").read_bytes()
    state = {"cut": False}

    def app(asked: Asked) -> Answer:
        answer = Answer(body, "application/geo+json")
        if state["cut"]:
            answer.body = body[: len(body) // 2]
            answer.headers = {"X-Half": "1"}
        return answer

    with serve(app) as url:
        config = source(f"{url}/unduh/fasilitas.geojson", remote="fasilitas")
        assert world.harvest(config).state is RunState.OK
        state["cut"] = True
        run = world.harvest(config)
        assert run.state in {RunState.FAILED, RunState.INCOMPLETE}
        assert len(explained(world, run)) > 20
    assert len(world.rows()) == COUNT


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"<!DOCTYPE html><html><body>Silakan masuk</body></html>", "web page"),
        (b'{"error": {"code": 500}}', "GeoJSON"),
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "xls"),
        (b"%PDF-1.7 ...", "PDF"),
        (bytes(range(256)) * 4, "format"),
    ],
)
def test_something_else_than_data_says_what_it_is(body: bytes, word: str, world: World):
    path = world.folder / "fasilitas.geojson"
    vector(path, "GeoJSON")
    config = source(path, remote="fasilitas")
    assert world.harvest(config).state is RunState.OK
    path.write_bytes(body)
    run = world.harvest(config)
    assert run.state is RunState.FAILED
    assert word in explained(world, run)
    assert len(world.rows()) == COUNT


def test_a_file_that_vanished_keeps_its_dataset(world: World):
    path = world.folder / "fasilitas.geojson"
    vector(path, "GeoJSON")
    config = source(path, remote="fasilitas")
    world.harvest(config)
    path.unlink()
    run = world.harvest(config)
    assert run.state is RunState.FAILED
    assert "fasilitas.geojson" in explained(world, run)
    assert len(world.rows()) == COUNT


def test_a_layer_that_vanished_from_its_file_names_what_is_left(world: World):
    path = world.folder / "a.gpkg"
    vector(path, "GPKG")
    run = world.harvest(source(path, remote="desa"))
    assert run.state is RunState.INCOMPLETE
    assert "it has: a" in explained(world, run)


def test_names_only_hold_the_good_version(world: World):
    path = world.folder / "fasilitas.csv"
    text_table(path)
    config = source(path, remote="fasilitas")
    assert world.harvest(config).state is RunState.OK
    path.write_text("kode;nama;stok\n")
    run = world.harvest(config)
    assert run.state in {RunState.HELD, RunState.FAILED}
    assert len(world.rows()) == COUNT


def test_a_file_that_changes_while_it_is_read_is_not_published(world: World, monkeypatch: pytest.MonkeyPatch):
    path = world.folder / "fasilitas.csv"
    text_table(path)
    config = source(path, remote="fasilitas", options={"page_size": 50})
    world.harvest(config)
    version = world.live()
    path.write_text(path.read_text().replace("Lumbung", "Gudang"))
    from harvesters.table import reader as table_reader

    real = table_reader.TableReader.items

    def touched(self: Any) -> Iterator[Any]:
        for number, item in enumerate(real(self)):
            if number == 100:
                os.utime(path, (1, 1))
            yield item

    monkeypatch.setattr(table_reader.TableReader, "items", touched)
    run = world.harvest(config)
    assert run.state is RunState.FAILED
    assert "changed while" in explained(world, run)
    assert world.live() == version


# -- archives -------------------------------------------------------------------------------------


def packed(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def test_a_zip_bomb_is_stopped_by_its_ratio_long_before_the_disk_is_full(world: World):
    bomb = packed(world.folder / "bom.zip", **{"a.csv": b"0" * (300 << 20)})
    assert bomb.stat().st_size < 1 << 20
    run = world.harvest(source(bomb))
    assert run.state is RunState.FAILED
    assert "bomb" in explained(world, run)


def test_a_workbook_that_is_a_bomb_is_not_opened(world: World):
    path = world.folder / "bom.xlsx"
    spreadsheet(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b" " * (100 << 20))
    run = world.harvest(source(path))
    assert run.state is RunState.FAILED
    assert "bomb" in explained(world, run)


def test_nested_bombs_share_one_budget(world: World):
    inner = packed(world.folder / "dalam.zip", **{"a.csv": b"kode\n" + b"1\n" * 50_000}).read_bytes()
    outer = packed(world.folder / "luar.zip", **{f"{i}.zip": inner for i in range(20)})
    run = world.harvest(source(outer, options={"max_unpacked_bytes": 500_000}))
    assert run.state is not RunState.OK
    assert "bomb" in explained(world, run)


def test_too_many_files_and_too_deep(world: World):
    many = packed(world.folder / "banyak.zip", **{f"{i}.csv": b"kode\n1\n" for i in range(30)})
    run = world.harvest(source(many, options={"max_unpacked_files": 20}))
    assert "more than 20 files" in explained(world, run)
    content = b"kode\n1\n"
    name = "a.csv"
    for depth in range(5):
        content, name = (
            packed(world.folder / f"d{depth}.zip", **{name: content}).read_bytes(),
            f"d{depth}.zip",
        )
    run = world.harvest(source(world.folder / "d4.zip"))
    assert run.state is RunState.FAILED
    assert "deep" in explained(world, run)


@pytest.mark.parametrize(
    "name", ["../jahat.csv", "/etc/jahat.csv", "a/../../jahat.csv", "C:\\jahat.csv", "..\\jahat.csv"]
)
def test_a_zip_never_writes_outside_its_folder(name: str, world: World):
    path = world.folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "kode\n1\n")
    run = world.harvest(source(path))
    assert run.state is RunState.FAILED
    assert "outside" in explained(world, run)
    assert not list(world.folder.rglob("jahat.csv"))


def test_links_and_passwords_in_a_zip_are_refused(tmp_path: Path):
    link = zipfile.ZipInfo("a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "o").mkdir()
    with pytest.raises(ProtocolError, match="link"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "o", Budget())
    locked = bytearray(packed(tmp_path / "b.zip", **{"a.csv": b"kode\n"}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + at] |= 1
    (tmp_path / "b.zip").write_bytes(locked)
    with pytest.raises(ProtocolError, match="password"):
        unpack_zip(tmp_path / "b.zip", tmp_path / "o", Budget())


def test_one_bad_file_in_a_folder_does_not_stop_the_others(world: World):
    folder = world.folder / "kiriman"
    folder.mkdir()
    text_table(folder / "baik.csv")
    (folder / "rusak.geojson").write_bytes(b'{"type": "FeatureCollection", "features": [{"ty')
    run = world.harvest(source(folder))
    assert run.state in {RunState.INCOMPLETE, RunState.FAILED}
    assert len(world.rows("dinas-baik-csv")) == COUNT
    assert "rusak" in explained(world, run)


# -- what stands in the file ----------------------------------------------------------------------


def test_windows_1252_is_read_right_and_recorded(world: World):
    path = world.folder / "fasilitas.csv"
    path.write_bytes("kode;nama\n01;Café “Bunga” – Rp½\n".encode("cp1252"))
    assert world.harvest(source(path, remote="fasilitas")).state is RunState.OK
    assert world.rows()["01"]["nama"] == "Café “Bunga” – Rp½"
    assert world.catalog.datasets.get("fasilitas").record.extras["berkas_encoding"] == "cp1252"


def test_uncomputed_formulas_make_the_run_incomplete_and_say_where(world: World):
    path = world.folder / "fasilitas.xlsx"
    spreadsheet(path)
    config = source(path)
    world.harvest(config)
    good = world.rows("dinas-fasilitas")
    spreadsheet(
        path,
        [
            ["kode", "nama", "stok"],
            *([r["kode"], r["nama"], "=1+1" if r["kode"] == "0007" else r["stok"]] for r in rows()),
        ],
    )
    run = world.harvest(config)
    assert run.state is RunState.INCOMPLETE
    assert "row 7" in explained(world, run)
    assert world.rows("dinas-fasilitas") == good


def test_rows_without_geometry_are_kept_and_counted(world: World):
    path = world.folder / "fasilitas.gpkg"
    shapes = [None if i == 3 else shape for i, shape in enumerate(squares())]
    vector(path, "GPKG", shapes)
    run = world.harvest(source(path, remote="fasilitas"))
    assert run.state is RunState.OK
    assert len(world.rows()) == COUNT
    assert any(error.severity == "warning" for error in world.catalog.runs.errors(run.id))


def test_self_crossing_rings_are_repaired_and_counted(world: World):
    bow = shapely.Polygon([(107, -7), (108, -6), (108, -7), (107, -6), (107, -7)])
    path = world.folder / "fasilitas.geojson"
    vector(path, "GeoJSON", [bow, *squares(COUNT - 1)])
    run = world.harvest(source(path, remote="fasilitas"))
    assert run.state is RunState.OK
    assert run.counts.repaired == 1


def test_swapped_and_foreign_coordinates_are_refused_by_name(world: World):
    path = world.folder / "fasilitas.geojson"
    vector(path, "GeoJSON")
    config = source(path, remote="fasilitas")
    world.harvest(config)
    good = world.rows()
    shapes = squares()
    shapes[0] = shapely.transform(shapes[0], lambda xy: xy[:, ::-1])
    shapes[1] = shapely.box(700_000, 9_200_000, 701_000, 9_201_000)
    vector(path, "GeoJSON", shapes)
    run = world.harvest(config)
    assert run.state in {RunState.INCOMPLETE, RunState.HELD, RunState.FAILED}
    codes = {error.code for error in world.catalog.runs.errors(run.id)}
    assert {"coordinates-swapped", "coordinates-outside"} <= codes
    assert world.rows() == good


def test_duplicate_ids_are_reported_and_never_overwrite_each_other(world: World):
    path = world.folder / "fasilitas.csv"
    text_table(path)
    config = source(path, remote="fasilitas")
    world.harvest(config)
    good = world.rows()
    path.write_text(path.read_text() + "0001;Lain;9\n")
    run = world.harvest(config)
    assert run.state in {RunState.INCOMPLETE, RunState.HELD}
    assert "duplicate-id" in {error.code for error in world.catalog.runs.errors(run.id)}
    assert world.rows() == good


def test_ten_thousand_columns_end_in_a_clear_error(world: World):
    path = world.folder / "fasilitas.csv"
    names = [f"k{i}" for i in range(10_000)]
    path.write_text(",".join(["kode", *names]) + "\n" + ",".join("1" for _ in range(10_001)) + "\n")
    run = world.harvest(source(path, remote="fasilitas"))
    assert run.state in {RunState.FAILED, RunState.INCOMPLETE}
    assert "10001 columns" in explained(world, run)
    chosen = source(path, remote="fasilitas", **{"options": None})
    chosen.layers[0].options = {"columns": ["kode", "k9999"]}
    assert world.harvest(chosen).state is RunState.OK


def test_a_feature_of_fifty_megabytes_goes_through(world: World):
    angle = np.linspace(0, 2 * np.pi, 600_000)
    ring = np.column_stack([107 + np.cos(angle), -7 + np.sin(angle)]).round(14)
    ring[-1] = ring[0]
    path = world.folder / "fasilitas.geojson"
    feature = {"type": "Feature", "properties": {"kode": "1"}}
    shaped = {**feature, "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [shaped]}, indent=4))
    assert path.stat().st_size > 50_000_000
    run = world.harvest(source(path, remote="fasilitas"))
    assert run.state is RunState.OK, explained(world, run)
    assert set(world.rows()) == {"1"}


def test_coordinate_columns_with_decimal_commas_become_points(world: World):
    path = world.folder / "posko.csv"
    path.write_bytes("kode;bujur;lintang\n01;107,25;-6,5\n02;;\n03;-6,5;107,25\n".encode("utf-16"))
    run = world.harvest(source(path, remote="posko", x="bujur", y="lintang"))
    assert run.state is RunState.OK, explained(world, run)
    info = world.live()
    assert info is not None
    assert info.bbox == pytest.approx((107.25, -6.5, 107.25, -6.5))
    codes = {error.code for error in world.catalog.runs.errors(run.id)}
    assert {"coordinates-swapped", "coordinates-missing"} <= codes
    assert len(world.rows()) == 3


# -- the real data of the team --------------------------------------------------------------------


def test_cianjur_comes_through_whole(world: World, shared_data: Path):
    layers = [
        {
            "remote": name,
            "id": f"batas-{name}",
            "feature_id": field,
            "region_code": {"field": field, "vintage": 2025},
        }
        for name, field in (("desa", "KDEPUM"), ("kecamatan", "KDCPUM"), ("kabkota", "KDPKAB"))
    ]
    config = source(shared_data / "cianjur_desa.gpkg").model_copy(update={"layers": []})
    config = SourceConfig.model_validate({**config.model_dump(), "layers": layers})
    run = world.harvest(config)
    assert run.state is RunState.OK, explained(world, run)
    assert [len(world.rows(f"batas-{name}")) for name in ("desa", "kecamatan", "kabkota")] == [360, 32, 1]
    assert world.rows("batas-desa")["32.03.01.1006"]["KDEPUM"] == "32.03.01.1006"
    assert world.harvest(config).state is RunState.UNCHANGED


def test_the_village_index_joins_the_boundaries_by_code(world: World, shared_data: Path):
    field = "kode_kemendagri"
    config = source(
        shared_data / "cianjur_idm2024.csv", remote="cianjur_idm2024", feature_id=field,
        region_code={"field": field, "vintage": 2025},
    )  # fmt: skip
    run = world.harvest(config)
    assert run.state is RunState.OK, explained(world, run)
    index = world.rows()
    assert len(index) == 354
    assert all(isinstance(row["idm"], float) for row in index.values())
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as boundaries:
        desa = {feature["properties"]["KDEPUM"] for feature in boundaries}
    assert len(set(index) & desa) / len(index) > 0.98


def test_the_national_code_list_becomes_a_reference_of_91599_codes(world: World, shared_data: Path):
    config = source(
        shared_data / "kode_wilayah_2025.csv.gz", remote="kode_wilayah_2025", feature_id="kode",
        region_code={"field": "kode", "vintage": 2025},
    )  # fmt: skip
    config.layers[0].options = {
        "region_reference": {
            "scheme": "kemendagri",
            "vintage": 2025,
            "code": "kode",
            "name": "nama",
            "parent": "induk",
        }
    }
    run = world.harvest(config)
    assert run.state is RunState.OK, explained(world, run)
    cianjur = world.catalog.regions.get("kemendagri", 2025, "32.03.01")
    assert cianjur is not None
    assert cianjur.parent == "32.03"
    info = world.live()
    assert info is not None
    assert info.count == 91_599
    assert info.kind == "table"


def test_a_crosswalk_table_is_loaded_and_its_weak_rows_stay_marked(
    world: World, shared_data: Path, tmp_path: Path
):
    with gzip.open(shared_data / "crosswalk_kemendagri2025_bps2020.csv.gz", "rt", encoding="utf-8") as full:
        header, *lines = full.read().splitlines()
    table = tmp_path / "crosswalk.csv"
    table.write_text("\n".join([header, *(line for line in lines if line.startswith("32.03."))]), "utf-8")
    config = source(
        table, remote="crosswalk", feature_id="kode_kemendagri",
        types={"kode_kemendagri": "text", "kode_bps2020": "text"},
    )  # fmt: skip
    config.layers[0].options = {
        "region_crosswalk": {
            "from": {"scheme": "kemendagri", "vintage": 2025, "code": "kode_kemendagri"},
            "to": {"scheme": "bps", "vintage": 2020, "code": "kode_bps2020"},
            "share": "share",
            "share_back": "share_bps",
            "quality": "match",
        }
    }
    run = world.harvest(config)
    assert run.state is RunState.OK, explained(world, run)
    regions = world.catalog.regions
    found = regions.translate("32.03.01.1006", from_=("kemendagri", 2025), to=("bps", 2020))
    assert [match.code for match in found] == ["3203200007"]
    weak = [line.split(",")[0] for line in lines if line.startswith("32.03.") and line.endswith(",weak")]
    for code in weak:
        matches = regions.translate(code, from_=("kemendagri", 2025), to=("bps", 2020))
        assert not any(match.certain for match in matches)
