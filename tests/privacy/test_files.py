"""Files: every format brings in persons under headers that say nothing, in every disguise we know."""

from __future__ import annotations

import base64
import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiona
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.model import RunState
from tests.privacy.watch import KINDS, NAMES, NIK, PLANTED, Watched, persons

type Write = Callable[[Path, list[dict[str, Any]]], Path]


def as_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".csv")
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_xlsx(path: Path, rows: list[dict[str, Any]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    book.save(path := path.with_suffix(".xlsx"))
    return path


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path := path.with_suffix(".parquet"))
    return path


def _vector(driver: str, suffix: str) -> Write:
    def write(path: Path, rows: list[dict[str, Any]]) -> Path:
        schema = {"geometry": "Point", "properties": dict.fromkeys(rows[0], "str")}
        path = path.with_suffix(suffix)
        with fiona.open(path, "w", driver=driver, crs="EPSG:4326", schema=schema) as sink:
            for n, row in enumerate(rows):
                at = {"type": "Point", "coordinates": (107 + n / 100, -7.0)}
                sink.write({"type": "Feature", "properties": row, "geometry": at})
        return path

    return write


def as_shapefile_in_zip(path: Path, rows: list[dict[str, Any]]) -> Path:
    _vector("ESRI Shapefile", ".shp")(path, rows)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for part in path.parent.glob(f"{path.name}.*"):
            if part.suffix != ".zip":
                archive.write(part, part.name)
                part.unlink()
    return path.with_suffix(".zip")


def as_kml(path: Path, rows: list[dict[str, Any]]) -> Path:
    marks = "".join(
        "<Placemark><ExtendedData>"
        + "".join(f'<Data name="{k}"><value>{v}</value></Data>' for k, v in row.items())
        + f"</ExtendedData><Point><coordinates>{107 + n / 100},-7.0</coordinates></Point></Placemark>"
        for n, row in enumerate(rows)
    )
    path = path.with_suffix(".kml")
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2">'
    path.write_text(f"{head}<Document>{marks}</Document></kml>", "utf-8")
    return path


FORMATS: dict[str, Write] = {
    "csv": as_csv, "xlsx": as_xlsx, "parquet": as_parquet, "geojson": _vector("GeoJSON", ".geojson"),
    "gpkg": _vector("GPKG", ".gpkg"), "fgb": _vector("FlatGeobuf", ".fgb"), "shp": as_shapefile_in_zip,
    "kml": as_kml,
}  # fmt: skip


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_held_and_passes_once_the_columns_are_dropped(
    name: str, watched: Watched, tmp_path: Path
) -> None:
    path = FORMATS[name](tmp_path / "warga", persons())
    run = watched.take("file", str(path), {"remote": "*", "id": "warga"})
    assert run.state is RunState.HELD, (run.reason, watched.catalog.runs.errors(run.id))
    said = watched.guards(run)
    assert {column: KINDS[column] in said.get(column, ()) for column in KINDS} == dict.fromkeys(KINDS, True)
    assert watched.live(watched.layer(run)) is None
    watched.nowhere()
    dropped = {"remote": "*", "id": "warga", "drop": list(KINDS)}
    again = watched.take("file", str(path), dropped)
    assert again.state is RunState.OK, again.reason
    assert len(watched.rows(watched.layer(again))) == 6
    watched.nowhere()


# -- disguises -------------------------------------------------------------------------------------

FULL_WIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in NIK)
DISGUISES: dict[str, Any] = {
    "spaces": "3279 9971 0287 0002",
    "dots": "32.79.99.710287.0002",
    "dashes": "327999-710287-0002",
    "en dashes": "327999 – 710287 – 0002",
    "underscores": "327999_710287_0002",
    "full-width digits": FULL_WIDTH,
    "zero-width": NIK[:8] + "\u200b" + NIK[8:],
    "apostrophe": "'" + NIK,
    "behind a dot": f"No.KTP.{NIK}.",
    "JSON": json.dumps({"orang": {"id": [NIK]}}),
    "sentence": f"rumah ibu ({NIK}) di tepi sungai",
    "URL": f"https://x.example/warga?nik={NIK}",
}


@pytest.mark.parametrize("disguise", list(DISGUISES))
def test_a_nik_in_disguise_is_found_though_one_row_alone_has_it(
    disguise: str, watched: Watched, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"kode": f"k{n}", "x1": f"catatan {n}"} for n in range(40)]
    rows[-1]["x1"] = DISGUISES[disguise]
    run = watched.take("file", str(as_csv(tmp_path / "data", rows)), {"remote": "*", "id": "data"})
    assert watched.guards(run) == {"x1": {"nik"}}
    watched.nowhere(NIK)


@pytest.mark.parametrize("value", [int(NIK), float(NIK)])
@pytest.mark.parametrize("name", ["xlsx", "parquet"])
def test_a_nik_as_a_number_is_found(name: str, value: float, watched: Watched, tmp_path: Path) -> None:
    rows = [{"kode": "a", "x1": value}, {"kode": "b", "x1": value + 1}]
    run = watched.take("file", str(FORMATS[name](tmp_path / "data", rows)), {"remote": "*", "id": "data"})
    assert watched.guards(run) == {"x1": {"nik"}}
    watched.nowhere(NIK)


def test_one_nik_in_row_50_000_is_found(watched: Watched, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"x1": f"baris {n}"} for n in range(50_000)]
    rows.append({"x1": NIK})
    run = watched.take("file", str(as_parquet(tmp_path / "data", rows)), {"remote": "*", "id": "data"})
    assert watched.guards(run) == {"x1": {"nik"}}


def test_a_table_without_a_header_line_does_not_make_a_person_a_column(
    watched: Watched, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text(f"{NIK},Siti Contohwati\nx,Desa Satu\ny,Desa Dua\n", "utf-8")
    run = watched.take("file", str(tmp_path / "data.csv"), {"remote": "*", "id": "data"})
    assert run.code == "guard-personal"
    assert watched.catalog.versions.list(watched.layer(run)) == []
    watched.nowhere(NIK)


def test_a_nik_in_a_file_s_name_is_no_collection(watched: Watched, tmp_path: Path) -> None:
    path = as_csv(tmp_path / f"kk_{NIK}", [{"a": "1"}])
    run = watched.take("file", str(path), {"remote": "*"})
    assert (run.state, run.code) == (RunState.HELD, "guard-personal")
    assert list(watched.catalog.datasets.all()) == []
    watched.nowhere(NIK)


def test_the_second_layer_alone_is_held(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "dua.gpkg"
    for layer, value in (("umum", "Puskesmas"), ("warga", NIK)):
        schema = {"geometry": "Point", "properties": {"x1": "str"}}
        with fiona.open(path, "w", driver="GPKG", layer=layer, crs="EPSG:4326", schema=schema) as sink:
            at = {"type": "Point", "coordinates": (107.0, -7.0)}
            sink.write({"type": "Feature", "properties": {"x1": value}, "geometry": at})
    run = watched.take(
        "file", str(path), {"remote": "umum", "id": "umum"}, {"remote": "warga", "id": "warga"}
    )
    states = {name: facts["state"] for name, facts in run.details["datasets"].items()}
    assert states == {"umum": "ok", "warga": "held"}
    watched.nowhere(NIK)


def test_points_of_households_are_held(watched: Watched, tmp_path: Path) -> None:
    rows = [{"kode": f"k{n}", "desil": str(n % 10)} for n in range(5)]
    path = _vector("GeoJSON", ".geojson")(tmp_path / "rumah", rows)
    run = watched.take("file", str(path), {"remote": "*", "id": "rumah"})
    assert watched.guards(run) == {"desil": {"household-point"}}


def test_persons_as_feature_ids_are_found_and_not_quoted(watched: Watched, tmp_path: Path) -> None:
    path = as_csv(tmp_path / "data", persons())
    layer = {"remote": "*", "id": "data", "feature_id": "x1", "drop": [*KINDS]}
    run = watched.take("file", str(path), layer)
    assert watched.guards(run) == {"(id)": {"nik"}}
    watched.nowhere(*PLANTED)


def test_names_inside_of_json_are_found_by_their_keys(watched: Watched, tmp_path: Path) -> None:
    rows = [{"x1": json.dumps({"nama_penerima": name, "desil": 1})} for name in NAMES]
    run = watched.take("file", str(as_csv(tmp_path / "data", rows)), {"remote": "*", "id": "data"})
    assert "person-name" in watched.guards(run)["x1"]
    watched.nowhere("Contohwati")


def test_encoded_text_is_beyond_the_guard_as_the_docs_say(watched: Watched, tmp_path: Path) -> None:
    """A limit, held here so that the page stays true: nobody decodes base64 for the source."""
    hidden = base64.b64encode(NIK.encode()).decode()
    path = as_csv(tmp_path / "data", [{"x1": hidden}, {"x1": "b"}])
    assert watched.take("file", str(path), {"remote": "*", "id": "data"}).state is RunState.OK
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    assert "base64" in page
