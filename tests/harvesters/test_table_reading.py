"""Tables as offices send them: encodings, delimiters, decimal commas, codes, titles above, notes below."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ConfigError, ProtocolError
from catalog.model import FieldType, ItemError
from catalog.sources import LayerConfig
from harvesters.file.layers import Found, open_layer, scan
from harvesters.file.rows import Item
from harvesters.table.reader import TableReader, read_csv
from harvesters.table.sniff import find_delimiter, find_encoding, find_header
from harvesters.table.types import Column, decide, decimal_mark

HEAD = "kode_desa;nama;jumlah_kk;persen"


def reader(path: Path, text: str | bytes, **layer: Any) -> TableReader:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path, LayerConfig.model_validate({"remote": "*", **layer}))


def rows(table: TableReader) -> list[dict[str, Any]]:
    return [item.row for item in table.items() if isinstance(item, Item)]


def kinds(table: TableReader) -> dict[str, FieldType]:
    return {f.name: f.type for f in table.schema().fields}


# -- encoding and delimiter -----------------------------------------------------------------------

NAMES = "Bengkalis café “Kuala” – ½"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
def test_the_encoding_is_found_out_and_recorded(encoding: str, found: str, tmp_path: Path):
    table = reader(tmp_path / "a.csv", f"{HEAD}\n01;{NAMES};3;0,5\n".encode(encoding))
    assert rows(table)[0]["nama"] == NAMES
    assert table.notes["encoding"] == found
    assert table.notes["delimiter"] == ";"


def test_one_foreign_letter_far_down_the_file_is_not_overlooked(tmp_path: Path):
    text = HEAD.encode() + b"\n" + b"01;Desa;1;0,5\n" * 200_000 + "02;Salé;1;0,5\n".encode("cp1252")
    table = reader(tmp_path / "a.csv", text)
    assert table.notes["encoding"] == "cp1252"
    assert table.count() == 200_001
    assert find_encoding(tmp_path / "a.csv") == "cp1252"


def test_a_wrong_configured_encoding_is_a_clear_error(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "a,b\né,1\n".encode("cp1252"), options={"encoding": "utf-8"})
    with pytest.raises(ProtocolError, match="utf-8") as caught:
        table.count()
    assert "encoding" in caught.value.hint()
    with pytest.raises(ConfigError, match="utf-88"):
        reader(tmp_path / "a.csv", "a,b\n", options={"encoding": "utf-88"})


@given(
    st.sampled_from(",;\t|"),
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=8),
            min_size=3,
            max_size=3,
        ),
        min_size=2,
        max_size=6,
    ),
)
def test_any_delimiter_is_found_in_well_quoted_tables(delimiter: str, cells: list[list[str]]):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["kode", "nama", "jumlah"])
    writer.writerows(cells)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(text.getvalue().encode())
        assert find_delimiter(path, "utf-8") == delimiter


def test_commas_in_names_do_not_beat_semicolons(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "kode;nama;n\n01;Kab. A, B, C;1\n02;Kota D, E, F;2\n")
    assert [row["nama"] for row in rows(table)] == ["Kab. A, B, C", "Kota D, E, F"]


def test_quoted_line_breaks_and_a_missing_last_newline(tmp_path: Path):
    table = reader(tmp_path / "a.csv", 'kode,alamat\n01,"Jalan\nDua"\n02,Tiga')
    assert [row["alamat"] for row in rows(table)] == ["Jalan\nDua", "Tiga"]


# -- names ----------------------------------------------------------------------------------------


def test_titles_above_and_sources_below_are_not_data_but_are_kept_in_the_record(tmp_path: Path):
    text = (
        "Tabel 3. Penerima bantuan;;;\nKabupaten Contoh 2025;;;\n\n"
        + HEAD
        + "\n01;A;3;0,5\n02;B;4;1,5\n;;;\n"
        "Sumber: Dinas Sosial;;;\n"
    )
    table = reader(tmp_path / "a.csv", text)
    assert [row["nama"] for row in rows(table)] == ["A", "B"]
    assert table.count() == 2
    assert "Penerima bantuan" in table.notes["title_rows"]


def test_doubled_and_empty_names_get_their_own(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "Nama,nama,,Nama\na,b,c,d\n")
    assert list(rows(table)[0].values()) == ["a", "b", "c", "d"]
    assert table.schema().names() == ("Nama", "nama_2", "kolom_3", "Nama_3")
    assert "nama_2" in table.notes["renamed_columns"]


def test_a_table_without_names_or_with_names_in_a_told_row(tmp_path: Path):
    bare = reader(tmp_path / "a.csv", "01,5\n02,6\n", options={"header_row": 0})
    assert bare.schema().names() == ("kolom_1", "kolom_2")
    assert bare.count() == 2
    told = reader(tmp_path / "b.csv", "x,1\ny,2\nkode,nilai\n01,5\n", options={"header_row": 3})
    assert [row["kode"] for row in rows(told)] == ["01"]


def test_names_over_two_rows_are_joined():
    two: list[list[object]] = [
        ["Kode", "Penerima", None, None],
        [None, "PKH", "Sembako", None],
        ["01", 1, 2, 3],
    ]
    header = find_header(two, 1, 2)
    assert header.names[:3] == ("Kode", "Penerima_PKH", "Penerima_Sembako")
    assert header.skip == 2


# -- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "parsed"),
    [
        (["1", "20", "-3", ""], FieldType.INTEGER, [1, 20, -3, None]),
        (["1", "2.5", "NA"], FieldType.REAL, [1.0, 2.5, None]),
        (["1", "2,5", "-"], FieldType.REAL, [1.0, 2.5, None]),
        (["1.234.567", "12"], FieldType.INTEGER, [1234567, 12]),
        (["1.234,5", "12"], FieldType.REAL, [1234.5, 12.0]),
        (["1,234.5", "12"], FieldType.REAL, [1234.5, 12.0]),
        (["01", "02"], FieldType.TEXT, ["01", "02"]),
        (["1.234", "5.678"], FieldType.TEXT, ["1.234", "5.678"]),  # thousands or decimals? not guessed
        (["1.234", "0.5"], FieldType.REAL, [1.234, 0.5]),
        (["1.5", "2,5"], FieldType.TEXT, ["1.5", "2,5"]),
        (["2025-01-31", ""], FieldType.DATE, [date(2025, 1, 31), None]),
        (["2025-02-31"], FieldType.TEXT, ["2025-02-31"]),
        (["2025-01-31T10:00:00Z"], FieldType.DATETIME, None),
        (["true", "False"], FieldType.BOOLEAN, [True, False]),
        (["12345678901234567890"], FieldType.TEXT, ["12345678901234567890"]),
        (["", ""], FieldType.TEXT, [None, None]),
        (["abc", "-"], FieldType.TEXT, ["abc", "-"]),
    ],
)
def test_types_are_decided_by_all_values(
    values: list[str], kind: FieldType, parsed: list[Any] | None, tmp_path: Path
):
    text = "nilai;ket\n" + "".join(f"{value};x\n" for value in values)
    table = reader(tmp_path / "a.csv", text, options={"delimiter": ";"})
    assert kinds(table)["nilai"] is kind
    if parsed is not None:
        assert [row["nilai"] for row in rows(table)] == parsed


def test_a_neighbour_column_settles_what_a_mark_means(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "jumlah;persen\n1.234;0,5\n5.678;12,25\n")
    assert [row["jumlah"] for row in rows(table)] == [1234, 5678]
    assert table.notes["decimal"] == ","


def test_the_config_settles_what_a_mark_means(tmp_path: Path):
    thousands = reader(tmp_path / "a.csv", "jumlah;k\n1.234;a\n", options={"decimal": ","})
    decimals = reader(tmp_path / "b.csv", "jumlah;k\n1.234;a\n", options={"decimal": "."})
    assert rows(thousands)[0]["jumlah"] == 1234
    assert rows(decimals)[0]["jumlah"] == 1.234


def test_an_unclear_mark_is_noted(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "jumlah;k\n1.234;a\n")
    table.count()
    assert "decimal" in table.notes["column jumlah"]


@pytest.mark.parametrize(
    "name", ["kode_desa", "KDEPUM", "bps_kode_kecamatan", "id", "NIK", "nomor", "kd_prov", "kode10"]
)
def test_columns_named_as_codes_stay_text(name: str, tmp_path: Path):
    table = reader(tmp_path / "a.csv", f"{name},n\n32.03,1\n3204,2\n")
    assert [row[name] for row in rows(table)] == ["32.03", "3204"]


@pytest.mark.parametrize("name", ["jumlah_kk", "tahun", "keterangan_jumlah", "nilai_id", "kota", "penduduk"])
def test_columns_of_amounts_are_numbers(name: str, tmp_path: Path):
    assert kinds(reader(tmp_path / "a.csv", f"{name},k\n32,1\n3204,2\n"))[name] is FieldType.INTEGER


@given(
    st.lists(st.one_of(st.integers(-(10**17), 10**17).map(str), st.sampled_from(["", "NA", "-"])), min_size=1)
)
def test_integers_survive_the_text(values: list[str]):
    column = Column("nilai")
    for value in values:
        column.see(value)
    kind, parse, note = decide(column, decimal_mark([column], None))
    if column.some:
        assert kind is FieldType.INTEGER
        assert [parse(v) for v in values if v not in {"", "NA", "-"}] == [
            int(v) for v in values if v not in {"", "NA", "-"}
        ]
    assert not note


@given(st.lists(st.text(max_size=12).map(str.strip), min_size=1, max_size=20))
def test_whatever_the_values_deciding_never_fails_and_the_parser_takes_them(values: list[str]):
    column = Column("nilai")
    for value in values:
        column.see(value)
    kind, parse, _ = decide(column, decimal_mark([column], None))
    assert kind in FieldType
    for value in values:
        if value not in {"", "-", "NA", "N/A", "#N/A", "NULL", "null", "nan", "NaN", "None"}:
            parse(value)


# -- rows -----------------------------------------------------------------------------------------


def test_a_row_with_too_many_cells_is_an_item_error_and_a_short_one_is_noted(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "a,b\n1,2\n1,2,3\n4\n5,6,\n")
    items = list(table.items())
    assert [item.code for item in items if isinstance(item, ItemError)] == ["row-width"]
    assert [item.row for item in items if isinstance(item, Item)] == [
        {"a": 1, "b": 2},
        {"a": 4, "b": None},
        {"a": 5, "b": 6},
    ]
    assert table.count() == 4
    assert "short_rows" in table.notes


def test_ids_are_row_numbers_or_hashes_that_survive_a_new_order(tmp_path: Path):
    text = "a,b\n1,x\n2,y\n1,x\n"
    by_row = [i.id for i in reader(tmp_path / "a.csv", text).items() if isinstance(i, Item)]
    assert by_row == ["1", "2", "3"]
    hashed = [
        i.id for i in reader(tmp_path / "a.csv", text, options={"ids": "hash"}).items() if isinstance(i, Item)
    ]
    turned = reader(tmp_path / "b.csv", "a,b\n2,y\n1,x\n1,x\n", options={"ids": "hash"})
    assert {i.id for i in turned.items() if isinstance(i, Item)} == set(hashed)
    assert len(set(hashed)) == 3


def test_wkt_columns_become_geometry(tmp_path: Path):
    table = reader(
        tmp_path / "a.csv", 'kode,geom\n01,"POINT (107 -7)"\n02,\n03,POINT(\n', options={"wkt": "geom"}
    )
    items = list(table.items())
    assert table.schema().geometry_type == "Geometry"
    assert isinstance(items[0], Item)
    assert items[0].geometry is not None
    assert isinstance(items[1], Item)
    assert items[1].geometry is None
    assert isinstance(items[2], ItemError)


@pytest.mark.parametrize("text", [b"", b"\n\n\n", b"\xef\xbb\xbf", b"   \r\n"])
def test_an_empty_file_is_a_clear_error(text: bytes, tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(ProtocolError, match="empty"):
        list(read_csv(path, LayerConfig(remote="*")).items())
    with pytest.raises(ProtocolError, match="empty"):
        scan(path, tmp_path / "u")


def test_a_file_of_names_only_is_a_table_of_no_rows(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "kode,nama\n")
    assert table.count() == 0
    assert list(table.items()) == []
    assert table.schema().names() == ("kode", "nama")


def test_a_file_cut_within_its_last_row_is_found_out(tmp_path: Path):
    table = reader(tmp_path / "a.csv", "kode,nama,jumlah\n01,A,1\n02,B")
    with pytest.raises(ProtocolError, match="cut"):
        table.count()


def test_ten_thousand_columns_are_refused_with_a_way_out(tmp_path: Path):
    names = [f"k{i}" for i in range(10_000)]
    text = ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n"
    table = reader(tmp_path / "a.csv", text)
    with pytest.raises(ProtocolError, match="10000 columns") as caught:
        table.schema()
    assert "columns" in caught.value.hint()
    some = reader(tmp_path / "a.csv", text, options={"columns": ["k7", "k9999"]})
    assert rows(some) == [{"k7": 1, "k9999": 1}]


def test_a_quote_that_never_closes_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harvesters.table.read.FIELD_LIMIT", 10_000)
    monkeypatch.setattr("harvesters.table.sniff.FIELD_LIMIT", 10_000)
    with pytest.raises(ProtocolError, match="field larger"):
        reader(tmp_path / "a.csv", 'a,b\n1,"' + "x,\n" * 20_000).count()


# -- spreadsheets ---------------------------------------------------------------------------------


def workbook(path: Path, *rows: list[Any], sheets: tuple[str, ...] = ("Data",)) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def sheet(path: Path, folder: Path, **layer: Any) -> tuple[list[Item], list[ItemError], Any]:
    (found,) = scan(path, folder / "u")
    assert isinstance(found, Found)
    one = open_layer(found, LayerConfig.model_validate({"remote": "*", **layer}))
    listing = one.content.listing()
    items: list[Item] = []
    errors: list[ItemError] = []
    for page in one.content.pages(listing, set()):
        items += [Item(i, r) for i, r in zip(page.batch.ids, page.batch.rows, strict=True)]
        errors += page.errors
    return items, errors, one


def test_xlsx_cells_keep_their_types_and_codes_stay_text(tmp_path: Path):
    path = workbook(
        tmp_path / "a.xlsx",
        ["Rekap", None, None, None, None],
        ["kode", "nama", "jumlah", "persen", "tanggal"],
        [3203011001, "A", 12, 0.125, datetime(2025, 1, 2)],  # noqa: DTZ001 - Excel knows no zones
        [32.03, "B", None, 1.25, datetime(2025, 1, 3)],  # noqa: DTZ001
    )
    items, errors, one = sheet(path, tmp_path)
    assert not errors
    assert items[0].row == {
        "kode": "3203011001",
        "nama": "A",
        "jumlah": 12,
        "persen": 0.125,
        "tanggal": date(2025, 1, 2),
    }
    assert items[1].row["kode"] == "32.03"
    assert items[1].row["jumlah"] is None
    assert one.notes["title_rows"] == "Rekap"


def test_xlsx_fractions_with_three_decimals_are_no_thousands(tmp_path: Path):
    items, _, _ = sheet(workbook(tmp_path / "a.xlsx", ["k", "luas"], ["a", 1.234], ["b", 5.678]), tmp_path)
    assert [item.row["luas"] for item in items] == [1.234, 5.678]


def test_a_formula_that_was_never_computed_is_an_item_error_not_a_silent_null(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["k", "a", "b"], ["x", 1, "=B2*2"], ["y", 2, 5], ["z", "#DIV/0!", 1])
    items, errors, _ = sheet(path, tmp_path)
    assert [(e.code, e.severity) for e in errors] == [
        ("formula-uncached", "error"),
        ("cell-error", "warning"),
    ]
    assert [item.row["k"] for item in items] == ["y", "z"]
    assert "row 1" in errors[0].message


def test_a_formula_with_its_value_is_that_value(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["k", "a", "b"], ["x", 1, "=B2*2"])
    parts = {i.filename: zipfile.ZipFile(path).read(i) for i in zipfile.ZipFile(path).infolist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = (
        parts[name]
        .replace(b"<f>B2*2</f><v></v>", b"<f>B2*2</f><v>2</v>")
        .replace(b"<f>B2*2</f><v />", b"<f>B2*2</f><v>2</v>")
    )
    with zipfile.ZipFile(path, "w") as archive:
        for key, content in parts.items():
            archive.writestr(key, content)
    items, errors, _ = sheet(path, tmp_path)
    assert not errors
    assert items[0].row["b"] == 2


def test_each_visible_sheet_is_a_layer(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["k"], ["x"], sheets=("2024", "2025"))
    assert [item.name for item in scan(path, tmp_path / "u") if isinstance(item, Found)] == ["2024", "2025"]


def test_real_code_list_keeps_every_zero_and_dot(shared_data: Path, tmp_path: Path):
    (found,) = scan(shared_data / "kode_wilayah_2025.csv.gz", tmp_path / "u")
    assert isinstance(found, Found)
    one = open_layer(found, LayerConfig(remote="*", feature_id="kode"))
    listing = one.content.listing()
    assert listing.count == 91_599
    assert {f.type for f in one.content.schema().fields} == {FieldType.TEXT}
    ids = {i for page in one.content.pages(listing, set()) for i in page.batch.ids}
    assert len(ids) == 91_599
    assert "32.03.01.1006" in ids
