"""One answer in the forms that people take away."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from analysis.allocate import allocate
from analysis.allocate_tables import needs_of, placed_plan, plan_places, plan_table, stocks_of
from analysis.result import Result, arrow_table, encode, form_of, table_result, write
from catalog.errors import QueryError

ROWS: list[dict[str, Any]] = [
    {"kode": "32.03.01.2001", "bagian": 0.5, "jumlah": {"jiwa": 10, "kk": None}, "daftar": [1, "b"]},
    {"kode": "=1+1", "bagian": None, "jumlah": {"jiwa": 7}, "daftar": []},
]
SHAPES = np.array([shapely.Point(107.123456789, -6.5), None], dtype=object)
RESULT = Result({"desa": ROWS, "catatan": []}, ROWS, SHAPES)


def test_json_is_the_whole_answer() -> None:
    assert json.loads(encode(RESULT, "json")) == {"desa": ROWS, "catatan": []}


def test_geojson_has_a_feature_for_each_row() -> None:
    found = json.loads(encode(RESULT, "geojson"))
    assert [one["properties"] for one in found["features"]] == ROWS
    assert found["features"][0]["geometry"] == {"type": "Point", "coordinates": [107.1234568, -6.5]}
    assert found["features"][1]["geometry"] is None


def test_csv_runs_no_formula_and_has_single_values() -> None:
    rows = list(csv.DictReader(io.StringIO(encode(RESULT, "csv").decode())))
    assert list(rows[0]) == ["kode", "bagian", "jumlah_jiwa", "jumlah_kk", "daftar"]
    assert rows[0] | {"daftar": json.loads(rows[0]["daftar"])} == {
        "kode": "32.03.01.2001", "bagian": "0.5", "jumlah_jiwa": "10", "jumlah_kk": "", "daftar": [1, "b"]
    }  # fmt: skip
    assert rows[1]["kode"] == "'=1+1"


def test_geoparquet_has_its_metadata_and_typed_columns(tmp_path: Path) -> None:
    path = tmp_path / "hasil.parquet"
    write(RESULT, path)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert (geo["version"], geo["columns"]["geometry"]["geometry_types"]) == ("1.1.0", ["Point"])
    assert "crs" not in geo["columns"]["geometry"], "left out, it is OGC:CRS84"
    assert shapely.from_wkb(pq.read_table(path)["geometry"][0].as_py()).x == 107.123456789
    assert pq.read_table(path)["jumlah_jiwa"].to_pylist() == [10, 7]


def test_a_table_without_place_is_plain_parquet(tmp_path: Path) -> None:
    path = tmp_path / "hasil.parquet"
    write(table_result([{"a": 1}, {"a": "x"}]), path)
    assert b"geo" not in (pq.read_metadata(path).metadata or {})
    assert pq.read_table(path)["a"].to_pylist() == ["1", "x"]


@pytest.mark.parametrize("form", ["json", "geojson", "csv", "parquet"])
def test_an_empty_answer_is_a_file_too(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"kosong.{form}"
    write(Result([], [], np.array([], dtype=object)), path)
    assert path.stat().st_size


def test_another_suffix_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        write(RESULT, tmp_path / "hasil.xlsx")
    assert not list(tmp_path.iterdir())
    assert form_of(Path("X.GeoJSON")) == "geojson"


def test_a_plan_is_drawn_from_warehouse_to_desa() -> None:
    stocks = stocks_of([{"gudang": "A", "item": "beras", "jumlah": 8, "lon": 107.1, "lat": -6.8}])
    needs = needs_of([{"kode": "32.03.01.2001", "item": "beras", "jumlah": 10, "lon": 107.2, "lat": -6.9}])
    rows = placed_plan(plan_table(allocate(stocks, needs)).to_pylist(), stocks, needs)
    sent, unmet = plan_places(rows)
    assert shapely.get_coordinates(sent).tolist() == [[107.1, -6.8], [107.2, -6.9]]
    assert (unmet.x, unmet.y) == (107.2, -6.9)


_VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)  # fmt: skip
_CELL = st.one_of(
    _VALUE, st.lists(_VALUE, max_size=2), st.dictionaries(st.text(max_size=3), _VALUE, max_size=2)
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "geometry", "a_x"]), _CELL, max_size=3), max_size=4)
)
def test_any_rows_fit_every_form(rows: list[dict[str, Any]]) -> None:
    result = table_result(rows)
    assert len(json.loads(encode(result, "geojson"))["features"]) == len(rows)
    assert arrow_table(result).num_rows in (len(rows), 0)
    for form in ("csv", "parquet"):
        assert isinstance(encode(result, form), bytes)
