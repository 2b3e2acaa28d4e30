"""The situation report is read back: paper by pypdf, the workbook by openpyxl."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pypdf
import pytest

from ogc_server.kendali import report_xlsx
from ogc_server.kendali.report import Report, Table
from tests.kendali.world import AREA, EVENT, ID, serving
from tests.ogc_server.world import World
from tests.response.world import Desk, bmkg, fill, make, quake


def words(body: bytes) -> str:
    reader = pypdf.PdfReader(io.BytesIO(body))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


@pytest.mark.parametrize(("lang", "expected"), [
    ("id", ["Laporan situasi: Gempa M5,6", "21 Nov 2022 13.21 WIB", "Desa terdampak", "Lumbung 0", "stok kurang",
            "Sumber data", "CC-BY-4.0", "sesuai jadwal", "217 desa"]),
    ("en", ["Situation report: Earthquake M5.6", "21 Nov 2022 13:21 WIB", "Villages hit", "stock too small",
            "on time", "villages: 217"]),
])  # fmt: skip
def test_the_pdf_says_it_all_in_both_languages(client: httpx.Client, lang: str, expected: list[str]) -> None:
    answer = client.get("/kendali/laporan", params={"kejadian": EVENT, "f": "pdf", "lang": lang})
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="laporan-{ID}.pdf"'
    text = words(answer.content)
    assert [one for one in expected if one not in text] == []
    page: Any = pypdf.PdfReader(io.BytesIO(answer.content)).pages[0]
    assert page.get_contents().get_data().count(b" l ") > 1000  # the desa are drawn as vectors
    assert not page.images


def test_the_workbook_holds_the_same_numbers_as_numbers(client: httpx.Client) -> None:
    said = client.get("/kendali/jawaban", params={"kejadian": ID}).json()
    answer = client.get("/kendali/laporan", params={"kejadian": ID, "f": "xlsx"})
    book: Any = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert "Desa terdampak" in book.sheetnames
    sheet = book["Desa terdampak"]
    assert sheet.freeze_panes == "A2"
    assert (sheet.page_setup.orientation, sheet.page_setup.fitToHeight, sheet.print_title_rows) == (
        "landscape",
        0,
        "$1:$1",
    )
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    header, *rows = sheet.iter_rows(values_only=True)
    column = header.index("Perkiraan jiwa")
    assert sum(row[column] or 0 for row in rows) == said["ringkasan"]["perkiraan"]["jiwa"]
    assert [row[0] for row in rows] == [row["kode"] for row in said["desa"]]
    assert sheet.cell(2, column + 1).number_format == "#,##0"
    facts = {row[0]: row[1] for row in book["Ringkasan"].iter_rows(values_only=True)}
    assert facts["Perkiraan jiwa"] == said["ringkasan"]["perkiraan"]["jiwa"]  # a number
    _, *sent = book["Rencana kiriman"].iter_rows(values_only=True)
    assert sum(row[1] for row in sent) == said["ringkasan"]["item"][0]["kirim"]
    _, *unmet = book["Kebutuhan yang belum terpenuhi"].iter_rows(values_only=True)
    assert sum(row[1] for row in unmet) == said["ringkasan"]["item"][0]["kurang"]


@pytest.mark.parametrize("form", ["pdf", "xlsx"])
def test_a_drawn_area_gets_its_report(client: httpx.Client, form: str) -> None:
    answer = client.post(f"/kendali/laporan?f={form}", json={"area": AREA})
    assert answer.status_code == 200
    if form == "pdf":
        assert "Area yang digambar" in words(answer.content)
    else:
        book: Any = openpyxl.load_workbook(io.BytesIO(answer.content))
        assert book["Desa terdampak"].max_row > 20


def test_where_nobody_is_hit_the_report_says_so(client: httpx.Client) -> None:
    sea = {"type": "Polygon", "coordinates": [[[105, -9], [105.2, -9], [105.2, -8.8], [105, -9]]]}
    answer = client.post("/kendali/laporan?f=pdf&lang=en", json={"area": sea})
    assert "No village is hit." in words(answer.content)


def test_synthetic_data_and_exercises_are_marked_on_every_page(tmp_path: Path, shared_data: Path) -> None:
    made: Desk = make(tmp_path / "desk")
    fill(World(made.settings, made.catalog, made.store), shared_data, synthetic=True)
    with bmkg(made):
        made.feeds["autogempa"] = [quake()]
        made.harvest()
        assert [one.state for one in made.responder(exercise=True).run()] == ["answered"]
        with serving(made) as url:
            name = f"respons-latihan-{ID.removeprefix('respons-')}"
            ask = {"kejadian": name, "f": "pdf"}
            body = httpx.get(f"{url}/kendali/laporan", params=ask, trust_env=False, timeout=30).content
            sheet = httpx.get(
                f"{url}/kendali/laporan", params={**ask, "f": "xlsx"}, trust_env=False, timeout=30
            ).content
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(body)).pages]
    assert all("LATIHAN" in page and "SINTETIS" in page for page in pages)
    first = [
        row[0] for row in openpyxl.load_workbook(io.BytesIO(sheet)).worksheets[0].iter_rows(values_only=True)
    ]
    assert first[:2] == ["LATIHAN: bukan kejadian nyata", "CONTOH SINTETIS"]
    book: Any = openpyxl.load_workbook(io.BytesIO(sheet))
    printed = {one.oddHeader.right.text for one in book.worksheets}
    assert printed == {"LATIHAN: bukan kejadian nyata · CONTOH SINTETIS"}  # on each page of each sheet
    made.close()


def test_a_cell_that_looks_like_a_formula_is_only_text() -> None:
    table = Table("x", "a/b [c]: *?", ("nama", "n"), [('=HYPERLINK("http://x")', 3), ("@x\x07", None)])
    made = Report("id", "=1+1", (), (), (), (table,), None)  # type: ignore[arg-type]
    book: Any = openpyxl.load_workbook(io.BytesIO(report_xlsx.render(made)))
    cells = [one for sheet in book.worksheets for row in sheet.iter_rows() for one in row]
    assert {one.data_type for one in cells} <= {"s", "n"}
    assert book.worksheets[1]["A2"].value == '\'=HYPERLINK("http://x")'
    assert book.worksheets[1]["B2"].value == 3
