"""Forms as a person fills them in: one field per part, pasted tables, an example, and what is wrong in it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from catalog.messages import LANGS
from ogc_server.processes.form import groups
from ogc_server.processes.registry import PROCESSES
from ogc_server.processes.shown import column, say, table
from tests.ogc_server.test_processes import HERE, cianjur, door
from tests.ogc_server.test_processes_jobs import until

__all__ = ["cianjur", "door"]
PAGE = {"f": "html", "lang": "en"}


def send(door: httpx.Client, process: str, **fields: str) -> httpx.Response:
    return door.post(f"/processes/{process}/execution", params=PAGE, data=fields)


def value_of(page: str, name: str) -> str | None:
    found = re.search(rf'<input id="in-{re.escape(name)}"[^>]* value="([^"]*)"', page)
    return found[1] if found else None


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("process", list(PROCESSES))
def test_every_input_stands_in_the_form_once(process: str, lang: Any) -> None:
    one = PROCESSES[process]
    shown = [f.name.split(".")[0] for group in groups(one, lang, samples=True) for f in group.fields]
    assert set(shown) == set(one.model.model_fields)
    names = [f.name for group in groups(one, lang, samples=True) for f in group.fields]
    assert len(names) == len(set(names))
    for group in groups(one, lang, samples=True):
        assert not group.title.startswith("form."), "a way of asking without words"
        assert not any(f.title.startswith("form.") for f in group.fields)


def test_an_earthquake_has_fields_of_its_own(door: httpx.Client) -> None:
    quake = {
        "gempa.lon": "107.05",
        "gempa.lat": "-6.86",
        "gempa.magnitudo": "5.6",
        "gempa.kedalaman_km": "11",
    }
    got = send(door, "wilayah-terdampak", **quake, mmi_minimum="6")
    assert got.status_code == 200, got.text
    assert "Share per class" in got.text
    lost = send(door, "wilayah-terdampak", **{**quake, "gempa.lat": ""})
    assert lost.status_code == 400
    assert "inputs.gempa.lat" in lost.text


def test_a_table_is_pasted_from_a_spreadsheet(door: httpx.Client) -> None:
    points = f"lon\tlat\tkode\n{HERE['lon']}\t{HERE['lat']}\t32.03.01.2001\n0\t0\t32.03.01.2001\n"
    got = send(door, "verifikasi-lokasi", titik=points)
    assert got.status_code == 200, got.text
    assert "Rows: 2" in got.text
    assert "wrong coordinates" in got.text
    rows = "kode;jiwa\n32.03.01.2001;10\n32.03.01.2002;7"
    differing = send(door, "rekonsiliasi", a=rows, b=rows.replace("10", "12"), kunci="kode", nilai="jiwa")
    assert "values differ" in differing.text


def test_lists_are_written_with_commas(door: httpx.Client) -> None:
    got = send(door, "bantuan-terdekat", asal="32.03.01.2001, 32.03.01.2002", k="1")
    assert got.status_code == 200, got.text
    assert "Rows: 2" in got.text


def test_a_pasted_table_of_persons_is_refused(door: httpx.Client) -> None:
    rows = "kode;nik\n32.03.01.2001;3203010101900001\n32.03.01.2001;3203014502910002"
    got = send(door, "agregasi", data=rows)
    assert got.status_code == 400
    assert "3203010101900001" not in got.text


def test_a_wrong_form_comes_back_with_the_field_marked(door: httpx.Client) -> None:
    fields = {"lon": "107.1391", "lat": "-6.8221", "kode": "32.03.01.2001", "toleransi_m": "-5"}
    got = send(door, "verifikasi-lokasi", **fields, skema="kemendagri", _bentuk="csv")
    assert got.status_code == 400
    page = got.text
    assert "inputs.toleransi_m" in page
    assert re.search(r'id="in-toleransi_m"[^>]*aria-invalid="true"', page)
    assert value_of(page, "toleransi_m") == "-5"
    assert value_of(page, "kode") == "32.03.01.2001"
    assert '<option value="kemendagri" selected>' in page
    assert '<option value="csv" selected>' in page
    assert value_of(page, "lon") == "", "a point may be a household"
    assert "107.1391" not in page


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("kode", "3203010101900001"),
        ("kode", "Siti 32.03"),
        ("toleransi_m", "0812345678901"),
        ("titik", "[1]"),
    ],
)
def test_what_may_tell_of_persons_is_not_shown_again(door: httpx.Client, name: str, typed: str) -> None:
    fields = {"lon": "x", "lat": "y", "vintage": "1", **{name: typed}}
    got = send(door, "verifikasi-lokasi", **fields)
    assert got.status_code == 400
    assert typed not in got.text


def test_clients_of_the_api_get_a_problem_as_before(door: httpx.Client) -> None:
    got = door.post("/processes/verifikasi-lokasi/execution", params=PAGE, json={"inputs": {"lon": 1}})
    assert got.status_code == 400
    assert "salah" not in re.findall(r'id="([^"]+)"', got.text)
    plain = door.post("/processes/verifikasi-lokasi/execution", data={"lon": "1"})
    assert plain.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("process", [name for name in PROCESSES if name != "statistik-zonal"])
def test_the_example_of_a_form_is_answered(door: httpx.Client, process: str) -> None:
    page = door.get(f"/processes/{process}", params={**PAGE, "contoh": "1"}).text
    made = dict(re.findall(r'<input id="[^"]+" name="([^"]+)"[^>]* value="([^"]+)"', page))
    made |= dict(re.findall(r'<textarea id="[^"]+" name="([^"]+)"[^>]*>([^<]+)</textarea>', page))
    fields = {name: value.replace("&#34;", '"') for name, value in made.items() if not name.startswith("_")}
    assert fields
    got = send(door, process, **fields)
    assert got.status_code == 200, got.text
    assert 'id="jawaban"' in got.text


def test_the_example_is_the_only_thing_that_can_be_asked_of_a_form(door: httpx.Client) -> None:
    for value in ("2", "ya"):
        got = door.get("/processes/agregasi", params={"contoh": value})
        assert (got.status_code, got.json()["where"]) == (400, "contoh")


def test_a_table_is_as_wide_as_it_must_be() -> None:
    rows: list[dict[str, Any]] = [
        {
            "kode": "32",
            "nama": "",
            "bagian": 0.125,
            "jumlah": {"jumlah_jiwa": 1234},
            "stok": {"a": "x", "b": 2},
        },
        {"kode": "33", "nama": None, "bagian": 1.0, "jumlah": {"jumlah_jiwa": 5.5}, "stok": {}},
    ]
    heads, cells = table(rows, "id")
    assert [head.text for head in heads] == ["Kode", "Bagian", "Jumlah jiwa", "Stok"]
    assert [cell.text for cell in cells[0]] == ["32", "12,5%", "1.234", "A: x · B: 2"]
    assert [cell.text for cell in cells[1]] == ["33", "100%", "5,5", "—"]
    assert [cell.number for cell in cells[0]] == [False, True, True, False]


def test_values_are_said_in_the_language_of_who_reads() -> None:
    assert say("verdik", "tidak_sesuai", "id") == "tidak sesuai"
    assert say("verdik", "tidak_sesuai", "en").startswith("elsewhere")
    assert (say("x", True, "id"), say("x", True, "en")) == ("ya", "yes")
    assert say("vintage_a", 2025, "id") == "2025"
    assert say("lon", 107.1234567, "id") == "107.123457"
    assert say("x", [1.5, "b"], "en") == "1.5, b"
    assert column("kolom_yang_tak_dikenal", "en") == "Kolom yang tak dikenal"
    assert (column("kelas_0_0.5", "en"), say("kelas_0_0.5", 0.25, "en")) == ("Class 0 – 0.5", "25%")


def test_columns_keep_their_order_where_the_first_row_is_empty() -> None:
    heads, _ = table(
        [{"kode": "", "nama": None, "jumlah": 1}, {"kode": "32", "nama": None, "jumlah": 2}], "id"
    )
    assert [head.name for head in heads] == ["kode", "jumlah"]


def test_the_page_of_a_new_job_goes_on_by_itself_to_the_answer(door: httpx.Client) -> None:
    made = send(door, "bantuan-terdekat", asal="32.03.01.2001", _latar="1")
    assert made.status_code == 201
    found = re.search(r'<meta http-equiv="refresh" content="3; url=([^"]+)">', made.text)
    assert found, "it would ask the address of the form again"
    here = found[1].replace("&amp;", "&")
    assert here.startswith(made.headers["location"])
    until(door, made.headers["location"], "successful")
    page = door.get(here).text
    assert 'http-equiv="refresh"' not in page
    assert all(f"/results?f={form}" in page for form in ("json", "csv", "geojson", "parquet"))


def test_an_origin_is_written_as_longitude_and_latitude(door: httpx.Client) -> None:
    """Two codes stay codes: none is less than 11, and no latitude of Indonesia is beyond that."""
    where = "/processes/bantuan-terdekat/execution?f=html&lang=en"
    for typed in ("107.12, -6.82", "107.12; -6.82", "107.12,-6.82"):
        page = door.post(where, data={"asal": typed, "k": "1", "_bentuk": "html"})
        assert page.status_code == 200, page.text[:300]
        assert '"asked":[{"type":"Point","coordinates":[107.12,-6.82]}]' in page.text.replace(" ", "")
    codes = door.post(where, data={"asal": "32.03.01.2001, 32.03.01.2002", "_bentuk": "html"})
    assert codes.status_code == 200
    assert door.post(where, data={"asal": "32.03, 11.01", "_bentuk": "html"}).status_code == 400, "codes"


@pytest.mark.parametrize("lang", ["id", "en"])
@pytest.mark.parametrize(
    ("process", "typed"),
    [
        ("wilayah-terdampak", {"area": "Cianjur"}),
        ("alokasi-bantuan", {"kebutuhan": "banyak", "stok": "cukup"}),
        ("bantuan-terdekat", {"asal": "107.12, -6.82", "k": "0"}),
        ("bantuan-terdekat", {"asal": "107.12, -6.82", "k": "tiga"}),
        ("statistik-zonal", {"raster": "x", "kelas": "satu; dua"}),
        ("agregasi", {"data": '{"a": 1}', "menurut": "a"}),
    ],
)
def test_what_is_wrong_is_said_in_the_readers_language(
    door: httpx.Client, process: str, typed: dict[str, str], lang: str
) -> None:
    page = door.post(f"/processes/{process}/execution?f=html&lang={lang}", data={**typed, "_bentuk": "html"})
    assert page.status_code == 400
    said = page.text.split('id="salah"')[1].split("</section>")[0]
    assert not re.search(r"Input should|valid (dict|list|number)|skema|schema", said), said


def test_the_name_of_a_facility_stands_beside_its_rank() -> None:
    rows = [{"asal": "asal", "urutan": 1, "jarak_m": 5.0, "nama": "Gudang", "lon": 1.0}]
    heads, _ = table(rows, "id")
    assert [head.name for head in heads] == ["urutan", "nama", "jarak_m", "lon"]
    named = [{**rows[0], "asal": "32.03.01.2001"}]
    assert table(named, "id")[0][0].name == "asal"
